# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be checked: immutable descriptions, made from the directives of one virtual service.

Pure: nothing here opens a socket, starts a program or reads a clock (see probe.py, program.py).
Two servers with equal descriptions are checked once; so a description holds nothing that only
one virtual service cares about.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

from piranha.core.lvs_cf.checks import CHECK_KINDS, ICMP, PROGRAM, SERVICE, TCP, TLS, UDP
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


@dataclass(frozen=True, slots=True)
class Expectation:
    """What an answer has to be; `value` is unused for Match.ANY."""

    match: Match
    value: bytes = b""


@dataclass(frozen=True, order=True, slots=True)
class Through:
    """That a check's address is the virtual one, and which real server has to answer there.

    server: its address. forward: direct or tunnel, as the virtual service forwards to it; tunnel:
    type, port and checksum.
    """

    server: str
    forward: str
    tunnel: tuple[str, int, str] = ("ipip", 0, "nocsum")


@dataclass(frozen=True, slots=True)
class SocketCheck:
    """Connect, perhaps send, perhaps wait for an answer. `limit` (seconds) is for all of it."""

    protocol: str
    address: str
    port: int
    limit: float
    send: bytes = b""
    expect: Expectation | None = None
    through: Through | None = None


@dataclass(frozen=True, slots=True)
class ProgramCheck:
    """Run `command` (argument list, %h and %p already replaced); exit 0 and the expected output."""

    command: tuple[str, ...]
    limit: float
    expect: Expectation | None = None


@dataclass(frozen=True, slots=True)
class NoCheck:
    """Directives that describe no possible check; the server counts as down with this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a kind of check asks for and wants to find; each kind uses some of it.

    status: inclusive ranges. headers: names and values. query: labels, none for the root.
    """

    method: str = "GET"
    path: str = "/"
    host: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    status: tuple[tuple[int, int], ...] = ((200, 399),)
    body: bytes = b""
    body_regex: bytes = b""
    query: tuple[bytes, ...] = ()
    query_type: str = "SOA"
    helo: str = "localhost"
    user: str | None = None
    send: bytes = b""


@dataclass(frozen=True, slots=True)
class TlsWish:
    """How TLS is spoken.

    server_name: asked for and, with verify, to be in the certificate. days: warn if the
    certificate ends within them.
    """

    verify: bool = False
    server_name: str | None = None
    ca_file: str | None = None
    days: int = 0


@dataclass(frozen=True, slots=True)
class ServiceCheck:
    """A conversation in the service's own language. transport: tcp, udp or icmp (port 0)."""

    kind: str
    transport: str
    address: str
    port: int
    limit: float
    wanted: Wanted = Wanted()
    tls: TlsWish | None = None
    through: Through | None = None

    @property
    def protocol(self) -> str:
        """The same as transport; SocketCheck's word for it."""
        return self.transport


Check = SocketCheck | ServiceCheck | ProgramCheck | NoCheck


@dataclass(frozen=True, slots=True)
class Watch:
    """A check repeated every `interval` seconds; every `fast` seconds while a state is changing."""

    check: Check
    interval: float
    fast: float | None = None
    _hash: int = field(init=False, repr=False, compare=False)
    """Every result is looked up by its Watch; the hash of all that a check holds takes a while."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.check, self.interval, self.fast)))

    def __hash__(self) -> int:
        return self._hash


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
    kind: str | None = None
    interval: float | None = None
    fast: float | None = None
    limit: float | None = None
    address: str | None = None
    port: int | None = None
    wanted: Wanted = Wanted()
    tls: TlsWish = TlsWish()
    via_virtual: bool = False

    @property
    def every(self) -> float:
        """Seconds between two checks."""
        return self.timeout if self.interval is None else self.interval

    @property
    def within(self) -> float:
        """Seconds that a check may take."""
        return min(self.timeout, self.every) if self.limit is None else self.limit


def raw(text: str) -> bytes:
    r"""Give the bytes that a `send` or `expect` value stands for, its escapes translated."""
    return unescape(text).encode("utf-8", "surrogateescape")


def watch_for(settings: CheckSettings, address: str, port: int) -> Watch:
    """Describe how the real server `address`:`port` is checked under `settings`."""
    port = port if settings.port is None else settings.port
    check = _check_for(settings, settings.address or address, port)
    return Watch(check, settings.every, settings.fast)


def watch_through(settings: CheckSettings, virtual: str, port: int, through: Through) -> Watch:
    """Describe how a real server is checked at the virtual address `virtual`:`port`."""
    watch = watch_for(replace(settings, address=None), virtual, port)
    check = watch.check
    if isinstance(check, SocketCheck | ServiceCheck) and check.port:
        return replace(watch, check=replace(check, through=through))
    reason = "check_via = virtual is for checks that connect to a port"
    return watch if isinstance(check, NoCheck) else replace(watch, check=NoCheck(reason))


def _check_for(settings: CheckSettings, address: str, port: int) -> Check:
    kind = CHECK_KINDS[settings.kind] if settings.kind else None
    if kind is None:
        return _classic(settings, address, port)
    if kind.name in (TCP, UDP):
        if kind.name == UDP and settings.send is None:
            return NoCheck("check = udp needs send")
        return _exchange(settings, kind.name, address, port)
    if kind.transport == PROGRAM:
        if settings.send_program is None:
            return NoCheck("check = program needs send_program")
        return _program(settings, address, port)
    if kind.transport == ICMP:
        return ServiceCheck(kind.name, ICMP, address, 0, settings.within)
    if not port:
        return NoCheck(f"check = {kind.name} needs a port; add check_port")
    transport = UDP if kind.transport == SERVICE and settings.protocol == UDP else TCP
    wanted = settings.wanted
    if "check_host" in kind.takes and not wanted.host:
        wanted = replace(wanted, host=f"[{address}]" if ":" in address else address)
    elif "check_host" not in kind.takes:
        # What the kind has no use for must not keep equal checks apart.
        wanted = replace(wanted, host="")
    if kind.name == "agent":
        wanted = replace(wanted, send=raw(settings.send or ""))
    return ServiceCheck(
        kind.name,
        transport,
        address,
        port,
        settings.within,
        wanted,
        settings.tls if kind.transport == TLS else None,
    )


def _program(settings: CheckSettings, address: str, port: int) -> Check:
    words = {"%h": address, "%p": str(port)}
    command = tuple(words.get(word, word) for word in (settings.send_program or "").split())
    if not command:
        return NoCheck("send_program is empty; name a program")
    # use_regex has never applied to a program's output.
    return ProgramCheck(command, settings.within, _expectation(settings.expect, regex=False))


def _classic(settings: CheckSettings, address: str, port: int) -> Check:
    """As the original checked, without `check`."""
    if settings.send_program is not None:
        return _program(settings, address, port)
    if settings.protocol == UDP:
        if settings.send is None:
            return NoCheck("a udp service needs send and expect, or send_program, to be checked")
    elif settings.send is None and settings.expect is None and settings.virtual_port == HTTP_PORT:
        settings = replace(settings, send=HTTP_SEND, expect=HTTP_EXPECT)
    return _exchange(settings, settings.protocol, address, port)


def _exchange(settings: CheckSettings, protocol: str, address: str, port: int) -> Check:
    expect = settings.expect
    if protocol == UDP and expect is None:
        expect = ANY_ANSWER
    return SocketCheck(
        protocol=protocol,
        address=address,
        port=port,
        limit=settings.within,
        send=b"" if settings.send is None else raw(settings.send),
        expect=_expectation(expect, regex=settings.use_regex),
    )


def _expectation(text: str | None, *, regex: bool) -> Expectation | None:
    if text is None:
        return None
    if text in ("", ANY_ANSWER):
        return Expectation(Match.ANY)
    return Expectation(Match.REGEX if regex else Match.PREFIX, raw(text))
