"""The Settings tab, in the kernel."""

import asyncio

from linkup_nb.discovery.check import Outcome
from linkup_nb.errors import StoreError
from linkup_nb.node import Node
from linkup_nb.notebook.bridge import Bridge
from linkup_nb.notebook.settings import requests
from linkup_nb.rooms.linkup.messages import MAX_FILE
from linkup_nb.rooms.memory.block import MAX_TEXT
from linkup_nb.rooms.memory.outputs import MAX_INLINE_BYTES
from linkup_nb.rooms.moving import pack_profile

LIMITS = (
    f"A message takes {MAX_TEXT // 1024} KiB; longer text goes as a file. "
    f"An output takes {MAX_INLINE_BYTES // 1024} KiB; larger ones go through your drive. "
    f"A file for a LinkUp room takes {MAX_FILE // 1_048_576} MiB."
)


class SettingsTab:
    """Answers the page of the Settings tab; lives on the node's loop."""

    def __init__(self, node: Node, bridge: Bridge) -> None:
        self._node = node
        bridge.on(requests.SettingsRequest, self._settings)
        bridge.on(requests.BlindPeersRequest, self._blind_peers)
        bridge.on(requests.SetRequest, self._set)
        bridge.on(requests.ClearCopiesRequest, self._clear)
        bridge.on(requests.ExportProfileRequest, self._export)

    async def _settings(self, _: object = None) -> requests.Settings:
        node = self._node
        return requests.Settings(
            share_reads=node.share_reads,
            share_typing=node.share_typing,
            bootstrap=", ".join(node.profile.bootstrap),
            relay=node.profile.relay or "",
            in_use=[requests.NetworkEntry(name=one.name, text=one.describe()) for one in node.swarm.discovery],
            blind_peers=", ".join(node.profile.blind_peers),
            blind_peers_now=self._standing(),
            space=await self._space(),
            limits=LIMITS,
        )

    async def _blind_peers(self, _: requests.BlindPeersRequest) -> requests.BlindPeers:
        return requests.BlindPeers(blind_peers_now=self._standing())

    def _standing(self) -> list[requests.BlindPeerEntry]:
        return [
            requests.BlindPeerEntry(key=one.id, ok=one.check().outcome is not Outcome.WARNING, text=one.text)
            for one in self._node.blind_peers
        ]

    async def _set(self, request: requests.SetRequest) -> requests.Settings:
        node = self._node
        if request.share_reads is not None:
            node.share_reads = request.share_reads
        if request.share_typing is not None:
            node.share_typing = request.share_typing
        if request.bootstrap is not None or request.relay is not None:
            node.set_networks(bootstrap=request.bootstrap, relay=request.relay)
        if request.blind_peers is not None:
            node.blind_peers = request.blind_peers.replace(",", " ").split()
        return await self._settings()

    async def _clear(self, _: requests.ClearCopiesRequest) -> requests.Settings:
        await self._node.clear_copies()
        return await self._settings()

    async def _export(self, _: requests.ExportProfileRequest) -> requests.Exported:
        return requests.Exported(data=await asyncio.to_thread(pack_profile, self._node.path))

    async def _space(self) -> requests.SpaceEntry | None:
        node = self._node
        try:
            usage = await node.store.usage()
        except StoreError:
            return None
        keys = {True: set[bytes](), False: set[bytes]()}
        for drive in node.drives.values():
            keys[drive.writable] |= drive.core_keys
        total = sum(core.bytes for core in usage)
        own = sum(core.bytes for core in usage if core.key in keys[True])
        others = sum(core.bytes for core in usage if core.key in keys[False])
        return requests.SpaceEntry(own=own, rooms=total - own - others, others=others)
