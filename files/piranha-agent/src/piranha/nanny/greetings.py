# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversations with servers that greet or answer in a few words: SMTP, Redis, PostgreSQL, MySQL.

Pure. Each does what proves that the server serves, and no more: nothing is logged in to.
"""

from __future__ import annotations

import re
import struct

from .conversation import Conversation, Step
from .http import words
from .outcome import bad, good, shown

_REPLY = re.compile(rb"([2-5][0-9]{2})([ -]|$)(.*)", re.DOTALL)


class Smtp(Conversation):
    """Wait for the greeting (220), say EHLO, wait for its answer (250), say QUIT."""

    awaited = "greeting"

    def __init__(self, name: str) -> None:
        """`name`: what to greet with."""
        super().__init__()
        self._hello = b"EHLO " + name.encode("ascii", "replace") + b"\r\n"
        self._greeting = ""
        self._taken = 0

    def advance(self) -> Step | None:
        """See Conversation."""
        while (line := self.line()) is not None:
            self._taken += len(line) + 2
            match = _REPLY.fullmatch(line)
            if match is None:
                return bad(f"answered {shown(line)}, which is not SMTP")
            if self._taken > self.limit:
                return bad(f"no end of the {self.awaited} in its first {self.limit} bytes")
            if match.group(2) == b"-":
                continue
            wanted = b"250" if self._greeting else b"220"
            if match.group(1) != wanted:
                about = "EHLO" if self._greeting else "being connected to"
                return bad(f"answered {shown(line)} to {about}")
            if self._greeting:
                self.goodbye = b"QUIT\r\n"
                return good(f"greeted with {self._greeting}")
            self._greeting, self.awaited = shown(line), "answer to EHLO"
            return self._hello
        return None


class Redis(Conversation):
    """Say PING, expect PONG. A server that asks for a password serves as well."""

    def begin(self) -> Step:
        """See Conversation."""
        return b"PING\r\n"

    def advance(self) -> Step | None:
        """See Conversation."""
        line = self.line()
        if line is None:
            return None
        if line == b"+PONG":
            return good("answered PONG")
        if line.startswith(b"-NOAUTH"):
            return good("answers, and asks for a password")
        if line.startswith(b"-"):
            return bad(f"answered with the error {shown(line[1:])}")
        return bad(f"answered {shown(line)}, which is not Redis")


class Postgres(Conversation):
    """Ask to begin a session; whoever then asks for a password, or refuses the user, serves."""

    DEFAULT_USER = "piranha"
    _VERSION = 196608  # protocol 3.0
    _LENGTH = 4  # bytes of a length, which counts itself
    _NOT_SERVING = frozenset({b"57", b"53", b"58", b"XX"})
    """Classes of error: the operator intervenes (starting, stopping), out of resources, system
    error, internal error (appendix A of PostgreSQL's manual)."""

    def __init__(self, user: str) -> None:
        """`user`: who asks; it need not exist."""
        super().__init__()
        self._user = user

    def begin(self) -> Step:
        """See Conversation."""
        body = struct.pack("!I", self._VERSION) + b"user\0" + self._user.encode() + b"\0\0"
        return struct.pack("!I", len(body) + 4) + body

    def advance(self) -> Step | None:
        """See Conversation."""
        while self.data:
            if self.data[:1] not in b"RENv":
                return bad(f"answered {shown(self.data)}, which is not PostgreSQL")
            if len(self.data) < 1 + self._LENGTH:
                return None
            (length,) = struct.unpack_from("!I", self.data, 1)
            if not self._LENGTH <= length < self.limit:
                return bad(f"answered {shown(self.data)}, which is not PostgreSQL")
            if len(self.data) < 1 + length:
                return None
            kind, body = self.data[:1], self.data[5 : 1 + length]
            self.data = self.data[1 + length :]
            if kind == b"R":
                return good("answers, and asks who we are")
            if kind == b"E":
                return self._error(body)
        return None

    def _error(self, body: bytes) -> Step:
        fields = {field[:1]: field[1:] for field in body.split(b"\0") if field}
        code, text = fields.get(b"C", b""), shown(fields.get(b"M", b""))
        if not code or code[:2] in self._NOT_SERVING:
            return bad(f"answered with the error {words(code)} {text}".replace("  ", " "))
        return good(f"answers, though with {words(code)} {text}")


class Mysql(Conversation):
    """Read the greeting; with a user, answer it, so that the server counts no broken-off login."""

    awaited = "greeting"
    _HEADER = 4
    _PROTOCOL = 10
    _ERROR = 0xFF
    _FLAGS = 0x00000200 | 0x00008000 | 0x00080000  # PROTOCOL_41, SECURE_CONNECTION, PLUGIN_AUTH
    _PACKET = 1 << 24
    _DENIED = frozenset({1044, 1045, 1049, 1251, 1698})
    """Errors that only say who may log in, or how."""

    def __init__(self, user: str | None) -> None:
        """`user`: who answers the greeting; None closes behind it."""
        super().__init__()
        self._user = user
        self._version = ""

    def advance(self) -> Step | None:
        """See Conversation."""
        if len(self.data) < self._HEADER:
            return None
        length = int.from_bytes(self.data[:3], "little")
        if not length or length > self.limit - self._HEADER:
            return bad(f"answered {shown(self.data)}, which is not MySQL")
        if len(self.data) < self._HEADER + length:
            return None
        packet = self.data[self._HEADER : self._HEADER + length]
        self.data = self.data[self._HEADER + length :]
        return self._login(packet) if self._version else self._greeting(packet)

    def _greeting(self, packet: bytes) -> Step:
        if packet[0] == self._ERROR:
            _number, text = self._error(packet)
            return bad(f"refused the connection: {text}")
        version, end, _rest = packet[1:].partition(b"\0")
        if packet[0] != self._PROTOCOL or not end:
            return bad(f"answered {shown(packet)}, which is not MySQL")
        self._version = words(version) or "?"
        if self._user is None:
            return good(f"greeted as version {self._version}")
        self.awaited = "answer to the login"
        body = struct.pack("<IIB23x", self._FLAGS, self._PACKET, 45) + self._user.encode()
        body += b"\0\0mysql_native_password\0"
        return len(body).to_bytes(3, "little") + b"\x01" + body

    def _login(self, packet: bytes) -> Step:
        if packet[0] == self._ERROR:
            number, text = self._error(packet)
            if number not in self._DENIED:
                return bad(f"answered the login with {text}")
        elif packet[0] not in (0x00, 0xFE):
            return bad(f"answered {shown(packet)}, which is not MySQL")
        self.goodbye = b"\x01\0\0\0\x01" if packet[0] == 0 else b""
        return good(f"greeted as version {self._version} and answered a login")

    @staticmethod
    def _error(packet: bytes) -> tuple[int, str]:
        number = int.from_bytes(packet[1:3], "little")
        text = packet[3:]
        text = text[6:] if text[:1] == b"#" else text
        return number, f"error {number} {shown(text)}"
