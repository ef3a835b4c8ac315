# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the heart says to pulse: events, snapshots, ticks, answers. It never waits for pulse."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

from piranha.control.link import Link


class Reporter:
    """The heart's voice. Whatever pulse does not fetch in time is dropped."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._known: list[str] = []
        """The problems of the snapshot before."""

    def log(self, level: str, text: str) -> None:
        """Tell an event; an empty text is none."""
        if text:
            self._link.send({"event": {"level": level, "text": text}})

    def state(self, state: dict[str, Any], logged: Collection[str]) -> None:
        """Tell a snapshot, and log each of its problems that is new.

        logged: problems that stand in the log already.
        """
        for problem in state["problems"]:
            if problem not in self._known and problem not in logged:
                self.log("warning", problem)
        self._known = list(state["problems"])
        self._link.send({"state": state})

    def tick(self) -> None:
        """Tell that all is well at this moment."""
        self._link.send({"tick": time.monotonic()})

    def answer(self, ask: object, error: str | None = None) -> None:
        """Answer a request: done, or why not."""
        if error is None:
            self._link.send({"answer": ask, "ok": True, "result": {}})
        else:
            self._link.send({"answer": ask, "ok": False, "error": error})
