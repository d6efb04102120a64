"""A drive over HTTP where the browser reaches the kernel through JupyterHub only."""

import asyncio
import html
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urljoin

import pytest

from linkup_nb.errors import UsageError
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.serve import DriveServer, serve
from linkup_nb.notebook.register import register
from linkup_nb.surroundings import Surroundings, hand_in
from tests.hyperdrive.browser import DATA, fill, request

JUPYTER_TOKEN = "a-token-for-tests"
PATIENCE = 60.0  # seconds


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True


@asynccontextmanager
async def jupyter_server(folder: Path, prefix: str) -> AsyncIterator[int]:
    """The port of a Jupyter server of its own, at this path, as a hub starts it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "jupyter_server", "--allow-root", "--ServerApp.port=0", "--ip=127.0.0.1"),
        *(f"--ServerApp.base_url={prefix}", "--ServerApp.allow_remote_access=True", "--no-browser"),
        *(f"--ServerApp.root_dir={folder}", f"--IdentityProvider.token={JUPYTER_TOKEN}"),
        *("--ServerApp.jpserver_extensions=jupyter_server_proxy=True",),
        env={**os.environ, "HOME": str(folder), "JUPYTER_RUNTIME_DIR": str(folder), "JUPYTER_CONFIG_DIR": str(folder)},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr
        info = folder / f"jpserver-{process.pid}.json"
        async with asyncio.timeout(PATIENCE):
            while not (info.exists() and info.stat().st_size):  # it writes a line about its start after that
                assert await process.stderr.readline(), "the server ended"
            port = int(json.loads(info.read_text())["port"])
            while not await listens(port):  # it announces its port before that
                pass
        yield port
    finally:
        process.terminate()
        await process.communicate()


@pytest.fixture(autouse=True)
def in_a_notebook() -> Iterator[None]:
    register()
    yield
    hand_in(Surroundings())


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


async def test_through_a_real_jupyter_server_proxy(
    drive: Drive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/me/")
    monkeypatch.delenv("JUPYTERHUB_PUBLIC_URL", raising=False)
    await drive.put("/folder/deep/é ü%.txt", "grüße".encode())
    server = await serve(drive)
    async with jupyter_server(tmp_path, "/user/me/") as jupyter:
        me = {"Authorization": f"token {JUPYTER_TOKEN}", "Host": "hub.example.org"}
        assert server.url.startswith(f"/user/me/proxy/{server.port}/?drive_token=")

        file = await request(jupyter, server.link("/folder/data.bin"), **me)
        assert (file.status, file.body) == (200, DATA)
        assert file.headers["content-security-policy"].startswith("sandbox")
        part = await request(jupyter, server.link("/folder/data.bin"), **me, Range="bytes=5-9")
        assert (part.status, part.body) == (206, DATA[5:10])
        assert (await request(jupyter, server.link("/folder/data.bin").split("?")[0], **me)).status == 404
        assert (await request(jupyter, server.link("/page.html"), Host="hub.example.org")).status in (302, 403)
        # A folder's links are followed as a browser does, down to the file.
        address = server.url
        for name in ("folder/", "deep/", "%C3%A9%20%C3%BC%25.txt"):
            page = (await request(jupyter, address, **me)).body.decode()
            link = next(link for link in re.findall('href="([^"]*)"', page) if link.split("?")[0].endswith(f"/{name}"))
            address = urljoin(address, html.unescape(link))
        assert (await request(jupyter, address, **me)).body.decode() == "grüße"
    await server.close()


async def test_behind_a_hub_the_public_address_is_used_where_it_is_known(
    server: DriveServer, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/me/")
    monkeypatch.setenv("JUPYTERHUB_PUBLIC_URL", "https://hub.example.org/user/me/")

    assert (
        server.link("/a b") == f"https://hub.example.org/user/me/proxy/{server.port}/a%20b?drive_token={server.token}"
    )
    with pytest.raises(UsageError, match="with a token only"):
        await serve(drive, token=False)
