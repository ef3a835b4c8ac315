# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a check to the conversation that makes it: one row a kind. Pure, but for `nonce`.

The kinds' names, transports and directives are `piranha.core.lvs_cf.checks`'s.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from .agent import AgentCheck
from .conversation import Conversation, SendExpect
from .dns import Dns
from .greetings import Mysql, Postgres, Redis, Smtp
from .http import Http
from .icmp import Echo
from .outcome import Outcome, good
from .spec import ServiceCheck, SocketCheck
from .tls import Clock, Handshake, Tls

NONCE = 16
RANDOM = frozenset({"icmp", "dns"})
"""Kinds whose answer repeats random bytes of the question, so that nobody else can give it."""

Maker = Callable[[ServiceCheck, bytes], Conversation]


class Nothing(Conversation):
    """Being connected (and having shaken hands, with TLS) is all."""

    def sent(self) -> Outcome | None:
        """See Conversation."""
        return good("connected")

    def room(self) -> int:
        """See Conversation."""
        return 1


MAKERS: dict[str, Maker] = {
    "http": lambda check, _nonce: Http(check.wanted),
    "https": lambda check, _nonce: Http(check.wanted),
    "tls": lambda _check, _nonce: Nothing(),
    "icmp": lambda check, nonce: Echo(6 if ":" in check.address else 4, nonce),
    "dns": lambda check, nonce: Dns(
        check.wanted, int.from_bytes(nonce[:2], "big"), stream=check.transport == "tcp"
    ),
    "smtp": lambda check, _nonce: Smtp(check.wanted.helo),
    "redis": lambda _check, _nonce: Redis(),
    "postgres": lambda check, _nonce: Postgres(check.wanted.user or Postgres.DEFAULT_USER),
    "mysql": lambda check, _nonce: Mysql(check.wanted.user),
    "agent": lambda check, _nonce: AgentCheck(check.wanted.send),
}
"""Kinds that are not the original's send and expect (tcp, udp) and no program."""


def nonce(check: SocketCheck | ServiceCheck) -> bytes:
    """Give the random bytes that a conversation needs: NONCE of them, or none."""
    needed = isinstance(check, ServiceCheck) and check.kind in RANDOM
    return os.urandom(NONCE) if needed else b""


def conversation(check: SocketCheck | ServiceCheck, nonce: bytes, clock: Clock) -> Conversation:
    """Make the conversation of a check. nonce: see `nonce`. clock: the epoch's seconds.

    Raises OSError or ssl.SSLError where this router lacks what the check needs.
    """
    if isinstance(check, SocketCheck):
        return SendExpect(check.send, check.expect)
    inner = MAKERS[check.kind](check, nonce)
    if check.tls is None:
        return inner
    return Tls(inner, Handshake(check.tls, check.address, clock))
