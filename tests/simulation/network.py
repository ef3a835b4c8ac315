# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to datagrams between the routers, and which router the clients reach."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from random import Random

DELAY = 0.0002


@dataclass(slots=True)
class Way:
    """How one direction behaves now."""

    cut: bool = False
    loss: float = 0.0
    jitter: float = 0.0
    double: float = 0.0
    clean: bool = True
    """Nothing that may make a heart doubt its partner happens here."""

    def spoil(
        self, cut: bool = False, loss: float = 0.0, jitter: float = 0.0, double: float = 0.0
    ) -> None:
        """Make it worse than it is."""
        self.cut = self.cut or cut
        self.loss = max(self.loss, loss)
        self.jitter = max(self.jitter, jitter)
        self.double = max(self.double, double)
        self.clean = False

    def fates(self, random: Random) -> tuple[float, ...]:
        """Give for each copy of a datagram that arrives the time it needs."""
        if self.clean:
            return (DELAY,)
        if self.cut or random.random() < self.loss:
            return ()
        if random.random() < self.double:
            return self._delay(random), self._delay(random)
        return (self._delay(random),)

    def _delay(self, random: Random) -> float:
        return DELAY + random.random() * self.jitter


@dataclass(slots=True)
class Network:
    """Both directions, the switch, and what somebody has recorded."""

    ways: list[Way] = field(default_factory=lambda: [Way(), Way()])
    """From router 0, from router 1."""
    told: int | None = None
    """The router that announced the addresses last: the switch sends the clients there."""
    recorded: tuple[deque[bytes], deque[bytes]] = field(
        default_factory=lambda: (deque(maxlen=400), deque(maxlen=400))
    )

    @property
    def clean(self) -> bool:
        """Whether both directions let everything pass, at once and once."""
        return self.ways[0].clean and self.ways[1].clean

    def mend(self) -> None:
        """Make both directions whole."""
        self.ways = [Way(), Way()]
