"""Between a page and the node: requests of the page come in, each gets one answer, and what is new goes out.

Both directions are msgspec structs, whose JSON `static/protocol.d.ts` describes for the page. A tab brings structs of
its own and registers a handler for each request; a widget has one bridge, and each of its views in the page a name.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

from linkup_nb.errors import LinkupError
from linkup_nb.loops import Tasks

MAX_ID = 128  # characters of a request's, view's or upload's id

MISUNDERSTOOD = "This page and its kernel do not understand each other: reload the page."

Id: TypeAlias = Annotated[str, Meta(min_length=1, max_length=MAX_ID)]
Buffers: TypeAlias = Sequence[bytes | memoryview]
Send: TypeAlias = Callable[[dict[str, Any], list[bytes] | None], None]

log = logging.getLogger("linkup_nb")


def _tag(class_name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", class_name.removesuffix("Request")).lower()


class Request(msgspec.Struct, kw_only=True, frozen=True, tag_field="type", tag=_tag):
    """A request of a page: `id` gets exactly one reply, `view` is the one of several views that sends it.

    The page names it by its class without `Request`: `upload_begin` is an `UploadBeginRequest`. A field `data` of
    bytes travels as the message's one buffer.
    """

    id: Id
    view: Id


class Answer(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The fields of a reply besides its id; a field `data` of bytes travels as the message's one buffer."""


class Update(msgspec.Struct, kw_only=True, tag_field="type", tag=_tag, omit_defaults=True):
    """What the kernel sends, to all views unless it names one; a field `data` is as in `Answer`."""

    view: str | None = None


class ReplyUpdate(Update, kw_only=True, tag="reply"):
    """The answer to a request: its fields beside these if `ok`, else one sentence."""

    id: str
    ok: bool
    error: str | None = None


class ErrorUpdate(Update, kw_only=True, tag="error"):
    """Something went wrong that no request waits for."""

    text: str


R = TypeVar("R", bound=Request)


class Bridge:
    """One widget's end in the kernel; lives on the node's loop.

    Register the handlers, then call `receive` for every message from the page; `send` is called for each one to it.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._handlers: dict[str, tuple[type[Request], Callable[[Any], Awaitable[Answer | None]]]] = {}
        self._under_way: set[str] = set()
        self._tasks = Tasks()

    def on(self, kind: type[R], handle: Callable[[R], Awaitable[Answer | None]]) -> None:
        """Register the handler of a kind of request; the reply is its result, or the sentence of its error."""
        self._handlers[str(kind.__struct_config__.tag)] = (kind, handle)

    def receive(self, content: object, buffers: Buffers) -> None:
        """Answer a message from the page, in a while; a request that comes again before that is answered once."""
        name = content.get("type") if isinstance(content, dict) else None
        kind, handle = self._handlers.get(name, (None, None)) if isinstance(name, str) else (None, None)
        if not kind or not handle:
            log.debug("The page sent a request of an unknown type: %r.", name)
            refuse(self._send, content, MISUNDERSTOOD)
            return
        assert isinstance(content, dict)
        if "data" in kind.__struct_fields__:
            content = content | {"data": bytes(buffers[0]) if buffers else b""}
        try:
            request = msgspec.convert(content, kind)
        except msgspec.ValidationError as error:
            log.debug("The page sent a request %s that does not fit its type: %s", name, error)
            refuse(self._send, content, MISUNDERSTOOD)
            return
        if request.id not in self._under_way:
            self._under_way.add(request.id)
            self._tasks.start(self._answer(request, handle), "answering the page")

    def send(self, update: Update) -> None:
        """Send something to the page."""
        self._send(*_encode(update))

    def fail(self, sentence: str) -> None:
        """Show the reader that something went wrong."""
        self.send(ErrorUpdate(text=sentence))

    async def close(self) -> None:
        """Answer no more."""
        await self._tasks.cancel()

    async def _answer(self, request: Request, handle: Callable[[Any], Awaitable[Answer | None]]) -> None:
        reply = ReplyUpdate(id=request.id, view=request.view, ok=False)
        answer: Answer | None = None
        try:
            answer = await handle(request)
            reply.ok = True
        except LinkupError as error:
            reply.error = sentence(error)
        except Exception as error:
            log.exception("A request of the page failed.")
            reply.error = went_wrong(error)
        finally:
            self._under_way.discard(request.id)
        fields, buffers = _encode(answer) if answer else ({}, None)
        self._send(_encode(reply)[0] | fields, buffers)


def refuse(send: Send, content: object, sentence: str) -> None:
    """Answer a request that is not carried out, if it has an id to answer to."""
    if isinstance(content, dict) and isinstance(content.get("id"), str):
        view = content.get("view")
        reply = ReplyUpdate(id=content["id"], view=view if isinstance(view, str) else None, ok=False, error=sentence)
        send(*_encode(reply))


def sentence(error: Exception) -> str:
    """The text of an error, as a sentence of its own."""
    text = str(error)
    return text[:1].upper() + text[1:]


def went_wrong(error: Exception) -> str:
    """The sentence for a fault of ours."""
    return f"This went wrong in the kernel: {type(error).__name__}: {error}"


def _encode(message: msgspec.Struct) -> tuple[dict[str, Any], list[bytes] | None]:
    content: dict[str, Any] = msgspec.to_builtins(message, builtin_types=(bytes,))
    data = content.pop("data", None)
    return content, None if data is None else [data]
