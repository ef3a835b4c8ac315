# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file as numbered lines, cut where findings begin and end, to be underlined. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from piranha.core.lvs_cf.findings import Finding

_END = re.compile(r"\r\n|\r|\n")
_WORSE = {"error": 2, "warning": 1, "advice": 0}


@dataclass(frozen=True)
class Piece:
    """A part of a line. severity: empty where nothing is to be said of it."""

    text: str
    severity: str = ""
    told: str = ""


@dataclass(frozen=True)
class Numbered:
    """One line. comment: it says nothing to the machine."""

    number: int
    pieces: tuple[Piece, ...]
    comment: bool
    told: tuple[tuple[str, str], ...]


def lines_of(text: str, findings: Iterable[Finding]) -> list[Numbered]:
    """Give the lines of a text."""
    by_line: dict[int, list[Finding]] = {}
    for one in findings:
        by_line.setdefault(one.line, []).append(one)
    raw = _END.split(text)
    if raw and not raw[-1]:
        raw.pop()
    return [
        Numbered(
            number,
            _pieces(line, by_line.get(number, [])),
            line.lstrip().startswith("#"),
            tuple((one.severity, one.sentence()) for one in by_line.get(number, ())),
        )
        for number, line in enumerate(raw, 1)
    ]


def _pieces(line: str, found: list[Finding]) -> tuple[Piece, ...]:
    """Cut a line; of findings that overlap the worse one counts."""
    if not found:
        return (Piece(line),)
    marks: list[Finding | None] = [None] * len(line)
    for one in sorted(found, key=lambda each: _WORSE.get(each.severity, 0)):
        start = max(0, one.column - 1)
        for at in range(start, min(len(line), start + max(1, one.length))):
            marks[at] = one
    pieces: list[Piece] = []
    begin = 0
    for at in range(1, len(line) + 1):
        if at == len(line) or marks[at] is not marks[begin]:
            mark = marks[begin] if line else None
            part = line[begin:at]
            pieces.append(
                Piece(part, mark.severity, mark.sentence()) if mark is not None else Piece(part)
            )
            begin = at
    return tuple(pieces) or (Piece(line),)
