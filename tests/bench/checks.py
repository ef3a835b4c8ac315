# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a thousand checks cost, and how soon a thousand deaths are seen: the agent and keepalived.

`tests/lab/in-ipvs-kernel .venv/bin/python -m tests.bench.checks [--services 100] [--servers 10]`

Both run one after the other in the same kernel, write the real table, and check the same real
servers every 3 seconds. Processor time is what is missing for a process of the lowest rank while
they check (leftover.py tells why): all of the program, the kernel for it, and the real servers,
which are the same for both. What the kernel counts for the processes that check (lvsd and pulse;
keepalived and its checker) is shown beside it and not judged. Then all servers die at once, and the
table tells when the last one is out. In user-mode Linux a system call costs a hundred times what
it does elsewhere, so that the ratio says most about their number; `ten_thousand` measures natively
what all of it costs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.bench.fleet import (
    Keepalived,
    Piranha,
    Program,
    Servers,
    Spent,
    Wanted,
    in_table,
    name_of,
    own_card,
    own_network,
    proportional,
    running,
    spent,
    until,
)
from tests.bench.leftover import Leftover

MOST_TIME = 1.5  # times keepalived's processor time
MOST_LVSD, MOST_ALL = 40.0, 90.0  # MB
SECONDS = 15.0
FREE = 5.0  # seconds in which nobody checks, to compare with
SLACK = 0.3  # seconds between two looks at the table, and what a busy machine adds to either


class Measured(NamedTuple):
    """One program with one kind of check."""

    up: float
    taken: float
    """Share of the processor that was missing for others."""
    cost: Spent
    down: float
    memory: dict[str, float]

    def row(self, what: str, checks: float) -> str:
        """A line of the table."""
        each = self.taken * SECONDS / checks * 1e6
        counted = self.cost.both / SECONDS * 100
        return (
            f"  {what:22} {self.taken * 100:7.1f} {each:9.0f} {counted:8.1f}"
            f" {self.down:8.2f} {sum(self.memory.values()):8.1f}"
        )


def measure(program: Program, wanted: Wanted) -> Measured:
    """Run it, measure it at rest, and let all its servers die."""
    servers = Servers("http" if wanted.check == "http" else "connect", wanted.port)
    try:
        with running(program, wanted) as up:
            # What belongs to starting is over when every server has been checked twice.
            time.sleep(wanted.interval)
            pids = program.checkers()
            with Leftover(program.folder) as leftover:
                before = spent(pids)
                left = leftover.rate(SECONDS)
                cost = spent(pids) - before
            if in_table() != wanted.total:
                raise SystemExit(f"{program.name} took servers out that are well")
            memory = {f"{name_of(pid)} {pid}": proportional(pid) for pid in program.pids()}
            servers.die()
            down = until(lambda: in_table() == 0, 60, f"{program.name} has seen all servers die")
            program.end()
            with Leftover(program.folder) as leftover:
                taken = 1 - left / leftover.rate(FREE)
            return Measured(up, taken, cost, down, memory)
    finally:
        servers.die()


def main(arguments: list[str]) -> int:
    """Measure, print, judge; 1 if a limit is broken."""
    parser = argparse.ArgumentParser(prog="tests.bench.checks", description=__doc__)
    parser.add_argument("--services", type=int, default=100)
    parser.add_argument("--servers", type=int, default=10)
    parser.add_argument("--checks", default="tcp,http")
    asked = parser.parse_args(arguments)
    own_network()
    own_card()
    good = True
    with tempfile.TemporaryDirectory(prefix="piranha-bench-", dir="/dev/shm") as folder:
        ours, theirs = Piranha("piranha", Path(folder)), Keepalived("keepalived", Path(folder))
        print("                          % of a   us each   by the   last one   memory")
        print("                       processor     check   kernel    seen, s  PSS, MB")
        for check in asked.checks.split(","):
            wanted = Wanted(asked.services, asked.servers, check=check)
            checks = wanted.total * SECONDS / wanted.interval
            results = []
            for program in (theirs, ours):
                results.append(measure(program, wanted))
                print(results[-1].row(f"{check} {program.name}", checks), flush=True)
            good = judge(check, results[1], results[0]) and good
    return int(not good)


def judge(check: str, ours: Measured, theirs: Measured) -> bool:
    """Print what the figures mean; whether all are good enough."""
    ratio = ours.taken / theirs.taken
    lvsd = sum(size for name, size in ours.memory.items() if name.startswith("lvsd"))
    whole = sum(ours.memory.values())
    verdicts = [
        (
            ratio <= MOST_TIME,
            f"processor time {ratio:.2f} times keepalived's (at most {MOST_TIME})",
        ),
        (
            ours.down <= theirs.down + SLACK,
            f"all seen down after {ours.down:.1f} s, keepalived {theirs.down:.1f} s (no later)",
        ),
        (lvsd <= MOST_LVSD, f"lvsd has {lvsd:.1f} MB (at most {MOST_LVSD:.0f})"),
        (whole <= MOST_ALL, f"all processes have {whole:.1f} MB (at most {MOST_ALL:.0f})"),
    ]
    for kept, what in verdicts:
        print(f"  {check}: {what}: {'kept' if kept else 'BROKEN'}", flush=True)
    return all(kept for kept, _what in verdicts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
