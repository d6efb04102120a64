"""Two writers of a real Autobase who meet nobody but a Corestore of ours, which has no key to what they write."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from linkup_nb.connection.server import listen
from linkup_nb.hypercore.core import Core
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.loops import Tasks
from tests.hypercore.javascript import JavaScript, javascript

SCRIPT = Path(__file__).parent / "autobase_peer.js"
SECRET = "05" * 32


class Carrier:
    """A store that keeps whatever cores it is given the keys of, and passes them on."""

    def __init__(self, store: Corestore) -> None:
        self.store = store
        self.cores: dict[str, Core] = {}
        self.tasks = Tasks()

    async def carry(self, *writers: JavaScript) -> None:
        """Keep every core that the writers have now, and all that is appended to it later."""
        for key in {key for writer in writers for key in await writer.call("keys")} - set(self.cores):
            core = self.cores[key] = await self.store.core(key=key)
            self.tasks.start(self._keep(core), "keeping a core")

    async def _keep(self, core: Core) -> None:
        length = 0
        while True:
            length = await core.wait_for_length(length + 1, timeout=None)
            await (await core.download()).done()


@pytest.fixture
async def carrier(tmp_path: Path) -> AsyncIterator[Carrier]:
    async with Corestore(tmp_path / "carrier") as store:
        carrier = Carrier(store)
        yield carrier
        await carrier.tasks.cancel()


@pytest.mark.parametrize("encryption_key", [None, SECRET], ids=["plain", "encrypted"])
async def test_two_writers_meet_in_our_store_alone(
    carrier: Carrier, tmp_path: Path, encryption_key: str | None
) -> None:
    async with AsyncExitStack() as stack:
        ann, bob = [await stack.enter_async_context(javascript(tmp_path / name, SCRIPT)) for name in ("ann", "bob")]
        server = await listen("127.0.0.1", 0, carrier.store.replicate)
        stack.push_async_callback(server.close)
        base = await ann.call("open", encryptionKey=encryption_key)
        theirs = await bob.call("open", key=base["key"], encryptionKey=encryption_key)
        for index in range(6):  # what is signed by her alone is the prologue of what both sign
            await ann.call("append", value={"from": "ann", "early": index})
        await ann.call("append", value={"add": theirs["local"]})
        for writer in (ann, bob):
            await writer.call("connect", port=server.port)
        await carrier.carry(ann, bob)

        for index in range(10):
            for writer, name in ((ann, "ann"), (bob, "bob")):
                await writer.call("append", value={"from": name, "number": index})
                await carrier.carry(ann, bob)
                seen = [await one.call("until", length=6 + 2 * index + 1 + (name == "bob")) for one in (ann, bob)]
                assert seen[0] == seen[1]

        expected = [{"from": "ann", "early": index} for index in range(6)]
        assert seen[0][:6] == expected
        assert sorted((value["from"], value["number"]) for value in seen[0][6:]) == [
            (name, index) for name in ("ann", "bob") for index in range(10)
        ]
        begun = [core.manifest.prologue for core in carrier.cores.values() if core.manifest and core.length > 1]
        assert any(prologue and prologue.length for prologue in begun)
