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
    """Give what fos is told, out of a snapshot of the heart: a role for each group."""
    return {
        "partnered": isinstance(heart.get("peer"), dict),
        "groups": {
            str(group.get("name")): {
                "holding": group.get("holding") is True,
                "partner": group.get("partner"),
                "word": group.get("services"),
            }
            for group in _groups(heart)
        },
    }


def _groups(state: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = state.get("groups")
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


class Pairing:
    """The two children of one pulse. start: runs what is asked beside everything else."""

    def __init__(self, heart: Ward, fos: Ward, start: Start) -> None:
        self._heart, self._fos, self._start = heart, fos, start
        self._said: dict[str, object] = {}
        self._known: set[str] = set()
        """The groups that the heart spoke of last."""

    def look(self) -> None:
        """One of the two has said something: hand on what is news for the other."""
        heart, fos = self._heart, self._fos
        if heart.state is not None and heart.state.get("state") not in (None, "new"):
            self._known = {str(one.get("name")) for one in _groups(heart.state)}
            self._ask(fos, "role", role(heart.state))
        if fos.state is None:
            return
        groups = _groups(fos.state)
        here = {str(one.get("name")): one.get("holding") for one in _groups(heart.state or {})}
        # A group that a reload adds may be in fos first: the heart is told when it has it too.
        words = {name: one.get("word") for one in groups if (name := str(one.get("name"))) in here}
        if words:
            self._ask(heart, "say", {"groups": words})
        for one in groups:
            self._let_go(str(one.get("name")), one, here)

    def _let_go(self, name: str, group: Mapping[str, Any], here: Mapping[str, Any]) -> None:
        """The services of a group are stopped, and its addresses are to go to the partner."""
        why, key = group.get("released"), f"release {name}"
        if not why:
            self._said.pop(key, None)
        elif here.get(name) is True:
            # An operator's wish is no fault of this router.
            do = "switchover" if group.get("asked") else "unfit"
            self._ask(self._heart, do, {"group": name, "why": str(why)}, key)

    def resigned(self) -> None:
        """The addresses have been removed in the heart's place: nothing may run here."""
        nowhere = {"holding": False, "partner": None, "word": None}
        known = {str(one.get("name")) for one in _groups(self._heart.state or {})} | self._known
        self._heart.state = None
        groups = dict.fromkeys(sorted(known), nowhere)
        self._ask(self._fos, "role", {"partnered": True, "groups": groups})

    def _ask(self, ward: Ward, do: str, arguments: dict[str, Any], key: str = "") -> None:
        # A child that was started again has heard nothing yet.
        key, news = key or do, (arguments, ward.child.starts)
        if ward.process is None or self._said.get(key) == news:
            return
        self._said[key] = news

        async def ask() -> None:
            answer = await ward.request(do, LIMIT, arguments)
            if answer.get("ok") is not True and self._said.get(key) == news:
                del self._said[key]

        self._start(ask)
