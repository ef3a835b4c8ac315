# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands `piranha drain`, `disable`, `force-up`, `enable` and `weight`: one order each.

What an order means is decided in lvsd/orders.py; here are the words of the command line, waiting
for the last connection, and what is shown.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from piranha.control.client import Client

COMMANDS = {
    "drain": ("drained", "give a real server no new connections; those that it has live on"),
    "disable": ("disabled", "take a real server out for maintenance, whatever its checks say"),
    "force-up": ("forced_up", "let a real server serve though its checks fail"),
    "enable": ("enabled", "let a real server serve again as its checks and its weight say"),
    "weight": (None, "give a real server another weight than lvs.cf does"),
}
"""Command -> what it orders (None: no mode), and its help."""

HERE_ONLY = (
    "It is kept over restarts and reboots, until it is taken back. It holds on this router: "
    "say the same on the other one, or use the module piranha.lvs.piranha_server on both."
)
LOOK = 1.0
"""Seconds between two looks at the connections."""

OK, PROBLEM = 0, 1

Add = Callable[..., argparse.ArgumentParser]
WithPulse = Callable[..., int]


def register(commands: Any, add: Add, with_pulse: WithPulse) -> None:
    """Add these commands. add: makes one; with_pulse: runs work with a client."""
    for name, (mode, summary) in COMMANDS.items():

        def run(options: argparse.Namespace, mode: str | None = mode) -> int:
            return with_pulse(options.run_dir, lambda client: _order(client, options, mode))

        command = add(commands, name, run, summary)
        command.description = f"{command.description} {HERE_ONLY}"
        command.add_argument("server", metavar="SERVER", help="its name, address or address:port")
        if mode is None:
            command.add_argument(
                "weight",
                metavar="WEIGHT",
                type=_weight,
                help="0 to 65535 (0: no new connections), or configured for that of lvs.cf",
            )
        command.add_argument(
            "virtual",
            metavar="VIRTUAL",
            nargs="?",
            help="only in this virtual service; in every one that has it if not given",
        )
        command.add_argument(
            "-r", "--reason", default="", metavar="TEXT", help="why; status shows it"
        )
        command.add_argument("--by", metavar="NAME", help="who says so; you if not given")
        if name == "drain":
            command.add_argument(
                "--wait",
                type=float,
                metavar="SECONDS",
                help="wait until its connections have ended, at most that long",
            )
        command.add_argument(
            "-n", "--dry-run", action="store_true", help="say what would be done, and do nothing"
        )
        command.add_argument("--json", action="store_true", help="the answer as one JSON object")


def _weight(text: str) -> int | str:
    return text if text == "configured" else int(text)


def _who() -> str:
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return "root"


def _order(client: Client, options: argparse.Namespace, mode: str | None) -> int:
    asked = {"server": options.server, "virtual": options.virtual}
    answer = client.ask(
        "override",
        **asked,
        mode=mode,
        weight=getattr(options, "weight", None),
        reason=options.reason,
        by=options.by or _who(),
        dry_run=options.dry_run,
    )
    status = OK
    seconds = getattr(options, "wait", None)
    if seconds is not None and not options.dry_run:
        answer["left"] = _wait(client, asked, seconds, quiet=options.json)
        status = PROBLEM if answer["left"] else OK
    if options.json:
        print(json.dumps(answer, indent=2, sort_keys=True))
        return status
    show(answer, options.dry_run)
    if status == PROBLEM:
        print(f"piranha: {_words(answer['left'])} left; it stays drained", file=sys.stderr)
    return status


def show(answer: dict[str, Any], dry_run: bool = False) -> None:
    """Print what an order has done, and its warnings; at once, for whoever reads along."""
    for line in lines(answer, dry_run):
        print(line, flush=True)
    for warning in answer.get("warnings", ()):
        print(f"piranha: {warning}", file=sys.stderr, flush=True)


def lines(answer: dict[str, Any], dry_run: bool) -> list[str]:
    """Give what is shown of an answer: one line for each virtual service."""
    if not answer["servers"]:
        return ["no virtual service has it; the order is forgotten"]
    told = []
    for one in answer["servers"]:
        before, after = _said(one["before"]), _said(one["after"])
        if before == after:
            what = f"is {after} already" if not answer["changed"] else f"stays {after}"
        else:
            what = f"{'would be' if dry_run else 'is'} {after} (was {before})"
        told.append(f"{one['virtual']}: {one['server']} {one['address']} {what}")
    return told


def _said(state: dict[str, Any]) -> str:
    ordered = "" if state["weight_is"] == "configured" else ", ordered"
    return f"{state['mode'].replace('_', ' ')} with weight {state['weight']}{ordered}"


def _wait(client: Client, asked: dict[str, Any], seconds: float, quiet: bool) -> dict[str, int]:
    """Wait until nothing is left, at most `seconds`; gives what is left then."""
    end = time.monotonic() + seconds
    while True:
        left = client.ask("servers", **asked)["left"]
        if not isinstance(left, dict):
            return {}
        pause = min(LOOK, end - time.monotonic())
        if not left or pause <= 0:
            return left
        if not quiet:
            print(f"{_words(left)} left, {end - time.monotonic():.0f} s to go", flush=True)
        time.sleep(pause)


def _words(left: dict[str, int]) -> str:
    return " and ".join(f"{number} {kind} connections" for kind, number in left.items())
