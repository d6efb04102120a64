"""Hosts in network namespaces: a network of public addresses, and homes behind NATs of two kinds.

Runs as root, also as the root of a user namespace (`unshare --user --map-root-user --net`). Nothing leaves the machine:
no namespace has a way out.
"""

import subprocess
from contextlib import ExitStack
from enum import Enum
from typing import Self

# What nobody inside has asked for is dropped before it is tracked, lest it take the port of the one who asks next.
RULES = """
table ip home {{
    chain out {{
        type nat hook postrouting priority srcnat
        oifname "wan" {nat}
    }}
    chain in {{
        type filter hook input priority filter
        iifname "wan" ct state new drop
    }}
}}
"""


class Nat(Enum):
    """How a home's router rewrites the port of a UDP datagram; both let in only answers."""

    CONSISTENT = "masquerade"  # the same port to all, as long as it is free
    RANDOM = "masquerade random,fully-random"  # another port to everyone


class Host:
    """A network namespace, kept by a process that does nothing else."""

    def __init__(self, stack: ExitStack) -> None:
        keeper = ["unshare", "--net", "sh", "-c", "echo ready; exec sleep infinity"]
        self._keeper = stack.enter_context(subprocess.Popen(keeper, stdout=subprocess.PIPE, text=True))
        stack.callback(self._keeper.kill)
        assert self._keeper.stdout
        assert self._keeper.stdout.readline() == "ready\n"
        self.run("ip", "link", "set", "lo", "up")

    def command(self, *command: str) -> list[str]:
        """The command line that runs a command on this host."""
        return ["nsenter", f"--net=/proc/{self._keeper.pid}/ns/net", *command]

    def run(self, *command: str, text: str | None = None) -> None:
        subprocess.run(self.command(*command), check=True, input=text, text=True, stdout=subprocess.DEVNULL)

    def cable(self, port: str, other: "Host", other_port: str) -> None:
        """Connect a new port here with a new port there."""
        there = str(other._keeper.pid)
        self.run("ip", "link", "add", port, "type", "veth", "peer", "name", other_port, "netns", there)
        self.run("ip", "link", "set", port, "up")
        other.run("ip", "link", "set", other_port, "up")


class Internet:
    """A context manager: `public` has the addresses 20.0.0.1 to 20.0.0.9, `home` makes a host behind a NAT."""

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        self.public = Host(self._stack)
        self.public.run("ip", "link", "add", "street", "type", "bridge")
        self.public.run("ip", "link", "set", "street", "up")
        for number in range(1, 10):
            self.public.run("ip", "address", "add", f"20.0.0.{number}/24", "dev", "street")
        self._homes = 0
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def home(self, nat: Nat) -> Host:
        """A new host 10.n.0.2 behind a router that has the public address 20.0.0.(10 + n)."""
        self._homes += 1
        number = self._homes
        router = Host(self._stack)
        router.cable("wan", self.public, f"home{number}")
        self.public.run("ip", "link", "set", f"home{number}", "master", "street")
        router.run("ip", "address", "add", f"20.0.0.{10 + number}/24", "dev", "wan")
        router.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        router.run("nft", "-f", "-", text=RULES.format(nat=nat.value))
        host = Host(self._stack)
        host.cable("eth", router, "lan")
        router.run("ip", "address", "add", f"10.{number}.0.1/24", "dev", "lan")
        host.run("ip", "address", "add", f"10.{number}.0.2/24", "dev", "eth")
        host.run("ip", "route", "add", "default", "via", f"10.{number}.0.1")
        return host
