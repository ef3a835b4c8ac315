# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""How agents talked before their sequences were times: for routers that are not yet updated."""

from __future__ import annotations

from collections import deque

from piranha.pulse.conversation import Answer, Conversation, Memory
from piranha.pulse.wire import Echo, Heartbeat, Kind, PeerState, encode


class Elder(Conversation):
    """Counts its heartbeats, says no facts, and begins a new session after each pause and start."""

    _count: int
    _times: deque[tuple[float, int]]

    @classmethod
    def ages(cls, young: Conversation) -> None:
        """Have it talk as its elders did."""
        young.__class__ = cls
        assert isinstance(young, cls)
        young._count, young._times = 0, deque(maxlen=256)

    def resume(self, session: bytes | None, memory: Memory | None, now: float) -> None:
        """It did not."""

    def distrust(self, now: float) -> None:
        """Whatever waits in a queue echoes a session that is no more."""
        self.session = self._new_session()
        self._count = 0
        self._partner.believed = False

    def silent(self, now: float) -> None:
        """It knew no such care."""

    def compose(
        self,
        state: PeerState,
        now: float,
        answer: Answer | None = None,
        kind: Kind = Kind.PLAIN,
        body: bytes = b"",
    ) -> bytes:
        """A heartbeat whose sequence is a count."""
        if kind is Kind.FACTS:
            kind, body = Kind.PLAIN, b""
        self._count += 1
        self._sequence = self._count
        self._times.append((now, self._count))
        echo = answer or self._usual_echo(now)
        return encode(
            Heartbeat(state, self.role, self.session, self._count, self.digest,
                      echo.echo, echo.session, echo.sequence, kind, body),
            self.keys[0],
        )

    def _echoes_us(self, beat: Heartbeat, now: float) -> bool:
        recent = [count for when, count in self._times if now - when <= self._fresh]
        return (
            beat.echo is Echo.SEEN
            and beat.echo_session == self.session
            and bool(recent)
            and recent[0] <= beat.echo_sequence <= recent[-1]
        )

    def _speaks_now(self, beat: Heartbeat, now: float) -> bool:
        return self._partner.believed
