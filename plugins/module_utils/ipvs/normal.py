# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may stand in a table, and its one normal form: addresses, masks, flags, ranges.

Pure functions over single words; model.py puts them together. Whatever is refused is refused in one
sentence (IpvsError).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache

from .errors import IpvsError

PROTOCOLS = ("tcp", "udp", "sctp")
FAMILIES = ("ipv4", "ipv6")
HOST_MASK = {"ipv4": "255.255.255.255", "ipv6": "128"}
HIGHEST_PORT = 65535
HIGHEST_MARK = 2**32 - 1
HIGHEST_INT = 2**31 - 1  # weights and thresholds are C ints in the kernel and in ipvsadm
LONGEST_PERSISTENCE = 31 * 24 * 3600  # seconds; ipvsadm's limit, well below the kernel's

# IP_VS_SVC_F_SCHED1..3 by the name that each scheduler's documentation gives them (ipvsadm -b).
SCHEDULER_FLAGS = {
    "sh": ("sh-fallback", "sh-port", "flag-3"),
    "mh": ("mh-fallback", "mh-port", "flag-3"),
    "": ("flag-1", "flag-2", "flag-3"),
}
TUNNELS = ("ipip", "gue", "gre")
CHECKSUMS = ("nocsum", "csum", "remcsum")

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_PLAIN_IPV4 = re.compile(rf"(?:{_OCTET}\.){{3}}{_OCTET}")
MODULE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,14}")  # IP_VS_SCHEDNAME_MAXLEN is 16 with the NUL


class MappedAddressError(ValueError):
    """An IPv4 address written as an IPv6 one; its text is the IPv4 address."""


@lru_cache(maxsize=8192)
def normal_address(text: str) -> tuple[str, str]:
    """Return (family, address in its shortest usual form); raise ValueError for anything else."""
    if not isinstance(text, str):
        raise ValueError("not text")  # ipaddress would take a number for an address
    if _PLAIN_IPV4.fullmatch(text):  # nearly all; ten times as fast
        return "ipv4", text
    address = ipaddress.ip_address(text)
    if address.version == 4:  # noqa: PLR2004 - the version of IP, named by what it is
        return "ipv4", str(address)
    if "%" in text:
        raise ValueError("an address with a zone")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        raise MappedAddressError(str(address.ipv4_mapped))
    return "ipv6", address.compressed


def known_address(place: str, text: str) -> tuple[str, str]:
    """As :func:`normal_address`, but with a sentence (IpvsError) about ``place``."""
    try:
        return normal_address(text)
    except MappedAddressError as error:
        raise IpvsError(
            place,
            f"{text!r} is an IPv4 address in IPv6 form, which no packet carries",
            f"write {error}",
        ) from None
    except (TypeError, ValueError):
        raise IpvsError(
            place,
            f"{text!r} is no IPv4 or IPv6 address",
            "write it like 192.0.2.1 or 2001:db8::1, without zone or prefix",
        ) from None


def within(place: str, what: str, value: int, low: int, high: int) -> int:
    """Return a whole number that lies from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise IpvsError(place, f"{what} {value!r} is not a whole number from {low} to {high}")
    return value


def one_of(place: str, what: str, value: str, choices: Iterable[str]) -> str:
    """Return a word that is one of the choices."""
    if value not in choices:
        raise IpvsError(place, f"{what} {value!r} is unknown", f"use {', '.join(choices)}")
    return value


def endpoint(address: str, port: int) -> str:
    """Write address and port the way ipvsadm does: IPv6 in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def flag_names(scheduler: str, bits: int) -> tuple[str, ...]:
    """Name scheduler flags (bit 0 is IP_VS_SVC_F_SCHED1), in the kernel's order."""
    names = SCHEDULER_FLAGS.get(scheduler, SCHEDULER_FLAGS[""])
    return tuple(name for index, name in enumerate(names) if bits >> index & 1)


def flag_bits(scheduler: str, flags: Iterable[str]) -> int:
    """The reverse of :func:`flag_names`; takes flag-1 for every scheduler. Else ValueError."""
    bits = 0
    for flag in flags:
        names = SCHEDULER_FLAGS.get(scheduler, ())
        names = names if flag in names else SCHEDULER_FLAGS[""]
        bits |= 1 << names.index(flag)
    return bits


def normal_flags(place: str, scheduler: str, flags: Iterable[str]) -> tuple[str, ...]:
    """Scheduler flags without repetition, in the kernel's order, by the scheduler's own names."""
    if isinstance(flags, str):
        flags = (flags,)
    flags = tuple(flags)
    try:
        return flag_names(scheduler, flag_bits(scheduler, flags))
    except ValueError:
        known = SCHEDULER_FLAGS.get(scheduler, SCHEDULER_FLAGS[""])
        raise IpvsError(
            place,
            f"scheduler {scheduler} does not have all of the flags {', '.join(map(str, flags))}",
            f"use {', '.join(known)}",
        ) from None


def normal_mask(place: str, family: str, mask: str | int) -> str:
    """The mask of persistence as the kernel keeps it: dotted for IPv4, a length for IPv6."""
    text = str(mask)
    if not text:
        return HOST_MASK[family]
    try:
        if family == "ipv4":
            if text.isdecimal():
                return str(ipaddress.ip_network(f"0.0.0.0/{text}").netmask)
            return str(ipaddress.IPv4Address(text))
        if text.isdecimal() and 1 <= int(text) <= 128:  # noqa: PLR2004 - bits of an address
            return str(int(text))
    except ValueError:
        pass
    raise IpvsError(
        place,
        f"{text!r} is no mask for {family} clients",
        "write it like 255.255.255.0 or 24" if family == "ipv4" else "use a length from 1 to 128",
    )
