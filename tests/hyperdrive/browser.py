"""What a browser asks of a drive that is served, byte for byte."""

import asyncio
from typing import NamedTuple

from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.serve import DriveServer

DATA = bytes(range(256)) * 1000


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


async def ask(server: DriveServer, target: str, method: str = "GET", **headers: str) -> Answer:
    """One request; `{token}` in the target is the server's."""
    return await request(server.port, target.replace("{token}", server.token or ""), method, **headers)


async def request(port: int, target: str, method: str = "GET", **headers: str) -> Answer:
    """One request to a port of this computer, byte for byte as given."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    given = {"Host": f"127.0.0.1:{port}", "Connection": "close"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in given.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    head, _, body = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
    writer.close()
    status, *rest = head.decode().split("\r\n")
    return Answer(int(status.split()[1]), {n.lower(): v for n, v in (line.split(": ", 1) for line in rest)}, body)


async def fill(drive: Drive) -> None:
    """Files, a folder, links."""
    await drive.put("/page.html", b"<script>alert(1)</script>")
    await drive.put("/folder/data.bin", DATA)
    await drive.put("/é ü%.txt", "grüße".encode())
    await drive.symlink("/link", "/folder/data.bin")
    await drive.symlink("/loop", "/loop")
    await drive.put("/noext", b"")
