# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Extended regular expressions: as the C library has them, but never slow and never large."""

from __future__ import annotations

import ctypes
import random
import time

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.ere import (
    DEPTH_LIMIT,
    STATES_KEPT,
    Ere,
    EreError,
    Search,
    TooCostly,
)

REG_EXTENDED, REG_NOSUB, REG_STARTEND = 1, 8, 4
PARTS = (
    *("a", "b", ".", "(", ")", "|", "*", "+", "?", "{2}", "{1,3}", "{,2}", "{", "}", "\\"),
    *(
        "[ab]",
        "[^a]",
        "[[:digit:]]",
        "[[:space:]]",
        "[a-c]",
        "[]a]",
        "[a-]",
        "[",
        "1",
        "\\w",
        "\\.",
    ),
)
# What only GNU knows; the library's own words for positions and back-references.
LEFT_OUT = (b"\\b", b"\\1")


class CLibrary:
    """regcomp(3) and regexec(3); None where the pattern is refused."""

    def __init__(self) -> None:
        self.libc = ctypes.CDLL(None)

    def search(self, pattern: bytes, data: bytes) -> bool | None:
        compiled = ctypes.create_string_buffer(512)
        if self.libc.regcomp(compiled, pattern, REG_EXTENDED | REG_NOSUB):
            return None
        span = (ctypes.c_int * 2)(0, len(data))
        found = self.libc.regexec(compiled, data, ctypes.c_size_t(1), span, REG_STARTEND) == 0
        self.libc.regfree(compiled)
        return found


def ours(pattern: bytes, data: bytes) -> bool | None:
    try:
        return Ere(pattern).search(data)
    except EreError:
        return None


def test_twenty_thousand_expressions_mean_what_the_c_library_says() -> None:
    """Anchors stand at the ends only: in the middle the library's answers contradict POSIX."""
    chance, theirs = random.Random(7), CLibrary()
    matched = refused = 0
    for _unused in range(20_000):
        inner = "".join(chance.choice(PARTS) for _unused in range(chance.randrange(1, 9)))
        pattern = (chance.choice(("", "", "^")) + inner + chance.choice(("", "", "$"))).encode()
        data = bytes(chance.choice(b"ab1c. \n") for _unused in range(chance.randrange(8)))
        wanted = theirs.search(pattern, data)
        if any(left_out in pattern for left_out in LEFT_OUT):
            continue
        assert ours(pattern, data) == wanted, (pattern, data)
        matched += wanted is True
        refused += wanted is None
    assert matched > 1000
    assert refused > 1000


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (b"(a", "a `(` is not closed"),
        (b"*a", "there is nothing that `*` could repeat"),
        (b"a{2,1}", "the numbers in `{}` cannot be used"),
        (b"a{99999}", "the numbers in `{}` cannot be used"),
        (b"a{" + b"9" * 9999 + b"}", "the numbers in `{}` cannot be used"),
        (b"a{1", "a `{` is not closed"),
        (b"[a", "a `[` is not closed"),
        (b"[b-a]", "a range in `[]` ends before it begins"),
        (b"[[:none:]]", "there is no class [:none:]"),
        (b"a\\", "a backslash stands at its end"),
        (b"(a)\\1", "`\\1` is not supported"),
        (b"\\<a", "`\\<` is not supported"),
        (b"((a{100}){100}){100}", "it is too large; repeat less often"),
        (b"(" * 10_000, f"more than {DEPTH_LIMIT} parentheses stand in each other"),
    ],
)
def test_what_cannot_be_used_is_refused_at_once_with_a_reason(pattern: bytes, reason: str) -> None:
    before = time.monotonic()
    with pytest.raises(EreError) as error:
        Ere(pattern)
    assert str(error.value) == reason
    assert time.monotonic() - before < 1


@pytest.mark.parametrize(
    "pattern", [b"(a*)*b", b"(a|a)*b", b"(a|aa)+$x", b"a*a*a*a*a*b", b"(.*)*x"]
)
def test_what_makes_others_hang_costs_nothing(pattern: bytes) -> None:
    before = time.monotonic()
    assert not Ere(pattern).search(b"a" * 16384)
    assert time.monotonic() - before < 0.5


def test_an_answer_made_for_it_ends_a_search_that_costs_too_much() -> None:
    chance = random.Random(7)
    expression = Ere(b"[ab]*a[ab]{400}c")
    before = time.monotonic()
    with pytest.raises(TooCostly):
        expression.search(bytes(chance.choice(b"ab") for _unused in range(16384)))
    assert time.monotonic() - before < 1


def test_what_is_remembered_of_old_searches_stays_small() -> None:
    chance = random.Random(7)
    expression = Ere(b"a[ab]{12}c")
    for _unused in range(20):
        expression.search(bytes(chance.choice(b"ab") for _unused in range(500)))
    assert len(expression._states) <= STATES_KEPT


def test_an_answer_may_come_in_any_pieces() -> None:
    whole = b"HTTP/1.1 200 OK\r\nx: needle in the hay\r\n"
    for size in range(1, len(whole)):
        search = Search(Ere(b"^HTTP/1.[01] 200 .*needle"))
        pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
        answers = [search.feed(piece) for piece in pieces]
        assert answers.index(True) == (whole.index(b"needle") + 5) // size
    end = Search(Ere(b"OK$"))
    assert [end.feed(piece) for piece in (b"O", b"K", b"\n")] == [False, True, False]
