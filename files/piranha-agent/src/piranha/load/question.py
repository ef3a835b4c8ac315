# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the directives to the question that is put to one real server about its load. Pure.

A question is an argument list; no shell sees it. Two servers with equal questions are asked once.
"""

from __future__ import annotations

from dataclasses import dataclass

UPTIME = "uptime"
NONE = "none"
ADDRESS = "%h"


@dataclass(frozen=True)
class Question:
    """Whom to ask and how often.

    command: prints the load. processors: how many the server has; None: ask `count`, or take 1
    where there is none. interval, limit: seconds between two questions, and for one.
    """

    command: tuple[str, ...]
    interval: float
    limit: float
    processors: int | None = None
    count: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Wish:
    """The directives of one virtual service about load."""

    monitor: str
    rsh: str
    interval: float
    limit: float


def question(wish: Wish | None, address: str, processors: int | None) -> Question | None:
    """Give the question for one real server; None where nobody wants to know."""
    words = tuple(wish.monitor.split()) if wish is not None else ()
    if wish is None or not words or words == (NONE,):
        return None
    limit = min(wish.limit, wish.interval)
    if words == (UPTIME,):
        command = (*_remote(wish.rsh, limit, address), UPTIME)
        count = (*command[:-1], "nproc") if processors is None else None
        return Question(command, wish.interval, limit, processors, count)
    if ADDRESS in words:
        command = tuple(address if word == ADDRESS else word for word in words)
    else:
        command = (*words, address)
    return Question(command, wish.interval, limit, processors or 1)


def _remote(rsh: str, limit: float, address: str) -> tuple[str, ...]:
    """A command runs on the server; ssh is kept from asking anybody anything."""
    words = tuple(rsh.split()) or ("ssh",)
    if words[0].rpartition("/")[2] != "ssh":
        return (*words, address)
    patience = max(1, int(limit))
    return (*words, "-o", "BatchMode=yes", "-o", f"ConnectTimeout={patience}", "--", address)
