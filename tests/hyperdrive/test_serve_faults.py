"""What a browser gets of odd names and links, and when this machine or a peer is at fault."""

import asyncio
import html
import re
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

import pytest

from linkup_nb.connection.connection import connect
from linkup_nb.connection.server import listen
from linkup_nb.errors import StoreError
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.entry import FILES
from linkup_nb.hyperdrive.serve import DriveServer, serve
from tests.hyperdrive.browser import request

NAMES = [
    "my folder",
    "100%",
    "100%25",
    "a%2Fb",
    "a?b=c",
    "a#b",
    "a&b;c",
    "a+b",
    "a:b",
    "javascript:x",
    "é",
    "\u202e",
    "a'b\"c<d>",
    "...",
    "~",
    "*",
    "[x]",
    " ",
    "a\nb",
    "\x01",
    "\0",
]


@pytest.fixture
async def drive(tmp_path: Path) -> AsyncIterator[Drive]:
    async with Corestore(tmp_path / "store") as store, await Drive.open(store) as drive:
        yield drive


@pytest.fixture
async def server(drive: Drive) -> AsyncIterator[DriveServer]:
    server = await serve(drive, timeout=5)
    yield server
    await server.close()


async def get(url: str) -> tuple[int, str]:
    """The status of what is at an address, and its body."""
    there = urlsplit(url)
    answer = await request(there.port or 0, f"{there.path}?{there.query}")
    return answer.status, answer.body.decode()


async def links(url: str) -> list[str]:
    """Where the links of a page lead, as a browser takes them."""
    status, page = await get(url)
    assert status == 200, url
    return [urljoin(url, html.unescape(link)) for link in re.findall('href="([^"]*)"', page)]


async def test_every_listed_link_opens_for_all_names(drive: Drive, server: DriveServer) -> None:
    for name in NAMES:
        await drive.put(f"/{name}/in/{name}", name.encode())
        await drive.put(f"/files/{name}", name.encode())

    found = set()
    for start in [server.url, *(server.link(f"/{name}") for name in NAMES), *(server.link(f"/{n}/") for n in NAMES)]:
        waiting = [start]
        while waiting:
            for link in await links(waiting.pop()):
                if urlsplit(link).path.endswith("/"):
                    waiting.append(link)
                else:
                    status, body = await get(link)
                    assert (status, quote(body)) == (200, urlsplit(link).path.rpartition("/")[2])
                    found.add(urlsplit(link).path)
    assert len(found) == 2 * len(NAMES)


async def test_links_are_listed_as_links_where_they_lead_somewhere(drive: Drive, server: DriveServer) -> None:
    await drive.put("/folder/file", b"content")
    leading = {
        "up": "..",
        "root": "/",
        "folder link": "../folder",
        "file link": "file",
        "twice": "file link",
        "here": ".",
    }
    for name, target in leading.items():
        await drive.symlink(f"/folder/{name}", target)
    for name, target in {"loop": "loop", "nothing": "/no", "long": "x" * 5000}.items():
        await drive.symlink(f"/folder/{name}", target)
    await drive.bee.put(FILES + b"/folder/bad", b"{")
    await drive.bee.put(FILES + b"/folder/..", b"{}")
    await drive.bee.put(FILES + b"/folder/\xff", b"{}")

    for address in (server.link("/folder"), server.link("/folder/"), server.link("/folder/here")):
        found = await links(address)
        assert {urlsplit(link).path for link in found} == {quote(f"/folder/{name}") for name in [*leading, "file"]}
        for link in found:
            status, body = await get(link)
            kind = "folder/" if link.partition("?")[0].endswith(("/up", "/root")) else ">file link<"
            assert (link, status, kind in body or body == "content") == (link, 200, True)
    shown = (await get(server.link("/folder")))[1]
    assert all(f"<li>{name}" in shown for name in ("loop", "nothing", "long", "bad"))
    for link in await links(server.link("/folder/up")):
        assert await links(link)
    for name, status in (("loop", 404), ("nothing", 404), ("bad", 502)):
        assert (await get(server.link(f"/folder/{name}")))[0] == status


def damage(store: Path) -> None:
    """Write over the pages of a store's database, behind its back."""
    with closing(sqlite3.connect(store / "logs.sqlite3")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with (store / "logs.sqlite3").open("r+b") as file:
        size = file.seek(0, 2)
        for page in range(8192, size, 8192):
            file.seek(page)
            file.write(b"\xa5" * 8192)


def lose_nodes(store: Path) -> None:
    """Take every node of the trees out of a store's database."""
    with closing(sqlite3.connect(store / "logs.sqlite3")) as database:
        database.execute("DELETE FROM node")
        database.commit()


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [(damage, r"500 The store in .* cannot be used: .*malformed"), (lose_nodes, r"500 .* has lost .* of its tree")],
)
async def test_a_damaged_store_is_no_404(
    drive: Drive, tmp_path: Path, harm: Callable[[Path], None], sentence: str
) -> None:
    for number in range(40):
        await drive.put(f"/folder/{number}", b"x" * 70_000)
    key = drive.key
    await drive._source.store.close()
    harm(tmp_path / "store")

    async with Corestore(tmp_path / "store") as store:

        async def open_drive(key: bytes) -> Drive:
            return await Drive.open(store, key, timeout=1)

        async with Corestore(tmp_path / "other") as other:
            server = await serve(await Drive.open(other), open_drive=open_drive, timeout=5)
            for path in ("/folder/7", "/folder/", "/missing"):
                status, body = await get(server.link(path, key=key))
                assert re.match(sentence, body)
                assert status == 500
            await server.close()


async def test_a_full_disk_is_neither_404_nor_the_peers_fault(drive: Drive, tmp_path: Path) -> None:
    await drive.put("/a", bytes(5000))
    await drive.put("/big", bytes(20_000_000))
    author = await listen("127.0.0.1", 0, drive._source.store.replicate)
    async with Corestore(tmp_path / "copy") as store:
        connection = await connect("127.0.0.1", author.port)
        store.replicate(connection)
        copy = await Drive.open(store, drive.key, timeout=1)
        assert await copy.exists("/a")
        await store._store.flush()
        writer = store._store._writer.connection
        writer.execute(f"PRAGMA max_page_count = {writer.execute('PRAGMA page_count').fetchone()[0]}")
        server = await serve(copy, timeout=1)
        assert (await get(server.link("/big")))[0] in (200, 500)
        with suppress(StoreError):
            await store._store.flush()
        await connection.close()

        for path in ("/a", "/big"):
            status, body = await get(server.link(path))
            assert re.match(r"500 The disk of the store in .* is full", body)
            assert status == 500
        await server.close()
    await author.close()


async def test_a_closed_store_is_503(drive: Drive, server: DriveServer) -> None:
    await drive.put("/a", b"x")
    await drive._source.store.close()

    assert await get(server.link("/a")) == (503, "503 The store of this drive has been closed.\n")


async def test_a_drive_that_has_not_come_is_no_404(drive: Drive, tmp_path: Path) -> None:
    theirs = await Drive.open(drive._source.store, b"\x07" * 32)
    server = await serve(theirs, timeout=0.2)

    for path in ("/a", "/", "/folder/"):
        assert await get(server.link(path)) == (
            504,
            "504 No peer sent it in time: try again when a peer that has it is online.\n",
        )
    assert (await get(server.link("/a", version=3)))[0] == 504
    await server.close()


async def test_a_version_that_has_not_come_is_asked_for(drive: Drive, tmp_path: Path) -> None:
    await drive.put("/a", b"1")
    author = await listen("127.0.0.1", 0, drive._source.store.replicate)
    async with Corestore(tmp_path / "copy") as store:
        connection = await connect("127.0.0.1", author.port)
        store.replicate(connection)
        copy = await Drive.open(store, drive.key, timeout=5)
        assert await copy.get("/a") == b"1"
        server = await serve(copy, timeout=5)
        assert await get(server.link("/a", version=9)) == (404, "404 No such version\n")
        await connection.close()
        await author.close()
        async with asyncio.timeout(10):
            while (answer := await get(server.link("/a", version=9)))[0] == 404:
                continue
        assert answer == (504, "504 No peer sent that version.\n")
        assert await get(server.link("/a", version=2)) == (200, "1")
        await server.close()
