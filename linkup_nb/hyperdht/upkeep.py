"""Keeping the table of a node of the DHT: newcomers, the dead and their replacements, hints that somebody is dead."""

from collections import OrderedDict
from itertools import islice
from time import monotonic

from linkup_nb.hyperdht.io import DhtAnswer, DhtIo
from linkup_nb.wire.compact import Encoder
from linkup_nb.wire.dht.rpc import Address, Internal
from linkup_nb.wire.dht.scope import may_follow
from linkup_nb.wire.dht.table import Contact, Table

MAX_CHECKS = 32  # nodes that are being pinged at a time, because they are old or reported dead
MAX_REPLACEMENTS = 3  # besides, old ones in a full bucket, whose place a newcomer would take
RECENT = 60.0  # seconds; a node seen since then is not pinged
STALE = 300.0  # seconds without a word after which a node is pinged
SERVING_STALE = 20.0  # the same at a node that serves others, as it is to name living nodes only: a ping a second
SPREAD = 8  # others that are pinged when one has not answered: many die at once, when a machine or a network does
SPREAD_PAUSE = 10.0  # seconds since they were last pinged, at least
MAX_HINTS = 10  # hints sent between two calls of `tick`
MAX_SILENT = 1024  # addresses remembered for not having replied
SILENT_FOR = 60.0  # seconds for which they are not queried just because a node names them
HINT_PAUSE = 5.0  # seconds after a node was pinged in which it cannot be dead
PINGS_A_TICK = 5  # nodes that were silent for long


class Upkeep:
    """Lets nodes into the table that have answered us, and only those: forged datagrams put nobody there."""

    def __init__(self, io: DhtIo, table: Table) -> None:
        self._io = io
        self._table = table
        self._checking: set[Address] = set()
        self._replacing = 0
        self._hints = 0
        self._silent: OrderedDict[Address, float] = OrderedDict()

    def requested_by(self, address: Address) -> bool:
        """A node with an id has sent us a request; true if it was pinged, since its answer would let it in."""
        contact = self._table.get(address)
        if contact is not None:
            contact.seen = monotonic()
            return False
        return self._table.wants(address) and self._io.prove(address)

    def answered(self, answer: DhtAnswer) -> None:
        """A node has answered us."""
        address = answer.sender
        self._silent.pop(address, None)
        if answer.reply.id is None:
            return
        now = monotonic()
        if not self._table.replied(address, now, answer.rtt):
            rival = self._table.rival(address)
            if rival is not None and rival.pinged < now - RECENT and self._replacing < MAX_REPLACEMENTS:
                self._replace(rival, address)

    def late(self, address: Address) -> None:
        """A node has not answered in time: name it to nobody for now, and see whether it is the only one."""
        if self._table.doubt(address):
            self.check(address)
            horizon = monotonic() - SPREAD_PAUSE
            others = (each for each in self._table.oldest() if each.pinged < horizon and not each.doubtful)
            for contact in islice(others, SPREAD):
                self.check(contact.address)

    def silent(self, address: Address) -> None:
        """A node has answered no request, however often it was sent."""
        self._table.remove(address)
        self._silent[address] = monotonic()
        self._silent.move_to_end(address)
        if len(self._silent) > MAX_SILENT:
            self._silent.popitem(last=False)

    def usable(self, named: Address, named_by: Address) -> bool:
        """Whether to query a node that another one has named."""
        if not may_follow(named, named_by):
            self._io.counters["addresses ignored: not to be sent to from here"] += 1
            return False
        return not self.is_silent(named)

    def is_silent(self, address: Address) -> bool:
        """Whether a node did not reply a short time ago."""
        return self._silent.get(address, -SILENT_FOR) > monotonic() - SILENT_FOR

    def hint(self, dead: Address, named_by: Address) -> None:
        """Notify a node that one that it has named does not reply."""
        if self._hints < MAX_HINTS:
            self._hints += 1
            value = bytes(Encoder().ipv4_address(*dead))
            self._io.request(named_by, Internal.DOWN_HINT, lambda answer: None, internal=True, value=value)

    def suspect(self, address: Address) -> None:
        """A node was reported dead: ping it, unless it is not in our table or was pinged just now."""
        contact = self._table.get(address)
        if contact is not None and contact.pinged < monotonic() - HINT_PAUSE:
            self._table.doubt(address)
            self.check(address)

    def check(self, address: Address) -> None:
        """Ping a node; whether it answers decides whether it is in the table."""
        if address not in self._checking and len(self._checking) < MAX_CHECKS:
            self._checking.add(address)
            if contact := self._table.get(address):
                contact.pinged = monotonic()
            self._io.request(address, Internal.PING, lambda _: self._checking.discard(address), internal=True)

    def tick(self) -> None:
        """Ping some of those that were silent for long; call it every few seconds."""
        self._hints = 0
        horizon = monotonic() - (STALE if self._io.id is None else SERVING_STALE)
        for contact in self._table.oldest()[:PINGS_A_TICK]:
            if contact.pinged < horizon:
                self.check(contact.address)

    def forgive(self) -> None:
        """Forget which nodes were silent, and ping all anew: we were cut off, and they may be there."""
        self._silent.clear()
        for contact in self._table:
            contact.pinged = 0.0

    def _replace(self, rival: Contact, newcomer: Address) -> None:
        self._replacing += 1
        rival.pinged = monotonic()

        def on_answer(answer: DhtAnswer | None) -> None:
            self._replacing -= 1
            if answer is None:
                self._table.remove(rival.address)
                self._table.replied(newcomer, monotonic())

        self._io.request(rival.address, Internal.PING, on_answer, internal=True)
