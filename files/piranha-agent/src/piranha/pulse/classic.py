# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Heartbeats with a partner that still runs Piranha 0.8.6 (`heartbeat_format = classic`).

It has the face of a Conversation and none of what makes one safe: there is no key, no number, no
session. Whoever can send from the partner's address is believed; what was recorded is believed
again. All that is heard of the partner is whether it is active, and all that it is told is the
same of us:

- a router that says goodbye, has a fault or stands by says "stopped", at which a standby partner
  takes over at once. The original itself ended in silence;
- one that holds the addresses says "running", be it sure or in doubt.

So there are neither health nor version nor digest nor connections of the partner's. What waited
in a queue while this heart did not run is known by when it is read, and dropped. What the machine
makes of "stopped" and "running" stands in tables.py (CLASSIC).

Pure, as its base.
"""

from __future__ import annotations

from . import oldwire
from .conversation import Accepted, Answer, Conversation, Memory, Rejected
from .oldwire import OWN_ORDER, Order, Said
from .wire import MAGIC, NO_SESSION, Heartbeat, Kind, PeerState, Reason

_SAYS = {PeerState.ACTIVE: Said.RUNNING, PeerState.DOUBT: Said.RUNNING}
_MEANS = {Said.RUNNING: PeerState.ACTIVE, Said.STOPPED: PeerState.STANDBY}


class Classic(Conversation):
    """The conversation with a router of old. Its parameters are Conversation's."""

    order: Order = OWN_ORDER
    """Of the bytes: that of the partner's machine, once it was heard."""

    _deaf_until = float("-inf")

    @property
    def known(self) -> bytes | None:
        """What is to be kept for whoever says goodbye in our place."""
        return self.order.encode()

    def resume(self, session: bytes | None, memory: Memory | None, now: float) -> None:
        """There is nothing to go on with."""
        self.session = session or self.session

    def distrust(self, now: float) -> None:
        """Drop what is read at this moment: it waited."""
        self._deaf_until = now

    def silent(self, now: float) -> None:
        """Nothing that comes later shows its age."""

    def compose(
        self,
        state: PeerState,
        now: float,
        answer: Answer | None = None,
        kind: Kind = Kind.PLAIN,
        body: bytes = b"",
    ) -> bytes:
        """Give the four bytes; they have no room for the rest."""
        self._sequence += 1
        return oldwire.write(_SAYS.get(state, Said.STOPPED), self.order)

    def accept(self, data: bytes, now: float) -> Accepted | Rejected:
        """Judge a datagram that came from one of the partner's addresses."""
        verdict = self._verdict(data, now)
        if isinstance(verdict, Rejected):
            self.rejected[verdict.reason] += 1
            self.rejected_at[verdict.reason] = now
        return verdict

    def _verdict(self, data: bytes, now: float) -> Accepted | Rejected:
        found = oldwire.read(data)
        if found is None:
            signed = data.startswith(MAGIC)
            return Rejected(Reason.FORMAT if signed else Reason.GARBAGE)
        said, order = found
        if said not in _MEANS:
            return Rejected(Reason.SERVICE)
        if now <= self._deaf_until:
            return Rejected(Reason.LATE)
        self.order = order
        beat = Heartbeat(_MEANS[said], self.role.other, NO_SESSION, 0, digest=b"")
        return Accepted(beat, introduced=False, closed_us=False)
