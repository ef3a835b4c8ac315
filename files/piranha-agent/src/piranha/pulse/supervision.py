# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""When pulse starts, gives up and replaces a child: pure decisions over somebody else's clock.

The rules, in words:

1. A child that ends is started again at once; one that keeps ending waits a little longer each
   time, up to a bound. Whoever lived long enough starts with a clean record. A heart that was well
   before it ended waits no longer than a dead time: where both routers wait (two machines of one
   overloaded host, whose hearts stand still again and again) nobody has the addresses.
2. A child that says "tick" must go on saying it. After `silence` seconds without one it is given
   up: killed, whatever it is doing, and replaced.
3. The heart speaks for the addresses that this machine's kernel holds. If it is given up, pulse
   resigns for it before anything else, so that the partner may have them. Restarts do not count as
   ticks: a heart that keeps dying is as silent as one that hangs.
4. What has resigned need not resign again until a heart has ticked.

No process, socket or clock here; supervisor.py has those.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

DELAYS = (0.0, 0.0, 0.1, 0.3, 1.0, 2.0, 5.0)
"""Seconds before the first, second, ... restart in a row; the last one for all that follow."""

RESIGN_AGAIN = 1.0
"""Seconds after which a resignation that failed is tried again."""

FIRST_TICK = 10.0
"""Seconds that a heart's very first tick may take: a cold machine, a slow disk."""

STABLE = 10.0
"""Seconds of life after which earlier deaths are forgotten."""


class Do(Enum):
    """What the shell has to do, in the order given."""

    KILL = "kill"
    RESIGN = "resign"
    START = "start"


@dataclass(frozen=True)
class Policy:
    """How one child is treated; times in seconds.

    silence: without a tick for this long it is given up. first_tick: how long the very first tick
    may take (None: as long as it likes, silence counts from its first tick on). resigns: giving it
    up means that this router resigns. longest: how long one that ticked before it ended waits for
    its restart at the most; one that has not cannot do its work, and waits as `delays` say.
    """

    name: str
    silence: float
    first_tick: float | None
    resigns: bool = False
    delays: tuple[float, ...] = DELAYS
    stable: float = STABLE
    longest: float = DELAYS[-1]

    @classmethod
    def of_heart(cls, deadtime: float) -> Policy:
        """Give the heart's. deadtime: in seconds."""
        return cls("heart", deadtime / 2, FIRST_TICK, resigns=True, longest=deadtime)


@dataclass(frozen=True)
class Child:
    """What is known of one child; times on the monotonic clock."""

    begin: float
    """Since when it is supervised, or since the last resignation."""
    running: bool = False
    started: float = 0.0
    heard: float | None = None
    """The last tick since `begin`, whichever of its processes said it."""
    failures: int = 0
    """Ends in a row, each after less than `stable` seconds of life."""
    start_at: float = 0.0
    starts: int = 0
    resigned: bool = False


def started(child: Child, now: float) -> Child:
    """A process of this child was started now."""
    return replace(child, running=True, started=now, starts=child.starts + 1)


def ticked(child: Child, when: float) -> Child:
    """The child said that it was well at `when`."""
    if child.heard is not None and when <= child.heard:
        return child
    return replace(child, heard=when, resigned=False)


def ended(child: Child, policy: Policy, now: float) -> Child:
    """The process has gone, by itself or killed; plan the next start."""
    failures = 1 if now - child.started >= policy.stable else child.failures + 1
    delay = policy.delays[min(failures, len(policy.delays)) - 1]
    if child.heard is not None and child.heard >= child.started:
        delay = min(delay, policy.longest)
    return replace(child, running=False, failures=failures, start_at=now + delay)


def give_up_at(child: Child, policy: Policy) -> float | None:
    """Give the moment at which the child is given up if no tick comes, or None."""
    if child.heard is not None:
        return child.heard + policy.silence
    if policy.first_tick is None:
        return None
    if child.resigned or not policy.resigns:
        # Nothing is at stake but the process: only one that runs, and hangs, is given up.
        return child.started + policy.first_tick if child.running else None
    return child.begin + policy.first_tick


def step(child: Child, policy: Policy, now: float) -> tuple[Child, tuple[Do, ...]]:
    """Decide what is to be done now.

    Gives the child as it is once that has been done (except START: the shell says `started`
    when it has worked) and the actions, in order.
    """
    limit = give_up_at(child, policy)
    if limit is not None and now >= limit:
        actions: tuple[Do, ...] = (Do.KILL,) if child.running else ()
        if child.running:
            child = ended(child, policy, now)
        if policy.resigns and not child.resigned:
            actions += (Do.RESIGN,)
            child = replace(child, resigned=True)
        return replace(child, begin=now, heard=None), actions
    if not child.running and now >= child.start_at:
        return child, (Do.START,)
    return child, ()


def unresigned(child: Child, policy: Policy, now: float) -> Child:
    """Resigning has failed, addresses may still be here: try again soon, if no heart ticks."""
    first = policy.first_tick or 0.0
    return replace(child, resigned=False, begin=now - first + RESIGN_AGAIN)


def wake_at(child: Child, policy: Policy) -> float | None:
    """Give the moment at which `step` is to be asked again, or None."""
    times = [give_up_at(child, policy), None if child.running else child.start_at]
    return min((t for t in times if t is not None), default=None)
