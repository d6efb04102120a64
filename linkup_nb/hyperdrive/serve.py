"""A drive over HTTP on this computer: `/path?version=&token=`, as the npm package `serve-drive` 5.2 forms its URLs."""

import asyncio
import hmac
import html
import logging
import mimetypes
import posixpath
import re
import secrets
import socket
from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import PurePosixPath
from typing import NamedTuple, cast
from urllib.parse import parse_qs, quote, unquote_to_bytes, urlencode

from tornado.http1connection import HTTP1Connection
from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream, StreamClosedError
from tornado.netutil import bind_sockets
from tornado.web import Application, HTTPError, RequestHandler

from linkup_nb.errors import DecodeError, LinkupError, MachineError, NodeClosed, NotAvailable, PeerError, UsageError
from linkup_nb.hypercore.corestore import parse_key
from linkup_nb.hyperdrive.bee import BeeEntry
from linkup_nb.hyperdrive.blobs import BLOCK_SIZE
from linkup_nb.hyperdrive.entry import Entry, folder_of
from linkup_nb.hyperdrive.view import MAX_LINKS, DriveView
from linkup_nb.loops import from_any_loop
from linkup_nb.surroundings import surroundings

HOST = "127.0.0.1"
HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})  # names in `Host`; any other page's name is a rebound DNS entry
TOKEN_SIZE = 32  # bytes
PROXIED_TOKEN = "drive_token"  # stands for `token` behind a proxy: Jupyter takes that one for its own, and refuses it
MAX_LISTED = 10_000  # names that a folder's page shows
MAX_ANSWERS = 32  # at once, each with up to 2 MiB of a file; more get 503 with Retry-After
MAX_HEADER = 16 * 1024  # bytes of a request
MAX_BODY = 1024  # bytes, of a request that needs none
MAX_PARAMETERS = 16  # in a query
BLOCK_TIMEOUT = 30.0  # seconds to wait for what only a peer has
IDLE_TIMEOUT = 60.0  # seconds that a connection is kept without a request, or with a browser that reads nothing
RETRY_AFTER = 1  # seconds

log = logging.getLogger("linkup_nb")

OpenDrive = Callable[[bytes], Awaitable[DriveView | None]]
"""Gives the drive of a key, `None` for one that is not to be served."""


class DriveServer:
    """A server of drives; `url` is where it is. Made by `serve`; `close` it."""

    def __init__(self, server: HTTPServer, port: int, token: str | None) -> None:
        self.port = port
        self.token = token
        self._server = server
        self._loop = asyncio.get_running_loop()

    def __repr__(self) -> str:
        return f"DriveServer(port {self.port})"

    @property
    def url(self) -> str:
        """The URL of the first drive's root folder, with the token that it needs."""
        return self.link("/")

    def link(self, path: str, *, key: bytes | None = None, version: int | None = None) -> str:
        """The address of a file or folder, of a version, of the drive of a key."""
        proxy = surroundings().proxy()
        name = PROXIED_TOKEN if proxy else "token"
        given = {"key": key.hex() if key else None, "version": version, name: self.token}
        query = urlencode({name: value for name, value in given.items() if value is not None})
        base = f"{proxy}/{self.port}" if proxy else f"http://{HOST}:{self.port}"
        return f"{base}{quote(path if path.startswith('/') else '/' + path)}{f'?{query}' if query else ''}"

    @from_any_loop
    async def close(self) -> None:
        """End every connection, and free the port."""
        self._server.stop()
        await self._server.close_all_connections()


async def serve(
    drive: DriveView,
    *,
    port: int = 0,
    token: str | bool = True,
    open_drive: OpenDrive | None = None,
    timeout: float = BLOCK_TIMEOUT,
) -> DriveServer:
    """Serve a drive to the browser of this computer; `port` 0 takes any that is free.

    A request needs the token; `token=False` lets every program of this computer in. With `open_drive`, other drives are
    served by `?key=`. What no peer sends within `timeout` seconds is answered with 504. Raises `UsageError` when the
    port is taken.
    """
    if token == "":
        raise UsageError("An empty token is none; token=False lets every program of this computer in.")
    secret = secrets.token_hex(TOKEN_SIZE) if token is True else token or None
    if secret is None and surroundings().proxy():
        raise UsageError("Behind JupyterHub a drive is served with a token only: leave out token=False.")
    site = _Site(drive, secret, open_drive, timeout, asyncio.Semaphore(MAX_ANSWERS))
    application = Application([(r"(/.*)", _Handler)], log_function=lambda handler: None, site=site)
    try:
        [sock] = bind_sockets(port, HOST, family=socket.AF_INET)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no number of a port"
        raise UsageError(f"Port {port} cannot be used: {reason}; port=0 takes any that is free.") from None
    server = HTTPServer(
        application, max_header_size=MAX_HEADER, max_body_size=MAX_BODY, idle_connection_timeout=IDLE_TIMEOUT
    )
    server.add_sockets([sock])
    return DriveServer(server, sock.getsockname()[1], secret)


class _Site(NamedTuple):
    """What all requests share."""

    drive: DriveView
    token: str | None
    open_drive: OpenDrive | None
    timeout: float
    turns: asyncio.Semaphore


class _SentenceError(HTTPError):
    """What goes into the body of an answer; a status line holds no such sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(status)
        self.sentence = sentence


_FAILURES: tuple[tuple[type[LinkupError], int, str | None], ...] = (
    (NotAvailable, 504, "No peer sent it in time: try again when a peer that has it is online."),
    (NodeClosed, 503, "The store of this drive has been closed."),
    (PeerError, 502, "What the author of the drive wrote there cannot be read."),
    (MachineError, 500, None),
    (UsageError, 404, None),
)
"""Status and body for each kind of error; `None` is the error's own sentence."""


class _Handler(RequestHandler):
    SUPPORTED_METHODS = ("GET", "HEAD")

    def initialize(self) -> None:
        self._site: _Site = self.settings["site"]
        self._query: dict[str, list[str]] = {}
        self._scope: asyncio.Timeout | None = None

    def set_default_headers(self) -> None:
        # What peers put into drives runs in no page: not as script, not as a type that it was not named. Behind a proxy
        # it comes from the host of the notebook, to which it must send no request either.
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header(
            "Content-Security-Policy", "sandbox allow-downloads; default-src 'none'; style-src 'unsafe-inline'"
        )
        self.set_header("Referrer-Policy", "no-referrer")
        # A notebook, which has another port, may show a picture whose token it knows.
        self.set_header(
            "Cross-Origin-Resource-Policy", "cross-origin" if self.settings["site"].token else "same-origin"
        )
        self.clear_header("Server")

    def prepare(self) -> None:
        try:
            self._query = parse_qs(self.request.query, max_num_fields=MAX_PARAMETERS)
        except ValueError:
            raise HTTPError(400, reason="Bad query") from None
        host = self.request.host.rsplit(":", 1)[0] if not self.request.host.endswith("]") else self.request.host
        # A proxy passes on the name of its own host, which is not known here; the token is what keeps others out then.
        if host.lower() not in HOSTS and not surroundings().proxy():
            raise HTTPError(403, reason="This server answers to 127.0.0.1 only")
        token = self._site.token
        given = self._argument("token") or self._argument(PROXIED_TOKEN) or ""
        if token and not hmac.compare_digest(given.encode(), token.encode()):
            raise HTTPError(404)

    def write_error(self, status_code: int, **details: object) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        error = details["exc_info"][1] if isinstance(details.get("exc_info"), tuple) else None  # type: ignore[index]
        sentence = error.sentence if isinstance(error, _SentenceError) else self._reason
        self.finish(f"{status_code} {sentence}\n")

    def _argument(self, name: str) -> str | None:
        return self._query[name][-1] if name in self._query else None

    async def get(self, _: str) -> None:
        path = _path(self.request.path)
        if self._stream.closed():
            return
        if self._site.turns.locked():
            self.set_header("Retry-After", str(RETRY_AFTER))
            self.set_status(503)
            return
        async with self._site.turns:
            try:
                async with asyncio.timeout(self._site.timeout) as self._scope:
                    await self._answer(path)
            except StreamClosedError:
                return
            except (LinkupError, TimeoutError) as error:
                self._fail(error)
            finally:
                self._scope = None

    head = get

    def on_connection_close(self) -> None:
        self._allow(0)

    def _allow(self, seconds: float) -> None:
        """From now on so long, and no longer."""
        if self._scope:
            self._scope.reschedule(asyncio.get_running_loop().time() + seconds)

    def compute_etag(self) -> str | None:
        return None  # tornado's is a hash of what it sends; a file has its own

    def _fail(self, error: LinkupError | TimeoutError) -> None:
        """Answer with the reason; once a part of the file is sent, only a cut shows that the rest will not come."""
        if self._stream.closed():
            return
        if self._headers_written:
            self._stream.close()
            return
        if isinstance(error, TimeoutError):
            error = self._site.drive.bee.core.missing("No peer sent it in time")
        if isinstance(error, MachineError):
            log.error("Serving a drive failed: %s", error)
        for kind, status, sentence in _FAILURES:
            if isinstance(error, kind):
                raise _SentenceError(status, sentence or str(error))
        raise error

    @property
    def _stream(self) -> IOStream:
        return cast(HTTP1Connection, self.request.connection).stream

    async def _answer(self, path: str) -> None:
        drive = await self._choose()
        found = path if path.endswith("/") else await _behind(drive, path)
        if isinstance(found, str):
            await self._list(drive, path, found)
        elif found.blob is None:
            raise HTTPError(404)
        else:
            await self._send(drive, found)

    async def _choose(self) -> DriveView:
        drive: DriveView | None = self._site.drive
        key = self._argument("key")
        if key:
            try:
                wanted = parse_key(key)
            except UsageError:
                raise HTTPError(400, reason="Bad key") from None
            if wanted != self._site.drive.key:
                drive = await self._site.open_drive(wanted) if self._site.open_drive else None
        if drive is None:
            raise HTTPError(404)
        version = self._argument("version") or "0"
        if not (version.isascii() and version.isdigit()):
            raise HTTPError(400, reason="Bad version")
        if len(version) > 16:
            raise HTTPError(404, reason="No such version")
        if int(version) > drive.version and not drive.writable:
            await drive.arrived()
            await drive.update()
        if int(version) > drive.version:
            unknown = not drive.writable and not drive.bee.core.peers
            raise (
                _SentenceError(504, "No peer sent that version.")
                if unknown
                else HTTPError(404, reason="No such version")
            )
        return drive.checkout(int(version)) if int(version) else drive  # 0 is the newest, as in JavaScript

    async def _send(self, drive: DriveView, entry: Entry) -> None:
        assert entry.blob
        size = await drive.size(entry)
        # After a fork, a version may be another than it was.
        tag = f'"{drive.key.hex()[:16]}-{drive.bee.core.fork}-{entry.version}"'
        self.set_header("Content-Type", _type(PurePosixPath(entry.path).suffix))
        self.set_header("Accept-Ranges", "bytes")
        self.set_header("ETag", tag)
        self.set_header("Cache-Control", "private, no-cache")
        known = [one.strip().removeprefix("W/") for one in self.request.headers.get("If-None-Match", "").split(",")]
        if tag in known or known == ["*"]:
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
        async for piece in drive.stream(entry, start, end):
            self.write(piece)
            if end - start > BLOCK_SIZE:
                self._allow(IDLE_TIMEOUT)
                await self.flush()
                self._allow(self._site.timeout)

    async def _list(self, drive: DriveView, path: str, at: str) -> None:
        """Show a folder, to which `path` leads; every link there opens."""
        folder = folder_of(at)
        # Relative, for a proxy has its own path before ours; `./`, so that no name is taken for a scheme.
        here = posixpath.relpath(folder, posixpath.dirname(path) or "/")
        here = "./" if here == "." else f"./{here}/"
        query = html.escape(f"?{self.request.query}" if self.request.query else "")
        rows: list[str] = []
        async for inner, found in drive.children(folder):
            name = inner[len(folder) :] + "/" * (found is None)
            row = html.escape(_shown(name))
            if found is None or await _opens(drive, found):
                row = f'<a href="{quote(here + name)}{query}">{row}</a>'
            rows.append(f"<li>{row}")
            if len(rows) == MAX_LISTED:
                break
        if not rows and folder != "/":
            raise HTTPError(404)
        title = html.escape(_shown(folder))
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Cache-Control", "private, no-cache")
        self.write(f"<!doctype html><title>{title}</title><h1>{title}</h1><ul>{''.join(rows)}</ul>")


async def _behind(drive: DriveView, path: str) -> Entry | str:
    """The file at a path, through symbolic links, or the path at their end, where a folder may be.

    Raises `UsageError` for links that lead in a circle.
    """
    for _ in range(MAX_LINKS):
        if folder_of(path) == "/":
            return "/"
        entry = await drive.entry(path)
        if entry is None or entry.linkname is None:
            return entry or path
        path = entry.leads_to
    raise UsageError(f"Over {MAX_LINKS} symbolic links lead to each other there.")


async def _opens(drive: DriveView, found: BeeEntry) -> bool:
    """Whether what is in a folder can be shown: not a link to nothing, nor what its author wrote wrongly."""
    try:
        entry = Entry.decode(found)
        if entry.linkname is None:
            return entry.blob is not None
        end = await _behind(drive, entry.path)
        if isinstance(end, Entry):
            return end.blob is not None
        return folder_of(end) == "/" or await anext(drive.children(end), None) is not None
    except (DecodeError, UsageError):
        return False


def _shown(name: str) -> str:
    """A name of which nothing is hidden, and nothing reads backwards."""
    return "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in name)


@lru_cache(maxsize=256)
def _type(suffix: str) -> str:
    """The type of a file by the end of its name; of what is packed, only that its bytes are some."""
    kind, packed = mimetypes.guess_type(f"name{suffix}")
    if kind is None or packed:
        return "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


_UNSATISFIABLE = (-1, -1)
_NO_ESCAPE = re.compile("%(?![0-9a-fA-F]{2})")


def _path(raw: str) -> str:
    """The path of an address. Raises 400 for an escape that is none, or that is not UTF-8."""
    if _NO_ESCAPE.search(raw):
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
