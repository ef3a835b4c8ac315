# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a router takes the virtual addresses, and when it lets go of them. Pure.

All transitions stand in TABLES, one for each role; the code below turns times and heartbeats
into the tables' inputs and nothing else. It sends nothing and touches no address: it gives
actions, and whoever calls it (engine.py) carries them out.

Rules behind the tables:

- Two that hear each other and are both standby: the primary becomes active.
- Silence for a dead time, or a goodbye: the standby takes over. No automatic fail-back.
- Two active ones: the backup lets go at once; the primary stays, and announces the addresses
  again when the backup has let go. Has it not within a dead time, then it cannot hear us (a
  cut in one direction), and the one that knows, the primary, gives way.
- Silence counts from when a link first carries traffic, and only while we were running: a pause
  that is too short to matter otherwise puts the end of the partner's dead time off by its length.
- A pause of half a dead time or more while active (the partner may have taken over, our
  supervisor may have resigned for us): keep the addresses, since most often nobody took them,
  but be in DOUBT: believe nothing said before (new session), look what the kernel holds, and
  give way to a partner that is active, whatever the roles. The answer takes one round trip.
- An adopted address is not announced again: nobody else had it.
- A router of which an interface of the virtual addresses has lost its link takes nothing, and
  lets go as soon as it knows of a partner that can take over, or has. Without one it keeps what
  it has: nobody else serves, and the other interfaces may still be of use.
- Whoever is active announces the addresses again when it hears that the partner had them
  meanwhile, and when it hears a partner that was silent, which may have had them.
- Whoever is asked to stop hands its connections over before it lets go of the addresses, since a
  packet that comes before its connection is answered with a reset; and those that began meanwhile
  once it has let go, before the goodbye.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from .wire import PeerState, Role


class State(enum.Enum):
    """What this router is."""

    NEW = "new"
    STANDBY = "standby"
    ACTIVE = "active"
    CONTESTED = "contested"
    """Active, while the partner says it is active as well."""
    DOUBT = "doubt"
    FAULT = "fault"
    """Not able to hold the addresses; the partner may, we try again later."""
    STOPPED = "stopped"


HOLDING = frozenset({State.ACTIVE, State.CONTESTED, State.DOUBT})
"""The states in which the kernel of this router has the addresses."""

SAID: Mapping[State, PeerState] = {
    State.NEW: PeerState.STANDBY,
    State.STANDBY: PeerState.STANDBY,
    State.ACTIVE: PeerState.ACTIVE,
    State.CONTESTED: PeerState.ACTIVE,
    State.DOUBT: PeerState.DOUBT,
    State.FAULT: PeerState.FAULT,
    State.STOPPED: PeerState.LEAVING,
}
"""What each state is called on the wire."""


class Input(enum.Enum):
    """What can happen."""

    START = "started, the kernel holds none of the addresses"
    ADOPT = "started, the kernel holds the addresses"
    ALONE = "no partner is configured"
    SILENT = "the partner is silent for a dead time"
    PEER_STANDBY = "the partner is standby"
    PEER_ACTIVE = "the partner is active"
    PEER_DOUBT = "the partner holds the addresses in doubt"
    PEER_FAULT = "the partner cannot hold the addresses"
    PEER_GONE = "the partner has said goodbye"
    RETURNED = "the partner may have had the addresses meanwhile"
    UNYIELDING = "the partner stays active though we are"
    PAUSED = "this heart did not run for a while"
    LOST = "the kernel no longer holds the addresses"
    FAILED = "the addresses could not be set"
    UNLINKED = "an interface of the virtual addresses has no link"
    LINKED = "the interfaces of the virtual addresses have their link again"
    RETRY = "time to try again"
    STOP = "asked to stop"
    BEAT = "time for a heartbeat"


class Do(enum.Enum):
    """What the caller shall do, in the order given."""

    ACQUIRE = "acquire"
    RELEASE = "release"
    HAND_OVER = "hand over"
    """Give the partner the connections that it was not given yet, for a bounded time."""
    ANNOUNCE = "announce"
    SEND = "send"
    """A heartbeat now."""
    GOODBYE = "goodbye"
    DISTRUST = "distrust"
    """Believe nothing that was said before now: it may have waited in a queue."""
    LOOK = "look"
    """See whether the kernel still holds the addresses, and call `lost` if not."""


@dataclass(frozen=True, slots=True)
class Next:
    """One cell of a table: where to go and what to do on the way there."""

    state: State
    do: tuple[Do, ...] = ()


_TAKE = Next(State.ACTIVE, (Do.ACQUIRE, Do.ANNOUNCE, Do.SEND))
_GIVE_WAY = Next(State.STANDBY, (Do.RELEASE, Do.SEND))
_SURE = Next(State.ACTIVE, (Do.ANNOUNCE, Do.SEND))
_DOUBT = Next(State.DOUBT, (Do.DISTRUST, Do.LOOK, Do.SEND))
_LEAVE = Next(State.STOPPED, (Do.HAND_OVER, Do.RELEASE, Do.HAND_OVER, Do.GOODBYE))
_BROKEN = Next(State.FAULT, (Do.RELEASE, Do.SEND))
_NO_LINK = Next(State.FAULT, (Do.HAND_OVER, Do.RELEASE, Do.SEND))


def _row(state: State, **cells: Next) -> dict[Input, Next]:
    """A row in which nothing but the beat happens, except for the cells given."""
    row = dict.fromkeys(Input, Next(state))
    if state is not State.STOPPED:
        row[Input.BEAT] = Next(state, (Do.SEND,))
    row.update({Input[name]: cell for name, cell in cells.items()})
    return row


_COMMON: dict[State, dict[Input, Next]] = {
    State.NEW: _row(
        State.NEW,
        START=Next(State.STANDBY, (Do.SEND,)),
        ADOPT=Next(State.ACTIVE, (Do.SEND,)),
        STOP=Next(State.STOPPED),
    ),
    State.STANDBY: _row(
        State.STANDBY,
        SILENT=_TAKE,
        PEER_GONE=_TAKE,
        PEER_FAULT=_TAKE,
        PAUSED=Next(State.STANDBY, (Do.DISTRUST, Do.SEND)),
        UNLINKED=Next(State.FAULT, (Do.SEND,)),
        STOP=Next(State.STOPPED, (Do.GOODBYE,)),
    ),
    State.ACTIVE: _row(
        State.ACTIVE,
        RETURNED=Next(State.ACTIVE, (Do.ANNOUNCE,)),
        PEER_ACTIVE=_GIVE_WAY,
        PAUSED=_DOUBT,
        LOST=Next(State.ACTIVE, (Do.ACQUIRE, Do.ANNOUNCE)),
        FAILED=_BROKEN,
        UNLINKED=_NO_LINK,
        STOP=_LEAVE,
    ),
    State.CONTESTED: _row(
        State.CONTESTED,
        SILENT=_SURE,
        PEER_STANDBY=_SURE,
        PEER_FAULT=_SURE,
        PEER_GONE=_SURE,
        PEER_ACTIVE=Next(State.CONTESTED),
        UNYIELDING=_GIVE_WAY,
        PAUSED=_DOUBT,
        LOST=Next(State.STANDBY, (Do.RELEASE, Do.SEND)),
        FAILED=_BROKEN,
        UNLINKED=_NO_LINK,
        STOP=_LEAVE,
    ),
    State.DOUBT: _row(
        State.DOUBT,
        ALONE=_SURE,
        SILENT=_SURE,
        PEER_STANDBY=_SURE,
        PEER_FAULT=_SURE,
        PEER_GONE=_SURE,
        PEER_ACTIVE=_GIVE_WAY,
        PEER_DOUBT=_GIVE_WAY,
        PAUSED=_DOUBT,
        LOST=_GIVE_WAY,
        FAILED=_BROKEN,
        UNLINKED=_NO_LINK,
        STOP=_LEAVE,
    ),
    State.FAULT: _row(
        State.FAULT,
        PAUSED=Next(State.FAULT, (Do.DISTRUST, Do.SEND)),
        RETRY=Next(State.STANDBY, (Do.SEND,)),
        LINKED=Next(State.STANDBY, (Do.SEND,)),
        STOP=Next(State.STOPPED, (Do.GOODBYE,)),
    ),
    State.STOPPED: _row(State.STOPPED),
}

_BY_ROLE: dict[Role, dict[State, dict[Input, Next]]] = {
    Role.PRIMARY: {
        State.STANDBY: {Input.PEER_STANDBY: _TAKE, Input.ALONE: _TAKE},
        State.ACTIVE: {Input.PEER_ACTIVE: Next(State.CONTESTED, (Do.SEND,))},
        State.CONTESTED: {Input.ALONE: Next(State.ACTIVE)},
        State.DOUBT: {Input.PEER_DOUBT: _SURE},
    },
    # A backup that no primary counts on (backup_active = 0) must hold nothing.
    Role.BACKUP: {
        State.ACTIVE: {Input.ALONE: _GIVE_WAY},
        # Only a primary that becomes the backup meanwhile comes here, and goes at once.
        State.CONTESTED: {Input.ALONE: _GIVE_WAY, Input.PEER_ACTIVE: _GIVE_WAY},
        State.DOUBT: {Input.ALONE: _GIVE_WAY},
    },
}

TABLES: Mapping[Role, Mapping[State, Mapping[Input, Next]]] = {
    role: {state: {**row, **_BY_ROLE[role].get(state, {})} for state, row in _COMMON.items()}
    for role in Role
}

_HEARD: Mapping[PeerState, Input] = {
    PeerState.STANDBY: Input.PEER_STANDBY,
    PeerState.ACTIVE: Input.PEER_ACTIVE,
    PeerState.LEAVING: Input.PEER_GONE,
    PeerState.RESIGNED: Input.PEER_GONE,
    PeerState.DOUBT: Input.PEER_DOUBT,
    PeerState.FAULT: Input.PEER_FAULT,
}


_ABLE = frozenset({PeerState.STANDBY, PeerState.ACTIVE, PeerState.DOUBT})
"""What a partner says that can have the addresses, or has them."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The rules' numbers; times in seconds.

    partnered: whether there is a partner at all (`backup_active`).
    start_delay: how much longer than `deadtime` a router waits for its partner after its start.
    retry: how long a router that could not set the addresses waits before it tries again.
    """

    role: Role
    partnered: bool
    keepalive: float
    deadtime: float
    start_delay: float = 0.0
    retry: float = 5.0


@dataclass(frozen=True, slots=True)
class Step:
    """What happened: for the log, the status, and the caller to act on."""

    before: State
    after: State
    why: Input
    do: tuple[Do, ...]


class Machine:
    """One router's half of the takeover. All times are of one clock, in seconds.

    The caller calls `start` once, `heard` for each accepted heartbeat, `tick` whenever it
    wakes up (first everything that waits in its sockets, then `tick`), and carries out what the
    steps they give say.
    """

    def __init__(self, timing: Timing, now: float) -> None:
        self.timing = timing
        self.state = State.NEW
        self.since = now
        self.heard_at: float | None = None
        """When the partner was heard last."""
        self.partner: PeerState | None = None
        """What it said then; None: never heard, silent, or gone."""
        self._last = now
        self._dead_at = now
        self._send_at = now
        self._contest_at = now
        self._retry_at = now
        self.linked = True
        """Whether all interfaces of the virtual addresses have their link, as far as is known."""

    def start(self, now: float, holding: bool) -> list[Step]:
        """Begin; `holding`: the kernel has the addresses, and they were ours."""
        self._last = now
        self._dead_at = now + self.timing.deadtime + self.timing.start_delay
        self._send_at = now + self.timing.keepalive
        steps = self._feed(Input.ADOPT if holding else Input.START, now)
        return steps + self._alone(now)

    def heard(self, beat: PeerState, now: float, took: bool = False) -> list[Step]:
        """The partner has said what it is; `took`: and that it took the addresses meanwhile."""
        why = _HEARD[beat]
        gone = why is Input.PEER_GONE
        returned = (took or self.partner is None) and not gone
        self.heard_at = now
        self.partner = None if gone else beat
        self._dead_at = now + self.timing.deadtime
        # First, so that nobody gives way to a router that cannot serve.
        steps = self._unlinked(now) + self._feed(why, now)
        return self._feed(Input.RETURNED, now) + steps if returned and not steps else steps

    def woke(self, now: float) -> list[Step]:
        """The caller runs again, and has not yet read what waits in its sockets.

        Finds out whether it was away for too long; to be called first at each wake-up.
        """
        away, self._last = now - self._last, now
        if not self.timing.partnered or away < self.timing.deadtime / 4:
            return []
        if away < self.timing.deadtime / 2:
            self._dead_at += away
            return []
        self._dead_at = now + self.timing.deadtime
        self.partner = None
        return self._feed(Input.PAUSED, now)

    def tick(self, now: float) -> list[Step]:
        """See which times have come; sends the heartbeat that is due."""
        steps = self._alone(now)
        if self.timing.partnered and now >= self._dead_at:
            self.partner = None
            steps += self._feed(Input.SILENT, now)
            self._dead_at = now + self.timing.deadtime
        if self.state is State.CONTESTED and now >= self._contest_at:
            steps += self._feed(Input.UNYIELDING, now)
        if self._may_retry and now >= self._retry_at:
            steps += self._feed(Input.RETRY, now)
        if now >= self._send_at:
            self._send_at = max(self._send_at + self.timing.keepalive, now)
            steps += self._feed(Input.BEAT, now)
        return steps

    def next_at(self) -> float:
        """When to wake up at the latest, so often that a pause can be told from a rest."""
        times = [self._send_at, self._last + self.timing.deadtime / 8]
        if self.timing.partnered:
            times.append(self._dead_at)
        if self.state is State.CONTESTED:
            times.append(self._contest_at)
        if self._may_retry:
            times.append(self._retry_at)
        return min(times)

    def carrier(self, linked: bool, now: float) -> list[Step]:
        """Whether all interfaces of the virtual addresses have their link, now and until told."""
        self.linked = linked
        return self._feed(Input.LINKED, now) if linked else self._unlinked(now)

    def unlinked(self, now: float) -> None:
        """No link carries traffic yet, so silence says nothing; for the time after the start."""
        if self.state is State.STANDBY:
            self._dead_at = now + self.timing.deadtime + self.timing.start_delay

    def lost(self, now: float) -> list[Step]:
        """The kernel does not hold the addresses though it should."""
        return self._feed(Input.LOST, now)

    def failed(self, now: float) -> list[Step]:
        """None of the addresses could be set."""
        return self._feed(Input.FAILED, now)

    def stop(self, now: float) -> list[Step]:
        """Asked to end."""
        return self._feed(Input.STOP, now)

    def retime(self, timing: Timing, now: float) -> list[Step]:
        """Use other numbers from now on; the role may change as well."""
        self.timing = timing
        if not timing.partnered:
            self.partner = None
        self._dead_at = now + timing.deadtime
        self._send_at = min(self._send_at, now + timing.keepalive)
        if self.state is State.CONTESTED and timing.role is Role.BACKUP:
            return self._feed(Input.PEER_ACTIVE, now)
        return self._alone(now)

    @property
    def _may_retry(self) -> bool:
        return self.state is State.FAULT and (self.linked or not self.timing.partnered)

    def _unlinked(self, now: float) -> list[Step]:
        if self.linked or not self.timing.partnered:
            return []
        if self.state in HOLDING and self.partner not in _ABLE:
            return []
        return self._feed(Input.UNLINKED, now)

    def said(self, state: State | None = None) -> PeerState:
        """What the partner is to be told of a state, or of the present one."""
        state = state or self.state
        if state in HOLDING and not self.linked and self.timing.partnered:
            return PeerState.DOUBT  # whoever can serve is not to give way to us
        return SAID[state]

    def _alone(self, now: float) -> list[Step]:
        return [] if self.timing.partnered else self._feed(Input.ALONE, now)

    def _feed(self, why: Input, now: float) -> list[Step]:
        cell = TABLES[self.timing.role][self.state][why]
        if cell.state is self.state and not cell.do:
            return []
        step = Step(self.state, cell.state, why, cell.do)
        if cell.state is not self.state:
            self._enter(cell.state, now)
        return [step]

    def _enter(self, state: State, now: float) -> None:
        if (state in HOLDING) != (self.state in HOLDING):
            self.since = now
        self.state = state
        if state is State.CONTESTED:
            self._contest_at = now + self.timing.deadtime
        elif state is State.FAULT:
            self._retry_at = now + max(self.timing.retry, self.timing.deadtime)
        elif state is State.STANDBY:
            # Whoever lets go waits at least a dead time before it takes again by itself.
            self._dead_at = max(self._dead_at, now + self.timing.deadtime)
