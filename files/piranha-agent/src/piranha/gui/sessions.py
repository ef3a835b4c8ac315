# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is logged in, and how often somebody may try. In memory: a restart ends every session.

Clock and randomness come in from outside, so that all of it is decided the same way in tests.
Passwords are not this file's.
"""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from .draft import Draft

IDLE = 30 * 60.0
"""Seconds without a request of the person after which a session ends."""

LONGEST = 12 * 3600.0
"""Seconds after which a session ends however busy it is."""

MOST = 200
"""Sessions at once; the one that was idle longest makes room."""

MOST_OF_ONE = 10
"""Sessions of one user at once."""

Clock = Callable[[], float]
Random = Callable[[], str]


def random_text() -> str:
    """Give 256 bits nobody can guess."""
    return secrets.token_urlsafe(32)


@dataclass
class Session:
    """One browser that has logged in. `csrf` must come with every change it asks for."""

    user: str
    role: str
    csrf: str
    began: float
    seen: float
    draft: Draft | None = None
    notes: list[tuple[str, str]] = field(default_factory=list)
    """What the next page says once: tone and sentence."""
    kept: str = ""
    """What the editor keeps of the draft, as keeping.py tells it."""

    def forged(self, token: str) -> bool:
        """Whether a request that brings this token was not made on one of our pages."""
        return not hmac.compare_digest(token.encode(), self.csrf.encode())


class Sessions:
    """All sessions, known by the digest of their cookie, so that a memory dump opens no door."""

    def __init__(self, clock: Clock, random: Random = random_text) -> None:
        """No session yet. clock: seconds that only grow."""
        self._clock, self._random = clock, random
        self._held: OrderedDict[bytes, Session] = OrderedDict()

    def __len__(self) -> int:
        """How many there are, those that have ended unnoticed included."""
        return len(self._held)

    def begin(self, user: str, role: str) -> tuple[str, Session]:
        """Log somebody in; gives the cookie's value, which nobody else has, and the session."""
        now = self._clock()
        self._tidy(now)
        own = [key for key, one in self._held.items() if one.user == user]
        for key in own[: max(0, len(own) - MOST_OF_ONE + 1)]:
            del self._held[key]
        while len(self._held) >= MOST:
            self._held.popitem(last=False)
        cookie = self._random()
        session = Session(user, role, self._random(), now, now)
        self._held[_digest(cookie)] = session
        return cookie, session

    def find(self, cookie: str, *, touch: bool = True) -> Session | None:
        """Give the session of a cookie, if it has not ended. touch: the person did something."""
        key, now = _digest(cookie), self._clock()
        session = self._held.get(key)
        if session is None:
            return None
        if _ended(session, now):
            del self._held[key]
            return None
        if touch:
            session.seen = now
            self._held.move_to_end(key)
        return session

    def of(self, user: str) -> list[Session]:
        """Give the sessions of a user that have not ended."""
        now = self._clock()
        return [one for one in self._held.values() if one.user == user and not _ended(one, now)]

    def end(self, cookie: str) -> None:
        """Log out."""
        self._held.pop(_digest(cookie), None)

    def end_of(self, user: str) -> None:
        """End every session of a user, for instance since it was removed."""
        for key in [key for key, one in self._held.items() if one.user == user]:
            del self._held[key]

    def _tidy(self, now: float) -> None:
        for key in [key for key, one in self._held.items() if _ended(one, now)]:
            del self._held[key]


def _ended(session: Session, now: float) -> bool:
    return now - session.seen > IDLE or now - session.began > LONGEST


def _digest(cookie: str) -> bytes:
    return sha256(cookie.encode("utf-8", "surrogatepass")).digest()


WINDOW = 15 * 60.0
"""Seconds for which a failed attempt counts."""

ATTEMPTS = 10
"""Failed attempts that one address, or one user name, has in that time."""

REMEMBERED = 10_000
"""Addresses and names whose failures are kept; a flood of made-up ones forgets the oldest."""


class Attempts:
    """Failed logins by address and by name, so that guessing takes years."""

    def __init__(self, clock: Clock) -> None:
        """Nobody has failed yet."""
        self._clock = clock
        self._failed: OrderedDict[str, list[float]] = OrderedDict()

    def wait(self, *who: str) -> float:
        """Give the seconds until one of these may try again; 0 if it may now."""
        now = self._clock()
        longest = 0.0
        for name in who:
            times = [at for at in self._failed.get(name, ()) if now - at < WINDOW]
            if len(times) >= ATTEMPTS:
                longest = max(longest, WINDOW - (now - times[-ATTEMPTS]))
        return longest

    def failed(self, *who: str) -> None:
        """Count a failed attempt."""
        now = self._clock()
        for name in who:
            times = self._failed.pop(name, [])
            self._failed[name] = [*times[1 - ATTEMPTS :], now]
        while len(self._failed) > REMEMBERED:
            self._failed.popitem(last=False)

    def succeeded(self, *who: str) -> None:
        """Forget the failures of one who knew the password after all."""
        for name in who:
            self._failed.pop(name, None)
