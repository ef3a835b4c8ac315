# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which commands of the user are run at a change of state, and with which facts. Pure.

The rules, in words:

1. What counts is what a router is for others: active, standby, fault or stopped. That it doubts or
   is contested is a heart's own matter. But one that keeps the addresses though its partner had
   them too runs its commands again: whoever let go has undone something that may be common. The
   heart counts how often that was (`wins`): it may know only afterwards, without a contest.
2. active_cmd, inactive_cmd or fault_cmd comes first, then notify_cmd; one at a time.
3. While commands run, changes wait; of several that wait only the newest counts.
4. Groups of failover services that move alone have a state each, and commands run for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from piranha.commands.command import Command, split
from piranha.core.lvs_cf.config import Section

ACTIVE, STANDBY, FAULT, STOPPED = "active", "standby", "fault", "stopped"

PUBLIC: Mapping[str, str] = {
    "standby": STANDBY,
    "active": ACTIVE,
    "contested": ACTIVE,
    "doubt": ACTIVE,
    "fault": FAULT,
    "stopped": STOPPED,
}
"""What each state of the heart is for others; states that are not here (new) are nothing yet."""


@dataclass(frozen=True)
class Commands:
    """What lvs.cf says: a command for each state, one for every change, and seconds for each."""

    by_state: Mapping[str, tuple[str, ...]]
    notify: tuple[str, ...]
    limit: float

    @classmethod
    def of(cls, section: Section) -> Commands:
        """Take them out of the global directives."""
        inactive = split(section.text("inactive_cmd"))
        return cls(
            by_state={
                ACTIVE: split(section.text("active_cmd")),
                STANDBY: inactive,
                # Whoever is in fault or has stopped is not active either.
                FAULT: split(section.text("fault_cmd")) or inactive,
                STOPPED: inactive,
            },
            notify=split(section.text("notify_cmd")),
            limit=section.seconds("cmd_timeout") or 0.0,
        )

    @property
    def any(self) -> bool:
        """Whether there is anything to run at all."""
        return bool(self.notify) or any(self.by_state.values())


NO_COMMANDS = Commands(dict.fromkeys((ACTIVE, STANDBY, FAULT, STOPPED), ()), (), 0.0)

_NAMES = {
    ACTIVE: "active_cmd",
    STANDBY: "inactive_cmd",
    FAULT: "fault_cmd",
    STOPPED: "inactive_cmd",
}


@dataclass(frozen=True)
class Change:
    """A change of state that commands are run for."""

    state: str
    raw: str
    """The heart's own word."""
    facts: Mapping[str, str]


def facts(heart: Mapping[str, Any], config: str, before: Mapping[str, str]) -> dict[str, str]:
    """Give the environment's facts out of a snapshot of the heart. before: the facts told last."""
    peer = heart.get("peer")
    peer = peer if isinstance(peer, dict) else {}
    held = " ".join(
        f"{one.get('address')}/{one.get('prefix')}"
        for one in heart.get("addresses") or ()
        if isinstance(one, dict)
    )
    return {
        "PIRANHA_STATE": PUBLIC.get(str(heart.get("state")), ""),
        "PIRANHA_REASON": str(heart.get("reason") or ""),
        "PIRANHA_ROLE": str(heart.get("role") or before.get("PIRANHA_ROLE", "")),
        "PIRANHA_PARTNER": str(peer.get("address") or before.get("PIRANHA_PARTNER", "")),
        "PIRANHA_PARTNER_STATE": str(peer.get("state") or ""),
        "PIRANHA_ADDRESSES": held or before.get("PIRANHA_ADDRESSES", ""),
        "PIRANHA_CONFIG": config,
        "PIRANHA_GROUP": str(heart.get("group") or ""),
    }


def views(heart: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Give a snapshot of the heart as each group of failover services would see it, by its name.

    Where there is but one, or none, that is the heart's own.
    """
    listed = heart.get("groups")
    groups = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    if len(groups) <= 1:
        name = str(groups[0].get("name") or "") if groups else ""
        return {name: {**heart, "group": name}}
    peer = heart.get("peer")
    return {
        str(one.get("name")): {
            **heart,
            "group": one.get("name"),
            "state": one.get("state"),
            "wins": one.get("wins"),
            "addresses": one.get("addresses") if one.get("holding") else [],
            "peer": {**peer, "state": one.get("partner")} if isinstance(peer, dict) else None,
        }
        for one in groups
    }


def fallen(heart: Mapping[str, Any], why: str) -> dict[str, Any]:
    """Give what is left of a snapshot when somebody has let go for the heart."""
    fault = {"state": FAULT, "holding": False}
    listed = heart.get("groups") or ()
    return {**heart, **fault, "reason": why, "groups": [{**one, **fault} for one in listed]}


class Queue:
    """Which change is next. `see` takes every snapshot of the heart, `take` gives what to run."""

    def __init__(self, config: str) -> None:
        self._config = config
        self._raw = ""
        self._wins: object = 0
        self._facts: dict[str, str] = {}
        self._waiting: Change | None = None
        self._told = ""

    def see(self, heart: Mapping[str, Any]) -> bool:
        """Take a snapshot; True where commands are to be run for it."""
        raw = str(heart.get("state"))
        state = PUBLIC.get(raw)
        self._facts = facts(heart, self._config, self._facts)
        # A heart that was started again counts from 0.
        wins = heart.get("wins") or 0
        won, self._wins = wins not in (0, self._wins), wins
        if state is None:
            return False
        before, self._raw = self._raw, raw
        if PUBLIC.get(before) == state and not (won and raw == ACTIVE):
            return False
        self._waiting = Change(state, raw, self._facts)
        return True

    def take(self, commands: Commands) -> list[Command]:
        """Give the commands for the newest change that waits; none where nothing does."""
        change, self._waiting = self._waiting, None
        if change is None:
            return []
        known = {**change.facts, "PIRANHA_OLD_STATE": self._told}
        self._told = change.state
        wanted = [(_NAMES[change.state], commands.by_state[change.state])]
        wanted.append(("notify_cmd", commands.notify))
        return [Command(name, argv, commands.limit, known) for name, argv in wanted if argv]
