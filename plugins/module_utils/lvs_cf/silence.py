# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings silenced by a comment in the file: `# piranha: ignore=A301,W305 reason`.

Behind a value it holds for that line. On a line of its own it holds for the next line that is
neither empty nor a comment. Where that line opens a block, or the comment stands behind its `{`,
it holds for the whole block. `ignore-file=` holds for the whole file. An error is never silenced;
a comment that silences nothing, or cannot, is itself worth a finding, so that none outlives its
reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from .document import ASSIGNMENT, BLANK, OPEN, Block, Document, Line
from .findings import CODES, ERROR, Finding, Place, finding, severity_of
from .lexer import cut

MARKER = "piranha:"
HOW = "write `# piranha: ignore=CODE reason`"
UNUSED, USELESS = "A901", "A902"
_COMMENT = re.compile(r"#+[ \t]*piranha:[ \t]*(.*)")
_WORDS = re.compile(r"ignore(-file)?[ \t]*=[ \t]*([^ \t]+)")
_NEVER = (UNUSED, USELESS)  # to silence these would only hide the comment's own fault


class Silence:
    """One code that a comment silences, the lines it holds for, and whether it was needed.

    `first` and `last` are line numbers, both included; first is 0 for the whole file.
    """

    __slots__ = ("code", "first", "last", "place", "used")

    def __init__(self, code: str, place: Place, first: int, last: int) -> None:
        self.code = code
        self.place = place
        self.first = first
        self.last = last
        self.used = False

    def covers(self, found: Finding) -> bool:
        """Whether the finding is one of those that the comment means."""
        if found.code != self.code:
            return False
        return not self.first or self.first <= found.line <= self.last


def heed(
    document: Document, findings: list[Finding], judged: Callable[[str], bool] = bool
) -> list[Finding]:
    """The findings without the silenced ones, and with what is wrong about the comments.

    `judged` tells which codes these findings were searched for: a comment for another code is
    neither needless nor heeded here. Mistakes in comments are told where silence.py itself is
    judged, so that a second search for other codes does not repeat them.
    """
    mistakes: list[Finding] = []
    silences = [one for one in _silences(document, mistakes) if judged(one.code)]
    by_code: dict[str, list[Silence]] = {}
    for one in silences:
        by_code.setdefault(one.code, []).append(one)
    kept = []
    for found in findings:
        covering = [one for one in by_code.get(found.code, ()) if one.covers(found)]
        for one in covering:
            one.used = True
        if not covering:
            kept.append(found)
    for one in silences:
        if not one.used:
            message = f"no finding {one.code} is there for this comment to silence"
            kept.append(finding(UNUSED, one.place, message, "remove the comment"))
    return kept + mistakes if judged(USELESS) else kept


def _silences(document: Document, mistakes: list[Finding]) -> Iterator[Silence]:
    return _in_block(document.root, mistakes)


def _in_block(block: Block, mistakes: list[Finding]) -> Iterator[Silence]:
    waiting: list[tuple[Line, int]] = []  # comments of their own, and where they begin
    if block.open is not None:
        yield from _behind(block.open, _extent(block), mistakes)
    for item in block.items:
        if isinstance(item, Line) and item.kind == BLANK:
            if MARKER in item.raw and item.raw.lstrip(" \t")[:1] == "#":
                waiting.append((item, item.raw.index("#")))
            continue
        here = (item.number, item.number) if isinstance(item, Line) else _extent(item)
        for line, start in waiting:
            yield from _read(line, start, here, mistakes)
        waiting = []
        if isinstance(item, Block):
            yield from _in_block(item, mistakes)
        else:
            yield from _behind(item, here, mistakes)
    after = block.close.number if block.close is not None else -1
    for line, start in waiting:
        yield from _read(line, start, (after, after), mistakes)


def _extent(block: Block) -> tuple[int, int]:
    """First and last line of a block."""
    first = last = 0
    for line in block.lines():
        first = first or line.number
        last = line.number
    return first, last


def _behind(line: Line, here: tuple[int, int], mistakes: list[Finding]) -> Iterator[Silence]:
    """The silences of a comment behind something."""
    if MARKER not in line.raw:
        return
    if line.kind == ASSIGNMENT:
        start = line.values().comment
    elif line.kind == OPEN:
        start = cut(line.raw, 0).comment
    else:
        return
    if start >= 0:
        yield from _read(line, start, here, mistakes)


def _read(
    line: Line, start: int, here: tuple[int, int], mistakes: list[Finding]
) -> Iterator[Silence]:
    """The silences of one comment; what is wrong with it goes to the mistakes."""
    comment = _COMMENT.match(line.raw, start)
    if not comment:
        return
    words = _WORDS.match(comment.group(1))
    if not words:
        place = Place(line.number, start + 1, len(line.raw.rstrip()) - start)
        mistakes.append(finding(USELESS, place, "this comment to us is not understood", HOW))
        return
    first, last = (0, 0) if words.group(1) else here
    position = comment.start(1) + words.start(2)
    for code in words.group(2).split(","):
        place = Place(line.number, position + 1, max(1, len(code)))
        position += len(code) + 1
        trouble = _trouble(code)
        if trouble:
            mistakes.append(finding(USELESS, place, *trouble))
        else:
            yield Silence(code, place, first, last)


def _trouble(code: str) -> tuple[str, str] | None:
    """Why a code cannot be silenced, and the remedy."""
    if code not in CODES:
        big = code.upper()
        remedy = f"did you mean `{big}`?" if big in CODES else "`piranha config explain` lists them"
        return f"`{code}` is no finding's code", remedy
    if severity_of(code) == ERROR:
        return f"{code} is an error, which no comment silences", "mend what it is about"
    if code in _NEVER:
        return f"{code} is about such comments and cannot be silenced", "mend the comment"
    return None
