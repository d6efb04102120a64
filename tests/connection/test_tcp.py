import socket
import sys

from linkup_nb.connection.tcp import minimum_rtt, prepare


def connected() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        return near, server.accept()[0]


def test_the_kernel_tells_the_round_trip() -> None:
    near, far = connected()
    with near, far:
        rtt = minimum_rtt(near)
    if sys.platform == "linux":
        assert rtt is not None
        assert 0 < rtt < 1
    else:
        assert rtt is None


def test_a_socket_that_is_closed_has_no_round_trip() -> None:
    near, far = connected()
    near.close()
    far.close()
    assert minimum_rtt(near) is None


def test_small_messages_leave_at_once_and_dead_peers_are_given_up() -> None:
    near, far = connected()
    with near, far:
        prepare(near, 2.5)
        assert near.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            assert near.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 2500
