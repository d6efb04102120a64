import asyncio
import gc
import weakref

from linkup_nb.errors import NodeClosed
from linkup_nb.lab.state import EdgeKind, NetEdge, NetPeer, NetState, PeerState
from linkup_nb.lab.widget import _views, bundle
from linkup_nb.loops import Events

WIDGET = "application/vnd.jupyter.widget-view+json"


def state(*states: PeerState, connected: bool = False) -> NetState:
    peers = tuple(NetPeer(n, n, f"peer {n}", one, frozenset()) for n, one in enumerate(states))
    return NetState(peers, (NetEdge(0, 1, EdgeKind.CONNECTED),) if connected else ())


class Changing(Events):
    """What says of itself that it is a network, and changes when it is told."""

    def __init__(self) -> None:
        super().__init__(asyncio.get_running_loop())
        self._state: NetState | None = state(PeerState.ALIVE, PeerState.ALIVE)

    @property
    def state(self) -> NetState:
        if self._state is None:
            raise NodeClosed("It has ended.")
        return self._state

    def become(self, state: NetState | None) -> None:
        self._state = state
        if state:
            self.emit("update", state)


def shown(network: Changing) -> tuple[str, str]:
    """The widget that a cell shows, and its words."""
    found = bundle(network)
    assert found
    data, _ = found
    return data[WIDGET]["model_id"], data["text/plain"]


async def test_a_cell_shows_a_live_drawing_and_its_words() -> None:
    network = Changing()
    model, words = shown(network)
    assert words == "Network of 2 peers: 2 alive."
    network.become(state(PeerState.ALIVE, PeerState.DEAD, connected=True))
    again, words = shown(network)
    assert again == model
    assert words == "Network of 2 peers: 1 alive, 1 dead.\nConnected: 0-1.\nDead: 1."


async def test_what_changes_reaches_the_page_without_a_cell() -> None:
    network = Changing()
    shown(network)
    view = _views[network]
    network.become(state(PeerState.ALIVE, PeerState.ALIVE, PeerState.ALIVE))
    assert [peer["n"] for peer in view.picture["peers"]] == [0, 1, 2]


async def test_a_network_that_has_ended_is_drawn_no_more() -> None:
    network = Changing()
    network.become(None)
    assert bundle(network) is None


async def test_a_drawing_does_not_keep_its_network() -> None:
    network = Changing()
    shown(network)
    gone = weakref.ref(network)
    del network
    gc.collect()
    assert gone() is None
