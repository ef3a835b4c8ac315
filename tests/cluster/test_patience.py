# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""No takeover without a reason: on a busy machine, with short stops, through kills. Whole agents.

How long and how often is set by PIRANHA_IDLE (seconds), PIRANHA_STOPS and PIRANHA_KILLS; `make
patience` runs an hour, 200 and 100. Without them it is a share of that, which is printed. In a
user-mode kernel all programs together have one slow processor, and the intervals are longer.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from piranha.net.rtnetlink import Netlink
from piranha.pulse.heart import TICKS
from piranha.pulse.supervision import STABLE

from tests.cluster.heart_lab import VIRTUAL, Net, inside, network
from tests.cluster.takeover_lab import Agent, Connections, Switch, until

IDLE = float(os.environ.get("PIRANHA_IDLE", "20"))
STOPS = int(os.environ.get("PIRANHA_STOPS", "40"))
KILLS = int(os.environ.get("PIRANHA_KILLS", "4"))
USER_MODE = "User Mode Linux" in Path("/proc/cpuinfo").read_text(encoding="ascii")
KEEPALIVE = 0.5 if USER_MODE else 0.1
DEADTIME = 3 * KEEPALIVE
LOOK = 0.05 if USER_MODE else 0.005
"""Seconds between two connections, and between two looks at who has the address."""
BUSY = "while True: pass"
"""A program that keeps a processor busy, at ordinary priority."""


@dataclass
class Pair:
    """Both routers, and who is active."""

    routers: tuple[Agent, Agent]
    active: int = 0
    told: list[int] = field(default_factory=lambda: [0, 0])

    def settle(self) -> None:
        """Wait until one is active and the other stands by."""

        def settled() -> bool:
            for number in (0, 1):
                one, other = self.routers[number], self.routers[1 - number]
                if one.ready(True) and other.ready(False):
                    self.active = number
                    return True
            return False

        until(settled, "one is active and the other stands by", 60)
        self.told = [len(router.transitions()) for router in self.routers]

    def moved(self) -> list[str]:
        """Give what has changed hands since they settled."""
        return [
            f"{router.namespace}: {text}"
            for router, known in zip(self.routers, self.told, strict=True)
            for text in router.transitions()[known:]
        ]


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    with network() as made:
        yield made


@pytest.fixture
def pair(net: Net, tmp_path: Path) -> Iterator[Pair]:
    """Two agents that have settled."""
    switch = Switch(net)
    routers = (Agent(net, switch, 0, tmp_path), Agent(net, switch, 1, tmp_path))
    try:
        for router in routers:
            router.configure(KEEPALIVE, 1)
            router.start()
        made = Pair(routers)
        made.settle()
        yield made
    finally:
        for router in routers:
            router.end()
        net.mend()


class Owners(threading.Thread):
    """Looks all the time which kernels have the virtual address."""

    def __init__(self, net: Net) -> None:
        super().__init__(daemon=True)
        self._kernels = [inside(name, Netlink) for name in net.routers]
        self._end = threading.Event()
        self.both = 0
        self.looks = 0

    def __enter__(self) -> Owners:
        self.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._end.set()
        self.join(10)
        for kernel in self._kernels:
            kernel.close()

    def run(self) -> None:
        while not self._end.wait(LOOK):
            one, other = self._kernels
            # The first once more: between two looks the address may have gone over as it should.
            self.looks += 1
            self.both += _has(one) and _has(other) and _has(one)


def _has(kernel: Netlink) -> bool:
    return any(str(entry.address) == VIRTUAL for entry in kernel.addresses())


@contextlib.contextmanager
def busy() -> Iterator[None]:
    """Keep every processor busy."""
    programs = [
        subprocess.Popen([sys.executable, "-c", BUSY]) for _unused in range(os.cpu_count() or 1)
    ]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait(10)


def test_a_busy_machine_is_no_reason(pair: Pair) -> None:
    with busy():
        time.sleep(IDLE)
        moved = pair.moved()
    print(f"{IDLE:g} s with every processor busy, a heartbeat every {KEEPALIVE:g} s")
    assert moved == []
    assert pair.routers[pair.active].holds()


@contextlib.contextmanager
def punctual() -> Iterator[None]:
    """Wake up in time whatever else runs, so that a stop is as long as it shall be."""
    before = os.sched_getscheduler(0)
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(30))
    try:
        yield
    finally:
        os.sched_setscheduler(0, before, os.sched_param(0))


def test_stops_shorter_than_half_the_dead_time_are_no_reason(pair: Pair) -> None:
    """Half of one less the time between two ticks, which is when pulse begins to count."""
    hearts = [router.pid("heart") for router in pair.routers]
    longest, most = 0.0, (1 / 2 - 1 / TICKS) * DEADTIME
    for number in range(STOPS):
        pid = hearts[number % 2]
        with punctual():
            begun = time.monotonic()
            os.kill(pid, signal.SIGSTOP)
            time.sleep(random.uniform(0.05, 0.42) * DEADTIME)
            os.kill(pid, signal.SIGCONT)
            longest = max(longest, time.monotonic() - begun)
        time.sleep(random.uniform(0.1, 0.6) * DEADTIME)
    print(f"{STOPS} stops, the longest of {longest:.3f} s; half a dead time is {DEADTIME / 2:g} s")
    assert longest < most, "this machine was too busy to measure anything"
    assert pair.moved() == []
    assert [router.pid("heart") for router in pair.routers] == hearts


@pytest.mark.parametrize("victim", ["heart", "pulse"])
def test_kills_at_random_moments(net: Net, pair: Pair, victim: str) -> None:
    """A heart that is restarted costs no connection; a pulse that is not there costs a goodbye."""
    gaps = []
    begun = [time.monotonic()] * 2
    with Connections(net, LOOK) as client, Owners(net) as owners:
        for one in range(KILLS):
            number = (pair.active + one) % 2
            router = pair.routers[number]
            # One that dies again and again is no case for a restart: pulse waits before the third.
            rest = max(0.3, begun[number] + STABLE - time.monotonic())
            time.sleep(rest + random.uniform(0, 2 * KEEPALIVE))
            moment = begun[number] = time.monotonic()
            os.kill(router.pid(victim), signal.SIGKILL)
            if victim == "pulse":
                router.revive()
            pair.settle()
            time.sleep(1.0)
            gaps.append(client.gap(moment)[0])
            if gaps[-1]:
                print(f"{router.namespace}: {gaps[-1]:.3f} s; {router.log_end()}")
    worst = max(gaps)
    print(f"{KILLS} kills of {victim}: longest gap {worst:.3f} s, {owners.looks} looks for owners")
    assert owners.both == 0
    assert owners.looks > KILLS
    if victim == "heart":
        assert worst == 0.0, "a restart cures it, and no connection fails"
    else:
        assert worst < DEADTIME, "the partner did not have to wait for silence"
