# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two routers, a network that loses things, and a made-up clock, all drawn from one seed.

The routers run the very engine that the heart runs. What is modelled here is the rest: the
kernels and their addresses (which outlive processes), the socket queues, the supervisors with
their rule of half a dead time, and the network. It checks the promises at every event and
tells the first one broken.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from piranha.pulse.conversation import farewells
from piranha.pulse.engine import Deed, Effect, Engine
from piranha.pulse.machine import State, Timing
from piranha.pulse.wire import Key, Role

KEY = Key.of(bytes(range(32)))
PORTION = b"connections"
QUEUE = 277  # datagrams that a socket's default buffer holds
RESTART = 0.02  # seconds until a forked heart is back


class BrokenPromise(AssertionError):
    """What was promised and did not hold, with the seed to play it again."""


@dataclass
class Network:
    """How one direction behaves now."""

    cut: bool = False
    loss: float = 0.0
    delay: float = 0.0002
    jitter: float = 0.0
    double: float = 0.0

    @property
    def clean(self) -> bool:
        return not self.cut and not self.loss and self.jitter < 0.001


@dataclass
class Router:
    """One machine: kernel, supervisor and heart."""

    name: str
    timing: Timing
    rate: float
    powered: bool = True
    holds: bool = False
    intends: bool = False  # addresses.json says that the addresses are to be held
    broken: bool = False  # setting addresses fails
    linked: bool = True  # the interfaces of the virtual addresses have their link
    wanted: bool = True  # the service is to run
    stopped_until: float = 0.0  # the heart does not run (SIGSTOP, a hang)
    frozen_until: float = 0.0  # nothing on the machine runs
    startable_at: float = 0.0
    ticked: float = 0.0
    engine: Engine | None = None
    queue: list[bytes] = field(default_factory=list)
    sessions: list[bytes] = field(default_factory=list)
    resigned: bool = False
    wake: int = 0
    able_since: float | None = None

    def clock(self, now: float) -> float:
        return 1000.0 + now * self.rate

    def runs(self, now: float) -> bool:
        return (
            self.powered
            and self.engine is not None
            and now >= self.frozen_until
            and now >= self.stopped_until
        )


class World:
    """A run of one seed. `run` raises BrokenPromise, naming the seed."""

    def __init__(self, seed: int, faults: int = 3) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.now = 0.0
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.count = 0
        self.transitions: set[tuple[Role, State, State]] = set()
        keepalive = self.random.choice((0.01, 0.1, 0.5, 2.0))
        deadtime = keepalive * self.random.choice((3, 4, 6))
        self.deadtime, self.keepalive = deadtime, keepalive
        self.routers = [
            Router(
                role.name,
                Timing(role, True, keepalive, deadtime, retry=deadtime),
                1 + self.random.uniform(-1e-3, 1e-3),
            )
            for role in Role
        ]
        self.ways = [Network(), Network()]  # from router 0, from router 1
        self.calm_since = 0.0
        self.half_since: float | None = None
        self.none_since: float | None = 0.0
        self.two_since: float | None = None
        self.useless_since: float | None = None
        self.took = 0
        self.taken = 0
        self.trace: list[str] = []
        for number, router in enumerate(self.routers):
            self.at(self.random.uniform(0, 2) * deadtime, partial(self.start, number))
            router.able_since = None
        self.fault_end = (3 + 3 * faults) * deadtime
        for _unused in range(faults):
            when = self.random.uniform(2, 3 * faults) * deadtime
            self.at(when, self.fault)
        self.end = self.fault_end + 7 * deadtime

    # -- clock --------------------------------------------------------------------------------

    def at(self, when: float, what: Callable[[], None]) -> None:
        self.count += 1
        heapq.heappush(self.events, (when, self.count, what))

    def run(self) -> None:
        self.at(self.fault_end, self.heal)
        while self.events and self.events[0][0] <= self.end:
            self.now, _unused, what = heapq.heappop(self.events)
            self.check()
            what()
            self.look()
        self.now = self.end
        self.check()
        self.agree()

    # -- promises -----------------------------------------------------------------------------

    def fail(self, what: str) -> None:
        tail = "\n".join(self.trace[-40:])
        raise BrokenPromise(
            f"seed {self.seed}, {self.now:.4f} s, keepalive {self.keepalive},"
            f" deadtime {self.deadtime}: {what}\n{tail}"
        )

    def look(self) -> None:
        """Note since when things are as they are."""
        calm = all(way.clean for way in self.ways) and all(
            router.runs(self.now) and not router.broken for router in self.routers
        )
        if not calm:
            self.calm_since = self.now
        half = sum(way.cut for way in self.ways) == 1 and all(
            r.runs(self.now) for r in self.routers
        )
        heard = any(r.engine and r.engine.machine.partner is not None for r in self.routers)
        if not half or not heard:
            self.half_since = None
        else:
            self.half_since = self.since(self.half_since, True)
        owners = sum(router.holds for router in self.routers)
        self.none_since = self.since(self.none_since, owners == 0)
        self.two_since = self.since(self.two_since, owners == 2)
        useless = any(
            router.holds and not router.linked and other.linked
            for router, other in zip(self.routers, reversed(self.routers), strict=True)
        )
        self.useless_since = self.since(self.useless_since, useless)
        for router in self.routers:
            able = router.runs(self.now) and not router.broken and router.linked
            router.able_since = self.since(router.able_since, able)

    def since(self, before: float | None, true: bool) -> float | None:
        if not true:
            return None
        return self.now if before is None else before

    def check(self) -> None:
        """At most one owner while both hear each other; one owner while one is able."""
        if self.two_since is not None:
            both = self.now - max(self.two_since, self.calm_since)
            if both > self.deadtime + 2 * self.keepalive:
                self.fail(f"two owners for {both:.3f} s though both hear each other")
        if self.two_since is not None and self.half_since is not None:
            both = self.now - max(self.two_since, self.half_since)
            if both > 2 * self.deadtime + 2 * self.keepalive:
                self.fail(f"two owners for {both:.3f} s though one hears the other")
        if self.useless_since is not None:
            useless = self.now - max(self.useless_since, self.calm_since)
            if useless > self.deadtime + 2 * self.keepalive:
                self.fail(f"an owner without a link for {useless:.3f} s beside one with it")
        able = [r.able_since for r in self.routers if r.able_since is not None]
        if self.none_since is not None and able:
            none = self.now - max(self.none_since, min(able))
            # Two dead times, since a primary that is heard but hears nothing must first wait for
            # its own silence; a third where the network loses and delays what is said.
            quiet = self.now - self.calm_since > 3 * self.deadtime
            bound = (2 if quiet else 3) * self.deadtime + 4 * self.keepalive
            if none > bound:
                self.fail(f"no owner for {none:.3f} s though one is able")

    def agree(self) -> None:
        states = [r.engine.machine.state if r.engine else None for r in self.routers]
        owners = [r.holds for r in self.routers]
        if sorted(owners) != [False, True]:
            self.fail(f"ends with owners {owners}, states {states}")
        for router, state in zip(self.routers, states, strict=True):
            if state is not (State.ACTIVE if router.holds else State.STANDBY):
                self.fail(f"{router.name} ends {state}, and holds: {router.holds}")
            if router.engine is None or router.engine.machine.partner is None:
                self.fail(f"{router.name} does not hear its partner at the end")

    # -- the routers --------------------------------------------------------------------------

    def note(self, text: str) -> None:
        self.trace.append(f"{self.now:.4f} {text}")

    def start(self, number: int) -> None:
        """The supervisor forks a heart, which adopts what it finds."""
        router = self.routers[number]
        if not router.powered or not router.wanted or router.engine is not None:
            return
        if self.now < max(router.startable_at, router.frozen_until):
            self.at(max(router.startable_at, router.frozen_until), lambda: self.start(number))
            return
        now = router.clock(self.now)
        router.stopped_until = 0.0
        router.queue.clear()
        router.engine = Engine(
            (KEY,), router.timing, bytes(8), lambda: self.random.randbytes(16), now
        )
        self.note(f"{router.name} starts, holds {router.holds}")
        self.session(router)
        router.ticked = self.now
        router.resigned = False
        self.carry(number, router.engine.start(now, router.holds and router.intends))
        self.carry(number, router.engine.carrier(router.linked, now))
        self.schedule(number)
        self.watch(number)

    def session(self, router: Router) -> None:
        if router.engine is not None:
            router.sessions = [router.engine.conversation.session, *router.sessions][:4]

    def schedule(self, number: int) -> None:
        router = self.routers[number]
        if router.engine is None:
            return
        router.wake += 1
        due = (router.engine.next_at() - 1000.0) / router.rate
        when = max(self.now, due) + 1e-6
        self.at(when, partial(self.woken, number, router.wake))

    def woken(self, number: int, wake: int | None = None) -> None:
        """The heart's loop turns once."""
        router = self.routers[number]
        if (
            router.engine is None
            or not router.powered
            or (wake is not None and wake != router.wake)
        ):
            return
        blocked = max(router.frozen_until, router.stopped_until)
        if self.now < blocked:
            if wake is not None:
                self.at(blocked, lambda: self.woken(number, wake))
            return
        engine, now = router.engine, router.clock(self.now)
        self.carry(number, engine.woke(now))
        waiting, router.queue = router.queue, []
        for data in waiting:
            self.carry(number, engine.received(data, now))
        self.carry(number, engine.tick(now))
        router.ticked = self.now
        self.schedule(number)

    def watch(self, number: int) -> None:
        """The supervisor: half a dead time without a tick, and it resigns for the heart."""
        router = self.routers[number]
        if not router.powered or not router.wanted:
            return
        if self.now < router.frozen_until:
            self.at(router.frozen_until, lambda: self.watch(number))
            return
        if self.now - router.ticked > self.deadtime / 2 and not router.resigned:
            self.note(f"{router.name} is resigned for")
            router.engine = None
            router.resigned = True
            router.holds = router.intends = False
            for data in farewells((KEY,), router.timing.role, router.sessions, bytes(8)):
                self.send(number, data)
            self.start(number)
        if router.engine is None or not router.resigned:
            self.at(self.now + self.deadtime / 16, partial(self.watch, number))

    def carry(self, number: int, effects: list[Effect]) -> None:
        router = self.routers[number]
        for effect in effects:
            if router.engine is None:
                return
            now = router.clock(self.now)
            match effect.deed:
                case Deed.SEND:
                    self.send(number, effect.data)
                case Deed.ACQUIRE:
                    router.intends = True
                    if router.broken:
                        self.carry(number, router.engine.failed(now))
                    else:
                        router.holds = True
                case Deed.RELEASE:
                    router.holds = router.intends = False
                case Deed.LOOK:
                    if not router.holds:
                        self.carry(number, router.engine.lost(now))
                case Deed.SESSION:
                    self.session(router)
                case Deed.LOG:
                    self.note(f"{router.name}: {effect.text}")
                case Deed.ANNOUNCE:
                    self.took += 1
                case Deed.HAND_OVER | Deed.TAKE | Deed.GOODBYE:
                    self.part(number, router.engine, effect, now)

    def part(self, number: int, engine: Engine, effect: Effect, now: float) -> None:
        """Hand over without waiting, take what comes, say goodbye."""
        if effect.deed is Deed.HAND_OVER:
            _sequence, data = engine.hand(PORTION, now)
            self.send(number, data)
        elif effect.deed is Deed.GOODBYE:
            self.send(number, engine.goodbye(now))
        else:
            if effect.data != PORTION:
                self.fail("a portion of connections came as another")
            self.taken += 1
            self.carry(number, engine.take((effect.sequence,), now))

    # -- the network --------------------------------------------------------------------------

    def send(self, number: int, data: bytes) -> None:
        way = self.ways[number]
        if way.cut or self.random.random() < way.loss:
            return
        copies = 2 if self.random.random() < way.double else 1
        for _unused in range(copies):
            delay = way.delay + self.random.random() * way.jitter
            self.at(self.now + delay, lambda: self.arrive(1 - number, data))

    def arrive(self, number: int, data: bytes) -> None:
        router = self.routers[number]
        if not router.powered or router.engine is None or self.now < router.frozen_until:
            return
        if len(router.queue) < QUEUE:
            router.queue.append(data)
        self.woken(number)

    # -- faults -------------------------------------------------------------------------------

    def fault(self) -> None:
        kinds = [
            self.cut_both,
            self.cut_one,
            self.lose,
            self.jumble,
            self.crash,
            self.cannot_restart,
            self.hang,
            self.freeze,
            self.power_cut,
            self.stop,
            self.break_addresses,
            self.unplug,
            self.retime,
        ]
        kind = self.random.choice(kinds)
        number = self.random.randrange(2)
        if self.random.random() < 0.6 and any(router.holds for router in self.routers):
            number = next(n for n, router in enumerate(self.routers) if router.holds)
        length = self.deadtime * self.random.choice((0.1, 0.4, 0.6, 0.9, 1.1, 2, 4, 6))
        self.note(f"FAULT {kind.__name__} at {self.routers[number].name} for {length:.3f} s")
        kind(number, length)

    def later(self, length: float, what: Callable[[], None]) -> None:
        self.at(min(self.now + length, self.fault_end), what)

    def cut_both(self, number: int, length: float) -> None:
        for way in self.ways:
            way.cut = True
        self.later(length, self.mend)

    def cut_one(self, number: int, length: float) -> None:
        self.ways[number].cut = True
        self.later(length, self.mend)

    def lose(self, number: int, length: float) -> None:
        for way in self.ways:
            way.loss = self.random.choice((0.05, 0.3, 0.7))
        self.later(length * 2, self.mend)

    def jumble(self, number: int, length: float) -> None:
        for way in self.ways:
            way.jitter = self.random.choice((0.5, 3)) * self.keepalive
            way.double = 0.3
        self.later(length * 2, self.mend)

    def mend(self) -> None:
        self.note("the network is whole")
        self.ways = [Network(), Network()]

    def crash(self, number: int, length: float) -> None:
        router = self.routers[number]
        if router.engine is not None:
            router.engine = None
            self.at(self.now + min(RESTART, self.deadtime / 10), lambda: self.start(number))

    def cannot_restart(self, number: int, length: float) -> None:
        router = self.routers[number]
        if router.engine is not None:
            router.engine = None
            router.startable_at = self.now + length
            self.at(router.startable_at, lambda: self.start(number))

    def hang(self, number: int, length: float) -> None:
        router = self.routers[number]
        router.stopped_until = self.now + length
        self.at(router.stopped_until, lambda: self.woken(number))

    def freeze(self, number: int, length: float) -> None:
        router = self.routers[number]
        router.frozen_until = self.now + length

    def power_cut(self, number: int, length: float) -> None:
        router = self.routers[number]
        router.powered = False
        router.holds = router.intends = False
        router.engine = None
        router.sessions = []
        self.later(length, lambda: self.power_on(number))

    def power_on(self, number: int) -> None:
        self.routers[number].powered = True
        self.routers[number].startable_at = 0.0
        self.start(number)

    def stop(self, number: int, length: float) -> None:
        router = self.routers[number]
        if not router.runs(self.now) or router.engine is None:
            return
        router.wanted = False
        self.carry(number, router.engine.stop(router.clock(self.now)))
        router.engine = None
        self.later(length, lambda: self.want(number))

    def want(self, number: int) -> None:
        self.routers[number].wanted = True
        self.start(number)

    def break_addresses(self, number: int, length: float) -> None:
        router = self.routers[number]
        router.broken = True

        def mend() -> None:
            router.broken = False

        self.later(length, mend)

    def unplug(self, number: int, length: float) -> None:
        """An interface of the virtual addresses loses its link; heartbeats go on elsewhere."""
        self.plug(number, linked=False)
        self.later(length, partial(self.plug, number, linked=True))

    def plug(self, number: int, linked: bool) -> None:
        router = self.routers[number]
        router.linked = linked
        if router.powered and router.engine is not None:
            # Who hangs hears of it late: the kernel keeps the news in a queue.
            when = max(self.now, router.frozen_until, router.stopped_until)
            self.at(when, partial(self.tell_link, number))

    def tell_link(self, number: int) -> None:
        router = self.routers[number]
        if router.runs(self.now) and router.engine is not None:
            now = router.clock(self.now)
            self.carry(number, router.engine.woke(now))
            self.carry(number, router.engine.carrier(router.linked, now))
            self.schedule(number)

    def retime(self, number: int, length: float) -> None:
        router = self.routers[number]
        if not router.runs(self.now) or router.engine is None:
            return
        router.timing = replace(router.timing, keepalive=self.keepalive * 0.8)
        now = router.clock(self.now)
        self.carry(number, router.engine.reload((KEY,), router.timing, bytes(8), now))
        self.schedule(number)

    def heal(self) -> None:
        """From here on nothing goes wrong any more."""
        self.note("HEAL")
        self.mend()
        for number, router in enumerate(self.routers):
            router.broken = False
            self.plug(number, linked=True)
            router.frozen_until = min(router.frozen_until, self.now)
            router.stopped_until = min(router.stopped_until, self.now)
            router.startable_at = min(router.startable_at, self.now)
            if not router.powered:
                self.power_on(number)
            router.wanted = True
            self.start(number)
