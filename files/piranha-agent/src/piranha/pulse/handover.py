# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which connections a router hands to its partner before it stops, and in what portions. Pure.

Why at all: the kernel of the partner knows nothing of a connection that is open while the addresses
move, so its TCP would answer the next packet with a reset. parting.py sends, arrival.py takes;
how they go about it, and why in that order, is told in docs/architecture.md.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import NamedTuple

from piranha.core.ipvs.model import Forward
from piranha.core.lvs_cf.config import Config, Section, service_ports
from piranha.core.lvs_cf.marks import AUTO
from piranha.net.connections import (
    ANY_PROTOCOL,
    Connection,
    entries,
    entry,
    plausible,
)

from .wire import MAX_BODY

MOST = 20_000
"""Connections handed over at the most: 1 MB, a tenth of a second for both routers."""
FEW = 1_000
"""Connections of which a list is short: where reading it takes long, the machine is busy."""
WINDOW = 12
"""Portions under way at once: fewer than a partner may receive overtaken, and than half of what
the buffers on the way hold."""
AGAIN = 0.03
"""Seconds after which a portion that was not confirmed is sent again."""
LONGEST = 2.0
"""Seconds that each look may take before the addresses move: nobody waits, but for our end."""
LONGEST_STALL = 0.5
"""Seconds without a receipt after which a partner is not waited for; see `limits`."""
LONGEST_READ = 0.25
"""Seconds for reading the table, while we say nothing; see `limits`."""
LONGEST_BETWEEN = 0.25
"""Seconds that it may take while nobody has the addresses; see `limits`. It ends with the last
receipt, so that all of it is taken by busy machines only, where less has cost connections."""

_SEQUENCE = struct.Struct("!Q")
_PROTOCOL = {"tcp": 6, "udp": 17}
_METHOD = {Forward.NAT.value: 0, Forward.TUNNEL.value: 2, Forward.DIRECT.value: 3}
_LONGEST_PERSISTENCE = 0x7FFFFFFF


@dataclass(frozen=True, slots=True)
class Offer:
    """What the configuration says of a virtual service: forwarding method, mark, persistence."""

    forward: int
    mark: int
    persistent: int
    """Seconds, 0 for none."""


class Services:
    """The virtual services of a configuration, by what a connection tells of its own."""

    def __init__(self, config: Config) -> None:
        self._by_end: dict[tuple[int, bytes, int], Offer] = {}
        self._by_mark: dict[int, Offer] = {}
        self._marked: dict[bytes, list[Offer]] = {}
        """By virtual address: a connection does not tell its mark."""
        if config.globals.text("service") != "lvs":
            return
        for block in config.virtual:
            if block.settings.flag("active"):
                self._note(block.settings)

    def _note(self, settings: Section) -> None:
        offer = Offer(
            forward=_METHOD[settings.text("forward") or Forward.NAT.value],
            mark=settings.number("fwmark") or 0,
            persistent=min(settings.number("persistent") or 0, _LONGEST_PERSISTENCE),
        )
        given = settings.address("address")
        try:
            address = ip_address(given.address).packed if given else b""
        except ValueError:
            return  # a name, which the heart does not start with
        protocol = _PROTOCOL.get(settings.text("protocol") or "", -1)
        if offer.mark:
            self._by_mark[offer.mark] = offer
            if settings.text("marking") != AUTO:
                self._marked.setdefault(address, []).append(offer)
                return
        for port in service_ports(settings):
            self._by_end[protocol, address, port] = offer

    def complete(self, connection: Connection) -> Connection | None:
        """Add what the kernel's list leaves out; None for a connection that is none of ours."""
        offer = self._offer(connection)
        if offer is None or (connection.template and not offer.persistent):
            return None
        # A template lives for its service's time; a connection for that of its state, which the
        # kernel that takes it knows best.
        timeout = offer.persistent if connection.template else 0
        return connection._replace(forward=offer.forward, mark=offer.mark, timeout=timeout)

    def owns(self, connection: Connection) -> bool:
        """Whether it belongs to one of these services."""
        return plausible(connection) and self._offer(connection) is not None

    def _offer(self, connection: Connection) -> Offer | None:
        protocol, virtual = connection.protocol, connection.virtual
        if connection.template and protocol == ANY_PROTOCOL:
            # Here the kernel keeps the mark in the first four bytes of the virtual address.
            return self._by_mark.get(int.from_bytes(virtual[:4], "big"))
        for port in (connection.virtual_port, 0):
            if (found := self._by_end.get((protocol, virtual, port))) is not None:
                return found
        return _common(self._marked.get(virtual, ()))


def _common(offers: Iterable[Offer]) -> Offer | None:
    """Give what several marks on one address have in common; the kernel finds the rest."""
    chosen = list(offers)
    if len({offer.forward for offer in chosen}) != 1:
        return None
    return chosen[0] if len(chosen) == 1 else Offer(chosen[0].forward, 0, 0)


def portions(connections: Iterable[Connection]) -> list[bytes]:
    """Cut connections into bodies of datagrams, each as full as it may be."""
    made: list[bytes] = []
    current = b""
    for connection in connections:
        written = entry(connection)
        if len(current) + len(written) > MAX_BODY:
            made.append(current)
            current = b""
        current += written
    return [*made, current] if current else made


def contents(body: bytes, services: Services) -> list[Connection]:
    """Give what a portion holds and `services` own. ValueError where it is no portion."""
    return [connection for connection in entries(body) if services.owns(connection)]


def receipt(sequences: Iterable[int]) -> bytes:
    """Give the body that confirms portions by their sequences; none: they cannot be taken."""
    return b"".join(_SEQUENCE.pack(sequence) for sequence in sequences)


MOST_RECEIPTS = MAX_BODY // _SEQUENCE.size
"""Sequences that one receipt holds."""


def confirmed(body: bytes) -> tuple[int, ...]:
    """Read a receipt; ValueError where it is none."""
    if len(body) % _SEQUENCE.size:
        raise ValueError("a receipt is cut off")
    return tuple(number for (number,) in _SEQUENCE.iter_unpack(body))


@dataclass(slots=True)
class Delivery:
    """Some portions on their way: which is to be sent when, and when it is enough.

    until: when to give up, in seconds of the caller's clock; patience: seconds without any receipt
    after which to give up sooner, counted from `heard`, the caller's now. The caller asks `next`
    for the number of a portion to be sent now, until it gives None, and tells `sent` and `taken`.
    """

    portions: list[bytes]
    until: float
    patience: float
    heard: float
    refused: bool = False
    _sent_at: dict[int, float] = field(default_factory=dict)
    """Of portions that were not confirmed yet."""
    _numbers: dict[int, int] = field(default_factory=dict)
    """Sequence -> portion."""
    _next: int = 0
    _taken: set[int] = field(default_factory=set)

    @property
    def left(self) -> int:
        """Portions that were not confirmed."""
        return len(self.portions) - len(self._taken)

    def missed(self) -> list[bytes]:
        """Give the portions that were not confirmed."""
        return [body for number, body in enumerate(self.portions) if number not in self._taken]

    def over(self, now: float) -> bool:
        """Whether there is nothing more to do, or no more time or sense in it."""
        return not self.left or self.refused or now >= self._end

    @property
    def _end(self) -> float:
        return min(self.until, self.heard + self.patience)

    def next(self, now: float) -> int | None:
        """Give the number of a portion to be sent now, or None."""
        for number, at in self._sent_at.items():
            if now - at >= AGAIN:
                return number
        if self._next < len(self.portions) and len(self._sent_at) < WINDOW:
            return self._next
        return None

    def sent(self, number: int, sequence: int, now: float) -> None:
        """Note that a portion has gone out under a sequence."""
        self._sent_at.pop(number, None)  # to stand last again, since the oldest is looked at first
        self._sent_at[number] = now
        self._numbers[sequence] = number
        self._next = max(self._next, number + 1)

    def taken(self, sequences: tuple[int, ...], now: float) -> None:
        """Note a receipt; an empty one says that the partner cannot take connections."""
        self.heard = now
        self.refused = self.refused or not sequences
        for sequence in sequences:
            if (number := self._numbers.get(sequence)) is not None:
                self._taken.add(number)
                self._sent_at.pop(number, None)

    def wake(self, now: float) -> float:
        """Give the seconds until `next` may give something that no receipt brings about."""
        due = min((at + AGAIN for at in self._sent_at.values()), default=now)
        return max(0.0, min(due, self._end) - now)


class Limits(NamedTuple):
    """How long a hand-over may take; seconds."""

    read: float
    stall: float
    serving: float
    between: float

    @property
    def again(self) -> float:
        """Seconds within which the table must have been read to be read again in `between`.

        The other half of that time is for what was read. A busy machine takes its while even for a
        short list (FEW), and what begins meanwhile is lost if nobody looks again: it is read again
        whatever it took.
        """
        return self.between / 2


def limits(deadtime: float) -> Limits:
    """Give what goes with a dead time.

    Portions count as heartbeats, so only what is done without a word must stay far below it.
    """
    return Limits(
        read=min(LONGEST_READ, deadtime / 8),
        stall=min(LONGEST_STALL, deadtime / 4),
        serving=LONGEST,
        between=min(LONGEST_BETWEEN, deadtime / 8),
    )
