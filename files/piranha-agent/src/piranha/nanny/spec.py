# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be checked: immutable descriptions, made from the directives of one virtual service.

Pure: nothing here opens a socket, starts a program or reads a clock (see probe.py, program.py).
Two servers with equal descriptions are checked once; so a description holds nothing that only
one virtual service cares about.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from piranha.core.lvs_cf.values import unescape

ANY_ANSWER = "*"
HTTP_PORT = 80
HTTP_SEND = rb"GET / HTTP/1.0\r\n\r\n".decode()
HTTP_EXPECT = "HTTP"


class Match(Enum):
    """How an answer is compared."""

    PREFIX = "prefix"
    ANY = "any"
    REGEX = "regex"


@dataclass(frozen=True)
class Expectation:
    """What an answer has to be; `value` is unused for Match.ANY."""

    match: Match
    value: bytes = b""


@dataclass(frozen=True)
class SocketCheck:
    """Connect, perhaps send, perhaps wait for an answer. `limit` (seconds) is for all of it."""

    protocol: str
    address: str
    port: int
    limit: float
    send: bytes = b""
    expect: Expectation | None = None


@dataclass(frozen=True)
class ProgramCheck:
    """Run `command` (argument list, %h and %p already replaced); exit 0 and the expected output."""

    command: tuple[str, ...]
    limit: float
    expect: Expectation | None = None


@dataclass(frozen=True)
class NoCheck:
    """Directives that describe no possible check; the server counts as down with this reason."""

    reason: str


Check = SocketCheck | ProgramCheck | NoCheck


@dataclass(frozen=True)
class Watch:
    """A check repeated every `interval` seconds."""

    check: Check
    interval: float


@dataclass(frozen=True)
class CheckSettings:
    """The directives of one virtual service that say how its servers are checked."""

    protocol: str
    virtual_port: int
    timeout: float
    send: str | None = None
    expect: str | None = None
    send_program: str | None = None
    use_regex: bool = False


def raw(text: str) -> bytes:
    r"""Give the bytes that a `send` or `expect` value stands for, its escapes translated."""
    return unescape(text).encode("utf-8", "surrogateescape")


def watch_for(settings: CheckSettings, address: str, port: int) -> Watch:
    """Describe how the real server `address`:`port` is checked under `settings`."""
    return Watch(_check_for(settings, address, port), settings.timeout)


def _check_for(settings: CheckSettings, address: str, port: int) -> Check:
    if settings.send_program is not None:
        words = {"%h": address, "%p": str(port)}
        command = tuple(words.get(word, word) for word in settings.send_program.split())
        if not command:
            return NoCheck("send_program is empty; name a program")
        # use_regex has never applied to a program's output.
        return ProgramCheck(command, settings.timeout, _expectation(settings.expect, regex=False))
    send, expect = settings.send, settings.expect
    if settings.protocol == "udp":
        if send is None:
            return NoCheck("a udp service needs send and expect, or send_program, to be checked")
        expect = ANY_ANSWER if expect is None else expect
    elif send is None and expect is None and settings.virtual_port == HTTP_PORT:
        send, expect = HTTP_SEND, HTTP_EXPECT
    return SocketCheck(
        protocol=settings.protocol,
        address=address,
        port=port,
        limit=settings.timeout,
        send=b"" if send is None else raw(send),
        expect=_expectation(expect, regex=settings.use_regex),
    )


def _expectation(text: str | None, *, regex: bool) -> Expectation | None:
    if text is None:
        return None
    if text in ("", ANY_ANSWER):
        return Expectation(Match.ANY)
    return Expectation(Match.REGEX if regex else Match.PREFIX, raw(text))
