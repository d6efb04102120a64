"""Two peers behind routers of two kinds try to meet: `python -m tests.nat.scenario SERVER NAT CLIENT NAT [WHO]`.

SERVER and CLIENT are "Python" or "JavaScript", NAT is one of `Nat`. With WHO, "server" or "client", there is a relay,
which that one names. Run it in a network namespace of its own. It says
what the client met with, and what the server did if they have met.
"""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from tests.nat.internet import Host, Internet, Nat
from tests.nat.people import say

PUBLIC = [f"20.0.0.{number}" for number in range(1, 7)]
PROGRAMS = {
    "Python": [sys.executable, "-m", "tests.nat.people"],
    "JavaScript": ["node", str(Path(__file__).parents[1] / "interop" / "nat_peer.js")],
}


class Person:
    """A process on a host, which tells how it goes line by line."""

    def __init__(self, stack: ExitStack, host: Host, program: str, *arguments: str) -> None:
        command = host.command(*PROGRAMS[program], *arguments)
        self._process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        stack.callback(self._process.kill)

    def says(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


def main(server: str, server_nat: str, client: str, client_nat: str, relayed_by: str = "") -> None:
    with Internet() as internet, ExitStack() as stack:
        assert Person(stack, internet.public, "Python", "nodes", *PUBLIC).says() == "ready"
        relay = [Person(stack, internet.public, "Python", "relay").says()] if relayed_by else []
        names = {relayed_by: relay}
        host = Person(stack, internet.home(Nat[server_nat]), server, "server", *names.get("server", ()))
        assert host.says() == "flushed"
        guest = Person(stack, internet.home(Nat[client_nat]), client, "client", *names.get("client", ()))
        said = [guest.says(), guest.says()]  # it may be connected before its look-up is over
        said.remove("flushed")
        say(said[0])
        if said[0].startswith("connected"):
            say(host.says())


if __name__ == "__main__":
    main(*sys.argv[1:])
