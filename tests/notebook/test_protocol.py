"""Page and kernel say the same of what they send each other: `static/protocol.d.ts`, and our structs.

`tsc` holds the page's modules to the first, see tests/page.
"""

import re
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
import pytest

from linkup_nb.lab import drawing
from linkup_nb.notebook import bridge, tabs
from linkup_nb.notebook.chat import requests as chat_requests
from linkup_nb.notebook.chat import updates as chat_updates
from linkup_nb.notebook.explorer import requests as explorer_requests
from linkup_nb.notebook.settings import requests as settings_requests
from linkup_nb.notebook.swarm import requests as swarm_requests
from linkup_nb.notebook.swarm import updates as swarm_updates

TEXT = (Path(bridge.__file__).parent / "static" / "protocol.d.ts").read_text()
UPDATES = (bridge, tabs, chat_updates, swarm_updates, drawing)
ASKED = (chat_requests, explorer_requests, settings_requests, swarm_requests)
OF_THE_PAGE = {"Model", "Typesetter", "SessionContext", "Signal", "Requests"}

Fields = dict[str, tuple[str, bool]]  # the type of each field, and whether it may be missing


def declared(body: str) -> Fields:
    """The fields between the braces of an interface."""
    fields = re.findall(r"(\w+)(\??): ((?:[^;{}]|\{[^}]*\})+);", body.replace("\n", " ") + ";")
    return {name: (normal(kind), bool(may)) for name, may, kind in fields}


def normal(kind: str) -> str:
    """A type without what may be written in several ways."""
    return " | ".join(sorted(re.sub(r"\s+", " ", kind).strip().strip(";").replace('"', "'").split(" | ")))


def typescript(kind: Any) -> str:
    """A Python type as TypeScript has it."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return typescript(arguments[0])
    if origin in (Union, UnionType):
        return normal(" | ".join(map(typescript, arguments)))
    if origin is Literal:
        return normal(" | ".join(f"'{value}'" for value in arguments))
    if origin is list:
        return f"{typescript(arguments[0])}[]"
    if issubclass(kind, Enum):
        return normal(" | ".join(f"'{member.value}'" for member in kind))
    if issubclass(kind, msgspec.Struct):
        return str(kind.__name__)
    return {str: "string", bool: "boolean", int: "number", float: "number", NoneType: "null"}[kind]


def sent(struct: type[msgspec.Struct]) -> Fields:
    """The fields of a struct besides its bytes; those with a default may be missing where it leaves defaults out."""
    leaves_out = struct.__struct_config__.omit_defaults
    return {
        field.encode_name: (typescript(field.type), leaves_out and not field.required)
        for field in msgspec.structs.fields(struct)
        if field.name != "data"
    }


def tag(struct: type[msgspec.Struct]) -> str:
    return str(struct.__struct_config__.tag)


def without_null(fields: Fields) -> Fields:
    """What may be missing is never sent as `null`."""
    return {
        name: (kind.removesuffix(" | null").removeprefix("null | ") if may else kind, may)
        for name, (kind, may) in fields.items()
    }


INTERFACES = {
    name: declared(body) for name, body in re.findall(r"^export interface (\w+) \{\n(.*?)^\}", TEXT, re.M | re.S)
}
REQUESTS = {
    name: declared(body)
    for name, body in re.findall(
        r"^  (\w+): \{(.*?)\};$", TEXT.partition("export interface Requests {")[2], re.M | re.S
    )
}
STRUCTS = {
    struct.__name__: struct
    for module in (*UPDATES, *ASKED)
    for struct in vars(module).values()
    if isinstance(struct, type)
    and issubclass(struct, msgspec.Struct)
    and not issubclass(struct, bridge.Request | bridge.Answer)
    and struct.__module__ == module.__name__
}
ANSWERS = [
    struct
    for module in ASKED
    for struct in vars(module).values()
    if isinstance(struct, type) and issubclass(struct, bridge.Answer)
]


@pytest.mark.parametrize("name", sorted(set(INTERFACES) - OF_THE_PAGE))
def test_an_interface_is_what_the_kernel_sends(name: str) -> None:
    struct = STRUCTS[name]
    fields = sent(struct)
    if issubclass(struct, bridge.Update):
        del fields["view"]  # of all of them, see `FromKernel`
        fields["type"] = (f"'{tag(struct)}'", False)
    if struct is bridge.ReplyUpdate:
        for answer in ANSWERS:
            fields |= {field: (kind, True) for field, (kind, _) in sent(answer).items()}
    assert without_null(fields) == without_null(INTERFACES[name])


def test_everything_that_the_kernel_sends_has_an_interface() -> None:
    [union] = re.findall(r"^export type FromKernel = .*?\((.*?)\);", TEXT, re.M | re.S)
    sent_alone = {struct.__name__ for struct in STRUCTS.values() if issubclass(struct, bridge.Update)} - {"Update"}
    assert set(union.split()) - {"|"} == sent_alone


def test_every_request_is_known_to_both() -> None:
    kinds = {
        tag(struct): struct
        for module in ASKED
        for struct in vars(module).values()
        if isinstance(struct, type) and issubclass(struct, bridge.Request) and struct is not bridge.Request
    }
    assert set(REQUESTS) == set(kinds)
    for name, struct in kinds.items():
        fields = {field: kind for field, (kind, _) in sent(struct).items() if field not in ("id", "view")}
        assert {field: kind for field, (kind, _) in REQUESTS[name].items()} == fields, name
        optional = {field for field, (_, may) in REQUESTS[name].items() if may}
        assert optional <= {field.name for field in msgspec.structs.fields(struct) if not field.required}, name
