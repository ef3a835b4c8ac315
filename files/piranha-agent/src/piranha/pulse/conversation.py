# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both directions of heartbeats with one partner: is this one new, or did somebody replay it?

There is no common clock. Each side has a session, random at each start, and counts its
heartbeats. Within the partner's session the count must grow. A session not yet known is
believed only once it echoes a sequence that we sent a moment ago, which nothing recorded
earlier can do; until then we answer it at once, so that a true partner can (one round trip):

- both just started, or one of them again: the first heartbeat is answered, the answer echoed;
- old traffic replayed, before or after a restart of either: it echoes no session of ours;
- a session that said goodbye, or was replaced: remembered as closed, and told so when heard
  again, so that a heart which still uses it begins another;
- one direction lost: whoever is not heard stays unknown, or falls silent;
- overtaken and doubled datagrams (the same goes over each path): late, counted, dropped.

Pure: bytes and times in, bytes and verdicts out. Memory is bounded whatever arrives.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

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
OVERTAKEN = 16
"""A sequence at most this far behind the highest is late; further behind it is a replay."""
FRESH_AT_LEAST = 0.5
"""Seconds for which an echo of ours counts as recent, at the least; else two dead times."""

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


@dataclass(slots=True)
class _Partner:
    session: bytes = NO_SESSION
    highest: int = 0
    confirmed: bool = False


class Conversation:
    """What we know of the partner's session and it of ours.

    keys: the first is used for sending, all are accepted.
    new_session: gives 16 random bytes.
    keepalive, deadtime: seconds.
    """

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
        self._sent: deque[tuple[float, int]] = deque(maxlen=256)
        self._partner = _Partner()
        self._candidate: tuple[float, Answer] | None = None
        self._closed: OrderedDict[bytes, None] = OrderedDict()
        self._answers = float(ANSWERS)
        self._answered_at = 0.0
        self.pace(keepalive, deadtime)

    def pace(self, keepalive: float, deadtime: float) -> None:
        """Use other intervals, in seconds, from now on."""
        self._keepalive = keepalive
        self._fresh = max(2 * deadtime, FRESH_AT_LEAST)

    def rotate(self) -> None:
        """Begin a new session and believe the partner again only after a fresh echo.

        Whatever waits in a queue, or was recorded, was sent before this and so proves nothing.
        """
        self.session = self._new_session()
        self._sequence = 0
        self._sent.clear()
        self._partner.confirmed = False

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
        self._sequence += 1
        self._sent.append((now, self._sequence))
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
        if self._partner.confirmed:
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
            behind = self._partner.highest - beat.sequence
            return self._reject(Reason.LATE if behind < OVERTAKEN else Reason.REPLAY)
        introduced = not (known and self._partner.confirmed)
        if introduced and not self._echoes_us(beat, now):
            verdict = self._answered(Reason.UNCONFIRMED, Echo.SEEN, beat, now)
            if verdict.answer is not None:
                self._candidate = (now, verdict.answer)
            return verdict
        self._take(beat)
        closed_us = beat.echo is Echo.CLOSED and beat.echo_session == self.session
        return Accepted(beat, introduced and self._partner.confirmed, closed_us)

    def _take(self, beat: Heartbeat) -> None:
        if self._partner.session not in (beat.session, NO_SESSION):
            self._close(self._partner.session)
        if beat.state in _FAREWELLS:
            self._close(beat.session)
            self._partner = _Partner()
        else:
            self._partner = _Partner(beat.session, beat.sequence, confirmed=True)
        self._candidate = None

    def _close(self, session: bytes) -> None:
        self._closed[session] = None
        while len(self._closed) > REMEMBERED:
            self._closed.popitem(last=False)

    def _echoes_us(self, beat: Heartbeat, now: float) -> bool:
        """Whether it proves that its sender heard us a moment ago.

        A farewell proves it too where it echoes us, as the heart's own goodbye does; the one
        that a supervisor says has no echo, so it counts in a session already known only.
        """
        while self._sent and now - self._sent[0][0] > self._fresh:
            self._sent.popleft()
        return (
            beat.echo is Echo.SEEN
            and beat.echo_session == self.session
            and bool(self._sent)
            and self._sent[0][1] <= beat.echo_sequence <= self._sent[-1][1]
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
