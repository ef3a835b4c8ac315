# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clock, and who is there."""

from __future__ import annotations

import heapq
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from piranha.pulse.machine import State, Timing
from piranha.pulse.wire import MAC_SIZE, Key, Role

from .faults import Faults
from .network import Network
from .promises import Promises
from .router import Cell, Router
from .scenes import scene_of

OF_OLD = 1_000_000
"""Seeds from here on are played with heartbeats of old."""


class BrokenPromise(AssertionError):
    """What was promised and did not hold, with the seed to play it again."""


@dataclass(frozen=True, slots=True, repr=False)
class QuickKey(Key):
    """A key whose code costs nothing: whether HMAC holds is not what is simulated."""

    def seal(self, signed: bytes) -> bytes:
        return zlib.crc32(self.secret + signed).to_bytes(MAC_SIZE, "big")


def key(number: int) -> Key:
    """Give one of several keys."""
    return QuickKey(bytes([number]) * 32, bytes([number]) * 4)


class World:
    """A run of one seed. `run` raises BrokenPromise, naming the seed."""

    def __init__(self, seed: int, *, cells: set[Cell] | None = None, trace: bool = False) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.now = 0.0
        self.dirty = True
        self.key = key(1)
        self.cells: set[Cell] = set() if cells is None else cells
        self.trace: list[str] | None = [] if trace else None
        self._events: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self.count = 0
        self._numbers = 0
        self._keys = 1
        self.keepalive = self.random.choice((0.01, 0.1, 0.5, 2.0))
        self.deadtime = self.keepalive * self.random.choice((3, 4, 6))
        kinds = self.random.choices(("", "preempt", "on_health", "witness"), (55, 15, 15, 15))
        self.kind = kinds[0]
        self.classic = seed >= OF_OLD
        if self.classic and self.kind not in ("", "witness"):
            self.kind = ""  # nothing of that is told
        scene = None if self.classic else scene_of(seed)
        if scene is not None and scene.kind is not None:
            self.kind = scene.kind
        self.preempt_delay = self.random.choice((0, 0.5, 2)) * self.deadtime
        self.network = Network()
        self.promises = Promises(self)
        self.faults = Faults(self)
        self.routers = [self._router(number, role) for number, role in enumerate(Role)]
        if self.random.random() < 0.1 and not self.classic:
            self.random.choice(self.routers).old = True
        for router in self.routers:
            self.at(self.random.uniform(0, 2) * self.deadtime, router.boot)
            if self.kind == "preempt":
                self.at(0.0, router.count)
        self.end = self.faults.plan(None if scene is None else scene.plan)

    def _router(self, number: int, role: Role) -> Router:
        timing = Timing(
            role,
            True,
            self.keepalive,
            self.deadtime,
            start_delay=self.random.choice((0, 0, 0, 1)) * self.deadtime,
            retry=self.deadtime,
            preempt=self.kind == "preempt",
            preempt_delay=self.preempt_delay,
            on_health=self.kind == "on_health",
            health_delay=0.0,
            witness=self.kind == "witness",
            classic=self.classic,
        )
        return Router(self, number, timing, 1 + self.random.uniform(-4e-4, 4e-4))

    # -- clock --------------------------------------------------------------------------------

    def at(self, when: float, what: Callable[..., None], *with_: object) -> None:
        """Have something happen at a time."""
        self.count += 1
        heapq.heappush(self._events, (when, self.count, what, with_))

    def later(self, seconds: float, what: Callable[..., None], *with_: object) -> None:
        """Have something happen after a while."""
        self.at(self.now + seconds, what, *with_)

    def another(self) -> int:
        """Give a number that was not given before."""
        self._numbers += 1
        return self._numbers

    def fresh_key(self) -> Key:
        """Give a key that nobody has yet."""
        self._keys += 1
        return key(self._keys)

    def stir(self) -> None:
        """Have the promises looked at."""
        self.dirty = True

    def run(self) -> None:
        """Play the whole schedule."""
        events, end, pop = self._events, self.end, heapq.heappop
        most = self.promises.most
        while events and events[0][0] <= end:
            self.now, _unused, what, with_ = pop(events)
            what(*with_)
            if self.count > most:
                self.promises.turns()  # now, for in circles the end is far
            if self.dirty:
                self.dirty = False
                self.promises.look()
        self.now = end
        self.promises.look()
        self.promises.agree()

    # -- telling ------------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """Keep a line for whoever plays the seed again."""
        if self.trace is not None:
            self.trace.append(f"{self.now:10.4f} {text}")

    def entered(self, number: int, state: State) -> None:
        """A router has come into a state: a fault may have waited for it."""
        self.faults.entered(number, state)

    def fail(self, what: str) -> None:
        """A promise did not hold."""
        raise BrokenPromise(
            f"seed {self.seed}, {self.now:.4f} s, keepalive {self.keepalive:g},"
            f" deadtime {self.deadtime:g}: {what}"
        )
