# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""`piranha nanny`: make the check of one real server by hand, once, and explain its outcome.

It asks no running agent: it reads the file, makes the same check as lvsd would, with the same
code, and changes nothing. Exit status: 0 the server passed, 1 it failed, 2 it could not be checked.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import fields
from pathlib import Path

from piranha.core.ipvs.kernel import Kernel
from piranha.core.ipvs.model import Table
from piranha.lvsd import names
from piranha.lvsd.doors import by_hand
from piranha.lvsd.layout import Layout, LayoutError, RealServer, VirtualService
from piranha.lvsd.source import Source

from .engine import perform
from .outcome import Finding, Outcome, duration
from .spec import Check, NoCheck, ProgramCheck, ServiceCheck, SocketCheck, Wanted

UP, DOWN, UNCHECKED = 0, 1, 2
STATUS = {Finding.GOOD: UP, Finding.BAD: DOWN, Finding.UNKNOWN: UNCHECKED}

Found = tuple[VirtualService, RealServer]


class NotFound(Exception):
    """No server of that name; the text says which there are."""


def find(layout: Layout, name: str) -> list[Found]:
    """Give what `VIRTUAL/SERVER`, `VIRTUAL` or `SERVER` stands for, else raise NotFound."""
    every = list(layout.servers())
    for chosen in (
        [pair for pair in every if f"{pair[0].name}/{pair[1].name}" == name],
        [pair for pair in every if pair[0].name == name],
        [pair for pair in every if name in (pair[1].name, str(pair[1]))],
    ):
        if chosen:
            return chosen
    known = ", ".join(f"{virtual.name}/{server.name}" for virtual, server in every[:20])
    raise NotFound(f"no active real server is called {name}; there are: {known or 'none'}")


def described(check: Check) -> str:
    """Say in words what is done."""
    if isinstance(check, NoCheck):
        return "nothing can be checked"
    limit = f"at most {duration(check.limit)}"
    if isinstance(check, ProgramCheck):
        return f"run {' '.join(check.command)}, {limit}"
    where = f"[{check.address}]" if ":" in check.address else check.address
    where += f":{check.port}/{check.protocol}" if check.port else ""
    if check.through is not None:
        where += f" by way of {check.through.server} ({check.through.forward})"
    if isinstance(check, SocketCheck):
        sends = f", send {len(check.send)} bytes" if check.send else ""
        match = f", expect {check.expect.match.value}" if check.expect else ""
        return f"connect to {where}{sends}{match}, {limit}"
    return f"{check.kind} at {where}{_wishes(check)}, {limit}"


def _wishes(check: ServiceCheck) -> str:
    """What differs from the defaults."""
    plain = Wanted()
    said = [
        f"{field.name} {getattr(check.wanted, field.name)!r}"
        for field in fields(Wanted)
        if check.kind in ("http", "https")
        and getattr(check.wanted, field.name) != getattr(plain, field.name)
    ]
    if check.tls is not None:
        said.append("certificate verified" if check.tls.verify else "certificate not verified")
    return f" ({', '.join(said)})" if said else ""


def explained(found: Found, outcome: Outcome, seconds: float) -> list[str]:
    """Give the lines that tell all about one outcome."""
    virtual, server = found
    verdict = {Finding.GOOD: "UP", Finding.BAD: "DOWN", Finding.UNKNOWN: "NOT CHECKED"}
    lines = [
        f"{virtual.name}/{server.name}: {verdict[outcome.finding]}: {outcome.words}",
        f"  check: {described(server.watch.check)}",
        f"  took:  {seconds * 1000:.1f} ms, every {duration(server.watch.interval)}",
    ]
    if outcome.share is not None:
        lines.append(f"  share: {outcome.share} % of its weight")
    if outcome.warning:
        lines.append(f"  warning: {outcome.warning}")
    policy = virtual.policy
    if outcome.finding is Finding.BAD:
        lines.append(f"  lvsd takes a server out after {policy.fall} such in a row")
    if outcome.finding is Finding.GOOD:
        run = f"{policy.rise} such in a row"
        if policy.reentry:
            run += f", over {duration(policy.reentry)} at least"
        lines.append(f"  lvsd lets a server that was down serve again after {run}")
    return lines


def _layout(config: Path) -> Layout:
    source = Source(config)
    addresses: dict[str, str] = {}
    for host in source.read():
        try:
            addresses[host] = asyncio.run(names.getent(host))
        except LookupError as error:
            raise LayoutError(
                [f"{config}: the name {host} cannot be resolved: {error}; write the address"]
            ) from error
    return source.layout(addresses)


def run(config: Path, name: str) -> tuple[int, list[str]]:
    """Make the checks; gives the exit status and the lines to print."""
    try:
        layout = _layout(config)
        chosen = find(layout, name)
    except LayoutError as error:
        return UNCHECKED, error.sentences
    except NotFound as error:
        return UNCHECKED, [str(error)]
    lines: list[str] = []
    status = UP
    opener = by_hand(layout.floating, _table)
    for found in chosen:
        began = time.monotonic()
        outcome = asyncio.run(perform(found[1].watch.check, opener))
        lines += explained(found, outcome, time.monotonic() - began)
        status = max(status, STATUS[outcome.finding])
    return status, lines


def _table() -> Table:
    with Kernel() as kernel:
        return kernel.read()
