# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A terminal on which lines are shown again and again: `piranha status --watch`.

It shows lines and restores the terminal; what they say is made elsewhere.
"""

from __future__ import annotations

import re
import shutil
from types import TracebackType
from typing import Self, TextIO

# A screen of its own, so that nothing of what was there before is lost; and no cursor.
ENTER, LEAVE = "\033[?1049h\033[?25l", "\033[?25h\033[?1049l"
EMPTY = "\033[H\033[J"
COLOUR = re.compile("\033\\[[0-9;]*m")


class Screen:
    """The terminal behind a stream, for the length of a `with`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __enter__(self) -> Self:
        self._stream.write(ENTER)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.write(LEAVE)
        self._stream.flush()

    def show(self, lines: list[str]) -> None:
        """Put these lines in place of the last ones, as far as the terminal is high."""
        columns, rows = shutil.get_terminal_size()
        self._stream.write(EMPTY + "\n".join(fit(lines, columns, rows)))
        self._stream.flush()


def fit(lines: list[str], columns: int, rows: int) -> list[str]:
    """Give the lines that fit; of more, the first ones and how many are left out. Pure."""
    needed = [max(1, -(-len(COLOUR.sub("", line)) // columns)) for line in lines]
    if sum(needed) <= rows:
        return lines
    kept = used = 0
    while used + needed[kept] < rows:
        used += needed[kept]
        kept += 1
    return [*lines[:kept], f"... {len(lines) - kept} more lines: piranha status | less"]
