# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The difference of two texts as lines of a unified diff, quickly for large ones too; pure.

difflib alone takes minutes for 60,000 lines of which most look alike. Lines that stand exactly once
in both texts, such as addresses and names, are matched first (Bram Cohen's patience diff); difflib
sees only what is left between two of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any

CONTEXT = 3
MOST_AT_ONCE = 1500
"""Lines between two matches that difflib is given; a longer stretch counts as replaced."""

Opcode = tuple[str, int, int, int, int]


def unified(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    """Give the lines of the difference, without the two lines of head; nothing for equal texts."""
    for group in _Found(_merged(before, after)).get_grouped_opcodes(CONTEXT):
        yield (f"@@ -{_range(group[0][1], group[-1][2])} +{_range(group[0][3], group[-1][4])} @@")
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                yield from (f" {line}" for line in before[i1:i2])
                continue
            yield from (f"-{line}" for line in before[i1:i2])
            yield from (f"+{line}" for line in after[j1:j2])


class _Found(SequenceMatcher[str]):
    """difflib's grouping with context, of matches that are found already."""

    def __init__(self, found: list[Opcode]) -> None:
        super().__init__(None, "", "")
        self._found = found

    def get_opcodes(self) -> Any:
        """Give them."""
        return self._found


def _range(start: int, stop: int) -> str:
    """As diff writes it: first line and length, or the line before an empty range."""
    length = stop - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"


def _merged(before: Sequence[str], after: Sequence[str]) -> list[Opcode]:
    found: list[Opcode] = []
    i = j = 0
    for x, y in [*anchors(before, after), (len(before), len(after))]:
        for tag, i1, i2, j1, j2 in _between(before[i:x], after[j:y]):
            _add(found, (tag, i + i1, i + i2, j + j1, j + j2))
        if x < len(before):
            _add(found, ("equal", x, x + 1, y, y + 1))
        i, j = x + 1, y + 1
    return found


def _add(found: list[Opcode], one: Opcode) -> None:
    """Append, joined with the one before if that is alike."""
    tag, i1, i2, j1, j2 = one
    if i1 == i2 and j1 == j2:
        return
    if found and (found[-1][0] == "equal") == (tag == "equal"):
        _tag, first_i, _i, first_j, _j = found.pop()
        tag = "equal" if tag == "equal" else "replace"
        i1, j1 = first_i, first_j
    found.append((tag, i1, i2, j1, j2))


def _between(before: Sequence[str], after: Sequence[str]) -> list[Opcode]:
    if before == after:
        return [("equal", 0, len(before), 0, len(after))]
    if len(before) + len(after) > MOST_AT_ONCE:
        return [("replace", 0, len(before), 0, len(after))]
    return list(SequenceMatcher(None, before, after, autojunk=False).get_opcodes())


def anchors(before: Sequence[str], after: Sequence[str]) -> list[tuple[int, int]]:
    """Give the longest rising series of lines that stand once in each, as pairs of indices."""
    once = _once(after)
    places = [(i, once[line]) for line, i in _once(before).items() if line in once]
    ends: list[int] = []  # of the series of each length, the least last index in `after`
    members: list[int] = []
    previous: list[int] = []
    for number, (_i, j) in enumerate(places):
        length = bisect_left(ends, j)
        previous.append(members[length - 1] if length else -1)
        if length == len(ends):
            ends.append(j)
            members.append(number)
        else:
            ends[length], members[length] = j, number
    series = []
    number = members[-1] if members else -1
    while number >= 0:
        series.append(places[number])
        number = previous[number]
    return series[::-1]


def _once(lines: Sequence[str]) -> dict[str, int]:
    """The lines that stand exactly once, in their order, and where."""
    counted = Counter(lines)
    return {line: index for index, line in enumerate(lines) if counted[line] == 1}
