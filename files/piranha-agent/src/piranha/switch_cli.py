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
        return with_pulse(options.run_dir, switch)

    command = add(commands, "switchover", run, "let the partner take over, connections first")
    command.description = (
        "Let the partner take the virtual addresses over. To be said on the active router, which "
        "hands its open connections over, lets go, and stays as standby. Refused where the partner "
        "is not able to take over. If it has not taken over within the dead time, this router "
        "takes the addresses back."
    )


def switch(client: Client) -> int:
    """Ask for it and tell what came of it; gives the exit status."""
    client.ask("switchover")
    end = time.monotonic() + PATIENCE
    while True:
        heart = client.ask("status", detail=False).get("heart") or {}
        if heart.get("state") != "yielded" or time.monotonic() >= end:
            break
        time.sleep(GLANCE)
    said, status = outcome(heart)
    print(said, file=sys.stdout if status == OK else sys.stderr)
    return status


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
