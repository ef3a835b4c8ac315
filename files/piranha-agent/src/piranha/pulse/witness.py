# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the witnesses for an echo: does this router's network work while its partner is silent?

When they are asked is asking.py's matter, what an answer means for the takeover machine.py's.
Nothing here waits: answers are read at each turn of the heart's loop.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
from ipaddress import ip_address
from typing import Any

from piranha.core.lvs_cf.partner_rows import GATEWAY
from piranha.nanny.icmp import replied, request
from piranha.net.rtnetlink import Address, Netlink

from .asking import Questions, pace, patience
from .machine import Machine

_TOKEN = 8
_LONGEST = 2048
_MOST = 64
"""Packets read at one turn."""
_SOL_RAW, _ICMP_FILTER, _ICMPV6_FILTER = 255, 1, 1  # linux/socket.h, linux/icmp.h, icmpv6.h
_REPLIES_ONLY = struct.pack("=I", ~1 & 0xFFFFFFFF)
_REPLIES_ONLY_6 = (~(1 << 129) & ((1 << 256) - 1)).to_bytes(32, "little")
if sys.byteorder == "big":  # eight words in the order of the machine
    _REPLIES_ONLY_6 = b"".join(_REPLIES_ONLY_6[n : n + 4][::-1] for n in range(0, 32, 4))


class Witness:
    """One witness, as lvs.cf names it, and the socket it is asked through."""

    def __init__(self, word: str, prefers: int, now: float) -> None:
        self.word = word
        self.address: str | None = None if word == GATEWAY else word
        self.trouble = ""
        """Why it could not be asked at the last try; a piece of a sentence."""
        self.told: bool | None = None
        """What was logged last: is it there? None: nothing yet."""
        self.begun = now
        self.questions = Questions(os.urandom(_TOKEN))
        self._versions = (prefers, 10 - prefers)
        self._scope = 0
        self._socket: socket.socket | None = None

    @property
    def name(self) -> str:
        """Name it in a sentence."""
        if self.word != GATEWAY:
            return f"the witness {self.word}"
        return f"the witness {self.address} (gateway)" if self.address else "the gateway as witness"

    def there(self, bears: float, now: float) -> bool:
        """Whether it has answered within so many seconds."""
        seen = self.questions.seen_at
        return seen is not None and now - seen <= bears

    def hear(self) -> float | None:
        """Read what has come; gives when the newest question was asked that has an answer."""
        if self._socket is None or self.address is None:
            return None
        newest: float | None = None
        version = ip_address(self.address).version
        with contextlib.suppress(OSError):
            for _unused in range(_MOST):
                packet = self._socket.recv(_LONGEST)
                if packet and ":" not in self.address:
                    # A raw socket of IPv4 gives the IP header too.
                    packet = packet[(packet[0] & 0x0F) * 4 :]
                asked = self.questions.answer(replied(version, packet))
                if asked is not None:
                    newest = asked if newest is None else max(asked, newest)
        return newest

    def ask(self, netlink: Netlink, now: float, anew: bool) -> None:
        """Send a question. anew: through another socket, since the one there is brings nothing."""
        payload = self.questions.ask(now)
        if self.word == GATEWAY:
            self._find(netlink)
        if self.address is None:
            return
        try:
            if self._socket is None or anew:
                self.close()
                self._socket = _socket_to(self.address, self._scope)
            self._socket.send(request(ip_address(self.address).version, payload))
            self.trouble = ""
        except OSError as error:
            self.trouble = error.strerror or str(error)
            self.close()

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _find(self, netlink: Netlink) -> None:
        """Look which gateway the kernel has now."""
        found: tuple[Address, int] | None = None
        try:
            for version in self._versions:
                found = found or netlink.gateway(version)
        except OSError as error:
            self.trouble = f"the kernel does not tell ({error.strerror})"
            return
        self.trouble = "" if found else "there is no default gateway"
        address = str(found[0]) if found else None
        if address != self.address:
            self.close()
        self.address, self._scope = address, found[1] if found else 0


class Witnesses:
    """All witnesses of this router.

    words: as in lvs.cf. own: our first address of the heartbeats; its version of IP is preferred.
    """

    def __init__(self, words: tuple[str, ...], own: str, netlink: Netlink, now: float) -> None:
        self.words = words
        self._netlink = netlink
        prefers = ip_address(own).version if words else 4
        self._all = [Witness(word, prefers, now) for word in words]
        self._due: float | None = now if words else None

    def want(self, words: tuple[str, ...], own: str, now: float) -> Witnesses:
        """Give those of another configuration; the same where nothing has changed."""
        if words == self.words:
            return self
        for one in self._all:
            one.close()
        return Witnesses(words, own, self._netlink, now)

    def next_at(self) -> float | None:
        """Give when `step` is due at the latest."""
        return self._due

    def step(self, machine: Machine, now: float) -> list[tuple[str, str]]:
        """Hear, ask where it is time, and tell the machine; gives what is to be logged."""
        if not self._all:
            return []
        for one in self._all:
            seen = one.hear()
            if seen is not None:
                machine.witnessed(seen)
        bears, wait = patience(machine), pace(machine, now)
        for one in self._all:
            asked = one.questions.asked_at
            if asked is None or now - asked >= wait:
                one.ask(self._netlink, now, anew=not one.there(bears, now))
        self._due = min(one.questions.asked_at or now for one in self._all) + wait
        return [news for one in self._all if (news := self._news(one, bears, now))]

    @staticmethod
    def _news(one: Witness, bears: float, now: float) -> tuple[str, str] | None:
        there = one.there(bears, now)
        if there == one.told or (not there and now - one.begun < bears):
            return None
        first, one.told = one.told is None, there
        if there:
            return ("info" if first else "notice"), f"{one.name} answers"
        return "warning", _missing(one)

    def problems(self, machine: Machine, now: float) -> list[str]:
        """Say of each witness that is not there what follows."""
        bears = patience(machine)
        return [
            _missing(one)
            for one in self._all
            if now - one.begun >= bears and not one.there(bears, now)
        ]

    def state(self, machine: Machine, now: float, wall: float) -> list[dict[str, Any]]:
        """Give each for the status. wall: what makes the epoch's seconds of the heart's clock."""
        bears = patience(machine)
        return [
            {
                "witness": one.word,
                "address": one.address,
                "up": one.there(bears, now),
                "heard": None
                if one.questions.seen_at is None
                else round(one.questions.seen_at + wall, 3),
                "asking": one.trouble or "ok",
            }
            for one in self._all
        ]


def _missing(one: Witness) -> str:
    why = f" ({one.trouble})" if one.trouble else ""
    return (
        f"{one.name} does not answer{why}; with no witness this router takes nothing"
        f" when its partner falls silent"
    )


def _socket_to(address: str, scope: int) -> socket.socket:
    """Make a socket that gets echo replies of one machine and nothing else."""
    six = ":" in address
    family, protocol = (
        (socket.AF_INET6, socket.IPPROTO_ICMPV6) if six else (socket.AF_INET, socket.IPPROTO_ICMP)
    )
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    made = socket.socket(family, kind, protocol)
    try:
        if six:
            made.setsockopt(socket.IPPROTO_ICMPV6, _ICMPV6_FILTER, _REPLIES_ONLY_6)
            made.connect((address, 0, 0, scope))
        else:
            made.setsockopt(_SOL_RAW, _ICMP_FILTER, _REPLIES_ONLY)
            made.connect((address, 0))
    except OSError:
        made.close()
        raise
    return made
