"""A drive over HTTP on this computer: `/path?version=&token=`, as the npm package `serve-drive` forms its addresses."""

import hmac
import html
import mimetypes
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from urllib.parse import parse_qs, quote, unquote_to_bytes, urlencode

from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets
from tornado.web import Application, HTTPError, RequestHandler

from linkup_nb.errors import NotAvailable, PeerError, UsageError
from linkup_nb.hypercore.corestore import parse_key
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.entry import Entry, folder_of

HOST = "127.0.0.1"
HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})  # names in `Host`; any other page's name is a rebound DNS entry
TOKEN_SIZE = 32  # bytes
MAX_LISTED = 10_000  # names that a folder's page shows
HIGH_WATER = 1024 * 1024  # bytes on their way to a slow browser

OpenDrive = Callable[[bytes], Awaitable[Drive | None]]
"""Gives the drive of a key, `None` for one that is not to be served."""


class DriveServer:
    """A server of drives; `url` is where it is. Made by `serve`; `close` it."""

    def __init__(self, server: HTTPServer, port: int, token: str | None) -> None:
        self.port = port
        self.token = token
        self._server = server

    def __repr__(self) -> str:
        return f"DriveServer(port {self.port})"

    @property
    def url(self) -> str:
        """Where the first drive's folder of all is, with the token that it asks for."""
        return self.link("/")

    def link(self, path: str, *, key: bytes | None = None, version: int | None = None) -> str:
        """The address of a file or folder, of a version, of the drive of a key."""
        given = {"key": key.hex() if key else None, "version": version, "token": self.token}
        query = urlencode({name: value for name, value in given.items() if value is not None})
        return f"{_base(self.port)}{quote(path)}{f'?{query}' if query else ''}"

    async def close(self) -> None:
        """End every connection, and free the port."""
        self._server.stop()
        await self._server.close_all_connections()


async def serve(
    drive: Drive, *, port: int = 0, token: str | bool = True, open_drive: OpenDrive | None = None
) -> DriveServer:
    """Serve a drive to the browser of this computer; `port` 0 takes any that is free.

    Who asks needs the token; `token=False` lets every program of this computer in. With `open_drive`, other drives are
    served by `?key=`. Raises `UsageError` when the port is taken.
    """
    secret = (secrets.token_hex(TOKEN_SIZE) if token is True else token) or None
    given = {"drive": drive, "token": secret, "open_drive": open_drive}
    application = Application([(r"(/.*)", _Handler, given)], log_function=lambda handler: None)
    try:
        [sock] = bind_sockets(port, HOST, family=socket.AF_INET)
    except OSError as error:
        raise UsageError(f"port {port} cannot be used: {error.strerror}; port=0 takes any that is free") from None
    server = HTTPServer(application)
    server.add_sockets([sock])
    return DriveServer(server, sock.getsockname()[1], secret)


def _base(port: int) -> str:
    """Behind JupyterHub or Binder, the browser reaches this computer through `jupyter-server-proxy` only."""
    prefix = os.environ.get("JUPYTERHUB_SERVICE_PREFIX")
    if prefix and find_spec("jupyter_server_proxy"):
        return f"{prefix.rstrip('/')}/proxy/{port}"
    return f"http://{HOST}:{port}"


class _Handler(RequestHandler):
    SUPPORTED_METHODS = ("GET", "HEAD")

    def initialize(self, drive: Drive, token: str | None, open_drive: OpenDrive | None) -> None:
        self._drive = drive
        self._token = token
        self._open_drive = open_drive

    def set_default_headers(self) -> None:
        # What peers put into drives runs in no page: not as script, not as a type that it was not named.
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header(
            "Content-Security-Policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self'"
        )
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.clear_header("Server")

    def prepare(self) -> None:
        host = self.request.host.rsplit(":", 1)[0] if not self.request.host.endswith("]") else self.request.host
        if host.lower() not in HOSTS:
            raise HTTPError(403, "this server answers to 127.0.0.1 only")
        given = self._argument("token") or ""
        if self._token and not hmac.compare_digest(given.encode(), self._token.encode()):
            raise HTTPError(404)

    def write_error(self, status_code: int, **_: object) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code} {self._reason}\n")

    def _argument(self, name: str) -> str | None:
        try:
            query = parse_qs(self.request.query, keep_blank_values=True, strict_parsing=bool(self.request.query))
        except ValueError:
            raise HTTPError(400, reason="Bad query") from None
        return query[name][-1] if name in query else None

    async def get(self, raw_path: str) -> None:
        try:
            await self._answer(_path(self.request.path))
        except NotAvailable:
            raise HTTPError(504, reason="No peer sent it in time") from None
        except PeerError:
            raise HTTPError(502, reason="The drive is damaged") from None

    head = get

    async def _answer(self, path: str) -> None:
        drive = await self._choose()
        entry = None if path.endswith("/") else await self._entry(drive, path)
        if entry is None:
            await self._list(drive, path)
        elif entry.blob is None:
            raise HTTPError(404)
        else:
            await self._send(drive, entry)

    async def _choose(self) -> Drive:
        drive: Drive | None = self._drive
        key = self._argument("key")
        if key:
            try:
                wanted = parse_key(key)
            except UsageError:
                raise HTTPError(400, reason="Bad key") from None
            if wanted != self._drive.key:
                drive = await self._open_drive(wanted) if self._open_drive else None
        if drive is None:
            raise HTTPError(404)
        version = self._argument("version")
        if not version:
            return drive
        if not (version.isascii() and version.isdigit()):
            raise HTTPError(400, reason="Bad version")
        if len(version) > 16 or int(version) > drive.version:
            raise HTTPError(404, reason="No such version")
        return drive.checkout(int(version))

    async def _entry(self, drive: Drive, path: str) -> Entry | None:
        try:
            return await drive.entry(path, follow=True)
        except UsageError:
            raise HTTPError(404) from None

    async def _send(self, drive: Drive, entry: Entry) -> None:
        assert entry.blob
        size = entry.blob.byte_length
        tag = f'"{drive.key.hex()[:16]}-{entry.version}"'
        kind = mimetypes.guess_type(entry.path)[0] or "application/octet-stream"
        self.set_header("Content-Type", f"{kind}; charset=utf-8" if kind.startswith("text/") else kind)
        self.set_header("Accept-Ranges", "bytes")
        self.set_header("ETag", tag)
        if tag in [one.strip().removeprefix("W/") for one in self.request.headers.get("If-None-Match", "").split(",")]:
            self.set_status(304)
            return
        start, end = 0, size
        wanted = self.request.headers.get("Range")
        if wanted and self.request.headers.get("If-Range", tag) == tag:
            span = _range(wanted, size)
            if span == _UNSATISFIABLE:
                self.set_status(416)
                self.set_header("Content-Range", f"bytes */{size}")
                return
            if span:
                start, end = span
                self.set_status(206)
                self.set_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        self.set_header("Content-Length", str(end - start))
        if self.request.method == "HEAD":
            return
        try:
            async for piece in drive.stream(entry.path, start, end):
                self.write(piece)
                await self.flush()
        except StreamClosedError:
            return

    async def _list(self, drive: Drive, path: str) -> None:
        folder = folder_of(path)
        names: list[str] = []
        async for name in drive.readdir(folder):
            names.append(name)
            if len(names) == MAX_LISTED:
                break
        if not names and folder != "/":
            raise HTTPError(404)
        query = f"?{self.request.query}" if self.request.query else ""
        links = (f'<li><a href="{quote(folder + name)}{html.escape(query)}">{html.escape(name)}</a>' for name in names)
        title = html.escape(folder)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.write(f"<!doctype html><title>{title}</title><h1>{title}</h1><ul>{''.join(links)}</ul>")


_UNSATISFIABLE = (-1, -1)


def _path(raw: str) -> str:
    """The path of an address. Raises 400 for an escape that is none, or that is not UTF-8."""
    for at, sign in enumerate(raw):
        if sign == "%" and not (
            len(raw) >= at + 3 and all(c in "0123456789abcdefABCDEF" for c in raw[at + 1 : at + 3])
        ):
            raise HTTPError(400, reason="Bad escape")
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise HTTPError(400, reason="Bad escape") from None


def _range(text: str, size: int) -> tuple[int, int] | None:
    """The bytes of a single range; `None` for what is to be ignored. https://www.rfc-editor.org/rfc/rfc9110#section-14.2"""
    unit, _, span = text.partition("=")
    first, dash, last = (part.strip() for part in span.partition("-"))
    digits = (first + last).isascii() and (first + last).isdigit()
    if unit.strip().lower() != "bytes" or not dash or not digits or len(first + last) > 40:
        return None
    if not first:
        return (max(size - int(last), 0), size) if int(last) and size else _UNSATISFIABLE
    start, end = int(first), min(int(last) + 1, size) if last else size
    if last and int(last) < start:
        return None
    return (start, end) if start < size else _UNSATISFIABLE
