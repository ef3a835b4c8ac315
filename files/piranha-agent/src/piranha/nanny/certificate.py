# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a certificate ends, out of its DER. Pure; whether it is to be trusted is OpenSSL's to say.

Needed since Python tells the fields of a certificate only where it has verified it.
"""

from __future__ import annotations

from datetime import UTC, datetime

_SEQUENCE, _VERSION, _UTC_TIME, _GENERAL_TIME = 0x30, 0xA0, 0x17, 0x18
_LONG, _LONGEST = 0x80, 4


def not_after(der: bytes) -> float:
    """Give the end of validity in seconds of the epoch; ValueError where it cannot be read."""
    certificate = _value(der, 0, _SEQUENCE)
    body = _value(certificate, 0, _SEQUENCE)
    at = 0
    if body[:1] == bytes([_VERSION]):
        at = _field(body, 0)[2]
    for _unused in ("serial number", "signature algorithm", "issuer"):
        at = _field(body, at)[2]
    validity = _value(body, at, _SEQUENCE)
    at = _field(validity, 0)[2]
    kind, text, _end = _field(validity, at)
    formats = {_UTC_TIME: "%y%m%d%H%M%SZ", _GENERAL_TIME: "%Y%m%d%H%M%SZ"}
    if kind not in formats:
        raise ValueError("it has no time")
    return datetime.strptime(text.decode("ascii"), formats[kind]).replace(tzinfo=UTC).timestamp()


def _value(data: bytes, at: int, wanted: int) -> bytes:
    kind, value, _end = _field(data, at)
    if kind != wanted:
        raise ValueError("it is no certificate")
    return value


def _field(data: bytes, at: int) -> tuple[int, bytes, int]:
    """Type, value and end of the field at an offset."""
    if at + 2 > len(data):
        raise ValueError("it is cut off")
    kind, length = data[at], data[at + 1]
    begin = at + 2
    if length & _LONG:
        count = length & ~_LONG
        if not 1 <= count <= _LONGEST or begin + count > len(data):
            raise ValueError("it is no certificate")
        length = int.from_bytes(data[begin : begin + count], "big")
        begin += count
    if begin + length > len(data):
        raise ValueError("it is cut off")
    return kind, data[begin : begin + length], begin + length
