"""The options of a TCP socket, and the round trip that the kernel measures on it."""

import contextlib
import socket
import struct

_TCP_INFO_MIN_RTT = struct.Struct("=148xI")  # microseconds; struct tcp_info of linux/tcp.h
_UNKNOWN_RTT = 2**32 - 1


def prepare(sock: socket.socket, user_timeout: float) -> None:
    """Send small messages at once, and give up, where the kernel can, on a peer that takes nothing for that long."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(user_timeout * 1000))


def minimum_rtt(sock: socket.socket) -> float | None:
    """The shortest round trip to the peer so far, in seconds; `None` where the kernel does not report it."""
    if not hasattr(socket, "TCP_INFO"):
        return None
    with contextlib.suppress(OSError, struct.error):
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_MIN_RTT.size)
        (microseconds,) = _TCP_INFO_MIN_RTT.unpack(info)
        return None if microseconds == _UNKNOWN_RTT else microseconds / 1e6
    return None
