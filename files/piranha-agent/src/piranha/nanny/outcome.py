# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one check gave, as plain data and in an operator's words.

Pure. Says nothing about what follows from it (verdict.py).
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

SHOWN_BYTES = 60
"""How much of an answer a message repeats; more would drown the reason."""


class Finding(Enum):
    """A check's result. UNKNOWN: this router could not check, which is no sign of the server."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"


class Outcome(NamedTuple):
    """A result and its reason in words (no full stop, lower case: it stands after a colon).

    share: percent of the configured weight that the server asks for. warning: what will go wrong
    though all is well now, as words. quiet: what it says is told in another place, once for all.
    """

    finding: Finding
    words: str
    share: int | None = None
    warning: str | None = None
    quiet: bool = False


class Result(NamedTuple):
    """An outcome, when the check began (monotonic seconds) and how long it took (seconds)."""

    outcome: Outcome
    at: float
    seconds: float


def good(words: str) -> Outcome:
    """The server passed."""
    return Outcome(Finding.GOOD, words)


def bad(words: str) -> Outcome:
    """The server failed."""
    return Outcome(Finding.BAD, words)


def unknown(words: str, *, quiet: bool = False) -> Outcome:
    """The check could not be made."""
    return Outcome(Finding.UNKNOWN, words, quiet=quiet)


def duration(seconds: float) -> str:
    """`2 s`, `0.25 s`."""
    return f"{seconds:g} s"


def shown(data: bytes, most: int = SHOWN_BYTES) -> str:
    r"""Give bytes as one printable line in quotes, `"HTTP/1.1 200 OK\r\n"`, cut if long."""
    text = data[:most].decode("utf-8", "backslashreplace")
    escaped = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text.replace("\\", "\\\\").replace('"', '\\"')
    )
    more = "..." if len(data) > most else ""
    return f'"{escaped}"{more}'
