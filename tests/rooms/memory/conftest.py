from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.rooms.memory.members import TestMember


@pytest.fixture
async def make_member(tmp_path: Path) -> AsyncIterator[Callable[[str], Awaitable[TestMember]]]:
    """Members of this name, closed after the test."""
    members: list[TestMember] = []
    with ThreadPoolExecutor(1) as executor:

        async def make(name: str) -> TestMember:
            members.append(TestMember(tmp_path / name, name, executor))
            await members[-1].open()
            return members[-1]

        yield make
        for member in members:
            await member.close()
