"""The drives of a node: mounted by their key alone, over each network, and kept over restarts."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import fsspec
import pytest

import linkup_nb as lu
from linkup_nb.discovery.protocol import Discovery
from linkup_nb.errors import NotAvailable
from tests.hypercore.javascript import javascript
from tests.interop.hyperswarm import HOST
from tests.interop.test_hyperdht_swarm import network_of

PATIENCE = 30.0  # seconds
MakeDiscovery = Callable[[], Discovery]


@asynccontextmanager
async def network(kind: str) -> AsyncIterator[MakeDiscovery]:
    """A network, and how a node enters it."""
    async with AsyncExitStack() as stack:
        if kind == "local":
            yield lambda: lu.Local(mdns=False)
        elif kind == "kademlia":
            first = lu.Kademlia(host=HOST)
            swarm = lu.Swarm(discovery=[first])
            stack.push_async_callback(swarm.close)
            await (await swarm.join(os.urandom(32), client=False)).flushed()
            port = first.address[1]
            yield lambda: lu.Kademlia([(HOST, port)], host=HOST)
        else:
            ports = await stack.enter_async_context(network_of("python"))
            yield lambda: lu.HyperDHT([(HOST, port) for port in ports], port=0)


def node(path: Path, make: MakeDiscovery) -> lu.Node:
    return lu.Node(path, name=path.name, discovery=[make()])


@pytest.mark.parametrize("kind", ["local", "kademlia", "hyperdht"])
async def test_a_drive_is_mounted_by_its_key_alone_and_again_at_the_next_start(tmp_path: Path, kind: str) -> None:
    async with network(kind) as make, node(tmp_path / "otter", make) as otter:
        results = await otter.drive(name="results")
        await results.put("/x.csv", b"a,b\n1,2\n")
        await results.put("/x.csv", b"a,b\n3,4\n")
        link = f"linkup://{results.id}"
        async with asyncio.timeout(PATIENCE), node(tmp_path / "kestrel", make) as kestrel:
            mounted = await kestrel.drive(link)
            assert await kestrel.drive(results.key) is mounted
            assert dict(kestrel.drives) == {results.id: mounted}
            await mounted.arrived()
            assert await mounted.get("/x.csv") == b"a,b\n3,4\n"
            [peer] = mounted.peers
            assert (peer.public_key, peer.history) == (otter.swarm.key_pair.public_key, results.version)
            assert peer.contents == 2
        assert dict(otter.drives) == {"results": results}
        await results.put("/later.txt", b"while kestrel was away")
        async with asyncio.timeout(PATIENCE), node(tmp_path / "kestrel", make) as kestrel:
            again = kestrel.drives[results.id]
            async for _, after in again.watch():
                if await after.exists("/later.txt"):
                    break
            assert await again.get("/later.txt") == b"while kestrel was away"


async def test_who_has_a_copy_gives_it_to_others_while_its_author_is_away(tmp_path: Path) -> None:
    async with network("local") as make, asyncio.timeout(PATIENCE):
        async with node(tmp_path / "otter", make) as otter, node(tmp_path / "kestrel", make) as kestrel:
            results = await otter.drive(name="results")
            await results.put("/x.csv", b"1")
            copy = await kestrel.drive(results.key)
            await (await copy.download()).done()
        async with node(tmp_path / "kestrel", make), node(tmp_path / "wren", make) as wren:
            third = await wren.drive(results.key)
            await third.arrived()
            assert await third.get("/x.csv") == b"1"


async def test_an_address_alone_mounts_a_drive(tmp_path: Path) -> None:
    async with network("local") as make, node(tmp_path / "otter", make) as otter:
        results = await otter.drive(name="results")
        for number in range(3):
            await results.put("/x.csv", b"%d" % number)
        version = results.version - 1
        async with asyncio.timeout(PATIENCE), node(tmp_path / "kestrel", make) as kestrel:
            fs = fsspec.filesystem("linkup", store=kestrel.store)
            read = asyncio.to_thread(fs.cat_file, f"linkup://{results.id}+{version}/x.csv")
            assert await read == b"1"
            assert list(kestrel.drives) == [results.id]
            # One's own is read where it is; nobody asked for it to be announced.
            private = await lu.Drive.open(kestrel.store)
            await private.put("/diary.txt", b"private")
            assert await asyncio.to_thread(fs.cat_file, f"linkup://{private.id}/diary.txt") == b"private"
            assert list(kestrel.drives) == [results.id]


async def test_what_is_not_mounted_is_given_to_nobody(tmp_path: Path) -> None:
    async with network("local") as make, node(tmp_path / "otter", make) as otter, node(tmp_path / "wren", make) as wren:
        shared = await otter.drive(name="shared")
        await shared.put("/a", b"a")
        private = await lu.Drive.open(otter.store)
        await private.put("/diary.txt", b"private")
        theirs = await wren.drive(shared.key)
        await theirs.arrived()  # there is a connection
        stolen = await lu.Drive.open(wren.store, private.key, timeout=0.5)
        with pytest.raises(NotAvailable):
            await stolen.arrived()


async def test_what_is_forgotten_takes_no_space_and_comes_back_as_another(tmp_path: Path) -> None:
    async with network("local") as make, node(tmp_path / "otter", make) as otter, node(tmp_path / "wren", make) as wren:
        results = await otter.drive(name="results")
        await results.put("/big", os.urandom(1_000_000))
        copy = await wren.drive(results.key)
        await copy.arrived()
        assert len(await copy.get("/big") or b"") == 1_000_000
        assert sum(core.bytes for core in await wren.store.usage()) > 1_000_000
        await wren.forget(copy)
        assert not wren.drives
        assert sum(core.bytes for core in await wren.store.usage()) == 0
        with pytest.raises(lu.UsageError, match="none of this node's drives"):
            await wren.forget(copy)

        await otter.forget(results)
        another = await otter.drive(name="results")
        assert another.key != results.key
        assert another.version == 0
    async with network("local") as make, node(tmp_path / "otter", make) as otter:
        assert [drive.key for drive in otter.drives.values()] == [another.key]
        assert (await otter.drive(name="results")).key == another.key


async def test_a_copy_of_a_profile_has_drives_of_its_own(tmp_path: Path) -> None:
    async with network("local") as make, node(tmp_path / "otter", make) as otter:
        first = await otter.drive(name="results")
    (tmp_path / "otter" / "device").unlink()  # what a copy on another machine makes anew
    async with network("local") as make, node(tmp_path / "otter", make) as otter:
        assert (await otter.drive(name="results")).key != first.key


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("abc", "A key is 32 bytes"),
        (b"short", "A key is 32 bytes"),
        ("https://example.org/", "A drive's link begins with"),
        ("linkup://abc/x", "A key is 32 bytes"),
    ],
)
async def test_what_is_no_key_is_refused_in_a_sentence(tmp_path: Path, key: str | bytes, sentence: str) -> None:
    async with network("local") as make, node(tmp_path / "otter", make) as otter:
        with pytest.raises(lu.UsageError, match=sentence):
            await otter.drive(key)
        with pytest.raises(lu.UsageError, match="by its key, or as your own by name"):
            await otter.drive()


async def test_a_damaged_list_of_drives_is_named(tmp_path: Path) -> None:
    async with network("local") as make:
        (tmp_path / "otter").mkdir()
        (tmp_path / "otter" / "drives.json").write_text('[{"key": "short"}]')
        with pytest.raises(lu.UsageError, match=r"drives\.json cannot be read"):
            await node(tmp_path / "otter", make).open()


@pytest.mark.parametrize("kind", ["python", "javascript"])
async def test_a_javascript_peer_and_we_read_each_others_drives_by_key_alone(tmp_path: Path, kind: str) -> None:
    async with (
        asyncio.timeout(PATIENCE),
        network_of(kind) as ports,
        javascript(tmp_path / "theirs") as peer,
        node(tmp_path / "otter", lambda: lu.HyperDHT([(HOST, port) for port in ports], port=0)) as otter,
    ):
        await peer.call("swarm", ports=list(ports), seed=os.urandom(32).hex())
        key = (await peer.call("drive", handle="a"))["key"]
        await peer.call("put", handle="a", path="/theirs.txt", data=b"written in JavaScript".hex())
        theirs = await otter.drive(f"hyper://{key}")
        await peer.call("join", topic=theirs.discovery_key.hex())
        await theirs.arrived()
        assert await theirs.get("/theirs.txt") == b"written in JavaScript"

        ours = await otter.drive(name="results")
        await ours.put("/ours.txt", b"written in Python")
        await peer.call("drive", handle="b", key=ours.key.hex())
        await peer.call("join", topic=ours.discovery_key.hex())
        await peer.call("waitVersion", handle="b", version=ours.version)
        assert await peer.call("read", handle="b", path="/ours.txt") == b"written in Python".hex()


async def test_a_log_that_is_shared_is_copied_with_who_has_its_key_and_no_other_is(tmp_path: Path) -> None:
    async with network("local") as make, node(tmp_path / "ann", make) as ann, node(tmp_path / "bob", make) as bob:
        diary, secret = await ann.store.core(name="diary"), await ann.store.core(name="secret")
        for core in (diary, secret):
            await core.append(b"day 0")
        copy, guessed = await bob.store.core(key=diary.key), await bob.store.core(key=secret.key)
        await ann.share(diary)
        await bob.share(copy)
        await bob.share(guessed)
        assert await copy.get(0, timeout=PATIENCE) == b"day 0"
        with pytest.raises(NotAvailable):
            await guessed.get(0, timeout=1)
