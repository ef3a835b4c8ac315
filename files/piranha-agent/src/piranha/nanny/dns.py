# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A DNS query, by datagram or over TCP.

Pure; the number that an answer must repeat is handed in.
"""

from __future__ import annotations

import struct

from .conversation import Conversation, Step
from .outcome import Outcome, bad, good
from .spec import Wanted

TYPES = {
    "A": 1,
    "NS": 2,
    "CNAME": 5,
    "SOA": 6,
    "PTR": 12,
    "MX": 15,
    "TXT": 16,
    "AAAA": 28,
    "SRV": 33,
}
"""RFC 1035, 3596 and 2782."""
RCODES = {
    1: "FORMERR",
    2: "SERVFAIL",
    3: "NXDOMAIN",
    4: "NOTIMP",
    5: "REFUSED",
}
_IN = 1
_HEADER = struct.Struct("!6H")
_LENGTH = struct.Struct("!H")
_RESPONSE, _RECURSE, _RCODE = 0x8000, 0x0100, 0x000F


class Dns(Conversation):
    """One question; any orderly answer without an error code is good."""

    awaited = "answer"
    limit = 65535 + 2

    def __init__(self, wanted: Wanted, number: int, *, stream: bool) -> None:
        """`number`: 0 to 65535, not to be guessed. `stream`: over TCP, with lengths in front."""
        super().__init__()
        self._stream = stream
        labels = b"".join(bytes([len(label)]) + label for label in wanted.query)
        self._question = labels + b"\0" + struct.pack("!2H", TYPES[wanted.query_type], _IN)
        self._number = number
        self._about = f"{b'.'.join(wanted.query).decode('ascii')}. {wanted.query_type}"

    def begin(self) -> Step:
        """See Conversation."""
        query = _HEADER.pack(self._number, _RECURSE, 1, 0, 0, 0) + self._question
        return _LENGTH.pack(len(query)) + query if self._stream else query

    def advance(self) -> Step | None:
        """See Conversation."""
        if not self._stream:
            message, self.data = self.data, b""
            # Anybody may have sent a datagram that does not belong to the question.
            return self._judge(message) if self._belongs(message) else None
        if len(self.data) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self.data)
        if len(self.data) < _LENGTH.size + length:
            return None
        message = self.data[_LENGTH.size : _LENGTH.size + length]
        if not self._belongs(message):
            return bad("answered something that does not belong to the question")
        return self._judge(message)

    def _belongs(self, message: bytes) -> bool:
        if len(message) < _HEADER.size:
            return False
        number, flags, *_counts = _HEADER.unpack_from(message)
        return number == self._number and bool(flags & _RESPONSE)

    def _judge(self, message: bytes) -> Outcome:
        _number, flags, questions, answers, *_rest = _HEADER.unpack_from(message)
        code = flags & _RCODE
        if code:
            return bad(f"answered {RCODES.get(code, f'error {code}')} for {self._about}")
        asked = message[_HEADER.size : _HEADER.size + len(self._question)]
        if questions != 1 or asked.lower() != self._question.lower():
            return bad("answered another question")
        return good(
            f"answered {self._about} with {answers} records".replace(" 1 records", " 1 record")
        )
