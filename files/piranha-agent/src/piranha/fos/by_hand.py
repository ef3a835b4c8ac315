# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""`piranha nanny` where lvs.cf says `service = fos`: check failover services by hand, once.

Asks no running agent and changes nothing. Exit status as nanny/command.py has it.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from piranha.core.lvs_cf import api
from piranha.nanny.command import STATUS, UNCHECKED, UP, described
from piranha.nanny.engine import perform
from piranha.nanny.outcome import Finding, duration

from .settings import Service
from .source import SourceError, load

_VERDICT = {Finding.GOOD: "UP", Finding.BAD: "DOWN", Finding.UNKNOWN: "NOT CHECKED"}


def applies(config: Path) -> bool:
    """Whether this file is about failover services; False where it cannot be read."""
    try:
        loaded = api.load(api.decode(config.read_bytes()), str(config))
    except OSError:
        return False
    return loaded.config.globals.text("service") == "fos"


def run(config: Path, name: str) -> tuple[int, list[str]]:
    """Check the service called `name`; gives the exit status and the lines to print."""
    try:
        services = load(config).services
    except SourceError as why:
        return UNCHECKED, [str(why)]
    found = next((one for one in services if one.name == name), None)
    if found is None:
        known = ", ".join(one.name for one in services) or "none"
        return UNCHECKED, [f"no active failover service is called {name}; there are: {known}"]
    return _check(found)


def _check(service: Service) -> tuple[int, list[str]]:
    watch = service.watch
    if watch is None:
        remedy = "add check, send or send_program to its block"
        return UNCHECKED, [f"{service}: there is nothing that could be checked; {remedy}"]
    began = time.monotonic()
    outcome = asyncio.run(perform(watch.check))
    took = (time.monotonic() - began) * 1000
    lines = [
        f"{service}: {_VERDICT[outcome.finding]}: {outcome.words}",
        f"  check: {described(watch.check)}",
        f"  took:  {took:.1f} ms, every {duration(watch.interval)}",
    ]
    if outcome.warning:
        lines.append(f"  warning: {outcome.warning}")
    if outcome.finding is Finding.BAD:
        lines.append(f"  fos counts {service.fall} such in a row as a failure")
    return max(UP, STATUS[outcome.finding]), lines
