# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Appointments on the wheel: never early, a step late at most, and gone when removed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, cast

import pytest
from piranha.nanny import wheel as wheel_module
from piranha.nanny.wheel import STEP, Wheel


class Handle:
    """A timer of the clock below."""

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """As much of an event loop as the wheel needs, with a time that the test sets."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, Handle, Callable[[], None]]] = []
        self.wakes = 0

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Callable[[], None]) -> Handle:
        handle = Handle()
        self.timers.append((when, handle, call))
        return handle

    def call_soon(self, call: Callable[[], None]) -> Handle:
        return self.call_at(self.now, call)

    def run(self, until: float, stall: float = 0.0) -> None:
        """Let time pass; with `stall` it stands still for that long before anything runs."""
        self.now += stall
        until = max(until, self.now)
        while True:
            self.timers = [timer for timer in self.timers if not timer[1].cancelled]
            due = [timer for timer in self.timers if timer[0] <= until]
            if not due:
                break
            first = min(due, key=lambda timer: timer[0])
            self.timers.remove(first)
            self.now = max(self.now, first[0])
            self.wakes += 1
            first[2]()
        self.now = max(self.now, until)


class Guest:
    """Keeps an appointment and remembers when."""

    def __init__(self, when: float) -> None:
        self.when = when
        self.kept: list[float] = []
        self.then: Callable[[], None] | None = None

    def due(self, now: float) -> None:
        self.kept.append(now)
        if self.then is not None:
            self.then()


def made(clock: Clock, **hooks: Any) -> Wheel:
    return Wheel(cast(asyncio.AbstractEventLoop, clock), **hooks)


def test_a_thousand_are_kept_once_in_time_and_those_removed_never() -> None:
    clock, dice = Clock(), random.Random(5)
    wheel = made(clock)
    guests = [Guest(100 + dice.uniform(0, 3)) for _unused in range(1000)]
    steps = [wheel.add(guest, guest.when) for guest in guests]
    for guest, step in list(zip(guests, steps, strict=True))[::3]:
        wheel.remove(guest, step)
    clock.run(104)
    for number, guest in enumerate(guests):
        assert len(guest.kept) == (0 if number % 3 == 0 else 1)
        assert all(0 <= at - guest.when <= STEP + 1e-9 for at in guest.kept)
    assert clock.wakes <= 3 / STEP + 1


def test_one_that_comes_sooner_than_all_others_is_not_late() -> None:
    clock = Clock()
    wheel = made(clock)
    late, soon = Guest(109), Guest(101)
    wheel.add(late, late.when)
    wheel.add(soon, soon.when)
    clock.run(102)
    assert (len(late.kept), len(soon.kept)) == (0, 1)
    clock.run(110)
    assert len(late.kept) == 1


def test_nothing_left_means_no_waking_up() -> None:
    clock = Clock()
    wheel = made(clock)
    guests = [Guest(100 + number) for number in range(1, 6)]
    steps = [wheel.add(guest, guest.when) for guest in guests]
    for guest, step in zip(guests[:4], steps[:4], strict=True):
        wheel.remove(guest, step)
    clock.run(110)
    assert [len(guest.kept) for guest in guests] == [0, 0, 0, 0, 1]
    assert clock.wakes == 2  # for the first, which was armed already, and for the last


def test_one_that_another_removes_while_both_are_due_is_not_kept() -> None:
    clock = Clock()
    wheel = made(clock)
    one, two = Guest(101), Guest(101)
    steps = {one: wheel.add(one, one.when), two: wheel.add(two, two.when)}
    one.then = lambda: wheel.remove(two, steps[two])
    two.then = lambda: wheel.remove(one, steps[one])
    clock.run(102)
    assert len(one.kept) + len(two.kept) == 1


def test_one_that_comes_again_at_once_comes_with_the_next_step() -> None:
    clock = Clock()
    wheel = made(clock)
    guest = Guest(101)
    guest.then = lambda: wheel.add(guest, clock.now) and None
    wheel.add(guest, guest.when)
    clock.run(102)
    assert 1 / STEP - 1 <= len(guest.kept) <= 1 / STEP + 1


def test_after_a_stall_the_loop_has_its_turn_between_portions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wheel_module, "AT_ONCE", 10)
    clock, looked, ended = Clock(), [0], [0]

    def before() -> None:
        looked[0] += 1

    def after() -> None:
        ended[0] += 1

    wheel = made(clock, before=before, after=after)
    guests = [Guest(100 + number / 20) for number in range(95)]
    for guest in guests:
        wheel.add(guest, guest.when)
    clock.run(100.0, stall=50.0)
    assert all(guest.kept == [150.0] for guest in guests)
    assert looked == ended == [10]


def test_what_goes_wrong_in_one_does_not_stop_the_others() -> None:
    clock = Clock()
    wheel = made(clock)

    def fail() -> None:
        raise RuntimeError("surprise")

    guests = [Guest(101), Guest(101), Guest(102)]
    guests[0].then = fail  # the others come after it
    for guest in guests:
        wheel.add(guest, guest.when)
    with pytest.raises(RuntimeError, match="surprise"):
        clock.run(101.5)
    clock.run(103)
    assert [len(guest.kept) for guest in guests] == [1, 1, 1]


def test_on_a_router_that_cannot_keep_up_nobody_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten become due in the time that four take; all have their turn, one after the other."""
    monkeypatch.setattr(wheel_module, "AT_ONCE", 4)
    clock = Clock()
    wheel = made(clock)
    guests = [Guest(101) for _unused in range(40)]

    def again(guest: Guest) -> Callable[[], None]:
        def take_time() -> None:
            clock.now += 0.25
            wheel.add(guest, clock.now)

        return take_time

    for guest in guests:
        guest.then = again(guest)
        wheel.add(guest, guest.when)
    clock.run(150)
    turns = [len(guest.kept) for guest in guests]
    assert min(turns) >= 4
    assert max(turns) - min(turns) <= 1
