# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The types of the language: from the words of a line to a value, and back to words.

One reader and one writer for each type of directives.py. Pure; resolves no name and asks no
machine. What two directives mean to each other is check.py's.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from decimal import Decimal
from ipaddress import IPv6Address
from typing import NamedTuple, Union

from . import directives as d
from .directives import Directive
from .findings import did_you_mean
from .lexer import quoted
from .services import PORTS


class AddressDevice(NamedTuple):
    """An address, and the device that carries it if one is written.

    The two routers' devices may differ: `primary=eth0:1,backup=ens3:1` names one for each role;
    on a router that is not named the connected route decides, as it does without a device.
    """

    address: str
    device: str | None = None

    def on(self, role: str) -> str | None:
        """The device on the primary or on the backup router."""
        if self.device is None or "=" not in self.device:
            return self.device
        return _mapped(self.device).get(role)

    def devices(self) -> tuple[str, ...]:
        """The devices on any router, each once."""
        return tuple(dict.fromkeys(one for one in map(self.on, ROLES) if one is not None))


def _mapped(device: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in device.split(","))
    return {role: name for role, _equals, name in pairs}


Value = Union[int, float, str, AddressDevice, tuple[Union[int, str], ...], None]


class Note(NamedTuple):
    """Something to say about a value that could be read."""

    code: str
    message: str
    remedy: str


class Read(NamedTuple):
    """A value, what is to be said about how it was written, and a prefix length behind it."""

    value: Value
    notes: tuple[Note, ...] = ()
    prefix: int | None = None


class BadValue(Exception):
    """A value that cannot be read; `index` tells which word of the line it was."""

    def __init__(self, code: str, message: str, remedy: str, index: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy
        self.index = index


_INTEGER = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]+|[0-9]+)")
_TIME = re.compile(r"(?:([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ms|s|m|h|d)?)")
_UNIT_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60000, "h": 3600000, "d": 86400000}
_IPV4 = re.compile(r"([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})")
_PART = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_CANONICAL_IPV4 = re.compile(rf"{_PART}\.{_PART}\.{_PART}\.{_PART}")
_IPV4_PARTS = re.compile(r"(?:0[xX][0-9a-fA-F]+|[0-9]+)(?:\.(?:0[xX][0-9a-fA-F]+|[0-9]+)){0,3}")
_HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")
_DEVICE = re.compile(r"[^ \t/\"'#{}\[\],=\x00-\x1f]{1,32}")
_PREFIX = re.compile(r"/?([0-9]{1,3})")
# Digits of a millisecond that count; behind them a float of up to a year is not exact.
_FLOAT_NOISE = 5
_LONGEST_NUMBER = 20  # characters; more is out of every range and slow to convert
_ESCAPES = {"\\": "\\", "r": "\r", "n": "\n", "t": "\t", "'": "'", '"': '"'}
_ESCAPE = re.compile(r"\\(.)")

ROLES = ("primary", "backup")  # of the two routers, where a device is named for each
IPV4_BITS = 32
IPV6_BITS = 128
NO_ADDRESS = "0.0.0.0"  # noqa: S104 - what the language writes for "none", nothing is bound to it


def read_value(row: Directive, args: tuple[str, ...]) -> Read:
    """Read the words behind a directive's `=` as its type. BadValue where that cannot be."""
    text = args[0]
    if len(args) == 1 and text in row.aliases:
        args = (row.aliases[text],)
    if row.kind != d.LIST:
        most = 3 if row.kind == d.ADDRESS_DEVICE and "=" in args[-1] else 2
        most = most if row.kind == d.ADDRESS_DEVICE else 1
        if len(args) > most:
            message = f"unexpected text behind the value of `{row.name}`"
            remedy = "quote a value that contains blanks"
            if row.name == "port" and row.where == d.VIRTUAL:
                remedy = f"write `ports = [ {' '.join(args)} ]` for several ports"
            raise BadValue("E107", message, remedy, most)
    return _READERS[row.kind](row, args)


def write_value(row: Directive, value: Value, ipv6: bool = False) -> str:
    """The words for a value, such that read_value gives the same value again.

    `ipv6` tells whether a mask belongs to an IPv6 address. ValueError for a text that no line
    can hold.
    """
    if isinstance(value, AddressDevice):
        return value.address if value.device is None else f"{value.address} {value.device}"
    if isinstance(value, tuple):
        return " ".join(["[", *(quoted(str(word)) for word in value), "]"])
    if row.kind == d.MASK and isinstance(value, int):
        return mask_text(value, ipv6)
    if isinstance(value, float):
        return _decimal(value)
    if isinstance(value, str):
        return quoted(value, always=row.kind in (d.QUOTED, d.ESCAPED))
    return str(value)


def unescape(text: str) -> str:
    """Translate the escapes that send and expect know; others keep their backslash.

    As in the original, a text of one character is left alone.
    """
    if len(text) < len("\\n"):
        return text
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match.group(1), match.group(0)), text)


def escape(text: str) -> str:
    """Write line ends as the escapes that unescape() translates; nothing else changes."""
    return text.replace("\r", "\\r").replace("\n", "\\n")


def is_ipv6(address: str) -> bool:
    """Whether an address or host name as read is an IPv6 address."""
    return ":" in address


def is_address(text: str) -> bool:
    """Whether it is an address in canonical form, not a host name."""
    return ":" in text or _IPV4.fullmatch(text) is not None


def mask_text(prefix: int, ipv6: bool = False) -> str:
    """A prefix length as the file writes it: dotted for IPv4, `/64` for IPv6."""
    if ipv6 or prefix > IPV4_BITS:
        return f"/{prefix}"
    bits = (0xFFFFFFFF << (IPV4_BITS - prefix)) & 0xFFFFFFFF
    return socket.inet_ntop(socket.AF_INET, bits.to_bytes(4, "big"))


def plain_number(value: float) -> int | float:
    """A whole number as int, so that 6.0 reads 6."""
    return int(value) if value == int(value) else value


def _decimal(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _integer(row: Directive, text: str) -> tuple[int, tuple[Note, ...]]:
    if text == "":  # the original read an empty text as 0
        return 0, ()
    text = text.lstrip()  # inside quotes, as C's conversion does
    if not _INTEGER.fullmatch(text) or len(text) > _LONGEST_NUMBER:
        message = f"`{row.name}` takes a whole number, not `{text}`"
        raise BadValue("E203", message, f"for example `{row.name} = {_example(row)}`")
    digits = text.lstrip("+-")
    sign = -1 if text[0] == "-" else 1
    if len(digits) > 1 and digits[0] == "0" and digits[1] not in "xX":
        if set(digits) & set("89"):
            message = f"`{text}` is not a number: a leading 0 means octal, which has no 8 or 9"
            raise BadValue("E203", message, "write it without the leading 0")
        value = sign * int(digits, 8)
        note = Note("W203", f"`{text}` is octal and means {value}", "write it without a leading 0")
        return value, (note,) if value else ()
    return sign * int(digits, 0), ()


def _example(row: Directive) -> str:
    if row.default is not None:
        return str(row.default)
    return str(row.low or 0)


def _in_range(row: Directive, value: float, text: str, unit: str = "") -> None:
    low, high = row.low, row.high
    if (low is not None and value < low) or (high is not None and value > high):
        reach = f"from {low} to {high}{unit}" if high is not None else f"{low}{unit} or more"
        message = f"`{row.name} = {text}` is out of range"
        if row.kind == d.PORT and row.dialect == d.CLASSIC:
            message += ", which only ipvsadm noticed when the original started"
        raise BadValue("E204", message, f"it must be {reach}")


def _read_number(row: Directive, args: tuple[str, ...]) -> Read:
    value, notes = _integer(row, args[0])
    _in_range(row, value, args[0])
    return Read(value, notes)


def _read_switch(row: Directive, args: tuple[str, ...]) -> Read:
    text = args[0]
    try:
        value, notes = _integer(row, text)
    except BadValue:
        value, notes = -1, ()
    if value not in (0, 1):
        message = f"`{row.name}` is a switch, not `{text}`"
        if text.lower() in ("yes", "on", "true"):
            raise BadValue("E203", message, "write 1")
        if text.lower() in ("no", "off", "false"):
            raise BadValue("E203", message, "write 0")
        raise BadValue("E203", message, "write 1 (on) or 0 (off)")
    return Read(value, notes)


def _read_seconds(row: Directive, args: tuple[str, ...]) -> Read:
    text = args[0]
    if not text or _INTEGER.fullmatch(text):  # the original's numbers, octal and empty included
        value, notes = _integer(row, text)
        if value == 0 and "0" in row.aliases:  # 0x0 and an empty text are 0 as well
            return Read(int(row.aliases["0"]))
        _in_range(row, value, text, " seconds")
        return Read(value, notes)
    match = _TIME.fullmatch(text)
    if not match or len(text) > _LONGEST_NUMBER:
        message = f"`{row.name}` takes a time, not `{text}`"
        raise BadValue("E203", message, "write seconds (6 or 0.5), or a unit: 500ms, 6s, 2m")
    # Decimal, since 8587164.788 * 1000 is no whole float; rounded, since data may hold 0.1 + 0.2.
    exact = Decimal(match.group(1)) * _UNIT_MILLISECONDS[match.group(2) or "s"]
    milliseconds = round(exact, _FLOAT_NOISE)
    if milliseconds != int(milliseconds):
        message = f"`{row.name} = {text}` is finer than a millisecond"
        raise BadValue("E204", message, "round it to whole milliseconds")
    seconds = plain_number(int(milliseconds) / 1000)
    _in_range(row, seconds, text, " seconds")
    return Read(seconds)


def _read_whole_seconds(row: Directive, args: tuple[str, ...]) -> Read:
    read = _read_seconds(row, args)
    if isinstance(read.value, float):
        message = f"`{row.name} = {args[0]}` is not a whole number of seconds"
        raise BadValue("E204", message, "the kernel counts it in whole seconds")
    return read


def _read_port(row: Directive, args: tuple[str, ...]) -> Read:
    text = args[0]
    if text[:1].isalpha():
        if text not in PORTS:
            message = f"`{text}` is not a known service name"
            raise BadValue("E203", message, did_you_mean(text, PORTS) or "write the port's number")
        return Read(PORTS[text])
    return _read_number(row, args)


def _read_choice(row: Directive, args: tuple[str, ...]) -> Read:
    text = args[0]
    if text not in row.choices:
        message = f"`{row.name}` cannot be `{text}`"
        known = ", ".join(row.choices)
        remedy = did_you_mean(text, row.choices) or f"it is one of {known}"
        raise BadValue("E203", message, remedy)
    return Read(text)


def address_of(text: str) -> tuple[str, tuple[Note, ...]] | None:
    """The canonical form of an IPv4 or IPv6 address, or None if the text is none.

    IPv6 is written as `ipaddress` does, which is how the kernel's table is shown as well. IPv4
    short forms and octal parts are read as the C library does, with a note. An IPv4 address
    mapped into IPv6 is returned too, but its form depends on Python's version.
    """
    if _CANONICAL_IPV4.fullmatch(text):  # most addresses of a large file
        return text, ()
    match = _IPV4.fullmatch(text)
    if match and all(len(part) == 1 or part[0] != "0" for part in match.groups()):
        return None  # a part above 255
    if ":" in text:
        try:
            packed = socket.inet_pton(socket.AF_INET6, text)
        except (OSError, ValueError):  # ValueError for a NUL byte or what is no ASCII
            return None
        return str(IPv6Address(packed)), ()
    if _IPV4_PARTS.fullmatch(text):
        try:
            address = socket.inet_ntoa(socket.inet_aton(text))
        except OSError:
            return None
        return address, (Note("W203", f"`{text}` means {address}", "write the address in full"),)
    return None


def _host(row: Directive, text: str, names: bool, index: int = 0) -> Read:
    if _CANONICAL_IPV4.fullmatch(text):  # nearly always, and by far the cheapest to tell
        return Read(text)
    found = address_of(text)
    if found:
        _not_mapped(row, found[0], text, index)
        return Read(*found)
    if "/" in text and address_of(text.split("/", maxsplit=1)[0]):
        message = f"`{row.name}` takes an address without a prefix length, not `{text}`"
        raise BadValue("E203", message, "write the address alone", index)
    looks_numeric = not re.search("[A-Za-z_]", text) or ":" in text
    if looks_numeric or not names or not _HOST_NAME.fullmatch(text):
        kind = "an address or a host name" if names else "an address"
        example = "for example 192.0.2.1 or 2001:db8::1"
        raise BadValue("E203", f"`{row.name}` takes {kind}, not `{text}`", example, index)
    return Read(text)


def _not_mapped(row: Directive, address: str, text: str, index: int) -> None:
    """Refuse ::ffff:192.0.2.1: no packet carries it, and Python's versions spell it differently."""
    ipv4 = IPv6Address(address).ipv4_mapped if is_ipv6(address) else None
    if ipv4 is not None:
        message = (
            f"`{row.name}` takes an address that packets carry; `{text}` is {ipv4} in IPv6 form"
        )
        raise BadValue("E203", message, f"write {ipv4}", index)


def _read_host(row: Directive, args: tuple[str, ...]) -> Read:
    return _host(row, args[0], names=True)


def _read_ip(row: Directive, args: tuple[str, ...]) -> Read:
    return _host(row, args[0], names=False)


def _read_address_device(row: Directive, args: tuple[str, ...]) -> Read:
    text, slash, length = args[0].partition("/")
    read = _host(row, text, names=True)
    address = str(read.value)
    prefix = None
    if slash:
        bits = IPV6_BITS if is_ipv6(address) else IPV4_BITS
        number = int(length) if re.fullmatch("[0-9]{1,3}", length) else 0
        if not 1 <= number <= bits or not is_address(address):
            message = f"`{row.name}`: `/{length}` is no prefix length of `{text}`"
            raise BadValue("E203", message, f"it is a number from 1 to {bits}")
        prefix = number
    device = _device(args[1:]) if len(args) > 1 else None
    return Read(AddressDevice(address, device), read.notes, prefix)


def _device(words: tuple[str, ...]) -> str:
    """One device for both routers, or one for each role, in the one form of that."""
    text = ",".join(words)
    if "=" not in text:
        _is_device(text)
        return text
    example = "write for example `primary=eth0:1,backup=ens3:1`"
    parts = [part.partition("=") for part in text.split(",")]
    for role, _equals, name in parts:
        if role not in ROLES:
            remedy = did_you_mean(role, ROLES) or example
            raise BadValue("E203", f"`{role}` is not the role of a router", remedy, 1)
        _is_device(name)
    devices = {role: name for role, _equals, name in parts}
    if len(devices) < len(parts):
        raise BadValue("E203", f"`{text}` names two devices for one role", example, 1)
    return ",".join(f"{role}={devices[role]}" for role in ROLES if role in devices)


def _is_device(text: str) -> None:
    if not _DEVICE.fullmatch(text):
        message = f"`{text}` is not the name of a device"
        raise BadValue("E203", message, "for example eth0 or eth0:1", 1)


def _read_mask(row: Directive, args: tuple[str, ...]) -> Read:
    text = args[0]
    remedy = "write it as 255.255.255.0 or as a prefix length, /24"
    notes: tuple[Note, ...] = ()
    match = _PREFIX.fullmatch(text)
    if match:
        prefix = int(match.group(1))
        if prefix > IPV6_BITS:
            raise BadValue("E204", f"`{row.name} = {text}` is no prefix length", remedy)
        if not text.startswith("/"):
            message = f"`{row.name} = {text}` is read as /{prefix}; the original read 0.0.0.{text}"
            notes = (Note("W203", message, f"write {mask_text(prefix)}"),)
    else:
        found = address_of(text)
        if not found or is_ipv6(found[0]):
            raise BadValue("E203", f"`{row.name}` takes a netmask, not `{text}`", remedy)
        bits = int.from_bytes(socket.inet_aton(found[0]), "big")
        prefix = bin(bits).count("1")
        if mask_text(prefix) != found[0]:
            message = f"`{row.name} = {text}` is no netmask: its bits have gaps"
            raise BadValue("E203", message, remedy)
        notes = found[1]
    # 0.0.0.0 is how the original's page writes "no netmask"; only for persistence it is one.
    return Read(prefix if prefix or row.name == "pmask" else None, notes)


def _read_text(row: Directive, args: tuple[str, ...]) -> Read:
    return Read(args[0])


def _read_path(row: Directive, args: tuple[str, ...]) -> Read:
    if not args[0].startswith("/"):
        message = f"`{row.name}` takes an absolute path, not `{args[0]}`"
        raise BadValue("E203", message, f"for example {row.default}")
    return Read(args[0])


def _read_list(row: Directive, args: tuple[str, ...]) -> Read:
    if row.item != d.TEXT:
        return _read_items(row, args)
    if not args[0].startswith("[") or not args[-1].endswith("]"):
        message = f"`{row.name}` takes a list"
        raise BadValue("E203", message, f"write `{row.name} = [ one two ]`")
    words = [*args]
    words[0] = words[0][1:]
    words[-1] = words[-1][:-1]
    return Read(tuple(word for word in words if word))


def _read_items(row: Directive, args: tuple[str, ...]) -> Read:
    """A list of ports, choices or hosts: brackets and commas may be there or not."""
    values: list[int | str] = []
    notes: tuple[Note, ...] = ()
    for index, arg in enumerate(args):
        text = arg[index == 0 and arg.startswith("[") :]
        text = text[: -1 if index == len(args) - 1 and text.endswith("]") else None]
        for word in filter(None, text.split(",")):
            try:
                read = _READERS[row.item](row, (word,))
            except BadValue as bad:
                raise BadValue(bad.code, bad.message, bad.remedy, index) from None
            if not isinstance(read.value, (int, str)) or read.value in values:
                message = f"`{word}` stands twice in `{row.name}`"
                raise BadValue("E203", message, "remove one", index)
            values.append(read.value)
            notes += read.notes
    if not values:
        raise BadValue("E203", f"`{row.name}` is an empty list", "remove the line")
    return Read(tuple(values), notes)


_READERS: dict[str, Callable[[Directive, tuple[str, ...]], Read]] = {
    d.SWITCH: _read_switch,
    d.NUMBER: _read_number,
    d.SECONDS: _read_seconds,
    d.WHOLE_SECONDS: _read_whole_seconds,
    d.PORT: _read_port,
    d.CHOICE: _read_choice,
    d.HOST: _read_host,
    d.IP: _read_ip,
    d.ADDRESS_DEVICE: _read_address_device,
    d.MASK: _read_mask,
    d.TEXT: _read_text,
    d.QUOTED: _read_text,
    d.ESCAPED: _read_text,
    d.PATH: _read_path,
    d.LIST: _read_list,
}
