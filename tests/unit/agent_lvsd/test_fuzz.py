# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A share of the fuzzing of replies in every run, and that it would see what it looks for."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from piranha.nanny.conversation import SendExpect
from piranha.nanny.kinds import MAKERS
from piranha.nanny.outcome import Finding, Outcome, bad

from tests.fuzz import replies as fuzz

SHARE = range(500)


@pytest.fixture(autouse=True)
def alarm() -> Iterator[None]:
    """some() sets a handler; the one of before comes back."""
    before = signal.getsignal(signal.SIGVTALRM)
    yield
    signal.signal(signal.SIGVTALRM, before)


@pytest.mark.parametrize("parser", fuzz.ANSWERS)
def test_no_reply_breaks_a_promise(parser: str) -> None:
    assert fuzz.some((parser, 1, SHARE)).failures == []


def test_every_kind_has_its_parser_here() -> None:
    assert {"https", *fuzz.TALKS} >= set(MAKERS)
    assert {*fuzz.TALKS, "certificate"} == set(fuzz.ANSWERS)


@pytest.mark.parametrize("parser", [name for name in fuzz.TALKS if name != "tls"])
def test_what_is_broken_was_good_before(parser: str) -> None:
    """Else only the first bytes of every input would be looked at."""
    talk = fuzz.TALKS[parser]()
    talk.begin()
    step = talk.feed(fuzz.ANSWERS[parser][0])
    outcome = step if isinstance(step, Outcome) else talk.closed()
    assert outcome.finding is Finding.GOOD, outcome


def test_an_input_follows_from_parser_seed_and_index() -> None:
    assert fuzz.broken("http", 1, 7) == fuzz.broken("http", 1, 7)
    assert len({b"".join(fuzz.broken("http", 1, index)) for index in range(200)}) > 150
    assert fuzz.broken("http", 1, 7) != fuzz.broken("http", 2, 7)


@pytest.mark.parametrize(
    ("does", "what"),
    [
        ("raise", "made up"),
        ("hang", "took more than 0.05 s"),
        ("keep", "20000 bytes are kept"),
        ("babble", "no printable line"),
    ],
)
def test_a_broken_promise_is_seen(monkeypatch: pytest.MonkeyPatch, does: str, what: str) -> None:
    class Faulty(SendExpect):
        def __init__(self) -> None:
            super().__init__(b"", None)

        def feed(self, piece: bytes) -> bytes | Outcome:
            if does == "raise":
                raise RuntimeError("made up")
            while does == "hang":
                pass
            if does == "babble":
                return bad("one line\nand another")
            self.data = bytes(20_000)
            return b""

    monkeypatch.setitem(fuzz.TALKS, "any", Faulty)
    monkeypatch.setitem(fuzz.ANSWERS, "any", (b"something long enough to be left",))
    monkeypatch.setattr(fuzz, "LIMIT", 0.05)
    _count, failures, _size = fuzz.some(("any", 1, range(4)))
    assert failures
    assert what in failures[0].what
