# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both directions of heartbeats with one partner: is this one new, or did somebody replay it?

The routers' clocks need not agree. Each side has a session, random, and numbers its heartbeats
with its own clock, in microseconds since its machine booted; a heart that is started again goes on
with the session of the one before. A heartbeat of the partner is believed if its number is above
all that were believed in its session, and if one of two things shows that it was sent just now:

- it echoes a number that we sent a moment ago, which nothing recorded earlier can do;
- its number is what the partner's clock must show now. The difference between the clocks is known
  of what was believed before, also by the heart before us; so a partner that does not hear us
  (a cut in one direction) is still heard, whichever heart was started again.

What follows:

- both just started: the first heartbeat is answered, the answer echoed: one round trip;
- old traffic replayed, before or after a restart of either: it echoes nothing recent, and its
  number is that of an earlier time;
- a session that said goodbye, or was replaced: remembered as closed, and told so when heard
  again, so that a heart which still uses it begins another;
- one direction lost: whoever is not heard stays unknown, or falls silent;
- overtaken and doubled datagrams (the same goes over each path): late, counted, dropped;
- an agent from before the numbers were times says no facts: it is believed within its session,
  once that was shown by an echo, until it falls silent.

Pure: bytes and times in, bytes and verdicts out. Memory is bounded whatever arrives.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from .oldwire import Order
from .wire import (
    DIGEST_SIZE,
    FAREWELL,
    NO_SESSION,
    Echo,
    Heartbeat,
    Key,
    Kind,
    PeerState,
    Reason,
    Refused,
    Role,
    decode,
    encode,
)

REMEMBERED = 256
"""Closed sessions remembered. Older ones are still refused: they echo nothing recent."""
ANSWERS = 8
"""Answers to unknown sessions in one keepalive, at most: replays must not make us a flood."""
TICKS = 1_000_000
"""Sequences in a second: they are the sender's clock."""
DRIFT = 1e-3
"""Clocks drift apart by no more than this share of the time; quartz is a tenth of it."""
FRESH_AT_LEAST = 0.5
"""Seconds for which an echo of ours counts as recent, at the least; else two dead times."""

_TIMED = (Kind.FACTS, Kind.SERVICES)
"""What only agents say whose sequences are times."""
_FAREWELLS = (PeerState.LEAVING, PeerState.RESIGNED)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A heartbeat of our partner, proven new."""

    beat: Heartbeat
    introduced: bool
    """It is the first accepted one of its session, so our answer should go out at once."""
    closed_us: bool
    """The partner takes our session for ended: begin another."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A datagram that changes no state, and why."""

    reason: Reason
    answer: Answer | None = None
    """What to echo at once so that a true partner can prove itself; None: stay silent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The echo of one datagram that is no accepted heartbeat."""

    echo: Echo
    session: bytes
    sequence: int


@dataclass(frozen=True, slots=True)
class Memory:
    """What the next heart must know of the partner to hear it at once.

    apart: our clock less the partner's, in seconds, at most, when ours showed `at`.
    """

    session: bytes
    apart: float
    at: float


@dataclass(slots=True)
class _Partner:
    session: bytes = NO_SESSION
    highest: int = 0
    believed: bool = False
    """It was shown to speak now, and has not been silent since."""
    timed: bool = False
    """Its sequences are times."""
    apart: float = 0.0
    at: float = 0.0

    def sent_at(self, sequence: int, now: float) -> float:
        """Give when our clock showed that, at the latest."""
        return sequence / TICKS + self.apart + DRIFT * (now - self.at)

    def time(self, sequence: int, now: float, anew: bool) -> None:
        """Learn how far the clocks are apart: nothing arrives before it was sent."""
        apart = now - sequence / TICKS
        if not anew:
            apart = min(apart, self.apart + DRIFT * (now - self.at))
        self.apart, self.at = apart, now


class Conversation:
    """What we know of the partner's session and it of ours.

    keys: the first is used for sending, all are accepted.
    new_session: gives 16 random bytes.
    keepalive, deadtime: seconds.
    """

    order: Order | None = None
    """How a partner of old reads bytes (classic.py); None where heartbeats are signed."""

    def __init__(
        self,
        keys: tuple[Key, ...],
        role: Role,
        keepalive: float,
        deadtime: float,
        new_session: Callable[[], bytes],
    ) -> None:
        self.keys = keys
        self.role = role
        self.digest = bytes(DIGEST_SIZE)
        self.rejected = dict.fromkeys(Reason, 0)
        self.rejected_at: dict[Reason, float] = {}
        self._new_session = new_session
        self.session = new_session()
        self._sequence = 0
        self._floor, self._floor_at = 0, 0.0
        self._partner = _Partner()
        self._candidate: tuple[float, Answer] | None = None
        self._closed: OrderedDict[bytes, None] = OrderedDict()
        self._answers = float(ANSWERS)
        self._answered_at = 0.0
        self.pace(keepalive, deadtime)

    def pace(self, keepalive: float, deadtime: float) -> None:
        """Use other intervals, in seconds, from now on."""
        self._keepalive, self._deadtime = keepalive, deadtime
        self._fresh = max(2 * deadtime, FRESH_AT_LEAST)

    def resume(self, session: bytes | None, memory: Memory | None, now: float) -> None:
        """Go on where the heart before us ended: with its session, and what it knew.

        The clock must be the same one, so this is for one boot of the machine only.
        """
        self.session = session or self.session
        if memory is not None:
            self._partner = _Partner(memory.session, 0, False, True, memory.apart, memory.at)
        self._floor, self._floor_at = int(now * TICKS), now

    @property
    def known(self) -> bytes | None:
        """The partner's session, where `memory` tells of one."""
        return self._partner.session if self._partner.timed else None

    @property
    def memory(self) -> Memory | None:
        """What `resume` takes in the next heart; None where nothing is known."""
        known = self._partner
        return Memory(known.session, known.apart, known.at) if known.timed else None

    def rotate(self) -> None:
        """Begin a new session, since the partner takes this one for ended."""
        self.session = self._new_session()
        self._floor = 0

    def distrust(self, now: float) -> None:
        """Believe only what the partner says from now on.

        Whatever waits in a queue, or was held back, was sent before.
        """
        self._floor, self._floor_at = self._sequence + 1, now
        self._partner.believed = False
        self._candidate = None

    def silent(self, now: float) -> None:
        """The partner was not heard for a dead time: what it says must show that it is no relic."""
        self.distrust(now)

    @property
    def sequence(self) -> int:
        """The sequence of the heartbeat composed last."""
        return self._sequence

    def compose(
        self,
        state: PeerState,
        now: float,
        answer: Answer | None = None,
        kind: Kind = Kind.PLAIN,
        body: bytes = b"",
    ) -> bytes:
        """Give the next heartbeat to send, now; `answer` replaces the usual echo."""
        self._sequence = max(self._sequence + 1, int(now * TICKS))
        echo = answer or self._usual_echo(now)
        return encode(
            Heartbeat(
                state=state,
                role=self.role,
                session=self.session,
                sequence=self._sequence,
                digest=self.digest,
                echo=echo.echo,
                echo_session=echo.session,
                echo_sequence=echo.sequence,
                kind=kind,
                body=body,
            ),
            self.keys[0],
        )

    def accept(self, data: bytes, now: float) -> Accepted | Rejected:
        """Judge a datagram that came from the partner's address."""
        beat = decode(data, self.keys)
        verdict = self._reject(beat.reason) if isinstance(beat, Refused) else self._judge(beat, now)
        if isinstance(verdict, Rejected):
            self.rejected[verdict.reason] += 1
            self.rejected_at[verdict.reason] = now
        return verdict

    def _usual_echo(self, now: float) -> Answer:
        if self._partner.believed:
            return Answer(Echo.SEEN, self._partner.session, self._partner.highest)
        if self._candidate is not None and now - self._candidate[0] <= self._fresh:
            return self._candidate[1]
        return Answer(Echo.NONE, NO_SESSION, 0)

    def _judge(self, beat: Heartbeat, now: float) -> Accepted | Rejected:
        if beat.session == self.session:
            return self._reject(Reason.REFLECTED)
        if beat.role is self.role:
            return self._reject(Reason.ROLE)
        if beat.session in self._closed:
            if beat.state in _FAREWELLS:
                return self._reject(Reason.LATE)  # a goodbye is said several times over
            return self._answered(Reason.CLOSED, Echo.CLOSED, beat, now)
        known = beat.session == self._partner.session
        if known and beat.sequence <= self._partner.highest:
            behind = (self._partner.highest - beat.sequence) / TICKS
            return self._reject(Reason.LATE if behind < self._fresh else Reason.REPLAY)
        echoes = self._echoes_us(beat, now)
        if known and beat.state in _FAREWELLS and not self._partner.believed and not echoes:
            # It ends its session, whenever it was said; but much may have happened since.
            self._end_of(beat.session)
            return self._reject(Reason.LATE)
        if not echoes and not (known and self._speaks_now(beat, now)):
            verdict = self._answered(Reason.UNCONFIRMED, Echo.SEEN, beat, now)
            if verdict.answer is not None:
                self._candidate = (now, verdict.answer)
            return verdict
        introduced = not (known and self._partner.believed)
        self._take(beat, now, echoes)
        closed_us = beat.echo is Echo.CLOSED and beat.echo_session == self.session
        return Accepted(beat, introduced and self._partner.believed, closed_us)

    def _speaks_now(self, beat: Heartbeat, now: float) -> bool:
        """Whether a heartbeat of the known session needs no echo to be believed."""
        partner = self._partner
        if beat.state in _FAREWELLS or not partner.timed:
            return partner.believed
        sent = partner.sent_at(beat.sequence, now)
        return sent >= self._floor_at and now - sent <= self._deadtime

    def _take(self, beat: Heartbeat, now: float, echoes: bool) -> None:
        known = beat.session == self._partner.session
        if not known and self._partner.session != NO_SESSION:
            self._close(self._partner.session)
        self._candidate = None
        if beat.state in _FAREWELLS:
            self._end_of(beat.session)
            return
        if not known:
            self._partner = _Partner(beat.session)
        partner = self._partner
        partner.highest, partner.believed = beat.sequence, True
        if beat.kind in _TIMED or partner.timed:
            # An echo says for sure that its sender speaks now: its clock may have been set.
            late = echoes and now - partner.sent_at(beat.sequence, now) > self._deadtime
            partner.time(beat.sequence, now, anew=late or not partner.timed)
            partner.timed = True

    def _end_of(self, session: bytes) -> None:
        self._close(session)
        self._partner = _Partner()

    def _close(self, session: bytes) -> None:
        self._closed[session] = None
        while len(self._closed) > REMEMBERED:
            self._closed.popitem(last=False)

    def _echoes_us(self, beat: Heartbeat, now: float) -> bool:
        """Whether it proves that its sender heard us a moment ago."""
        return (
            beat.echo is not Echo.NONE
            and beat.echo_session == self.session
            and self._floor <= beat.echo_sequence <= self._sequence
            and now - beat.echo_sequence / TICKS <= self._fresh
        )

    def _answered(self, reason: Reason, echo: Echo, beat: Heartbeat, now: float) -> Rejected:
        passed = max(0.0, now - self._answered_at)
        self._answered_at = now
        self._answers = min(ANSWERS, self._answers + passed * ANSWERS / self._keepalive)
        if self._answers < 1 or beat.state in _FAREWELLS:
            return self._reject(reason)
        self._answers -= 1
        return Rejected(reason, Answer(echo, beat.session, beat.sequence))

    @staticmethod
    def _reject(reason: Reason) -> Rejected:
        return Rejected(reason)


def farewells(
    keys: tuple[Key, ...], role: Role, sessions: list[bytes], digest: bytes, count: int = 3
) -> list[bytes]:
    """Give the datagrams by which another process says goodbye for a heart that cannot.

    sessions: the heart's session and earlier ones that the partner may still know it by. The
    sequences lie above all that the heart used, so no reply and no state is needed; the partner
    closes the session with the first one it gets. Each is to be sent `count` times over.
    """
    return [
        encode(Heartbeat(PeerState.RESIGNED, role, session, FAREWELL + number, digest), keys[0])
        for number in range(count)
        for session in sessions
    ]
