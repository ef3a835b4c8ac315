# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers that come in pieces, and the words for those that are wrong."""

from __future__ import annotations

import random
import time

from hypothesis import given
from hypothesis import strategies as st
from piranha.nanny.answer import REGEX_BUFFER, Answer
from piranha.nanny.outcome import Finding
from piranha.nanny.spec import Expectation, Match

HTTP = Expectation(Match.PREFIX, b"HTTP/1.1 200")


def feed(expectation: Expectation, *pieces: bytes) -> Answer:
    answer = Answer(expectation)
    for piece in pieces:
        assert answer.feed(piece) is None
    return answer


def test_a_prefix_may_come_byte_by_byte() -> None:
    answer = feed(HTTP, *(bytes([byte]) for byte in b"HTTP/1.1 20"))
    outcome = answer.feed(b"0")
    assert outcome is not None
    assert outcome.finding is Finding.GOOD


def test_a_wrong_prefix_is_wrong_at_the_first_wrong_byte() -> None:
    outcome = Answer(HTTP).feed(b"HTTP/1.1 5")
    assert outcome is not None
    assert outcome.finding is Finding.BAD
    assert outcome.words == 'answer began with "HTTP/1.1 5" instead of "HTTP/1.1 200"'


@given(st.binary(min_size=1, max_size=30), st.binary(max_size=40), st.integers(1, 7))
def test_pieces_make_no_difference(wanted: bytes, data: bytes, size: int) -> None:
    expectation = Expectation(Match.PREFIX, wanted)
    answer = Answer(expectation)
    outcome = None
    for start in range(0, len(data), size):
        outcome = answer.feed(data[start : start + size])
        if outcome is not None:
            break
    finding = (outcome or answer.closed()).finding
    assert (finding is Finding.GOOD) == data.startswith(wanted)


def test_what_was_answered_is_told_by_its_first_line() -> None:
    """What follows it, as a header with the time, would make each answer another reason."""
    words = {
        outcome.words
        for second in (b"01", b"02")
        if (outcome := Answer(HTTP).feed(b"HTTP/1.1 200 OK\r\nDate: 09:00:" + second))
    }
    assert words == {'answered "HTTP/1.1 200 OK"'}
    for data, told in ((b"\r\nready\n", "ready"), (b"\n", r"\n"), (b"a", "a")):
        outcome = Answer(Expectation(Match.ANY)).feed(data)
        assert outcome is not None
        assert outcome.words == f'answered "{told}"'


def test_half_an_answer() -> None:
    closed = feed(HTTP, b"HTTP/1").closed()
    assert (closed.finding, closed.words) == (
        Finding.BAD,
        'closed the connection after "HTTP/1", expected "HTTP/1.1 200"',
    )
    late = feed(HTTP, b"HTTP/1").late(2.0)
    assert (late.finding, late.words) == (
        Finding.BAD,
        'answer "HTTP/1" was not completed within 2 s, expected "HTTP/1.1 200"',
    )


def test_silence() -> None:
    assert Answer(HTTP).closed().words == "closed the connection without an answer"
    assert Answer(HTTP).late(0.5).words == "connected, but no answer within 0.5 s"


def test_anything_is_an_answer_to_a_star_even_the_end() -> None:
    anything = Expectation(Match.ANY)
    outcome = Answer(anything).feed(b"\0")
    assert outcome is not None
    assert outcome.finding is Finding.GOOD
    assert Answer(anything).closed().finding is Finding.GOOD
    assert Answer(anything).late(1).finding is Finding.BAD


def test_a_regex_is_found_anywhere_in_what_has_come() -> None:
    answer = feed(Expectation(Match.REGEX, b"O(K|kay)$"), b"it is ", b"O")
    outcome = answer.feed(b"kay")
    assert outcome is not None
    assert outcome.finding is Finding.GOOD


def test_a_regex_without_a_match() -> None:
    answer = feed(Expectation(Match.REGEX, b"^yes"), b"no")
    assert answer.closed().words == 'answer "no" does not match "^yes"'
    assert answer.late(3).words == 'answer "no" was not matched within 3 s, expected "^yes"'


def test_an_endless_answer_ends_with_the_buffer() -> None:
    answer = Answer(Expectation(Match.REGEX, b"needle"))
    outcome, fed = None, 0
    while outcome is None:
        piece = b"hay" * 333
        outcome = answer.feed(piece[: answer.room()])
        fed += len(piece)
        assert fed < 2 * REGEX_BUFFER
    assert outcome.finding is Finding.BAD
    assert "nothing in the first" in outcome.words
    assert len(answer.data) <= REGEX_BUFFER


def test_a_bad_regex_is_a_reason_not_a_traceback() -> None:
    outcome = Answer(Expectation(Match.REGEX, b"(")).feed(b"x")
    assert outcome is not None
    assert outcome.finding is Finding.BAD
    assert outcome.words.startswith('expect "(" is no regular expression: ')


def test_a_nasty_answer_does_not_keep_the_regex_busy() -> None:
    answer = Answer(Expectation(Match.REGEX, b"^(a|a)*b$"))
    before = time.monotonic()
    for _unused in range(8):
        assert answer.feed(b"a" * 2000) is None
    assert time.monotonic() - before < 0.5


def test_an_answer_made_against_the_regex_is_bad_and_says_so() -> None:
    answer = Answer(Expectation(Match.REGEX, b"[ab]*a[ab]{400}c"))
    chance = random.Random(7)
    outcome = answer.feed(bytes(chance.choice(b"ab") for _unused in range(16000)))
    assert outcome is not None
    assert outcome.words.endswith('is too costly to match with "[ab]*a[ab]{400}c"')
