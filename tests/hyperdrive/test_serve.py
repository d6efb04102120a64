"""A drive over HTTP: what a browser gets, and what it must not."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from linkup_nb.errors import UsageError
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.serve import DriveServer, serve

DATA = bytes(range(256)) * 1000


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


async def ask(server: DriveServer, target: str, method: str = "GET", **headers: str) -> Answer:
    """One request, byte for byte as given; `{token}` in the target is the server's."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    given = {"Host": f"127.0.0.1:{server.port}", "Connection": "close"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {target.replace('{token}', server.token or '')} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in given.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    head, _, body = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
    writer.close()
    status, *rest = head.decode().split("\r\n")
    return Answer(int(status.split()[1]), {n.lower(): v for n, v in (line.split(": ", 1) for line in rest)}, body)


@pytest.fixture
async def drive(tmp_path: Path) -> AsyncIterator[Drive]:
    async with Corestore(tmp_path / "store") as store, await Drive.open(store) as drive:
        await drive.put("/page.html", b"<script>alert(1)</script>")
        await drive.put("/folder/data.bin", DATA)
        await drive.put("/é ü%.txt", "grüße".encode())
        await drive.symlink("/link", "/folder/data.bin")
        await drive.symlink("/loop", "/loop")
        await drive.put("/noext", b"")
        yield drive


@pytest.fixture
async def server(drive: Drive) -> AsyncIterator[DriveServer]:
    server = await serve(drive)
    yield server
    await server.close()


async def test_a_file_comes_whole_with_its_type(server: DriveServer) -> None:
    answer = await ask(server, "/folder/data.bin?token={token}")

    assert (answer.status, answer.body) == (200, DATA)
    assert answer.headers["content-length"] == str(len(DATA))
    assert answer.headers["content-type"] == "application/octet-stream"
    assert (await ask(server, "/link?token={token}")).body == DATA
    assert (await ask(server, "/noext?token={token}")).headers["content-type"] == "application/octet-stream"
    text = await ask(server, "/%C3%A9%20%C3%BC%25.txt?token={token}")
    assert (text.body.decode(), text.headers["content-type"]) == ("grüße", "text/plain; charset=utf-8")


async def test_a_head_is_the_headers_alone(server: DriveServer) -> None:
    answer = await ask(server, "/folder/data.bin?token={token}", "HEAD")

    assert (answer.status, answer.headers["content-length"], answer.body) == (200, str(len(DATA)), b"")


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-65600", 100, 65601),
        ("bytes=255990-", 255990, 256000),
        ("bytes=-5", 255995, 256000),
    ],
)
async def test_a_range_is_those_bytes(server: DriveServer, wanted: str, start: int, end: int) -> None:
    answer = await ask(server, "/folder/data.bin?token={token}", Range=wanted)

    assert (answer.status, answer.body) == (206, DATA[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/256000"


@pytest.mark.parametrize("wanted", ["bytes=256000-", "bytes=-0", "bytes=999999999999-1999999999999"])
async def test_a_range_outside_of_the_file_is_416(server: DriveServer, wanted: str) -> None:
    answer = await ask(server, "/folder/data.bin?token={token}", Range=wanted)

    assert (answer.status, answer.headers["content-range"]) == (416, "bytes */256000")


@pytest.mark.parametrize("wanted", ["bytes=5-2", "bytes=1-2,4-5", "lines=1-2", "bytes=", "bytes=a-b"])
async def test_a_range_that_is_none_is_ignored(server: DriveServer, wanted: str) -> None:
    assert (await ask(server, "/folder/data.bin?token={token}", Range=wanted)).status == 200


async def test_what_the_browser_has_is_not_sent_again(server: DriveServer, drive: Drive) -> None:
    tag = (await ask(server, "/folder/data.bin?token={token}")).headers["etag"]

    assert (await ask(server, "/folder/data.bin?token={token}", If_None_Match=f'"x", {tag}')).status == 304
    assert (await ask(server, "/folder/data.bin?token={token}", Range="bytes=1-2", If_Range=tag)).status == 206
    assert (await ask(server, "/folder/data.bin?token={token}", Range="bytes=1-2", If_Range='"old"')).status == 200
    await drive.put("/folder/data.bin", b"new")
    assert (await ask(server, "/folder/data.bin?token={token}", If_None_Match=tag)).body == b"new"


async def test_a_version_is_served_as_it_was(server: DriveServer, drive: Drive) -> None:
    version = drive.version
    await drive.put("/noext", b"later")

    assert (await ask(server, f"/noext?token={{token}}&version={version}")).body == b""
    assert (await ask(server, f"/noext?token={{token}}&key={drive.id}")).body == b"later"


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/none?token={token}", 404),
        ("/loop?token={token}", 404),
        ("/folder/none/?token={token}", 404),
        ("/noext", 404),
        ("/noext?token=wrong", 404),
        ("/noext?token={token}&version=999", 404),
        ("/noext?token={token}&version=99999999999999999999999", 404),
        ("/noext?token={token}&version=-1", 400),
        ("/noext?token={token}&version=NaN", 400),
        ("/noext?token={token}&key=zz", 400),
        ("/noext?token={token}&key=" + "00" * 32, 404),
        ("/%zz?token={token}", 400),
        ("/%ff?token={token}", 400),
        ("/a%2?token={token}", 400),
    ],
)
async def test_what_cannot_be_had_is_refused_at_once(server: DriveServer, target: str, status: int) -> None:
    assert (await ask(server, target)).status == status


async def test_only_reading_is_allowed(server: DriveServer) -> None:
    assert (await ask(server, "/noext?token={token}", "PUT")).status == 405


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "evil.example:1"])
async def test_a_foreign_host_is_refused(server: DriveServer, host: str) -> None:
    assert (await ask(server, "/noext?token={token}", Host=host)).status == 403


async def test_what_peers_put_into_pages_does_not_run(server: DriveServer, drive: Drive) -> None:
    await drive.put("/folder/<img src=x onerror=alert(1)>", b"")
    page = await ask(server, "/page.html?token={token}")
    listing = await ask(server, "/folder/?token={token}")

    assert page.headers["content-security-policy"].startswith("sandbox;")
    assert page.headers["x-content-type-options"] == "nosniff"
    assert b"<img" not in listing.body
    assert b"data.bin" in listing.body


async def test_a_folder_lists_with_links_that_work(server: DriveServer) -> None:
    listing = (await ask(server, "/?token={token}")).body.decode()

    assert 'href="/folder?token=' in listing
    assert b"data.bin" in (await ask(server, "/folder?token={token}")).body
    assert server.url == f"http://127.0.0.1:{server.port}/?token={server.token}"


async def test_a_taken_port_is_said_to_be_taken(server: DriveServer, drive: Drive) -> None:
    with pytest.raises(UsageError, match="cannot be used"):
        await serve(drive, port=server.port)


async def test_behind_a_hub_the_address_goes_through_its_proxy(
    server: DriveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/me/")
    monkeypatch.setattr("linkup_nb.hyperdrive.serve.find_spec", lambda name: object())

    assert server.link("/a b") == f"/user/me/proxy/{server.port}/a%20b?token={server.token}"
