# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the person at the keyboard sees: headings, lines with the time, and the closing table."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TextIO

WIDTH = 100


@dataclass(frozen=True)
class Shown:
    """One thing that the demo shows: what, the figure measured, and whether it held."""

    what: str
    figure: str
    held: bool


class Screen:
    """Writes lines, each with the minutes and seconds since the start."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._start = time.monotonic()
        self._step = 0

    def elapsed(self) -> float:
        """Give the seconds since the start."""
        return time.monotonic() - self._start

    def heading(self, title: str) -> None:
        """Begin a step."""
        self._step += 1
        text = f"{self._step}. {title}"
        self._write(f"\n{clock(self.elapsed())} {text}\n        {'-' * len(text)}")

    def say(self, text: str) -> None:
        """Write one line, or several, of the step."""
        for line in text.splitlines() or [""]:
            self._write(f"{clock(self.elapsed())}   {line}"[: WIDTH + 60])

    def plain(self, text: str) -> None:
        """Write text as it is."""
        self._write(text)

    def _write(self, text: str) -> None:
        print(text, file=self._out, flush=True)


def clock(seconds: float) -> str:
    """Give seconds as [MM:SS]."""
    whole = int(seconds)
    return f"[{whole // 60:02d}:{whole % 60:02d}]"


def table(rows: list[Shown]) -> str:
    """Put the closing table together."""
    what = max([len(row.what) for row in rows], default=0)
    lines = [
        f"  {'yes' if row.held else 'NO ':<4} {row.what:<{what}}  {row.figure}" for row in rows
    ]
    rule = "-" * min(WIDTH, max([len(line) for line in lines], default=0))
    return "\n".join([f"  held {'what was shown':<{what}}  figure", rule, *lines, rule])
