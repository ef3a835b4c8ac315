# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A heartbeat as bytes, and back: layout, version, key. Pure.

What a heartbeat proves about its freshness is conversation.py's matter, what it means for the
takeover is machine.py's.

Layout of version 1, in network byte order:

    magic "PLVS", version, state, role, echo kind          8 bytes
    key id                                                 4   which key it is made with
    length of the whole datagram                           2
    kind                                                   2   what the body is
    session of the sender                                 16   random at each start
    sequence                                               8   grows with each heartbeat
    echoed session, echoed sequence                       24   what the sender heard from us
    digest of the sender's configuration                   8
    body                                                   0 to 920
    HMAC-SHA256 over all of the above                     32

Whatever its kind, it is a heartbeat and counts as one. Who does not know a kind leaves the body
alone, as all did before there were kinds.
"""

from __future__ import annotations

import enum
import hmac
import struct
from dataclasses import dataclass

from . import oldwire

MAGIC = b"PLVS"
VERSION = 1
SESSION_SIZE = 16
DIGEST_SIZE = 8
MAC_SIZE = 32
MAX_SIZE = 1024
"""No heartbeat is longer; a receiver needs no larger buffer."""

FAREWELL = 1 << 63
"""Sequences from here on belong to whoever says goodbye for a heart that cannot: its supervisor.

The heart itself stays below, so a farewell always comes after everything the heart said."""

_HEAD = struct.Struct(f"!4sBBBB4sHH{SESSION_SIZE}sQ{SESSION_SIZE}sQ{DIGEST_SIZE}s")
SIZE = _HEAD.size + MAC_SIZE
MAX_BODY = MAX_SIZE - SIZE

NO_SESSION = bytes(SESSION_SIZE)

# The first use makes OpenSSL look for its providers. Done here it is done before pulse forks; in
# a heart that is started again on a virtual machine it would take 50 ms.
hmac.digest(NO_SESSION, b"", "sha256")


class PeerState(enum.IntEnum):
    """What the sender is, as a number on the wire."""

    STANDBY = 0
    ACTIVE = 1
    LEAVING = 2
    """It has let go of everything and ends: the goodbye."""
    RESIGNED = 3
    """The same, said by its supervisor for a heart that cannot."""
    DOUBT = 4
    """It holds the addresses after a time in which it did not run, and gives way to an active."""
    FAULT = 5
    """It runs but cannot hold the addresses."""


class Role(enum.IntEnum):
    """The fixed role that lvs.cf gives a router."""

    PRIMARY = 1
    BACKUP = 2

    @property
    def other(self) -> Role:
        """The partner's role."""
        return Role.BACKUP if self is Role.PRIMARY else Role.PRIMARY


class Echo(enum.IntEnum):
    """What the echo fields say about what the sender heard from the receiver."""

    NONE = 0
    SEEN = 1
    """It has received that sequence of that session."""
    CLOSED = 2
    """It takes that session for ended; a heart that still uses it must begin another."""


class Kind(enum.IntEnum):
    """What a heartbeat carries beside its news."""

    PLAIN = 0
    CONNECTIONS = 1
    """Connections that the receiver is to take over (handover.py)."""
    TAKEN = 2
    """The receipt for such."""
    SERVICES = 3
    """What the sender has to say of its failover services (word.py); its sequences are times."""
    FACTS = 4
    """What the sender knows of itself (facts.py); its sequences are times (conversation.py)."""


class Reason(enum.Enum):
    """Why a datagram was refused; the value is the name counted under."""

    GARBAGE = "garbage"
    VERSION = "version"
    KEY = "key"
    FORGED = "forged"
    ROLE = "role"
    REFLECTED = "reflected"
    LATE = "late"
    REPLAY = "replay"
    CLOSED = "closed"
    UNCONFIRMED = "unconfirmed"
    STRANGER = "stranger"
    FORMAT = "format"
    """It is of the other format of heartbeats (heartbeat_format)."""
    SERVICE = "service"
    """It is of a router of old that runs failover services."""


# Looked up in mappings, which takes a tenth of the time that asking the class does.
_STATES = {int(one): one for one in PeerState}
_ROLES = {int(one): one for one in Role}
_ECHOES = {int(one): one for one in Echo}
_KINDS = {int(one): one for one in Kind}


@dataclass(frozen=True, slots=True)
class Key:
    """A shared secret and the public name that tells keys apart."""

    secret: bytes
    id: bytes

    @classmethod
    def of(cls, secret: bytes) -> Key:
        """Make a key of 32 random bytes."""
        return cls(secret, hmac.digest(secret, b"piranha heartbeat key id", "sha256")[:4])

    def seal(self, signed: bytes) -> bytes:
        """Give the code of authentication over these bytes, `MAC_SIZE` of them."""
        return hmac.digest(self.secret, signed, "sha256")

    def __repr__(self) -> str:  # the secret must not reach a log through a traceback
        return f"Key(id={self.id.hex()})"


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What one heartbeat says. Sessions are 16 bytes, the digest 8."""

    state: PeerState
    role: Role
    session: bytes
    sequence: int
    digest: bytes = bytes(DIGEST_SIZE)
    echo: Echo = Echo.NONE
    echo_session: bytes = NO_SESSION
    echo_sequence: int = 0
    kind: Kind = Kind.PLAIN
    body: bytes = b""
    """At most `MAX_BODY` bytes; none with Kind.PLAIN."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A datagram that is none of our partner's heartbeats, and why. It never changes state."""

    reason: Reason


def encode(beat: Heartbeat, key: Key) -> bytes:
    """Give the datagram of a heartbeat, `SIZE` bytes and its body."""
    head = _HEAD.pack(
        MAGIC,
        VERSION,
        beat.state,
        beat.role,
        beat.echo,
        key.id,
        SIZE + len(beat.body),
        beat.kind,
        beat.session,
        beat.sequence,
        beat.echo_session,
        beat.echo_sequence,
        beat.digest,
    )
    signed = head + beat.body
    return signed + key.seal(signed)


def decode(data: bytes, keys: tuple[Key, ...]) -> Heartbeat | Refused:
    """Give the heartbeat in a datagram made with one of `keys`, or why it is refused.

    Any bytes may be passed in. Nothing but the outer frame is looked at before the code of
    authentication has been compared, in constant time.
    """
    if oldwire.read(data) is not None:
        return Refused(Reason.FORMAT)
    if len(data) > MAX_SIZE or len(data) < len(MAGIC) + 1 or not data.startswith(MAGIC):
        return Refused(Reason.GARBAGE)
    if data[len(MAGIC)] != VERSION:
        return Refused(Reason.VERSION)
    if len(data) < SIZE:
        return Refused(Reason.GARBAGE)
    fields = _HEAD.unpack_from(data)
    if fields[6] != len(data):
        return Refused(Reason.GARBAGE)
    key = next((key for key in keys if key.id == fields[5]), None)
    if key is None:
        return Refused(Reason.KEY)
    if not hmac.compare_digest(key.seal(data[:-MAC_SIZE]), data[-MAC_SIZE:]):
        return Refused(Reason.FORGED)
    try:
        state, role, echo = _STATES[fields[2]], _ROLES[fields[3]], _ECHOES[fields[4]]
    except KeyError:
        # Made with our key, so by a later version that kept the number: not ours to guess.
        return Refused(Reason.VERSION)
    kind = _KINDS.get(fields[7], Kind.PLAIN)
    return Heartbeat(
        state=state,
        role=role,
        session=fields[8],
        sequence=fields[9],
        digest=fields[12],
        echo=echo,
        echo_session=fields[10],
        echo_sequence=fields[11],
        kind=kind,
        body=b"" if kind is Kind.PLAIN else data[_HEAD.size : -MAC_SIZE],
    )
