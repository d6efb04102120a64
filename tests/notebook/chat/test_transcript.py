"""The protocol of page and kernel, with both ends real but for the wire between them."""

import threading
import time
from typing import Any

import pytest

from linkup_nb.notebook import runtime
from linkup_nb.notebook.tabs import TabsWidget
from tests.notebook.conftest import Open, Start
from tests.notebook.page import Json, Page


def test_a_first_visit_asks_for_a_profile(start: Start, open_page: Open) -> None:
    page = open_page(start(named=False))
    page.state(lambda state: state["needs_profile"])
    assert page.refused("profile", name="  ", avatar=None) == ("A name needs at least one visible character: type one.")
    page.request("profile", name="kestrel", avatar=None)
    state = page.state(lambda state: not state["needs_profile"])
    assert state["me"]["name"] == "kestrel"
    assert state["status"]["text"] == "No room yet. Create one, or join by its topic."


def test_a_new_room_is_shown_and_what_is_said_there_comes_back(open_page: Open) -> None:
    page = open_page()
    topic = page.request("create", name="lobby", linkup=True)["topic"]
    page.state(lambda state: state["room"] == topic and [room["name"] for room in state["rooms"]] == ["lobby"])
    assert page.request("send", topic=topic, text="hello there")["action"] == "none"
    row = page.row(lambda row: row.get("text") == "hello there")
    assert (row["kind"], row["name"], row["own"]) == ("text", "kestrel", True)


@pytest.mark.parametrize("linkup", [True, False])
def test_a_room_is_renamed_for_oneself(open_page: Open, linkup: bool) -> None:
    page = open_page()
    topic = page.request("create", name="lobby", linkup=linkup)["topic"]
    page.request("change_room", topic=topic, name="physics")
    page.state(lambda state: [room["name"] for room in state["rooms"]] == ["physics"])
    assert page.refused("change_room", topic=topic, name=" ").startswith("A name needs at least one visible")


def test_delivery_is_shown_when_it_is_known(start: Start, open_page: Open) -> None:
    kestrel, otter = open_page(start("kestrel")), open_page(start("otter"))
    topic = kestrel.request("create", name="lobby", linkup=True)["topic"]
    otter.request("join", word=topic)
    kestrel.state(
        lambda state: [peer["name"] for peer in state["peers"] if peer["status"] == "here"] == ["kestrel", "otter"]
    )
    kestrel.request("send", topic=topic, text="**hi**")
    row = otter.row(lambda row: row.get("html") == "<p><strong>hi</strong></p>\n")
    assert row["name"] == "kestrel"
    assert "own" not in row
    sent = kestrel.row(lambda row: row.get("own", False) and "delivery" in row)
    assert sent["delivery"] == "✓ sent to 1"


def test_avatars_come_before_what_uses_them(start: Start, open_page: Open) -> None:
    kestrel, otter = open_page(start("kestrel")), open_page(start("otter"))
    topic = kestrel.request("create", name="lobby", linkup=True)["topic"]
    otter.request("join", word=topic)
    kestrel.state(lambda state: sum(bool(peer["avatar"]) for peer in state["peers"]) == 2)
    otter.request("send", topic=topic, text="hi")
    kestrel.row(lambda row: row.get("text") == "hi")
    known = set()
    for content, buffers in kestrel.said:
        if content["type"] == "avatar":
            assert buffers[0].startswith({"image/png": b"\x89PNG", "image/jpeg": b"\xff\xd8\xff"}[content["mime"]])
            known.add(content["avatar"])
        elif content["type"] == "state":
            assert {content["me"]["avatar"], *(peer["avatar"] for peer in content["peers"])} - {None} <= known
        elif content["type"] == "rows":
            assert {row.get("avatar") for row in content["rows"]} - {None} <= known
    assert len(known) == 2


def test_a_second_view_and_a_reloaded_one_get_the_same_rows(open_page: Open) -> None:
    page = open_page()
    topic = page.request("create", name="lobby", linkup=True)["topic"]
    for number in range(3):
        page.request("send", topic=topic, text=f"message {number}")
    page.row(lambda row: row.get("text") == "message 2")

    second = Page.__new__(Page)
    second.__dict__.update(page.__dict__ | {"view": "second", "said": []})
    second.hello()
    second.row(lambda row: row.get("text") == "message 2")
    assert [row["text"] for row in second.rows()] == ["message 0", "message 1", "message 2"]
    targeted = [content for content, _ in second.said if content["type"] == "rows"]
    assert [(content["view"], content["reset"]) for content in targeted] == [("second", True)]


def test_a_view_that_missed_rows_gets_only_those(open_page: Open) -> None:
    page = open_page()
    topic = page.request("create", name="lobby", linkup=True)["topic"]
    for number in range(3):
        page.request("send", topic=topic, text=f"message {number}")
    page.row(lambda row: row.get("text") == "message 2")
    last = next(content for content, _ in reversed(page.said) if content["type"] == "rows")
    page.request("send", topic=topic, text="message 3")
    page.row(lambda row: row.get("text") == "message 3" and "delivery" in row)

    before = len(page.said)
    page.hello(epoch=last["epoch"], version=last["version"])
    page.row(lambda row: row.get("text") == "message 3", before)
    assert "message 0" not in [row["text"] for row in page.rows(before)]
    assert not any(content["reset"] for content, _ in page.said[before:] if content["type"] == "rows")


def test_an_empty_room_answers_a_hello_with_a_reset(open_page: Open) -> None:
    page = open_page()
    content, _ = page.sees(lambda content: content["type"] == "rows")
    assert (content["room"], content["reset"], content["rows"]) == (None, True, [])
    assert content["start"]
    assert content["end"]


def test_clearing_starts_a_new_epoch(open_page: Open) -> None:
    page = open_page()
    topic = page.request("create", name="lobby", linkup=True)["topic"]
    page.request("send", topic=topic, text="old")
    page.row(lambda row: row.get("text") == "old")
    before = len(page.said)
    assert page.request("send", topic=topic, text="~clear")["action"] == "clear"
    page.sees(lambda content: content["type"] == "rows" and content["reset"] and not content["rows"], before)
    page.request("send", topic=topic, text="new")
    page.row(lambda row: row.get("text") == "new", before)
    assert [row["text"] for row in page.rows(before)] == ["new"]


def test_commands_answer_with_a_notice(open_page: Open) -> None:
    page = open_page()
    page.request("send", topic=None, text="~help")
    notice = page.row(lambda row: row["kind"] == "notice")
    assert "<code>~join INVITE</code>" in notice["html"]
    topic = page.request("create", name="lobby", linkup=True)["topic"]
    assert page.request("send", topic=topic, text="~avatar")["action"] == "pick_avatar"
    assert page.refused("send", topic=topic, text="~hepl").startswith("There is no command ~hepl. Did you mean ~help?")
    assert page.request("send", topic=topic, text="~create --linkup den")["action"] == "none"
    page.state(lambda state: [room["name"] for room in state["rooms"]] == ["lobby", "den"] and state["room"] != topic)


@pytest.mark.parametrize(
    ("kind", "fields", "sentence"),
    [
        ("join", {"word": "abc"}, "A topic is 64 hexadecimal digits"),
        ("create", {"name": "x" * 65}, "This name has 65 characters: shorten it to 64."),
        ("send", {"topic": None, "text": "hi"}, "You are in no room: create one, or join one by its topic, first."),
        ("send", {"topic": "ab" * 32, "text": "hi"}, "You are not in the room ababab…"),
        ("show", {"topic": "ab" * 32}, "You are not in the room ababab…"),
        ("leave", {"topic": "ab" * 32}, "You are not in the room ababab…"),
        ("record", {"on": True}, "You are in no room: create one, or join one by its topic, first."),
        ("fetch", {"topic": None, "target": "7", "index": 0}, "This file is gone"),
        ("fetch", {"topic": "ab" * 32, "target": "7", "index": 0}, "The panel shows another room by now"),
        ("upload_end", {"upload": "nonsense"}, "This file has been forgotten"),
        ("nonsense", {}, "This page and its kernel do not understand each other"),
        ("select", {"target": 1}, "This page and its kernel do not understand each other"),
    ],
)
def test_every_request_that_fails_is_answered_with_a_sentence(
    open_page: Open, kind: str, fields: dict[str, Any], sentence: str
) -> None:
    assert open_page().refused(kind, **fields).startswith(sentence)


@pytest.mark.parametrize("content", [None, [], "hello", {}, {"id": 7, "type": "hello"}, {"type": "hello"}])
def test_what_is_no_request_is_ignored(open_page: Open, content: object) -> None:
    page = open_page()
    page.comm.say({"method": "custom", "content": content})
    page.hello()


def test_a_failure_of_our_own_is_answered_too(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    page = open_page()
    monkeypatch.setattr("linkup_nb.node.Node.create_room", None)
    assert page.refused("create", name="lobby", linkup=True).startswith("This went wrong in the kernel: TypeError: ")


def test_an_upload_becomes_a_file_that_can_be_fetched_back(open_page: Open) -> None:
    page = open_page()
    topic = page.request("create", name="lobby", linkup=True)["topic"]
    data = bytes(range(256)) * 10_000
    upload = page.upload(data, "file", topic, "../../data.bin")
    page.request("upload_end", upload=upload)
    row = page.row(lambda row: row["kind"] == "file")
    assert row["file"] == {
        "name": "data.bin",
        "size": len(data),
        "mime": "application/octet-stream",
        "inline": False,
    }
    fetched = b""
    for index in range(3):
        content, buffers = page.answer(page.ask("fetch", topic=topic, target=row["id"], index=index))
        assert (content["chunks"], content["size"]) == (3, len(data))
        fetched += buffers[0]
    assert fetched == data


def test_an_uploaded_avatar_waits_for_its_profile(start: Start, open_page: Open) -> None:
    from linkup_nb.rooms.avatar import generated_avatar

    node = start(named=False)
    page = open_page(node)
    picture = generated_avatar("Z", bytes(range(32)))
    upload = page.upload(picture, "avatar", None)
    page.request("upload_end", upload=upload)
    page.request("profile", name="zebra", avatar=upload)
    assert node.name == "zebra"
    assert node.profile.avatar is not None
    bad = page.upload(b"not a picture", "avatar", None)
    page.request("upload_end", upload=bad)
    assert page.refused("profile", name="zebra", avatar=bad).startswith("This is not a picture that can be read")


def test_the_clicked_message_is_the_live_object(open_page: Open, start: Start) -> None:
    node = start()
    transcript = TabsWidget(node, "lu.start()")
    page = Page(transcript)
    page.hello()
    topic = page.request("create", name="lobby", linkup=True)["topic"]
    page.request("send", topic=topic, text="one")
    page.request("send", topic=topic, text="two")
    two = page.row(lambda row: row.get("text") == "two")
    page.request("select", topic=topic, target=two["id"])
    selection = page.state(lambda state: state["selection"] is not None)["selection"]
    assert selection == {"id": two["id"], "expression": "lu.start().rooms[0][1]"}
    assert transcript.tab.selection is node.rooms[0][1]
    transcript.close()


def test_unread_rows_are_counted_until_they_are_seen(start: Start, open_page: Open) -> None:
    kestrel, otter = open_page(start("kestrel")), open_page(start("otter"))
    topic = kestrel.request("create", name="lobby", linkup=True)["topic"]
    kestrel.request("create", name="elsewhere", linkup=True)
    otter.request("join", word=topic)
    otter.state(lambda state: sum(peer["status"] == "here" for peer in state["peers"]) == 2)
    for text in ("one", "two"):
        otter.request("send", topic=topic, text=text)
    kestrel.state(lambda state: unread(state) == [2, 0])
    before = len(kestrel.said)
    kestrel.request("show", topic=topic)
    content, _ = kestrel.sees(lambda content: content["type"] == "rows" and content["room"] == topic, before)
    assert content["reset"]
    assert (content["unread"], content["divider"]) == (2, None)
    one, two = content["rows"]
    assert one["unread"]
    kestrel.request("seen", topic=topic, targets=[one["id"]])
    kestrel.state(lambda state: unread(state) == [1, 0], before)
    kestrel.request("seen", topic=topic, targets=[], since=one["place"], until=two["place"])
    kestrel.state(lambda state: unread(state) == [0, 0], before)


def here(state: Json) -> list[str]:
    return [peer["name"] for peer in state["peers"] if peer["status"] == "here"]


def unread(state: Json) -> list[int]:
    return [room["unread"] for room in state["rooms"]]


def test_leaving_the_shown_room_shows_another(open_page: Open) -> None:
    page = open_page()
    first = page.request("create", name="first", linkup=True)["topic"]
    second = page.request("create", name="second", linkup=True)["topic"]
    page.request("leave", topic=second)
    page.state(lambda state: state["room"] == first and len(state["rooms"]) == 1)


def test_nothing_is_sent_to_a_page_without_views(open_page: Open, start: Start) -> None:
    node = start()
    page = open_page(node)
    topic = page.request("create", name="lobby", linkup=True)["topic"]
    page.request("bye")
    before = len(page.said)
    page.request("send", topic=topic, text="unheard")
    page.hello()
    page.row(lambda row: row.get("text") == "unheard", before)
    rows = [content for content, _ in page.said[before:] if content["type"] == "rows"]
    assert [content["reset"] for content in rows] == [True]


def test_no_trait_carries_what_is_said(open_page: Open) -> None:
    page = open_page()
    topic = page.request("create", name="a very special room", linkup=True)["topic"]
    page.request("send", topic=topic, text="a very special text")
    page.row(lambda row: row.get("text") == "a very special text")
    saved = str(page.comm.state)
    assert "a very special" not in saved
    assert topic not in saved


def test_a_handler_never_waits_for_the_node(start: Start, open_page: Open) -> None:
    node = start()
    page = open_page(node)
    free = threading.Event()
    node.loop.call_soon_threadsafe(free.wait)
    try:
        started = time.monotonic()
        identity = page.ask("create", name="lobby", linkup=True)
        assert time.monotonic() - started < 1.0
    finally:
        free.set()
    assert page.answer(identity)[0]["ok"]


def test_a_page_whose_node_is_gone_is_refused(start: Start) -> None:
    node = start()
    transcript = TabsWidget(node, "lu.start()")
    page = Page(transcript)
    page.hello()
    runtime.run(node.close())
    page.state(lambda state: state["status"]["level"] == "off")
    assert page.refused("create", name="lobby", linkup=True).startswith("This node is not open")
    start()
    assert page.refused("create", name="lobby", linkup=True) == "This node is closed: run the cell again."


def test_two_panels_of_a_node_show_the_same(start: Start, open_page: Open) -> None:
    node = start()
    first, second = open_page(node), open_page(node)
    topic = first.request("create", name="lobby", linkup=True)["topic"]
    second.state(lambda state: state["room"] == topic)
    first.request("send", topic=topic, text="hello")
    shown = [page.row(lambda row: "delivery" in row) for page in (first, second)]
    assert shown[0] == shown[1]


def test_the_reader_is_away_while_nobody_looks_at_any_view(start: Start, open_page: Open) -> None:
    node = start()
    one, other = open_page(node), open_page(node)
    one.request("away", away=True)
    assert not node.away  # somebody looks at the other
    other.request("away", away=True)
    assert node.away
    one.request("away", away=False)
    assert not node.away
    one.request("bye")
    assert node.away
    other.request("bye")
    assert not node.away  # without a page it is a node of its own
