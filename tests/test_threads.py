"""Every public method is called from a thread that is not its owner's, as a cell of a notebook does.

The owner's loop is in debug mode: asyncio then refuses what is called from a thread that is not the loop's, and SQLite
does so always. A public method that is not in the tables below fails the test.
"""

import asyncio
import dataclasses
import inspect
import threading
from collections.abc import Awaitable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import pytest

import linkup_nb as lu
from tests.public_methods import METHODS, world
from tests.public_rooms import ROOMS

PATIENCE = 20.0  # seconds
TABLE = METHODS | ROOMS


class Owner:
    """A loop in debug mode on a thread of its own, with one of everything on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.loop = asyncio.new_event_loop()
        self.loop.set_debug(True)
        self.faults: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.faults.append(context))
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    async def run(self, work: Awaitable[Any]) -> Any:
        """Run something on this loop, from another."""

        async def awaited() -> Any:
            return await work

        future = asyncio.run_coroutine_threadsafe(awaited(), self.loop)
        return await asyncio.wait_for(asyncio.wrap_future(future), PATIENCE)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(PATIENCE)
        self.loop.close()


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    owner = Owner(tmp_path)
    yield owner
    owner.stop()


def methods(kind: type) -> set[str]:
    """The public methods of a class that are ours, also those that Python calls for a user."""
    found = set()
    for name, value in inspect.getmembers(kind):
        function = inspect.unwrap(value) if callable(value) else None
        ours = (getattr(function, "__module__", None) or "").startswith("linkup_nb")
        if ours and (not name.startswith("_") or name in ("__getitem__", "__len__")) and not inspect.isclass(value):
            found.add(name)
    return found


def properties(kind: type) -> list[str]:
    """The public properties of a class: snapshots, for any thread to read."""
    found = inspect.getmembers(kind, lambda value: isinstance(value, property))
    return [name for name, value in found if not name.startswith("_") and value.fget.__module__.startswith("linkup_nb")]


def is_value(kind: type) -> bool:
    """Whether objects of this class never change, so that any thread may read them."""
    frozen = dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    struct = issubclass(kind, msgspec.Struct) and kind.__struct_config__.frozen
    plain = issubclass(kind, tuple | list | int) and not methods(kind)
    return frozen or struct or plain or issubclass(kind, Enum | BaseException) or hasattr(kind, "_fields")


def kinds(result: Any) -> set[type]:
    """The classes of ours in a result."""
    inside = result if isinstance(result, tuple | list | set | frozenset) else ()
    found = {type(result)} if type(result).__module__.startswith("linkup_nb") else set()
    return found.union(*map(kinds, inside)) if inside else found


async def settle(result: Any) -> Any:
    """What a user does with it: await it, enter it, or take the first of it."""
    if inspect.isawaitable(result):
        return await result
    if inspect.isasyncgen(result):
        first = await anext(result, None)
        await result.aclose()
        return first
    if hasattr(result, "__aenter__") and not kinds(result):
        async with result as entered:
            return entered
    return result


@pytest.mark.parametrize("kind", TABLE, ids=lambda kind: kind.__name__)
async def test_each_method_is_safe_to_call_from_another_thread(owner: Owner, kind: type) -> None:
    find, table = TABLE[kind]
    opened = world(owner.folder)
    made = await owner.run(opened.__aenter__())
    made.folder = owner.folder
    thing = find(made)

    for name in properties(type(thing)):
        await asyncio.to_thread(getattr, thing, name)
    for name, call in table:
        result = await settle(await asyncio.to_thread(call, made, thing))
        unknown = {one for one in kinds(result) if not is_value(one)} - set(TABLE)
        assert not unknown, f"{kind.__name__}.{name} returns {unknown}, which has no calls in the table"
    await owner.run(asyncio.sleep(0))

    assert not owner.faults
    assert {name for name, _ in table} == methods(type(thing)), "a public method without a call in the table"
    await owner.run(opened.__aexit__(None, None, None))


def test_every_public_class_has_its_calls() -> None:
    public = {getattr(lu, name) for name in lu.__all__}
    classes = {kind for kind in public if inspect.isclass(kind) and not is_value(kind)}
    untested = {kind for kind in classes if not any(issubclass(known, kind) for known in TABLE)}
    # A discovery is called by its swarm, on its loop (`HyperDHT.dial` has its own test); a panel is a cell's widget.
    assert untested == {lu.Local, lu.Kademlia, lu.HyperDHT, lu.Panel}
