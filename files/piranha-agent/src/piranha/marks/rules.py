# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packets get which firewall mark: wanted rules as plain data, and what a reading found.

Pure. How a program of the firewall writes and reads them is nft.py's and legacy.py's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

EVERY_PORT = 0


class Rule(NamedTuple):
    """Packets to one address and port get a mark.

    address: IPv4 or IPv6, in its one form. protocol: tcp, udp or sctp. port: 0 is every port; a
    rule for one port goes before it.
    """

    address: str
    protocol: str
    port: int
    mark: int

    @property
    def family(self) -> str:
        """`ipv4` or `ipv6`."""
        return "ipv6" if ":" in self.address else "ipv4"


Rules = frozenset[Rule]
NOTHING: Rules = frozenset()


@dataclass(frozen=True)
class Found:
    """What is there of our rules.

    whole: whether all around the rules (tables, chains, hooks) is as it was written. seal: tells
    two readings apart that mean or look different; empty where nothing of ours is there.
    """

    rules: Rules = NOTHING
    whole: bool = True
    seal: str = ""


def marked(mark: int, address: str, protocol: str, ports: Iterable[int]) -> Rules:
    """Give the rules of one virtual service; of its ports 0 means all."""
    return frozenset(Rule(address, protocol, port, mark) for port in ports)


def ordered(rules: Iterable[Rule]) -> list[Rule]:
    """Sort rules so that of those for one packet the precise one comes last, and wins."""
    return sorted(rules, key=lambda rule: (rule.port != EVERY_PORT, rule))
