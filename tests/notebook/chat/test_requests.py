import msgspec
import pytest

from linkup_nb.notebook.chat.requests import MAX_ID, Hello, Send, UploadBegin, parse

TOPIC = "ab" * 32


def test_each_type_becomes_its_class() -> None:
    hello = parse({"type": "hello", "id": "1", "view": "v", "room": None, "epoch": "e", "last_seq": 4})
    assert hello == Hello(id="1", view="v", epoch="e", last_seq=4)
    assert parse({"type": "send", "id": "1", "view": "v", "topic": TOPIC, "text": "hi"}) == Send(
        id="1", view="v", topic=TOPIC, text="hi"
    )
    upload = {"upload": "u", "purpose": "file", "topic": TOPIC, "name": "n", "mime": "x/y", "size": 1, "chunks": 1}
    assert isinstance(parse({"type": "upload_begin", "id": "1", "view": "v", **upload}), UploadBegin)


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {},
        {"type": "hello"},
        {"type": "hello", "id": "", "view": "v"},
        {"type": "hello", "id": "1" * (MAX_ID + 1), "view": "v"},
        {"type": "hello", "id": 1, "view": "v"},
        {"type": "Hello", "id": "1", "view": "v"},
        {"type": "show", "id": "1", "view": "v", "topic": "../../etc"},
        {"type": "show", "id": "1", "view": "v", "topic": TOPIC.upper()},
        {"type": "send", "id": "1", "view": "v", "topic": TOPIC, "text": None},
        {"type": "select", "id": "1", "view": "v", "seq": -1},
        {"type": "select", "id": "1", "view": "v", "seq": 2**64},
        {"type": "record", "id": "1", "view": "v", "on": "yes"},
    ],
)
def test_anything_else_is_refused(content: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        parse(content)
