# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a start and a reload of a large cluster take, beside keepalived in the same kernel.

`tests/lab/in-ipvs-kernel .venv/bin/python -m tests.bench.start [--services 1000] [--servers 16]`

A start ends when all servers are in the kernel's table. keepalived puts them there unchecked, and
counts them as up; what the agent does likewise is to take over the table that it finds (here the
one that keepalived left), and these two are compared, in turn. From nothing the agent admits nobody
whom it has not checked; that is shown, and not judged. A reload changes one weight, and ends when
the table has it; keepalived 2.2 compares all old servers with all new ones, which takes minutes
here, so that it is not waited for longer than RELOAD_LIMIT.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.bench.fleet import (
    FIRST_PORT,
    ROOT,
    SOURCES,
    VIRTUAL,
    Keepalived,
    Piranha,
    Program,
    Servers,
    Wanted,
    environment,
    in_table,
    own_card,
    own_network,
    until,
)

from piranha.core.ipvs.kernel import Kernel  # isort: skip - fleet has set the path
from piranha.core.ipvs.model import ServiceKey  # isort: skip

MOST_START, MOST_RELOAD = 2.0, 1.0  # times keepalived's
STARTS, RELOADS = 3, 3
LIMIT = 200.0
RELOAD_LIMIT = 60.0  # seconds; one that takes longer counts as that long
LIMIT_OF = {"start": LIMIT, "reload": RELOAD_LIMIT}
WEIGHT = 7
LIBRARIES = ROOT / "plugins/module_utils"


class Watcher:
    """Looks at one service at a time: reading 16,000 servers again and again would cost more of
    the one processor than what is measured.
    """

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._kernel = Kernel()

    def weights(self, service: int) -> list[int]:
        """Give the weights of the servers of one service."""
        key = ServiceKey.by_address("tcp", VIRTUAL, FIRST_PORT + service)
        return [server.weight for server in self._kernel.read({key}).servers(key).values()]

    def full(self) -> bool:
        """Whether the last service has all its servers."""
        return self.weights(self._wanted.services - 1) == [1] * self._wanted.servers

    def heavy(self) -> bool:
        """Whether a server has the weight that the reload brings."""
        return WEIGHT in self.weights(self._wanted.services // 2)

    def scheduler(self) -> str:
        """Give the first service's."""
        key = ServiceKey.by_address("tcp", VIRTUAL, FIRST_PORT)
        entry = self._kernel.read({key}).get(key)
        return entry.service.scheduler if entry else ""


def compiled() -> None:
    """Compile the agent, as it is on a router where it was installed."""
    argv = ["/usr/bin/python3", "-m", "compileall", "-q", str(SOURCES), str(LIBRARIES)]
    subprocess.run(argv, env=environment(), check=True, timeout=120)


def started(program: Program, wanted: Wanted) -> float:
    """Start it; seconds until all servers are in the table."""
    began = time.monotonic()
    program.start()
    full = f"{program.name} has {wanted.total} servers in the table"
    try:
        until(Watcher(wanted).full, LIMIT, full, 0.05)
        took = time.monotonic() - began
        until(lambda: in_table() == wanted.total, LIMIT, full, 0.5)
    except SystemExit:
        print(program.tail(), in_table())
        raise
    return took


def taken_over(program: Program, wanted: Wanted) -> float:
    """Start it upon a table that is there; seconds until it has made the table its own."""
    # Something that it must put right before it can be said to be there.
    service = f"{VIRTUAL}:{FIRST_PORT}"
    subprocess.run(["ipvsadm", "-E", "-t", service, "-s", "rr"], check=True, timeout=30)
    watcher = Watcher(wanted)
    began = time.monotonic()
    program.start()
    until(lambda: watcher.scheduler() == "wlc", LIMIT, f"{program.name} has put it right", 0.05)
    took = time.monotonic() - began
    if in_table() != wanted.total:
        raise SystemExit(f"servers are missing after {program.name} took over")
    return took


def starts(theirs: Program, ours: Program, wanted: Wanted) -> tuple[float, float]:
    """Start both in turn; the median of keepalived's starts, and of what the agent needs then."""
    taken: list[float] = []
    overs: list[float] = []
    for number in range(1, STARTS + 1):
        theirs.write(wanted)
        ours.write(wanted)
        try:
            start = started(theirs, wanted)
            theirs.kill()
            over = taken_over(ours, wanted)
        finally:
            theirs.kill()
            ours.end()
        taken.append(start)
        overs.append(over)
        print(f"  {number}: keepalived {start:.2f} s, the agent {over:.2f} s", flush=True)
    return statistics.median(taken), statistics.median(overs)


class Measured(NamedTuple):
    """Seconds of a start and of a reload."""

    start: float
    reload: float


def reloads(program: Program, wanted: Wanted) -> Measured:
    """Start it from nothing, change one weight and back, again and again, end it."""
    program.write(wanted)
    taken: list[float] = []
    watcher = Watcher(wanted)
    middle = wanted.services // 2 * wanted.servers
    try:
        start = started(program, wanted)
        print(f"  {program.name}: from nothing {start:.2f} s", flush=True)
        time.sleep(3)
        for number in range(2 * RELOADS):
            changed = number % 2 == 0
            program.write(wanted, {middle: WEIGHT} if changed else None)
            time.sleep(0.5)
            began = time.monotonic()
            program.reload()
            while watcher.heavy() is not changed and time.monotonic() - began < RELOAD_LIMIT:
                time.sleep(0.02)
            taken.append(min(RELOAD_LIMIT, time.monotonic() - began))
            if taken[-1] == RELOAD_LIMIT:
                print(f"  {program.name}: a reload is not over after {RELOAD_LIMIT:g} s")
                break
            time.sleep(1)
    finally:
        program.end()
    median = statistics.median(taken)
    print(f"  {program.name}: one weight changed {median:.2f} s", flush=True)
    return Measured(start, median)


def main(arguments: list[str]) -> int:
    """Measure, print, judge; 1 if a limit is broken."""
    parser = argparse.ArgumentParser(prog="tests.bench.start", description=__doc__)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--servers", type=int, default=16)
    asked = parser.parse_args(arguments)
    own_network()
    own_card()
    compiled()
    wanted = Wanted(asked.services, asked.servers, interval=60.0)
    print(f"{wanted.services} services of {wanted.servers} servers", flush=True)
    servers = Servers("connect")
    try:
        with tempfile.TemporaryDirectory(prefix="piranha-bench-", dir="/dev/shm") as folder:
            theirs, ours = Keepalived("keepalived", Path(folder)), Piranha("piranha", Path(folder))
            start, over = starts(theirs, ours, wanted)
            peer = Measured(start, reloads(theirs, wanted).reload)
            cold, reload = reloads(ours, wanted)
    finally:
        servers.die()
    print(f"  from nothing: {cold / start:.1f} times keepalived's, with each server checked before")
    return int(not judge(Measured(over, reload), peer))


def judge(ours: Measured, theirs: Measured) -> bool:
    """Print what the figures mean; whether all are good enough."""
    good = True
    for what, seconds, peer, most in (
        ("start", ours.start, theirs.start, MOST_START),
        ("reload", ours.reload, theirs.reload, MOST_RELOAD),
    ):
        kept = seconds <= peer * most and seconds < LIMIT_OF[what]
        good = good and kept
        said = f"{what}: {seconds / peer:.2f} times keepalived's (at most {most:g})"
        print(f"  {said}: {'kept' if kept else 'BROKEN'}", flush=True)
    return good


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
