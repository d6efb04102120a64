"""How somebody gets in by a limited invite: the candidate asks whoever it meets, and any member may admit them.

Both sides of the protocol `blind-pairing` on the connections of the rooms' swarm, see `wire.blind_pairing`. A member
opens the channel only after a candidate has: it would name the room's topic to strangers.
"""

import asyncio
from collections.abc import Awaitable, Callable
from weakref import WeakKeyDictionary

from linkup_nb.channels import Channels
from linkup_nb.errors import DecodeError, LinkupError, ProtocolError
from linkup_nb.loops import Events, Tasks
from linkup_nb.rooms.memory.invites import Invites
from linkup_nb.wire.blind_pairing import (
    PROTOCOL,
    REQUEST,
    RESPONSE,
    PairingInvite,
    PairingRequest,
    PairingResponse,
    PairingStatus,
)
from linkup_nb.wire.compact import Decoder, Encoder
from linkup_nb.wire.keys import KEY_SIZE
from linkup_nb.wire.protomux import Channel

MAX_REQUESTS = 32  # of one connection to one room: a candidate asks once each time that it connects
MAX_PENDING = 16  # requests in one room by invites that have not come here yet

REFUSALS = {
    PairingStatus.REJECTED: "A member did not let you in: this invite was revoked, or you were removed.",
    PairingStatus.USED: "A member did not let you in: this invite has been used up. Ask for another one.",
    PairingStatus.EXPIRED: "A member did not let you in: this invite has expired. Ask for another one.",
}


class Admission:
    """The members' side, for one room with this secret: answers those who hold an invite that is still good.

    `use` is called with an invite's id and an identity, and returns when the block `used` is on disk; only then does
    the candidate get the secret. Who `refuses` says was removed is not let in.
    """

    def __init__(
        self,
        topic: bytes,
        secret: bytes,
        invites: Invites,
        use: Callable[[bytes, bytes], Awaitable[object]],
        refuses: Callable[[bytes], bool],
        clock: Callable[[], int],
    ) -> None:
        self.topic = topic
        self._secret = secret
        self._invites = invites
        self._use = use
        self._refuses = refuses
        self._clock = clock  # in microseconds since 1970
        self._pending: dict[bytes, tuple[_Desk, PairingRequest]] = {}
        self._counts: WeakKeyDictionary[Channels, int] = WeakKeyDictionary()
        self._answering = asyncio.Lock()  # two requests by an invite for one must not both find it unused
        self._tasks = Tasks()

    def accept(self, channels: Channels) -> None:
        """A candidate has opened the channel here."""
        _Desk(channels, self.topic, self._asked)

    def retry(self) -> None:
        """An invite has come: perhaps somebody waits for it."""
        pending, self._pending = self._pending, {}
        for desk, request in pending.values():
            self._start(desk, request)

    async def close(self) -> None:
        """Answer no more."""
        await self._tasks.cancel()

    def _asked(self, desk: "_Desk", payload: bytes) -> None:
        count = self._counts[desk.channels] = self._counts.get(desk.channels, 0) + 1
        if count > MAX_REQUESTS:
            raise ProtocolError(f"The peer asked over {MAX_REQUESTS} times to be let into one room.")
        self._start(desk, PairingRequest.decode(payload))

    def _start(self, desk: "_Desk", request: PairingRequest) -> None:
        public_key = self._invites.public_key(request.invite_id)
        if public_key is None:
            self._pending[request.session] = desk, request
            while len(self._pending) > MAX_PENDING:
                del self._pending[next(iter(self._pending))]
            return
        identity = request.open(public_key)
        if len(identity) != KEY_SIZE:
            raise DecodeError(f"Who asks to be let in names a key of {KEY_SIZE} bytes, got {len(identity)}.")
        self._tasks.start(self._answer(desk, request, public_key, identity), "letting somebody in")

    async def _answer(self, desk: "_Desk", request: PairingRequest, public_key: bytes, identity: bytes) -> None:
        async with self._answering:
            status = self._invites.check(request.invite_id, identity, now=self._clock() / 1e6)
            if self._refuses(identity):
                status = PairingStatus.REJECTED
            if status is not PairingStatus.CONFIRMED:
                desk.send(RESPONSE, bytes(PairingResponse.reject(public_key, request.session, status)))
                return
            if not self._invites.has_used(request.invite_id, identity):
                try:
                    await self._use(request.invite_id, identity)
                except LinkupError:
                    return  # the disk refuses, or the room closes: another member may answer
            desk.send(RESPONSE, bytes(PairingResponse.confirm(public_key, request.session, self._secret)))


class _Desk:
    """The channel at which one candidate asks."""

    def __init__(self, channels: Channels, topic: bytes, asked: "Callable[[_Desk, bytes], None]") -> None:
        self.channels = channels
        self._asked = asked
        self._channel = channels.open(PROTOCOL, topic, b"", self)

    def send(self, type: int, message: bytes) -> None:
        """Send a message of the protocol."""
        self.channels.send(self._channel, type, bytes(Encoder().buffer(message)))

    def opened(self, handshake: bytes) -> None:
        """The candidate speaks first."""

    def received(self, type: int, payload: bytes) -> None:
        """A request."""
        if type == REQUEST:
            self._asked(self, Decoder(payload).buffer())

    def drained(self) -> None:
        """What was sent has gone out."""

    def ended(self) -> None:
        """The candidate is gone, or let in."""


class Candidate(Events):
    """The other side: asks every peer that is met, until a member answers.

    `identity` is what members will know who came by. Emits `admitted` (the secret) and `refused` (a sentence), once.
    """

    def __init__(self, invite: PairingInvite, identity: bytes) -> None:
        super().__init__(asyncio.get_running_loop())
        self.invite = invite
        self._request = PairingRequest.make(invite, identity)
        self._asking: dict[Channels, _Asking] = {}
        self._answered = False

    def meet(self, channels: Channels) -> None:
        """Ask on a connection, unless that is being done."""
        if not self._answered and channels not in self._asking:
            self._asking[channels] = _Asking(channels, self)

    def close(self) -> None:
        """Ask no more."""
        self._answered = True
        for asking in self._asking.values():
            asking.close()
        self._asking.clear()

    # What a channel calls

    def request(self) -> bytes:
        """What is asked."""
        return bytes(self._request)

    def response(self, payload: bytes) -> None:
        """A peer has answered. Raises `DecodeError` if it lies."""
        answer = PairingResponse.decode(payload).open(self.invite, self._request.session)
        if self._answered:
            return
        self.close()
        if isinstance(answer, PairingStatus):
            self.emit("refused", REFUSALS[answer])
        else:
            self.emit("admitted", answer)

    def gone(self, channels: Channels) -> None:
        """A peer does not know the room, or has left."""
        self._asking.pop(channels, None)


class _Asking:
    """The channel on which a candidate asks one peer."""

    def __init__(self, channels: Channels, candidate: Candidate) -> None:
        self._channels = channels
        self._candidate = candidate
        self._channel: Channel = channels.open(PROTOCOL, candidate.invite.topic, b"", self)

    def close(self) -> None:
        """Ask no more."""
        self._channels.close(self._channel)

    def opened(self, handshake: bytes) -> None:
        """The peer is in the room, or waits to be let in as well: ask."""
        self._channels.send(self._channel, REQUEST, bytes(Encoder().buffer(self._candidate.request())))

    def received(self, type: int, payload: bytes) -> None:
        """An answer; requests of other candidates are for members."""
        if type == RESPONSE:
            self._candidate.response(Decoder(payload).buffer())

    def drained(self) -> None:
        """The request has gone out."""

    def ended(self) -> None:
        """The peer does not know the room, or has left."""
        self._candidate.gone(self._channels)
