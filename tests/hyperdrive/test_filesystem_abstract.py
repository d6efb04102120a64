"""What fsspec asks of every file system: its own tests, run on a drive.

Left out is what drives do not have: empty folders (`supports_empty_directories`). Everything else is run; `mv` has no
abstract tests, those in that module are of local files.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fsspec.tests import abstract

from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.filesystem import DriveFileSystem
from tests.hyperdrive.threads import loop_thread


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drive]:
    """A drive of one's own, in a store on another thread."""

    async def opened(path: Path) -> Drive:
        store = Corestore(path)
        await store.open()
        return await Drive.open(store)

    with loop_thread() as thread:
        drive = thread.call(opened(tmp_path_factory.mktemp("store")))
        yield drive
        thread.call(drive._source.store.close())


class DriveFixtures(abstract.AbstractFixtures):  # type: ignore[misc]  # fsspec has no types
    """Where fsspec's tests find that drive."""

    @pytest.fixture
    def fs(self, drive: Drive) -> DriveFileSystem:
        return DriveFileSystem(store=drive._source.store)

    @pytest.fixture
    def fs_path(self, drive: Drive) -> str:
        return drive.id

    @pytest.fixture
    def fs_join(self) -> object:
        return lambda *parts: "/".join(parts)

    @pytest.fixture
    def supports_empty_directories(self) -> bool:
        return False


class TestCopy(abstract.AbstractCopyTests, DriveFixtures):  # type: ignore[misc]
    pass


class TestGet(abstract.AbstractGetTests, DriveFixtures):  # type: ignore[misc]
    pass


class TestPut(abstract.AbstractPutTests, DriveFixtures):  # type: ignore[misc]
    pass


class TestPipe(abstract.AbstractPipeTests, DriveFixtures):  # type: ignore[misc]
    pass


class TestOpen(abstract.AbstractOpenTests, DriveFixtures):  # type: ignore[misc]
    pass
