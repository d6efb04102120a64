"""The sentences of checks, one by one and in a table."""

import asyncio

import pytest

from linkup_nb.discovery import check
from linkup_nb.discovery.check import TABLE_WIDTH, Check, Outcome, Report, knock, sentence
from linkup_nb.errors import PeerTimeout

FINE = Check("registry", Outcome.OK, "All is well.")
ODD = Check("mdns", Outcome.WARNING, "Something is odd.", "A cause.", "An advice.")
BAD = Check("UDP out", Outcome.FAILED, "Nothing works.", "Because \x1b[31mof " + "this " * 40, "Try that.")


def test_the_worst_is_what_failed_before_what_warns() -> None:
    assert Report((FINE, ODD, BAD)).worst is BAD
    assert Report((FINE, ODD)).worst is ODD
    assert Report((FINE,)).worst is None


def test_the_table_is_plain_text_of_bounded_width() -> None:
    lines = str(Report((FINE, ODD, BAD))).splitlines()
    assert lines[:2] == [
        "registry  ok       All is well.",
        "mdns      warning  Something is odd. A cause. An advice.",
    ]
    assert lines[2].startswith("UDP out   failed   Nothing works. Because")
    assert max(map(len, lines)) <= TABLE_WIDTH
    assert all(line.startswith(" " * 19) for line in lines[3:])
    assert "\x1b" not in "".join(lines)


def test_the_repr_counts() -> None:
    assert repr(Report((FINE, FINE, BAD))) == "<Report: 2 ok, 1 failed>"


async def test_a_bootstrap_node_that_replies() -> None:
    async def ping() -> float:
        return 0.0123

    found = await knock("127.0.0.1", 1, ping)
    assert (found.name, found.outcome, found.seen) == ("bootstrap 127.0.0.1:1", Outcome.OK, "Replied in 12.3 ms.")
    assert found.rtt == 0.0123


async def test_a_bootstrap_node_that_does_not_reply() -> None:
    async def ping() -> float:
        raise PeerTimeout("127.0.0.1:1 is silent")

    found = await knock("127.0.0.1", 1, ping)
    assert (found.outcome, found.cause, found.rtt) == (Outcome.FAILED, "127.0.0.1:1 is silent.", None)


async def test_a_bootstrap_node_has_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "KNOCK_TIMEOUT", 0.01)

    async def ping() -> float:
        await asyncio.Event().wait()
        raise AssertionError

    found = await knock("127.0.0.1", 1, ping)
    assert (found.outcome, found.seen) == (Outcome.FAILED, "No reply within 0.01 s.")


async def test_offline_nobody_else_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINKUP_OFFLINE", "1")

    async def ping() -> float:
        raise AssertionError("this would send a packet")

    assert (await knock("192.0.2.1", 1, ping)).outcome is Outcome.OFF
    assert (await knock("example.org", 1, ping)).outcome is Outcome.OFF


def test_exceptions_become_sentences() -> None:
    assert sentence(OSError("no route")) == "No route."
    assert sentence(ValueError()) == "ValueError."
