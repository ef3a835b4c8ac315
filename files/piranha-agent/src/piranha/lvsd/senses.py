# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lvsd notices of its network beside the checks themselves, and what that means for them.

A real server whose neighbour entry has failed is checked at once. That is no failed check yet:
somebody may have taken the entry out by hand. A check that fails since nobody answers ARP says so.
Where one service of a machine has gone down, what else is checked there is checked at once.
An address that comes or goes is a reason to look again whether checks through the virtual address
can be made (doors.py).
"""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Callable, Iterable

from piranha.nanny.outcome import Finding, Result
from piranha.nanny.probe import NO_CONNECTION, WORDS
from piranha.nanny.spec import NoCheck, ProgramCheck, ServiceCheck, SocketCheck, Watch
from piranha.net.news import News

from . import words
from .doors import Doors
from .surroundings import Trouble

SUSPICION = 1.0
"""Seconds in which one machine is suspected once, however many of its services go down."""

RECENT = 1.0
"""Seconds before a check in which a neighbour that failed still explains its end."""

Hasten = Callable[[Iterable[Watch]], None]


class Senses:
    """Ears for the kernel's news, and the doors."""

    def __init__(self, doors: Doors, hasten: Hasten) -> None:
        """hasten: makes checks before their time. Nothing is heard before `listen`."""
        self._doors = doors
        self._hasten = hasten
        self._news: News | None = None
        self._watches: dict[str, list[Watch]] = {}
        self._failed: dict[str, float] = {}
        self._suspected: dict[str, float] = {}
        self._told: list[Trouble] = []

    def listen(self, news: News) -> None:
        """Hear what the kernel tells, from the running loop."""
        self._news = news
        asyncio.get_running_loop().add_reader(news.fileno(), self.hear)

    def close(self) -> None:
        """Hear no more."""
        if self._news is not None:
            asyncio.get_running_loop().remove_reader(self._news.fileno())
            self._news.close()
            self._news = None

    def configure(self, watches: Iterable[Watch], floating: frozenset[str]) -> None:
        """Take over another configuration's checks. floating: addresses that may move."""
        watches = list(watches)
        self._watches = {}
        for watch in watches:
            target = target_of(watch)
            if target is not None:
                self._watches.setdefault(target, []).append(watch)
        self._failed = {one: at for one, at in self._failed.items() if one in self._watches}
        self._suspected.clear()
        self._doors.configure(watches, floating)

    def look(self) -> list[words.Event]:
        """Look at this router's network again; gives what is new to tell."""
        self._doors.look()
        before, self._told = self._told, self._doors.troubles()
        known = {(one.words, one.now) for one in before}
        events = [
            words.event(
                "err" if one.now else "warning",
                f"checks through a virtual address: {one.words}"
                + ("; until then they change no state" if one.now else ""),
            )
            for one in self._told
            if (one.words, one.now) not in known
        ]
        if before and not self._told:
            events.append(words.event("notice", "checks through a virtual address work again"))
        return events

    @property
    def problems(self) -> list[str]:
        """For the status: what stands in the way of checks."""
        return [f"checks through a virtual address: {one.words}" for one in self._told]

    def refine(self, watch: Watch, result: Result, *, matters: bool) -> Result:
        """Give a result that counts. matters: whether a good one would change anything."""
        check = watch.check
        if not isinstance(check, SocketCheck | ServiceCheck):
            return result
        if result.outcome.finding is Finding.BAD:
            if check.through is not None or result.outcome.words == WORDS[errno.EHOSTUNREACH]:
                self.hear()
            result = self._explained(watch, result)
        return self._doors.credible(check, result, matters=matters)

    def _explained(self, watch: Watch, result: Result) -> Result:
        target = target_of(watch) or ""
        silent = self._failed.get(target, float("-inf")) > result.at - RECENT
        if result.outcome.words != WORDS[errno.EHOSTUNREACH] or not silent:
            return _placed(watch, result)
        asked = "neighbour solicitations" if ":" in target else "ARP requests"
        text = f"{result.outcome.words}: {target} does not answer {asked}"
        return result._replace(outcome=result.outcome._replace(words=text))

    def suspect(self, watch: Watch) -> None:
        """Tell that a server has gone down, perhaps with its machine."""
        target, now = target_of(watch), time.monotonic()
        if target is None or now - self._suspected.get(target, float("-inf")) < SUSPICION:
            return
        others = [one for one in self._watches.get(target, ()) if one != watch]
        if others:
            self._suspected[target] = now
            self._hasten(others)

    def hear(self) -> None:
        """Take in all that the kernel has told since."""
        heard = self._news.read() if self._news is not None else None
        if heard is None:
            return
        now = time.monotonic()
        hurried: list[Watch] = []
        for address in heard.failed & self._watches.keys():
            self._failed[address] = now
            hurried += self._watches[address]
        if heard.moved:
            self._doors.look()
        self._hasten(hurried)


def _placed(watch: Watch, result: Result) -> Result:
    """Say of a failure at which address it was, where that is not the server's own."""
    check = watch.check
    if isinstance(check, NoCheck | ProgramCheck) or check.through is None:
        return result
    text = f"{result.outcome.words} at {check.address}"
    if result.outcome.words.startswith(NO_CONNECTION):
        text += ", which it may not have on its loopback"
    return result._replace(outcome=result.outcome._replace(words=text))


def target_of(watch: Watch) -> str | None:
    """The address of the machine that a check asks, None where no packet of ours goes there."""
    check = watch.check
    if not isinstance(check, SocketCheck | ServiceCheck):
        return None
    return check.through.server if check.through else check.address
