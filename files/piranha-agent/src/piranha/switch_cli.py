# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `piranha switchover`: asks the active router to let its partner take over."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from piranha.control.client import Client

OK, PROBLEM = 0, 1
PATIENCE = 10.0
"""Seconds in which the partner must have taken over; it takes milliseconds, or a dead time."""
GLANCE = 0.1

Add = Callable[..., argparse.ArgumentParser]
WithPulse = Callable[..., int]


def register(commands: Any, add: Add, with_pulse: WithPulse) -> None:
    """Add the command. add: makes one; with_pulse: runs work with a client."""

    def run(options: argparse.Namespace) -> int:
        return with_pulse(options.run_dir, lambda client: switch(client, options.group))

    command = add(commands, "switchover", run, "let the partner take over, connections first")
    command.description = (
        "Let the partner take the virtual addresses over. To be said on the active router, which "
        "hands its open connections over, lets go, and stays as standby. Refused where the partner "
        "is not able to take over. If it has not taken over within the dead time, this router "
        "takes the addresses back. Failover services are stopped here before their addresses go, "
        "and started there."
    )
    command.add_argument(
        "group",
        nargs="?",
        metavar="GROUP",
        help="only this group of failover services (default: all that this router has)",
    )


def switch(client: Client, group: str | None = None) -> int:
    """Ask for it and tell what came of it; gives the exit status. group: of failover services."""
    asked = client.ask("switchover", **({} if group is None else {"group": group}))
    groups = asked.get("groups")
    limit = PATIENCE + (asked.get("limit") or 0.0)
    end = time.monotonic() + limit
    while True:
        found = client.ask("status", detail=False)
        if not under_way(found, groups) or time.monotonic() >= end:
            break
        time.sleep(GLANCE)
    said, status = outcome(found.get("heart") or {}) if groups is None else moved(found, groups)
    for sentence in asked.get("refused") or ():
        print(f"piranha: {sentence}", file=sys.stderr)
        status = PROBLEM
    print(said, file=sys.stdout if status == OK else sys.stderr)
    return status


def under_way(found: dict[str, Any], groups: list[str] | None) -> bool:
    """Whether a status shows that it is not over yet. groups: those that move, under fos."""
    heart = found.get("heart") or {}
    if groups is None:
        return bool(heart.get("state") == "yielded")
    fos = {one["name"]: one for one in (found.get("fos") or {}).get("groups") or ()}
    for one in heart.get("groups") or ():
        name = one.get("name")
        moving = bool(fos.get(name, {}).get("moving"))
        # A goodbye makes the partner silent for a moment, until it says that it has taken over.
        waits = not one.get("holding") and one.get("partner") not in ("active", "fault")
        if name in groups and (moving or one.get("state") == "yielded" or waits):
            return True
    return False


def moved(found: dict[str, Any], groups: list[str]) -> tuple[str, int]:
    """Give the sentence and the exit status for groups of failover services that were to move."""
    heart = found.get("heart") or {}
    partner = (heart.get("peer") or {}).get("address", "the partner")
    listed = {one.get("name"): one for one in heart.get("groups") or ()}
    mine = [name for name in groups if listed.get(name, {}).get("holding")]
    theirs = [name for name in groups if listed.get(name, {}).get("partner") == "active"]
    if set(theirs) == set(groups):
        return f"{partner} has {named(groups)} now", OK
    if mine:
        return f"piranha: {named(mine)} stayed here; see piranha status", PROBLEM
    lost = [name for name in groups if name not in theirs]
    return f"piranha: {partner} has not taken {named(lost)}; see piranha status", PROBLEM


def named(groups: list[str]) -> str:
    """Name some groups of failover services."""
    names = [name for name in groups if name]
    if not names:
        return "the failover services"
    label = f"group {names[0]}" if len(names) == 1 else f"groups {', '.join(names)}"
    return f"{label} and the services without a group" if "" in groups else label


def outcome(heart: dict[str, Any]) -> tuple[str, int]:
    """Give the sentence and the exit status for what the heart is when all is over."""
    peer = heart.get("peer") or {}
    partner = peer.get("address", "the partner")
    if heart.get("state") == "standby" and peer.get("state") == "active":
        return f"{partner} has taken over; this router is standby", OK
    if heart.get("holding"):
        return f"piranha: {partner} did not take over; this router has the addresses", PROBLEM
    state, other = heart.get("state", "unknown"), peer.get("state", "unknown")
    return f"piranha: this router is {state}, and {partner} {other}; see piranha status", PROBLEM
