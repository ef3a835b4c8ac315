# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""lvsd's part of load_monitor: the clock and the questions of busy.py, and where news of it go."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from piranha.load.asker import Asker
from piranha.load.judgement import Answer
from piranha.load.question import Question

from . import words
from .busy import Busy
from .layout import Layout, ServerId

OnShares = Callable[[Mapping[ServerId, int]], None]
"""Told how many percent of their weight some servers have from now on."""


class LoadWatch:
    """Asks the servers of a layout for their load."""

    def __init__(self, on_shares: OnShares, tell: Callable[[words.Event], None]) -> None:
        """Nobody is asked before `configure`."""
        self._on_shares = on_shares
        self._tell = tell
        self.busy = Busy()
        self._asker = Asker(self._on_answer)

    def configure(self, layout: Layout) -> None:
        """Ask the servers of another layout."""
        shares = self.busy.configure(layout)
        if shares:
            self._on_shares(shares)
        self._asker.want(self.busy.questions)

    async def stop(self) -> None:
        """Ask nobody any more."""
        await self._asker.stop()

    def _on_answer(self, question: Question, answer: Answer | str) -> None:
        shares, told = self.busy.record(question, answer, time.monotonic())
        for event in told:
            self._tell(event)
        if shares:
            self._on_shares(shares)
