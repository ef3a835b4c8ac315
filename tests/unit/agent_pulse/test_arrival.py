# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections of the partner: when they are confirmed, and what waits for a kernel that is slow."""

from __future__ import annotations

import time
from collections.abc import Iterable
from types import SimpleNamespace
from typing import cast

import pytest
from piranha.net.connections import ESTABLISHED, Connection
from piranha.pulse import arrival as room
from piranha.pulse.arrival import Arrival
from piranha.pulse.handover import Services, limits, portions

DEADTIME = 1.5
ONE = Connection(
    6, ESTABLISHED, b"\xc6\x33\x64\x09", 40000, b"\xc0\0\2\x64", 80, b"\x0a\0\0\1", 80, False
)
SERVICES = cast(Services, SimpleNamespace(owns=lambda _one: True))
(PORTION,) = portions([ONE])


class Backup:
    """The kernel's sync daemon, which fetches at a time of its own."""

    def __init__(self) -> None:
        self.fetches_at = float("inf")
        self.given: list[Connection] = []
        self.looks = 0
        self.open = False

    def start(self) -> None:
        self.open = True

    def give(self, connections: Iterable[Connection]) -> None:
        self.given += connections

    def taken(self) -> bool:
        self.looks += 1
        return time.monotonic() >= self.fetches_at

    def stop(self) -> None:
        self.open = False


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Backup:
    made = Backup()
    monkeypatch.setattr(room, "Backup", lambda: made)
    return made


@pytest.fixture
def taker(kernel: Backup) -> Arrival:
    return Arrival(SERVICES, DEADTIME)


def test_a_portion_is_confirmed_once_the_kernel_has_it(taker: Arrival, kernel: Backup) -> None:
    assert taker.take(PORTION, 7, 100.0) == ""
    assert kernel.given == [ONE]
    for hundredth in range(10):
        assert taker.step(100.0 + hundredth / 100) is None
    kernel.fetches_at = 0.0
    assert taker.step(100.1) == (7,)
    assert taker.step(100.2) is None


def test_a_portion_that_waits_is_confirmed_just_before_the_partner_gives_up(
    taker: Arrival, kernel: Backup
) -> None:
    stall = limits(DEADTIME).stall
    taker.take(PORTION, 7, 100.0)
    assert taker.step(100.0 + 0.7 * stall) is None
    assert taker.step(100.0 + 0.9 * stall) == (7,)
    taker.want(SERVICES, 0.03)
    taker.take(PORTION, 8, 200.0)
    assert taker.step(200.0 + 0.9 * limits(0.03).stall) == (8,), "its dead time is ours"


def test_the_addresses_wait_for_what_the_kernel_has_not_fetched(
    taker: Arrival, kernel: Backup
) -> None:
    taker.take(PORTION, 7, 100.0)
    assert taker.step(101.0) == (7,), "confirmed, since the partner waits no longer"
    kernel.fetches_at = time.monotonic() + 0.03
    taker.settle()
    assert time.monotonic() >= kernel.fetches_at + room.GLANCE, "and the last of it is being read"
    looks = kernel.looks
    taker.settle()
    assert kernel.looks == looks, "it knows"


def test_they_wait_a_moment_only(taker: Arrival, kernel: Backup) -> None:
    taker.take(PORTION, 7, 100.0)
    begun = time.monotonic()
    taker.settle()
    assert time.monotonic() - begun >= limits(DEADTIME).between
    kernel.looks = 0
    taker.step(101.0)
    taker.step(102.5)
    assert not kernel.open
    kernel.looks = 0
    taker.settle()
    assert kernel.looks == 0, "what is closed is not asked"


def test_where_nothing_has_come_nothing_waits(taker: Arrival, kernel: Backup) -> None:
    taker.settle()
    assert kernel.looks == 0
