"""The Settings tab, as its page sees it."""

import io
import zipfile
from collections.abc import Callable

from linkup_nb import Node
from linkup_nb.notebook import runtime
from linkup_nb.wire.keys import z32encode
from tests.notebook.page import Page

Start = Callable[..., Node]
Open = Callable[..., Page]


def test_switches_act_at_once_and_are_kept(start: Start, open_page: Open) -> None:
    node = start()
    page = open_page(node)
    assert page.request("settings")["share_reads"]
    changed = page.request("set", share_reads=False, share_typing=False)
    assert (changed["share_reads"], changed["share_typing"]) == (False, False)
    assert (node.share_reads, node.share_typing) == (False, False)
    assert b'"shareTyping": false' in (node.path / "config.json").read_bytes()


def test_networks_are_checked_before_they_are_kept(start: Start, open_page: Open) -> None:
    node = start()
    page = open_page(node)
    kept = page.request("set", bootstrap="192.0.2.10:8468, hyperdht:192.0.2.11:49737", relay="ab" * 32)
    assert kept["bootstrap"] == "192.0.2.10:8468, hyperdht:192.0.2.11:49737"
    assert kept["relay"] == "ab" * 32
    assert "written host:port" in page.refused("set", bootstrap="nonsense")
    assert "64 hexadecimal digits" in page.refused("set", relay="abc")
    assert node.profile.bootstrap == ("192.0.2.10:8468", "hyperdht:192.0.2.11:49737")


def test_blind_peers_are_named_by_their_keys_and_act_at_once(start: Start, open_page: Open) -> None:
    node = start()
    page = open_page(node)
    first, second = z32encode(bytes([1]) * 32), z32encode(bytes([2]) * 32)
    kept = page.request("set", blind_peers=f" {first}, {'02' * 32} ")
    assert kept["blind_peers"] == f"{first}, {second}"
    assert [(one["key"], one["text"] != "") for one in kept["blind_peers_now"]] == [(first, True), (second, True)]
    assert [one.id for one in node.blind_peers] == [first, second]
    assert page.request("blind_peers")["blind_peers_now"] == page.request("settings")["blind_peers_now"]
    assert "is no key of a blind peer" in page.refused("set", blind_peers="nonsense")
    assert node.profile.blind_peers == (first, second)
    assert page.request("set", blind_peers="")["blind_peers_now"] == []


def test_space_is_counted_by_whose_it_is(start: Start, open_page: Open) -> None:
    node = start()
    page = open_page(node)
    drive = runtime.run(node.drive(name="results"))
    runtime.run(drive.put("/a.bin", bytes(100_000)))
    page.request("create", name="physics")
    space = page.request("settings")["space"]
    assert space["own"] >= 100_000
    assert space["rooms"] > 0
    assert space["others"] == 0
    assert page.request("clear_copies")["space"]["own"] == space["own"]  # one's own are never touched


def test_an_exported_profile_holds_the_key_and_no_device(start: Start, open_page: Open) -> None:
    page = open_page(start())
    _, buffers = page.answer(page.ask("export_profile"))
    with zipfile.ZipFile(io.BytesIO(buffers[0])) as archive:
        assert set(archive.namelist()) <= {"config.json", "seed", "rooms.json"}
        assert len(archive.read("seed")) == 32
