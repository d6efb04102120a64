"""A drive over HTTP: what a browser gets, and what it must not."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from linkup_nb.connection.connection import Connection, connect
from linkup_nb.connection.server import Server, listen
from linkup_nb.errors import UsageError
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.serve import MAX_ANSWERS, MAX_BODY, MAX_HEADER, MAX_PARAMETERS, DriveServer, serve
from tests.hypercore.javascript import javascript
from tests.hyperdrive.browser import DATA, ask, fill, request

BIG = bytes(range(250)) * 16_000  # more than the buffers of a socket hold
PATIENCE = 60.0  # seconds


@pytest.fixture
async def drive(tmp_path: Path) -> AsyncIterator[Drive]:
    async with Corestore(tmp_path / "store") as store, await Drive.open(store) as drive:
        await fill(drive)
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
    for name in ("<img src=x onerror=alert(1)>", "javascript:alert(1)", "evil\u202efdp.exe"):
        await drive.put(f"/folder/{name}", b"")
    page = await ask(server, "/page.html?token={token}")
    listing = await ask(server, "/folder/?token={token}")

    assert page.headers["content-security-policy"].startswith("sandbox allow-downloads; default-src 'none';")
    assert page.headers["x-content-type-options"] == "nosniff"
    assert b"<img" not in listing.body
    assert b"data.bin" in listing.body
    assert 'href="javascript:' not in listing.body.decode()
    assert "\u202e" not in listing.body.decode()


async def test_a_folder_lists_with_links_that_work(server: DriveServer) -> None:
    listing = (await ask(server, "/?token={token}")).body.decode()

    assert f'<a href="./folder/?token={server.token}">folder/</a>' in listing
    assert f'<a href="./noext?token={server.token}">noext</a>' in listing
    assert (
        f'href="./folder/data.bin?token={server.token}"' in (await ask(server, "/folder?token={token}")).body.decode()
    )
    assert f'href="./data.bin?token={server.token}"' in (await ask(server, "/folder/?token={token}")).body.decode()
    assert server.url == f"http://127.0.0.1:{server.port}/?token={server.token}"


async def test_a_taken_port_is_said_to_be_taken(server: DriveServer, drive: Drive) -> None:
    with pytest.raises(UsageError, match="cannot be used"):
        await serve(drive, port=server.port)


async def test_a_token_that_is_none_is_refused(drive: Drive) -> None:
    with pytest.raises(UsageError, match="token=False"):
        await serve(drive, token="")


async def test_without_a_token_everybody_here_is_let_in(drive: Drive) -> None:
    server = await serve(drive, token=False)

    answer = await ask(server, "/noext")
    assert (answer.status, answer.headers["cross-origin-resource-policy"]) == (200, "same-origin")
    assert server.url == f"http://127.0.0.1:{server.port}/"
    await server.close()


async def test_another_drive_is_served_by_its_key(drive: Drive) -> None:
    other = await Drive.open(drive._source.store.namespace("other"))
    await other.put("/a", b"of the other")

    async def open_drive(key: bytes) -> Drive | None:
        return other if key == other.key else None

    server = await serve(drive, open_drive=open_drive)

    assert (await ask(server, f"/a?key={other.id}&token={{token}}")).body == b"of the other"
    assert (await ask(server, f"/a?key={'00' * 32}&token={{token}}")).status == 404
    await server.close()


async def test_parameters_that_mean_nothing_here_are_ignored(server: DriveServer) -> None:
    assert (await ask(server, "/noext?1234&&x=&token={token}")).status == 200
    assert (await ask(server, "/noext?token={token}" + "&a=1" * MAX_PARAMETERS)).status == 400


async def test_every_known_tag_is_a_match_for_a_star(server: DriveServer) -> None:
    assert (await ask(server, "/noext?token={token}", If_None_Match="*")).status == 304


async def test_a_browser_gets_many_files_over_one_connection(server: DriveServer, drive: Drive) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for _ in range(3):
        writer.write(f"GET /noext?token={server.token} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        assert head.startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_sixteen_at_once_get_what_they_asked_for(server: DriveServer, drive: Drive) -> None:
    async with drive.batch() as batch:
        for number in range(16):
            await batch.put(f"/many/{number}", bytes([number]) * 100_000)

    answers = await asyncio.gather(*(ask(server, f"/many/{number}?token={{token}}") for number in range(16)))

    assert [answer.body for answer in answers] == [bytes([number]) * 100_000 for number in range(16)]


class Far(NamedTuple):
    """A server of somebody else's drive, and what stops its blocks."""

    server: DriveServer
    mine: Drive
    theirs: Drive
    connection: Connection
    listener: Server


@pytest.fixture
async def far(tmp_path: Path) -> AsyncIterator[Far]:
    """A drive whose names have come, and whose peer has then gone away."""
    async with Corestore(tmp_path / "theirs") as theirs, Corestore(tmp_path / "mine") as mine:
        source = await Drive.open(theirs)
        await source.put("/big", BIG)
        await source.put("/small", b"x")
        listener = await listen("127.0.0.1", 0, theirs.replicate)
        connection = await connect("127.0.0.1", listener.port)
        mine.replicate(connection)
        drive = await Drive.open(mine, source.key, timeout=None)
        await drive.update()
        assert [entry.path async for entry in drive.list()] == ["/big", "/small"]
        server = await serve(drive, timeout=0.3)
        yield Far(server, drive, source, connection, listener)
        await server.close()
        await listener.close()


async def test_what_a_peer_has_comes_through(far: Far) -> None:
    assert (await ask(far.server, "/big?token={token}", Range="bytes=700000-700009")).body == BIG[700000:700010]


async def test_what_no_peer_sends_is_504_in_time(far: Far) -> None:
    await far.connection.close()

    answer = await ask(far.server, "/small?token={token}")

    assert (answer.status, answer.body) == (
        504,
        b"504 No peer sent it in time: try again when a peer that has it is online.\n",
    )
    assert "content-range" not in answer.headers
    assert (await ask(far.server, "/?token={token}")).status == 200


async def test_a_file_that_breaks_off_is_cut_where_it_did(far: Far) -> None:
    await far.mine.download("/small")
    assert (await ask(far.server, "/big?token={token}", Range="bytes=0-99")).status == 206
    await far.connection.close()

    answer = await ask(far.server, "/big?token={token}")

    assert answer.headers["content-length"] == str(len(BIG))
    assert answer.body == BIG[: len(answer.body)]
    assert len(answer.body) < len(BIG)


async def test_over_the_bound_of_answers_one_is_told_to_come_again(far: Far) -> None:
    await far.connection.close()
    answers = await asyncio.gather(*(ask(far.server, "/big?token={token}") for _ in range(MAX_ANSWERS + 5)))

    assert [answer.status for answer in answers].count(503) == 5
    assert [answer.status for answer in answers].count(504) == MAX_ANSWERS
    assert {a.headers["retry-after"] for a in answers if a.status == 503} == {"1"}
    assert (await ask(far.server, "/?token={token}")).status == 200


async def test_who_reads_nothing_is_cut_off(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linkup_nb.hyperdrive.serve.IDLE_TIMEOUT", 0.2)
    monkeypatch.setattr("linkup_nb.hyperdrive.serve.MAX_ANSWERS", 1)
    await drive.put("/big", BIG * 4)
    server = await serve(drive)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1000)
    writer.write(f"GET /big?token={server.token} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    await asyncio.wait_for(reader.readexactly(1000), 10)

    assert (await ask(server, "/noext?token={token}")).status == 503
    async with asyncio.timeout(PATIENCE):
        while (await ask(server, "/noext?token={token}")).status == 503:
            continue
    read = 1000
    with suppress(ConnectionError):
        while piece := await asyncio.wait_for(reader.read(2**20), 10):
            read += len(piece)
    assert read < 4 * len(BIG)
    writer.close()
    await server.close()


async def test_a_connection_without_a_request_is_closed(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linkup_nb.hyperdrive.serve.IDLE_TIMEOUT", 0.2)
    server = await serve(drive)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()
    await server.close()


async def test_a_request_that_is_too_large_is_not_read(server: DriveServer) -> None:
    for headers in ({"X": "y" * 2 * MAX_HEADER}, {"Content_Length": str(MAX_BODY + 1)}):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        writer.write(f"GET / HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode())
        assert b"200 OK" not in await asyncio.wait_for(reader.read(), 10)
        writer.close()


async def test_a_folder_shows_so_many_names_and_no_more(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linkup_nb.hyperdrive.serve.MAX_LISTED", 3)
    server = await serve(drive)

    assert (await ask(server, "/?token={token}")).body.count(b"<li>") == 3
    await server.close()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.tar.gz", "application/octet-stream"),
        ("a.PNG", "image/png"),
        ("a.json", "application/json"),
        ("a.", "application/octet-stream"),
        ("svg", "application/octet-stream"),
    ],
)
async def test_a_type_is_what_the_name_says(server: DriveServer, drive: Drive, name: str, kind: str) -> None:
    await drive.put(f"/types/{name}", b"x")

    assert (await ask(server, f"/types/{name}?token={{token}}")).headers["content-type"] == kind


async def test_who_hangs_up_midway_leaves_nothing_behind(
    server: DriveServer, drive: Drive, caplog: pytest.LogCaptureFixture
) -> None:
    await drive.put("/big", BIG)
    for _ in range(2 * MAX_ANSWERS):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"GET /big?token={server.token} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await asyncio.wait_for(reader.readexactly(1000), 10)
        writer.transport.abort()

    assert (await ask(server, "/big?token={token}")).body == BIG
    assert not caplog.records


async def test_who_hangs_up_while_a_block_is_awaited_leaves_nothing_behind(
    far: Far, caplog: pytest.LogCaptureFixture
) -> None:
    await far.connection.close()
    patient = await serve(far.mine, timeout=PATIENCE)
    for _ in range(MAX_ANSWERS):
        _, writer = await asyncio.open_connection("127.0.0.1", patient.port)
        writer.write(f"GET /big?token={patient.token} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await writer.drain()
        writer.transport.abort()

    async with asyncio.timeout(PATIENCE / 2):
        while (await ask(patient, "/?token={token}")).status == 503:
            continue
    await patient.close()
    assert not caplog.records


async def test_a_server_that_closes_ends_what_it_is_sending(drive: Drive, caplog: pytest.LogCaptureFixture) -> None:
    await drive.put("/big", BIG)
    server = await serve(drive)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"GET /big?token={server.token} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    await asyncio.wait_for(reader.readexactly(1000), 10)

    await server.close()

    assert len(await asyncio.wait_for(reader.read(), 10)) < len(BIG)
    writer.close()
    assert not caplog.records


async def test_a_file_is_never_all_in_memory(server: DriveServer, drive: Drive) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield bytes(2**20)

    await drive.put_stream("/big", pieces())
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    tracemalloc.start()
    writer.write(f"GET /big?token={server.token} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    left = 64 * 2**20
    await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    while left:
        left -= len(await asyncio.wait_for(reader.read(2**20), 10))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    writer.close()

    assert most < 16 * 2**20


async def test_addresses_are_those_of_javascript(tmp_path: Path) -> None:
    """Each address that `serve-drive` makes for its drive gives the same here, for a copy of that drive."""
    token = bytes(range(32)).hex()
    async with Corestore(tmp_path / "python") as store, javascript(tmp_path / "javascript") as peer:
        listener = await listen("127.0.0.1", 0, store.replicate)
        key = (await peer.call("drive", handle="a"))["key"]
        for path, data in (("/a b/é%&?#.txt", b"one"), ("/a b/é%&?#.txt", b"two!"), ("/it's (a)*~!.json", b"{}")):
            await peer.call("put", handle="a", path=path, data=data.hex())
        links = [["/a b/é%&?#.txt", {"version": 2}], ["/a b/é%&?#.txt", {}], ["/it's (a)*~!.json", {"key": key}]]
        urls = await peer.call("serve", handle="a", token=token, links=[*links, ["/none", {}]])
        drive = await Drive.open(store, key, timeout=10)
        await peer.call("connect", port=listener.port)
        while drive.version < 4:
            await drive._core._log.changed()
        server = await serve(drive, token=token)

        for url in urls:
            there = urlsplit(url)
            target = f"{there.path}?{there.query}"
            theirs = await request(there.port or 0, target)
            ours = await ask(server, target)
            assert ours.status == theirs.status
            if theirs.status == 200:
                assert ours.body == theirs.body
                assert ours.headers["content-length"] == theirs.headers["content-length"]
        assert (await ask(server, urlsplit(urls[0]).path + f"?version=2&token={token}")).body == b"one"
        assert server.link("/a b/é%&?#.txt", version=2).partition("/a")[2] == urls[0].partition("/a")[2]
        await server.close()
        await listener.close()
