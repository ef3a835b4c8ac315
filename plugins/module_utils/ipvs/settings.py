# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel's IPVS keeps beside the table: timeouts and sync daemons. And the commands that
set them, zero counters or empty the table.

Plain immutable values; constructors normalise and refuse what the kernel would refuse, in one
sentence (IpvsError). settings_codec.py writes them for the kernel, kernel.py sends them.
"""

from __future__ import annotations

import ipaddress
from enum import Enum
from typing import NamedTuple, Union

from .errors import IpvsError
from .model import ServiceKey, Value
from .normal import HIGHEST_PORT, known_address, one_of, within

LONGEST_TIMEOUT = 31 * 24 * 3600  # seconds; ipvsadm's limit, well below the kernel's
LONGEST_INTERFACE = 15  # letters; IFNAMSIZ is 16 with the NUL
HIGHEST_SYNC_ID = 255
HIGHEST_TTL = 255
# What the kernel takes where nothing is given (net/netfilter/ipvs/ip_vs_sync.c).
SYNC_GROUP = "224.0.0.81"
SYNC_PORT = 8848
SYNC_TTL = 1


class _Timeouts(NamedTuple):
    tcp: int
    tcp_fin: int
    udp: int


class Timeouts(Value, _Timeouts):
    """How long an idle connection is remembered, in seconds.

    ``tcp``: an established one; ``tcp_fin``: one of which a FIN was seen; ``udp``: after the last
    packet. 0 as a value to be set means "as it is"; the kernel never tells 0 of itself.
    """

    __slots__ = ()

    def __new__(cls, tcp: int = 0, tcp_fin: int = 0, udp: int = 0) -> Timeouts:
        for what, value in (("tcp", tcp), ("tcp_fin", tcp_fin), ("udp", udp)):
            within("IPVS timeouts", f"{what} timeout", value, 0, LONGEST_TIMEOUT)
        return cls._make((tcp, tcp_fin, udp))

    def over(self, present: Timeouts) -> Timeouts:
        """What is there after these are set where ``present`` was."""
        return Timeouts._make([mine or old for mine, old in zip(self, present)])


class Role(str, Enum):
    """Which part a sync daemon plays. A router may run one of each at the same time."""

    MASTER = "master"
    BACKUP = "backup"

    def __str__(self) -> str:
        return self.value


class _Daemon(NamedTuple):
    role: Role
    interface: str
    syncid: int
    maxlen: int
    group: str
    port: int
    ttl: int


class Daemon(Value, _Daemon):
    """A sync daemon: tells other routers of connections (master), or learns of them (backup).

    ``interface``: by its name. ``syncid``: 0 to 255; a backup takes messages of its own id only, or
    of every id if its own is 0. ``maxlen``: bytes of a message, 0 for what fits the interface.
    ``group``: the multicast address, IPv4 or IPv6. ``port``: UDP. ``ttl``: how many hops far.
    """

    __slots__ = ()

    def __new__(
        cls,
        role: Role | str,
        interface: str,
        *,
        syncid: int = 0,
        maxlen: int = 0,
        group: str = SYNC_GROUP,
        port: int = SYNC_PORT,
        ttl: int = SYNC_TTL,
    ) -> Daemon:
        place = f"sync daemon {role}"
        one_of(place, "role", role, [known.value for known in Role])
        if (
            not isinstance(interface, str)
            or not 0 < len(interface.encode()) <= LONGEST_INTERFACE
            or set(interface) & set("/ \t\n\0")
        ):
            raise IpvsError(
                place,
                f"{interface!r} cannot be the name of an interface",
                "give one that 'ip link' shows, of 1 to 15 letters",
            )
        within(place, "sync id", syncid, 0, HIGHEST_SYNC_ID)
        within(place, "longest message", maxlen, 0, 65535)
        within(place, "port", port, 1, HIGHEST_PORT)
        within(place, "ttl", ttl, 1, HIGHEST_TTL)
        _family, normal = known_address(place, group)
        if not ipaddress.ip_address(normal).is_multicast:
            raise IpvsError(
                place,
                f"{group!r} is no multicast address",
                f"use one like {SYNC_GROUP} or ff02::81",
            )
        return cls._make((Role(role), interface, syncid, maxlen, normal, port, ttl))

    def replace(self, **changes: object) -> Daemon:
        """Return a copy with some fields changed, validated like a new one."""
        return type(self)(**{**self._asdict(), **changes})

    def agrees(self, running: Daemon) -> bool:
        """Whether ``running`` is what this asks for; a ``maxlen`` of 0 is content with any."""
        return running == (self if self.maxlen else self._replace(maxlen=running.maxlen))

    def __str__(self) -> str:
        return f"sync daemon {self.role}"


class Information(NamedTuple):
    """The kernel's IPVS itself: its version, and how many rows its connection hash table has."""

    version: str
    connection_table_size: int


# Commands to the kernel that are no operation on one entry of the table.


class SetTimeouts(NamedTuple):
    """Set the timeouts that are not 0."""

    timeouts: Timeouts

    def __str__(self) -> str:
        return "set timeouts"


class StartDaemon(NamedTuple):
    """Start a sync daemon."""

    daemon: Daemon

    def __str__(self) -> str:
        return f"start {self.daemon}"


class StopDaemon(NamedTuple):
    """Stop the sync daemon of a role."""

    role: Role

    def __str__(self) -> str:
        return f"stop sync daemon {self.role}"


class Zero(NamedTuple):
    """Set the counters of one service and its servers to 0, or those of all (None)."""

    service: ServiceKey | None = None

    def __str__(self) -> str:
        return f"zero {self.service}" if self.service else "zero all counters"


class Flush(NamedTuple):
    """Delete every service, whoever put it there."""

    def __str__(self) -> str:
        return "flush the table"


Control = Union[SetTimeouts, StartDaemon, StopDaemon, Zero, Flush]
