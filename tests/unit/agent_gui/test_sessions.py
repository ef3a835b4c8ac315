# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions end by themselves, are not many, and are not forged; failed logins are counted."""

from __future__ import annotations

from itertools import count

from piranha.gui import sessions
from piranha.gui.sessions import Attempts, Sessions


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def made() -> tuple[Sessions, Clock]:
    clock, numbers = Clock(), count()
    return Sessions(clock, lambda: f"random-{next(numbers)}"), clock


def test_a_session_ends_when_nobody_does_anything() -> None:
    held, clock = made()
    cookie, _session = held.begin("ann", "view")
    clock.now += sessions.IDLE - 1
    assert held.find(cookie) is not None
    clock.now += sessions.IDLE - 1
    assert held.find(cookie, touch=False) is not None
    clock.now += 2
    assert held.find(cookie) is None
    assert len(held) == 0


def test_a_session_ends_after_its_longest_time_however_busy() -> None:
    held, clock = made()
    cookie, _session = held.begin("ann", "view")
    while clock.now < 1000 + sessions.LONGEST:
        assert held.find(cookie) is not None
        clock.now += sessions.IDLE / 2
    clock.now += 1
    assert held.find(cookie) is None


def test_many_sessions_make_room_for_each_other() -> None:
    held, _clock = made()
    first, _session = held.begin("ann", "view")
    for number in range(sessions.MOST * 2):
        held.begin(f"user-{number}", "view")
    assert len(held) == sessions.MOST
    assert held.find(first) is None
    cookies = [held.begin("bob", "view")[0] for _each in range(sessions.MOST_OF_ONE + 3)]
    assert [held.find(one) is not None for one in cookies] == [False] * 3 + [True] * 10


def test_the_cookie_itself_is_not_kept() -> None:
    held, _clock = made()
    cookie, session = held.begin("ann", "view")
    assert cookie not in repr(vars(held))
    assert session.forged("guess")
    assert session.forged("")
    assert not session.forged(session.csrf)
    assert session.csrf != cookie


def test_attempts_are_counted_by_each_name_for_a_while() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for _each in range(sessions.ATTEMPTS):
        assert attempts.wait("address a", "user ann") == 0
        attempts.failed("address a", "user ann")
        clock.now += 1
    assert attempts.wait("address b", "user ann") > 800
    assert attempts.wait("address a", "user bob") > 800
    assert attempts.wait("address b", "user bob") == 0
    clock.now += sessions.WINDOW
    assert attempts.wait("address a", "user ann") == 0


def test_a_flood_of_made_up_names_does_not_fill_the_memory() -> None:
    attempts = Attempts(Clock())
    for number in range(sessions.REMEMBERED + 500):
        attempts.failed(f"user {number}")
    assert len(vars(attempts)["_failed"]) == sessions.REMEMBERED
