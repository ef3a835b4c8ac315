# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide whether what a real server sends is what was expected, piece by piece.

Pure, and never touches a socket: whoever holds the socket feeds bytes, the end of the stream or
the end of time, and gets an Outcome as soon as there is one.
"""

from __future__ import annotations

from functools import lru_cache

from piranha.core.lvs_cf.ere import Ere, EreError, Search, TooCostly

from .outcome import Outcome, bad, duration, good, shown
from .spec import Expectation, Match

REGEX_BUFFER = 16 * 1024
"""Bytes of an answer that a regular expression is searched in; an endless answer ends there."""


class Answer:
    """Collects one answer. `data` never grows beyond what the comparison can use."""

    def __init__(self, expectation: Expectation) -> None:
        """Wait for an answer that meets `expectation`."""
        self._expectation = expectation
        self._wanted = {
            Match.ANY: 1,
            Match.PREFIX: len(expectation.value),
            Match.REGEX: REGEX_BUFFER,
        }[expectation.match]
        self.data = b""
        self._search: Search | None = None

    def room(self) -> int:
        """Tell how many more bytes are of any use (at least 1 until there is an outcome)."""
        # An answer is shown to people, so that a few more bytes than compared are welcome.
        return max(self._wanted, 64) - len(self.data)

    def feed(self, piece: bytes) -> Outcome | None:
        """Add what has arrived; gives an outcome, or None while more is needed."""
        self.data += piece
        if self._expectation.match is Match.PREFIX:
            return self._compare_prefix()
        if self._expectation.match is Match.REGEX:
            return self._look_for(piece)
        return self._met() if self.data else None

    def closed(self) -> Outcome:
        """The server has ended its answer."""
        if self._expectation.match is Match.ANY:
            return good("closed the connection, which counts as an answer")
        if not self.data:
            return bad("closed the connection without an answer")
        wanted = shown(self._expectation.value)
        if self._expectation.match is Match.REGEX:
            return bad(f"answer {shown(self.data)} does not match {wanted}")
        return bad(f"closed the connection after {shown(self.data)}, expected {wanted}")

    def late(self, limit: float) -> Outcome:
        """Time is up (`limit` seconds)."""
        if not self.data:
            return bad(f"connected, but no answer within {duration(limit)}")
        wanted = shown(self._expectation.value)
        verb = "matched" if self._expectation.match is Match.REGEX else "completed"
        return bad(
            f"answer {shown(self.data)} was not {verb} within {duration(limit)}, expected {wanted}"
        )

    def _met(self) -> Outcome:
        """Tell the first line: what follows says little, and a header `Date` each time another."""
        line = self.data.lstrip(b"\r\n").partition(b"\n")[0].removesuffix(b"\r")
        return good(f"answered {shown(line or self.data)}")

    def _compare_prefix(self) -> Outcome | None:
        wanted = self._expectation.value
        if self.data.startswith(wanted):
            return self._met()
        if wanted.startswith(self.data):
            return None
        began = shown(self.data[: len(wanted)])
        return bad(f"answer began with {began} instead of {shown(wanted)}")

    def _look_for(self, piece: bytes) -> Outcome | None:
        wanted = self._expectation.value
        try:
            if self._search is None:
                self._search = Search(_compiled(wanted))
            if self._search.feed(piece):
                return self._met()
        except EreError as error:
            return bad(f"expect {shown(wanted)} is no regular expression: {error}")
        except TooCostly:
            return bad(f"answer {shown(self.data)} is too costly to match with {shown(wanted)}")
        if len(self.data) >= REGEX_BUFFER:
            return bad(f"nothing in the first {REGEX_BUFFER} bytes matches {shown(wanted)}")
        return None


@lru_cache(maxsize=256)
def _compiled(pattern: bytes) -> Ere:
    """Compile an expression once, however many servers it is used for."""
    return Ere(pattern)
