# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a router takes the virtual addresses, and when it lets go of them. Pure.

All transitions stand in TABLES and CLASSIC (tables.py), by role; the code below turns times and
heartbeats into the tables' inputs and nothing else. It sends nothing and touches no address: it
gives actions, and whoever calls it (engine.py) carries them out.

The rules are told in tables.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .tables import CLASSIC, HEARD, HOLDING, SAID, TABLES, Do, Input, Next, State
from .wire import PeerState, Role

_ABLE = frozenset({PeerState.STANDBY, PeerState.ACTIVE, PeerState.DOUBT})
"""What a partner says that can have the addresses, or has them."""
_HAS_NOT = frozenset({PeerState.STANDBY, PeerState.FAULT})
"""What a partner says that does not have the addresses; a silent one may."""
_WAITING = frozenset({State.CONTESTED, State.YIELDED, State.FAULT, State.STUCK})
"""The states that end by themselves after a while."""
TRY_AGAIN = 1.0
"""Seconds between two attempts to let go of addresses that the kernel holds on to, at most."""


__all__ = ["HOLDING", "SAID", "TABLES", "Do", "Input", "Machine", "Next", "State", "Step", "Timing"]


@dataclass(frozen=True, slots=True)
class Timing:
    """The rules' numbers; times in seconds.

    partnered: whether there is a partner at all (`backup_active`).
    start_delay: how much longer than `deadtime` a router waits for its partner after its start.
    retry: how long a router that could not set the addresses waits before it tries again.
    preempt: the primary asks for the addresses once the backup was active for preempt_delay.
    on_health: who could serve less than a standby partner for health_delay lets it take over.
    classic: the partner runs Piranha of old, and tells only whether it is active.
    witness: silence of the partner counts only while a witness is heard.
    """

    role: Role
    partnered: bool
    keepalive: float
    deadtime: float
    start_delay: float = 0.0
    retry: float = 5.0
    preempt: bool = False
    preempt_delay: float = 0.0
    on_health: bool = False
    health_delay: float = 5.0
    witness: bool = False
    classic: bool = False


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
    steps they give say. mark: a random byte, from which `conceded` counts.
    """

    def __init__(self, timing: Timing, now: float, mark: int = 0) -> None:
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
        self._witness_at: float | None = None
        self.cut_off = False
        """Whether this router waits since it hears neither its partner nor a witness."""
        self._owner_since: float | None = None
        self._yield_at = now
        self._worse_since: float | None = None
        self.linked = True
        """Whether all interfaces of the virtual addresses have their link, as far as is known."""
        self.conceded = 0
        """0, or a byte that changes whenever this router lets go while the partner has the
        addresses too, or may have them. The next heart counts from somewhere else: the partner may
        not have heard that this one had ended."""
        self._mark = mark
        self.wins = 0
        """How often this router kept the addresses though the partner had, or may have had them."""
        self._partner_conceded: int | None = None

    def start(
        self, now: float, holding: bool, left: bool = False, force: bool = False
    ) -> list[Step]:
        """Begin; `holding`: the kernel has the addresses, and they were ours.

        left: it has addresses that are not to be here, and keeps them. force: a partner counts as
        silent before it could be heard.
        """
        self._last = now
        self._dead_at = now + self.timing.deadtime + self.timing.start_delay
        self._send_at = now + self.timing.keepalive
        steps = self._feed(Input.ADOPT if holding else Input.START, now)
        if left:
            steps = [replace(step, do=()) for step in steps] + self._feed(Input.STUCK, now)
        else:
            steps += self._alone(now)
        return steps + self._silent(now) if force and self.timing.partnered else steps

    def heard(
        self, beat: PeerState, now: float, took: bool = False, conceded: int | None = None
    ) -> list[Step]:
        """The partner has said what it is; `took`: and that it took the addresses meanwhile.

        conceded: its own count, where it says that.
        """
        why = HEARD[beat]
        gone = why is Input.PEER_GONE
        # It may have let go before we heard that it had them: so its count tells, not its state.
        won = conceded not in (None, 0, self._partner_conceded)
        if conceded is not None:
            self._partner_conceded = conceded
        held, wins = self.state in HOLDING, self.wins
        returned = (took or won or self.partner is None) and not gone
        if self.heard_at is None or now - self.heard_at > self.timing.deadtime / 2:
            self._contest_at = now + self.timing.deadtime  # a contest with gaps begins anew
        self.heard_at = now
        self.cut_off = False
        self.partner = None if gone else beat
        if beat is not PeerState.ACTIVE:
            self._owner_since = None
        elif self._owner_since is None:
            self._owner_since = now
        self._dead_at = now + self.timing.deadtime
        # First, so that nobody gives way to a router that cannot serve.
        steps = self._unlinked(now) + self._feed(why, now)
        if won and held and self.state is State.ACTIVE and self.wins == wins:
            self.wins += 1
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
        self.partner = self._owner_since = None
        return self._feed(Input.PAUSED, now)

    def tick(self, now: float) -> list[Step]:
        """See which times have come; sends the heartbeat that is due."""
        steps = self._alone(now)
        if self.timing.partnered and now >= self._dead_at:
            steps += self._silent(now)
        if self.state is State.CONTESTED and now >= self._contest_at:
            steps += self._unyielding(now)
        if self._untaken and now >= self._contest_at:
            steps += self._feed(Input.UNTAKEN, now)
        if now >= self._send_at:
            self._send_at = max(self._send_at + self.timing.keepalive, now)
            steps += self._feed(Input.BEAT, now)
        if self._may_retry and now >= self._retry_at:
            self._retry_at = now + min(TRY_AGAIN, self.timing.deadtime)
            steps += self._feed(Input.RETRY, now)
        return steps

    def next_at(self) -> float:
        """When to wake up at the latest, so often that a pause can be told from a rest."""
        due = min(self._send_at, self._last + self.timing.deadtime / 8)
        if self.timing.partnered:
            due = min(due, self._dead_at)
        if self.state in _WAITING:
            if self.state is State.CONTESTED or self._untaken:
                due = min(due, self._contest_at)
            if self._may_retry:
                due = min(due, self._retry_at)
        return due

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

    def stuck(self, now: float) -> list[Step]:
        """Addresses that were to be removed are still here."""
        # A partner that asks for them is answered at once, and asks again at once.
        self._yield_at = now + min(TRY_AGAIN, self.timing.deadtime)
        return self._feed(Input.STUCK, now)

    def freed(self, now: float) -> list[Step]:
        """They are not any more."""
        return self._feed(Input.FREED, now)

    def hindrance(self) -> str | None:
        """Say why the addresses cannot be switched over now; None: they can."""
        if self.state is not State.ACTIVE:
            return f"this router is {self.state.value}; ask the active one to switch over"
        if self.partner is not PeerState.STANDBY:
            name = "not heard" if self.partner is None else self.partner.name.lower()
            return f"the partner is {name}, so nobody could take over; see piranha status there"
        return None

    def switch(self, now: float) -> list[Step]:
        """An operator wants the partner to have the addresses; see `hindrance` first."""
        return self._feed(Input.SWITCH, now)

    def wanted(self, now: float) -> list[Step]:
        """The partner asks for the addresses."""
        if not self.timing.preempt or self.timing.role is Role.PRIMARY or now < self._yield_at:
            return []
        return self._feed(Input.WANTED, now)

    def wants(self, now: float) -> bool:
        """Whether this router should ask for the addresses, as far as times and states go."""
        return (
            self.timing.preempt
            and self.timing.role is Role.PRIMARY
            and self.state is State.STANDBY
            and self.linked
            and self.partner is PeerState.ACTIVE
            and self._owner_since is not None
            and now - self._owner_since >= self.timing.preempt_delay
        )

    def compare(self, worse: bool, now: float) -> list[Step]:
        """Take in whether a partner that could take over can serve more than this router."""
        able = self.state is State.ACTIVE and self.partner is PeerState.STANDBY
        if not (worse and able and self.timing.on_health):
            self._worse_since = None
            return []
        if self._worse_since is None:
            self._worse_since = now
        # Long enough that no single check, and no wave of them, moves the addresses.
        if now - self._worse_since < max(self.timing.health_delay, 2 * self.timing.deadtime):
            return []
        self._worse_since = None
        return self._feed(Input.WORSE, now)

    def witnessed(self, when: float) -> None:
        """A witness was there at that time, which may be a moment ago."""
        self._witness_at = when if self._witness_at is None else max(when, self._witness_at)

    @property
    def witness_at(self) -> float | None:
        """When a witness was there last, as far as is known."""
        return self._witness_at

    def asks_witness(self, now: float) -> bool:
        """Whether a witness's answer decides soon, so that it is to be asked often."""
        waits = self.state not in (State.NEW, State.STOPPED)
        return (
            self.timing.witness
            and self.timing.partnered
            and waits
            and now >= self._dead_at - self.timing.deadtime / 2
        )

    def stop(self, now: float) -> list[Step]:
        """Asked to end."""
        return self._feed(Input.STOP, now)

    def retime(self, timing: Timing, now: float) -> list[Step]:
        """Use other numbers from now on; the role may change as well."""
        if timing == self.timing:
            return []  # what else was changed must not put a takeover off
        self.timing = timing
        self.cut_off = False
        if not timing.partnered:
            self.partner = None
        self._dead_at = now + timing.deadtime
        self._send_at = min(self._send_at, now + timing.keepalive)
        if self.state is State.CONTESTED and timing.role is Role.BACKUP:
            return self._feed(Input.PEER_ACTIVE, now)
        return self._alone(now)

    def _silent(self, now: float) -> list[Step]:
        """The partner was not heard for a dead time: it is dead, or we are cut off."""
        self.partner = self._owner_since = None
        seen = self._witness_at
        if self.timing.witness and (seen is None or now - seen > self.timing.deadtime / 2):
            # Asked again soon: when the witness is heard, nothing is left to wait for.
            self._dead_at = now + self.timing.keepalive
            self.cut_off = self.state not in HOLDING
            return self._feed(Input.CUT_OFF, now)
        self.cut_off = False
        self._dead_at = now + self.timing.deadtime
        return self._feed(Input.SILENT, now)

    def _unyielding(self, now: float) -> list[Step]:
        """Give way, if the partner is still heard; where it is not, its silence will decide."""
        if self.heard_at is not None and now - self.heard_at <= self.timing.deadtime / 2:
            return self._feed(Input.UNYIELDING, now)
        self._contest_at = now + self.timing.deadtime
        return []

    @property
    def _untaken(self) -> bool:
        """Whether a partner that is heard could take over; where it is not, silence counts."""
        return self.state is State.YIELDED and self.partner is not None

    @property
    def _may_retry(self) -> bool:
        if self.state is State.STUCK:
            return True
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
        tables = CLASSIC if self.timing.classic else TABLES
        cell = tables[self.timing.role][self.state][why]
        if cell.state is self.state and not cell.do:
            return []
        step = Step(self.state, cell.state, why, cell.do)
        if cell.state is not self.state:
            self._enter(cell.state, now)
        return [step]

    def _enter(self, state: State, now: float) -> None:
        if (state in HOLDING) != (self.state in HOLDING):
            self.since = now
        held = self.state in HOLDING or self.state is State.STUCK
        if held and state not in (*HOLDING, State.STUCK) and self.partner not in _HAS_NOT:
            self.conceded = (self.conceded or self._mark) % 255 + 1
        if state is State.ACTIVE and self.state in (State.CONTESTED, State.DOUBT):
            self.wins += 1
        self.state = state
        if state in (State.CONTESTED, State.YIELDED):
            self._contest_at = now + self.timing.deadtime
        elif state is State.FAULT:
            self._retry_at = now + max(self.timing.retry, self.timing.deadtime)
        elif state is State.STUCK:
            self._retry_at = now + min(TRY_AGAIN, self.timing.deadtime)
        elif state is State.STANDBY:
            # Whoever lets go waits at least a dead time before it takes again by itself.
            self._dead_at = max(self._dead_at, now + self.timing.deadtime)
