# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `piranha nanny`: one check by hand, or the original's nanny, which obeys signals.

By hand it asks no running agent (nanny/command.py makes the check). With --follow it checks nothing
itself: it shows what lvsd finds, and turns the original's three signals into orders for it.
"""

from __future__ import annotations

import argparse
import os
import pwd
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from piranha.control.client import Client

OK, MISUSED = 0, 2
LOOK = 1.0
"""Seconds between two looks at the server's state."""

ORDERS = {
    signal.SIGUSR1: "disabled",
    signal.SIGUSR2: "forced_up",
    signal.SIGHUP: "enabled",
}
"""What the original's signals mean, in the words of lvsd's orders."""

State = tuple[object, ...]
"""Of one server in one virtual service, all whose change is told."""

Command = Callable[..., argparse.ArgumentParser]
WithPulse = Callable[..., int]


def register(
    commands: Any, command: Command, config: Callable[..., None], with_pulse: WithPulse
) -> None:
    """Add the command. command, config: what cli.py adds commands and -c with."""

    def run(options: argparse.Namespace) -> int:
        if options.follow:
            return with_pulse(options.run_dir, lambda client: follow(client, options.server))
        return _check(options.config, options.server)

    nanny = command(
        commands, "nanny", run, "check real servers once, by hand, and explain the outcome"
    )
    nanny.description = (
        "Make the check of a real server once, as lvsd would, and explain the outcome. Asks no "
        "running agent and changes nothing. With --follow, do as a nanny of old did: tell each "
        "change of one server as lvsd sees it, and obey signals: USR1 takes the server out "
        "whatever its checks say, USR2 lets it serve whatever they say, HUP takes both back. Each "
        "is an order like piranha disable, force-up and enable, and is kept when this command ends."
    )
    nanny.epilog = "exit status: 0 all passed, 1 one failed, 2 used wrongly or not to be checked"
    nanny.add_argument(
        "server",
        metavar="NAME",
        help="VIRTUAL/SERVER; VIRTUAL for all of its servers; a server's name or address:port;"
        " or a failover service",
    )
    nanny.add_argument(
        "-f", "--follow", action="store_true", help="go on, tell each change, and obey signals"
    )
    config(nanny)


def _check(config: Path, name: str) -> int:
    from piranha.fos import by_hand
    from piranha.nanny import command

    check = by_hand.run if by_hand.applies(config) else command.run
    status, lines = check(config, name)
    print("\n".join(lines), file=sys.stderr if status == MISUSED else sys.stdout)
    return status


def follow(client: Client, name: str) -> int:
    """Tell each change of a server until TERM comes or its terminal goes; carry signals out."""
    asked = whom(name)
    terminal = sys.stdin.isatty()
    # Before the first line: whoever has read it may send them.
    signal.pthread_sigmask(signal.SIG_BLOCK, {*ORDERS, signal.SIGTERM})
    told: list[State] = []
    while True:
        told = _tell(client.ask("servers", **asked)["servers"], told)
        sent = signal.sigtimedwait({*ORDERS, signal.SIGTERM}, LOOK)
        if sent is None:
            continue
        if sent.si_signo == signal.SIGTERM or (terminal and not sys.stdin.isatty()):
            return OK  # a HUP that a closing window sends orders nothing
        _order(client, asked, signal.Signals(sent.si_signo), sent.si_uid)


def whom(name: str) -> dict[str, str | None]:
    """Give the server, and the virtual service if `name` is VIRTUAL/SERVER."""
    virtual, slash, server = name.rpartition("/")
    return {"server": server, "virtual": virtual if slash else None}


def _tell(servers: list[dict[str, Any]], before: list[State]) -> list[State]:
    """Print what has changed; gives what to compare with the next time."""
    from piranha.control import render

    now: list[State] = []
    for one in servers:
        place = (one.get("virtual"), one.get("name"))
        now.append((*place, one.get("state"), one.get("since"), one.get("weight")))
        if now[-1] not in before:
            clock = time.strftime("%Y-%m-%d %H:%M:%S")
            print(f"{clock}  {render.server_line(one)}", flush=True)
    return now


def _order(client: Client, asked: dict[str, str | None], sent: signal.Signals, uid: int) -> None:
    """Order what a signal means; a refusal is told and ends nothing."""
    from piranha import override_cli
    from piranha.control.client import Refused

    order = {"mode": ORDERS[sent], "reason": f"signal {sent.name} to nanny {os.getpid()}"}
    try:
        answer = client.ask("override", **asked, **order, by=_user(uid))
    except Refused as why:
        print(f"piranha: {why}", file=sys.stderr, flush=True)
        return
    override_cli.show(answer)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
