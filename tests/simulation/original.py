# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model of how the pulse of Piranha 0.8.6 took over and gave way, with virtual servers. Pure.

Written from what was published and measured of it, to be the partner of our own in tests. The
four bytes are written out here once more, as they were seen on the wire of an x86 machine, so
that a mistake in the agent's table is not made twice.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

RUNNING, STOPPED = bytes.fromhex("dadbadbd"), bytes.fromhex("bddabdad")
TAKE = bytes.fromhex("dadaadde")
"""With services, "stop, I take over"; the original did not refuse it with virtual servers."""


class Act(enum.Enum):
    """What it does."""

    ACTIVATE = "activate"
    DEACTIVATE = "deactivate"
    ANNOUNCE = "announce"


@dataclass
class Original:
    """One router's pulse; times in seconds of any one clock.

    master: it is the primary. failed: its lvsd has died (`childfail`): it stands by and does not
    take over, until it hears its partner running.
    """

    master: bool
    keepalive: float
    deadtime: float
    now: float
    active: bool = False
    failed: bool = False
    strange: int = 0
    """Datagrams that it logged and did not heed."""
    sends: list[bytes] = field(default_factory=list)
    """What it says, to be taken from here."""

    def __post_init__(self) -> None:
        self.dead_at = self.now + self.deadtime
        self.send_at = self.now

    def heard(self, data: bytes, now: float) -> list[Act]:
        """Take a datagram that came from one of the partner's addresses."""
        if data not in (RUNNING, STOPPED, TAKE):
            self.strange += 1
            return []
        self.dead_at = now + self.deadtime
        if data == STOPPED:
            return self._activate() if not self.active else []
        self.failed = False
        if not self.active:
            return []
        if self.master:
            return [Act.ANNOUNCE]
        self.sends.append(RUNNING)
        self.active = False
        return [Act.DEACTIVATE]

    def tick(self, now: float) -> list[Act]:
        """See which times have come."""
        acts = []
        if now >= self.dead_at:
            self.dead_at = now + self.deadtime
            acts = [] if self.active else self._activate()
        if now >= self.send_at:
            self.send_at = now + self.keepalive
            self.sends.append(RUNNING if self.active else STOPPED)
        return acts

    def lose_lvsd(self) -> list[Act]:
        """Its lvsd ends."""
        self.failed = True
        if not self.active:
            return []
        self.active = False
        return [Act.DEACTIVATE]

    def stop(self) -> list[Act]:
        """TERM: it lets go, and says nothing."""
        was, self.active = self.active, False
        return [Act.DEACTIVATE] if was else []

    def _activate(self) -> list[Act]:
        if self.failed:
            return []
        self.active = True
        return [Act.ACTIVATE]
