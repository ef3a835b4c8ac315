# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a start and a reload of a large cluster take, beside keepalived in the same kernel.

`tests/lab/in-ipvs-kernel .venv/bin/python -m tests.bench.start [--services 1000] [--servers 16]`

A start ends when all servers are in the kernel's table. keepalived puts them there unchecked, and
counts them as up; what lvsd does likewise is to take over the table that it finds (a restart of the
agent), and these two are compared. From nothing lvsd admits nobody whom it has not checked; that is
shown, and not judged. A reload changes one weight, and ends when the table has it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
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
RELOADS = 3
LIMIT = 200.0
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


def reloaded(program: Program, wanted: Wanted) -> float:
    """Change one weight and back; median seconds until the table has it."""
    taken = []
    watcher = Watcher(wanted)
    middle = wanted.services // 2 * wanted.servers
    for number in range(2 * RELOADS):
        changed = number % 2 == 0
        program.write(wanted, {middle: WEIGHT} if changed else None)
        time.sleep(0.5)
        began = time.monotonic()
        program.reload()
        until(lambda: watcher.heavy() is changed, LIMIT, f"{program.name} has read again", 0.02)  # noqa: B023
        taken.append(time.monotonic() - began)
        time.sleep(1)
    return statistics.median(taken)


class Measured(NamedTuple):
    """Seconds: from nothing, with one weight changed, and upon a table that was left."""

    start: float
    reload: float
    restart: float = 0.0


def measured(program: Program, wanted: Wanted) -> Measured:
    """Start and reload; the program is stopped, and the table emptied, at the end."""
    program.write(wanted)
    try:
        start = started(program, wanted)
        print(f"  {program.name:12} start from nothing {start:8.2f} s", flush=True)
        time.sleep(3)
        try:
            reload = reloaded(program, wanted)
        except SystemExit:
            print(program.tail())
            raise
        print(f"  {program.name:12} one weight changed {reload:8.2f} s", flush=True)
        return Measured(start, reload)
    finally:
        program.end()


def found(program: Piranha, wanted: Wanted) -> float:
    """Start it upon a table that was left; seconds until lvsd has made the table its own."""
    program.write(wanted)
    try:
        started(program, wanted)
        for pid in program.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        assert program.process is not None
        program.process.wait(20)
        # Something that lvsd must put right before it can be said to be there.
        service = f"{VIRTUAL}:{FIRST_PORT}"
        subprocess.run(["ipvsadm", "-E", "-t", service, "-s", "rr"], check=True, timeout=30)
        watcher = Watcher(wanted)
        began = time.monotonic()
        program.start()
        until(lambda: watcher.scheduler() == "wlc", LIMIT, "lvsd has put the table right", 0.05)
        if in_table() != wanted.total:
            raise SystemExit("servers are missing after a restart")
        took = time.monotonic() - began
        print(f"  {program.name:12} restart            {took:8.2f} s", flush=True)
        return took
    finally:
        program.end()


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
    servers = Servers("connect")
    try:
        with tempfile.TemporaryDirectory(prefix="piranha-bench-", dir="/dev/shm") as folder:
            theirs = measured(Keepalived("keepalived", Path(folder)), wanted)
            ours = measured(Piranha("piranha", Path(folder)), wanted)
            again = found(Piranha("piranha", Path(folder)), wanted)
    finally:
        servers.die()
    return int(not judge(ours._replace(restart=again), theirs))


def judge(ours: Measured, theirs: Measured) -> bool:
    """Print what the figures mean; whether all are good enough."""
    verdicts = [
        ("restart", ours.restart / theirs.start, MOST_START),
        ("reload", ours.reload / theirs.reload, MOST_RELOAD),
    ]
    for what, ratio, most in verdicts:
        said = "kept" if ratio <= most else "BROKEN"
        print(f"  {what}: {ratio:.2f} times keepalived's (at most {most:g}): {said}", flush=True)
    print(f"  cold start: {ours.start / theirs.start:.2f} times, each server checked before")
    return all(ratio <= most for _what, ratio, most in verdicts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
