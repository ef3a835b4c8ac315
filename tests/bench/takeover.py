# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a client waits when a router dies, stops or hangs: the agent beside keepalived.

`.venv/bin/python -m tests.bench.takeover [--runs N] [PIECE...]`, e.g. `crash-0.01 stop200-0.1`;
`make bench ONLY=takeover:crash-0.01` is the same. Without a piece, all of it: some 40 minutes.

As root, in network namespaces of its own; no IPVS is needed, since what moves are addresses. Whole
agents on two routers, `deadtime` three times `keepalive`; keepalived advertises as often. Each run
strikes the active router at a random phase, then it comes back as standby, and the next run strikes
the other. The time is the gap of a client that connects every 5 ms; after a hung heart, from the
moment at which pulse decides to resign for it. Limits are judged by the median: exit status 1 where
one is not kept. With 200 addresses each of these may take 50 ms more than with one in this run; a
piece with 200 measures that as well.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.takeover_lab import (
    Agent,
    Connections,
    Keepalived,
    Net,
    Router,
    Switch,
    quiet,
    until,
)

CRASH, STOP, HANG = "crash", "stop", "hang"
COUNT = 200
MANY = {f"{name}{COUNT}": name for name in (CRASH, STOP, HANG)}
"""The same with many addresses."""
INTERVALS = (1.0, 0.1, 0.01)
LIMITS = {1.0: 2.7, 0.1: 0.280, 0.01: 0.033}
"""Seconds that the median of crashes may take, by the interval."""
STOP_LIMIT, HANG_LIMIT, MANY_MORE = 0.015, 0.050, 0.050
MANY_INTERVALS = (0.1,)  # how many addresses there are has nothing to do with the interval
FALSE_LIMIT = 5
PIECES = {
    f"{name}-{each:g}": (name, each)
    for names, intervals in (((CRASH, STOP, HANG), INTERVALS), (MANY, MANY_INTERVALS))
    for name in names
    for each in intervals
}
"""What can be measured alone: how a router is struck, and at which interval."""


@dataclass
class Row:
    """One line of the result; seconds."""

    name: str
    interval: float
    limit: float
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    false: int = 0

    @property
    def what(self) -> str:
        """In words."""
        more = f", {COUNT} addresses" if self.name in MANY else ""
        return TITLES[MANY.get(self.name, self.name)] + more

    @property
    def kept(self) -> bool:
        """Whether the median keeps the limit."""
        return statistics.median(self.ours) <= self.limit

    def __str__(self) -> str:
        def told(times: list[float]) -> str:
            if not times:
                return f"{'-':>26}"
            low, high = min(times) * 1000, max(times) * 1000
            return f"{statistics.median(times) * 1000:8.0f} ({low:6.0f} - {high:6.0f})"

        verdict = "kept" if self.kept else "NOT KEPT"
        more = f", {self.false} takeovers by mistake before" if self.false else ""
        return (
            f"  {self.what:37} {self.interval:5g} {told(self.ours)} {told(self.theirs)}"
            f" {self.limit * 1000:6.0f} {verdict}{more}"
        )


class Course:
    """One pair of routers through a number of strikes."""

    def __init__(self, pair: tuple[Router, Router], client: Connections, interval: float) -> None:
        self.pair, self.client, self.interval = pair, client, interval
        self.active = 0
        self.false = 0

    def begin(self, count: int) -> None:
        """Start both and wait until one has the addresses."""
        for router in self.pair:
            router.configure(self.interval, count)
        self.pair[0].start()
        until(self.pair[0].holds, "the first router has the address")
        self.pair[1].start()

    def settle(self) -> None:
        """Wait until one is active and the other stands by, whichever is which."""

        def settled() -> bool:
            for number in (0, 1):
                if self.pair[number].ready(True) and self.pair[1 - number].ready(False):
                    self.active = number
                    return True
            return False

        until(settled, f"one {self.pair[0].program} is active and the other stands by")

    def strike(self, how: Callable[[Router], float]) -> float:
        """Hit the active one at a random phase; gives the gap."""
        while True:
            self.settle()
            time.sleep(0.3 + random.random() * max(self.interval, 0.05))
            if self.pair[self.active].holds() and not self.pair[1 - self.active].holds():
                break
            self.false += 1
            if self.false > FALSE_LIMIT:
                raise RuntimeError("the routers change places by themselves")
        victim = self.pair[self.active]
        moment = how(victim)
        until(self.pair[1 - self.active].holds, "the other router has the address")
        time.sleep(1.0)  # until the last of its connections is lost, or not
        gap, over = self.client.gap(moment)
        if isinstance(victim, Agent) and how is hang:
            decided = victim.resigned_at()
            return over - decided if gap and decided is not None else gap
        return gap

    def again(self) -> None:
        """Have the one that was struck back."""
        self.pair[self.active].boot()


def crash(router: Router) -> float:
    """Power cut."""
    return router.die()


def stop(router: Router) -> float:
    """Orderly stop."""
    return router.stop()


def hang(router: Router) -> float:
    """Stop the heart's process."""
    assert isinstance(router, Agent)
    moment = time.monotonic()
    router.hang()
    return moment


HOW = {CRASH: crash, STOP: stop, HANG: hang}
TITLES = {CRASH: "power cut", STOP: "orderly stop", HANG: "hung heart, once decided"}


def limit(name: str, interval: float) -> float:
    """Give the seconds that the median may take, with one address."""
    silence = LIMITS.get(interval, 3 * interval)
    return {CRASH: silence, STOP: STOP_LIMIT, HANG: HANG_LIMIT}[name]


def rows_of(names: list[str]) -> list[Row]:
    """Give what is to be measured for some pieces, each once, few addresses first.

    names: of PIECES; none is all of them.
    """
    wanted = [PIECES[name] for name in names] or list(PIECES.values())
    few = [(MANY.get(name, name), each) for name, each in wanted]
    many = [(name, each) for name, each in wanted if name in MANY]
    rows = [Row(name, each, limit(name, each)) for name, each in dict.fromkeys(few)]
    more = [Row(name, each, limit(MANY[name], each) + MANY_MORE) for name, each in many]
    return rows + more


def compare(row: Row, rows: list[Row]) -> None:
    """Hold one with many addresses against the same with one, where that was measured."""
    for other in rows:
        same = other.name == MANY.get(row.name) and other.interval == row.interval
        if same and other.ours:
            row.limit = statistics.median(other.ours) + MANY_MORE


def measure(
    kind: type[Router], net: Net, switch: Switch, row: Row, runs: int, folder: Path
) -> list[float]:
    """Strike a pair of one kind a number of times; gives the gaps."""
    name = MANY.get(row.name, row.name)
    pair = (kind(net, switch, 0, folder), kind(net, switch, 1, folder))
    times = []
    try:
        with Connections(net) as client:
            course = Course(pair, client, row.interval)
            course.begin(COUNT if row.name in MANY else 1)
            for number in range(runs):
                times.append(course.strike(HOW[name]))
                print(f"\r  {row.what} {row.interval:g}: {pair[0].program} {number + 1}/{runs} "
                      f"{times[-1] * 1000:.0f} ms   ", end="", flush=True)  # fmt: skip
                if name == HANG:
                    until(lambda: course.pair[course.active].process, "pulse lives")
                else:
                    course.again()
            row.false += course.false if kind is Agent else 0
    finally:
        for router in pair:
            router.end()
    return times


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(prog="tests.bench.takeover", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="strikes of each kind (%(default)s)")
    parser.add_argument("pieces", nargs="*", metavar="PIECE", help=", ".join(PIECES))
    options = parser.parse_args()
    for name in options.pieces:
        if name not in PIECES:
            parser.error(f"there is no piece {name}; there are {', '.join(PIECES)}")
    rows = rows_of(options.pieces)
    net = Net()
    with tempfile.TemporaryDirectory(prefix="takeover") as folder:
        try:
            net.up()
            quiet(net)
            switch = Switch(net)
            for row in rows:
                at = Path(folder) / f"{row.name}{row.interval:g}"
                row.ours = measure(Agent, net, switch, row, options.runs, at)
                compare(row, rows)
                if MANY.get(row.name, row.name) != HANG:  # keepalived's like is a power cut
                    row.theirs = measure(Keepalived, net, switch, row, options.runs, at)
                print(f"\r{row}", flush=True)
        finally:
            net.down()
    print(f"\nmilliseconds, median (least - most) of {options.runs} runs each")
    print(f"  {'':37} every {'agent':>26} {'keepalived':>26}  limit")
    for row in rows:
        print(row)
    return int(not all(row.kept for row in rows))


if __name__ == "__main__":
    sys.exit(main())
