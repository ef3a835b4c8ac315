# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets heart and fos know of each other: where the addresses are, and what the services do.

Neither waits for the other, and neither is asked for a decision here.

    heart -> fos   whether the addresses are here, what the partner is and says of its services
    fos -> heart   what the partner is to be told; that the addresses are of no use here any more
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from piranha.pulse.ward import Ward

LIMIT = 5.0
"""Seconds for an answer; what was not answered is said again with the next news."""

Start = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]
"""Begins a task that somebody else keeps."""


def role(heart: Mapping[str, Any]) -> dict[str, Any]:
    """Give what fos is told, out of a snapshot of the heart."""
    peer = heart.get("peer")
    known = peer if isinstance(peer, dict) else {}
    return {
        "holding": heart.get("holding") is True,
        "partnered": isinstance(peer, dict),
        "partner": known.get("state"),
        "word": known.get("services"),
    }


class Pairing:
    """The two children of one pulse. start: runs what is asked beside everything else."""

    def __init__(self, heart: Ward, fos: Ward, start: Start) -> None:
        self._heart, self._fos, self._start = heart, fos, start
        self._said: dict[str, object] = {}

    def look(self) -> None:
        """One of the two has said something: hand on what is news for the other."""
        heart, fos = self._heart, self._fos
        if heart.state is not None and heart.state.get("state") not in (None, "new"):
            self._ask(fos, "role", role(heart.state))
        if fos.state is None:
            return
        if isinstance(word := fos.state.get("word"), dict):
            self._ask(heart, "say", word)
        released = fos.state.get("released")
        if not released:
            self._said.pop("unfit", None)
        elif heart.state is not None and heart.state.get("holding") is True:
            self._ask(heart, "unfit", {"why": str(released)})

    def resigned(self) -> None:
        """The addresses have been removed in the heart's place: nothing may run here."""
        self._heart.state = None
        self._ask(self._fos, "role", {**role({}), "partnered": True})

    def _ask(self, ward: Ward, do: str, arguments: dict[str, Any]) -> None:
        # A child that was started again has heard nothing yet.
        news = (arguments, ward.child.starts)
        if ward.process is None or self._said.get(do) == news:
            return
        self._said[do] = news

        async def ask() -> None:
            answer = await ward.request(do, LIMIT, arguments)
            if answer.get("ok") is not True and self._said.get(do) == news:
                del self._said[do]

        self._start(ask)
