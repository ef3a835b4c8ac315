# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a witness is asked, and which answers count. Pure; witness.py has the sockets.

Witnesses are asked seldom while the partner is heard, only so that everybody knows of one that is
not there; and often from half a dead time before its silence counts. An answer counts from when
it was asked for, so one that waited in a queue while this heart did not run says nothing.
"""

from __future__ import annotations

import struct
from collections import OrderedDict

from .machine import HOLDING, Machine

SELDOM = 1.0
"""Seconds between two questions while nothing depends on them, at the least; else a dead time."""
OFTEN, OFTEN_AT_LEAST = 1 / 12, 0.005
"""Of a dead time between two questions when an answer decides; six of them, all lost, are rare."""
LASTING, LASTING_AT_LEAST = 1 / 4, 0.1
"""The same once the silence lasts, for as long as it takes: nobody likes to be flooded."""
MISSED = 3
"""Questions without an answer, asked seldom, after which a witness counts as not there."""
REMEMBERED = 16
"""Questions that an answer may still come to."""

_NUMBER = struct.Struct("!Q")


def patience(machine: Machine) -> float:
    """Give the seconds without an answer after which a witness counts as not there."""
    return MISSED * max(SELDOM, machine.timing.deadtime)


def pace(machine: Machine, now: float) -> float:
    """Give the seconds between two questions. Pure."""
    dead = machine.timing.deadtime
    if not machine.asks_witness(now):
        return max(SELDOM, dead)
    if machine.cut_off or machine.state in HOLDING:
        return max(LASTING * dead, LASTING_AT_LEAST)
    return max(OFTEN * dead, OFTEN_AT_LEAST)


class Questions:
    """What was asked of one witness, and when an answered question was. Pure.

    token: not to be guessed, so that nobody can answer who was not asked.
    """

    def __init__(self, token: bytes) -> None:
        self._token = token
        self._number = 0
        self._open: OrderedDict[int, float] = OrderedDict()
        self.asked_at: float | None = None
        self.seen_at: float | None = None
        """When the newest question was asked that came to an answer."""

    def ask(self, now: float) -> bytes:
        """Give the payload of another question."""
        self._number += 1
        self._open[self._number] = self.asked_at = now
        while len(self._open) > REMEMBERED:
            self._open.popitem(last=False)
        return self._token + _NUMBER.pack(self._number)

    def answer(self, payload: bytes | None) -> float | None:
        """Take an answer; gives when it was asked for, None for what answers no question."""
        if payload is None or len(payload) != len(self._token) + _NUMBER.size:
            return None
        if payload[: len(self._token)] != self._token:
            return None
        asked = self._open.pop(_NUMBER.unpack_from(payload, len(self._token))[0], None)
        if asked is not None:
            self.seen_at = asked if self.seen_at is None else max(asked, self.seen_at)
        return asked
