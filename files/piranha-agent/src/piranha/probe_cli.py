# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `piranha probe`: waits until this router does its work, after a change."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from piranha.control.client import Client

OK, PROBLEM = 0, 1
WITHIN = 30.0
GLANCE = 0.25

Add = Callable[..., "argparse.ArgumentParser"]
WithPulse = Callable[..., int]


def register(
    commands: Any, add: Add, with_pulse: WithPulse, seconds: Callable[[str], float]
) -> None:
    """Add the command. add: makes one; with_pulse: runs work with a client; seconds: reads them."""

    def run(options: argparse.Namespace) -> int:
        return with_pulse(options.run_dir, lambda client: probe(client, options.within))

    command = add(commands, "probe", run, "wait until this router does its work, after a change")
    command.description = (
        "Wait until this router does its work: its parts run, it is active or standby, and each "
        "virtual service has a real server that a check of this router, begun after this command, "
        "has found well; failover services run or are stopped, as they should. What the partner "
        "does is not asked. Servers that are drained or have the weight 0 are not waited for. "
        "If it is not so in time, the command says what is missing."
    )
    command.add_argument(
        "--within",
        type=seconds,
        default=WITHIN,
        metavar="SECONDS",
        help="how long it may take (%(default)g); more than the time between two checks",
    )


def probe(client: Client, within: float) -> int:
    """Ask until nothing is missing, or the seconds are over; gives the exit status."""
    from piranha.control.probe import missing

    since, end = time.time(), time.monotonic() + within
    while told := missing(client.ask("status"), since):
        if time.monotonic() >= end:
            for sentence in told:
                print(f"piranha: {sentence}", file=sys.stderr)
            return PROBLEM
        time.sleep(GLANCE)
    print("this router does its work")
    return OK
