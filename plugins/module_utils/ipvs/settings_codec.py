# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of the kernel's family IPVS about all but the table: timeouts, sync daemons, counters
to be zeroed, the table to be emptied. Values <-> bytes, pure.

Numbers and layouts are those of linux/ip_vs.h; how the kernel reads them is
net/netfilter/ipvs/ip_vs_ctl.c (ip_vs_genl_new_daemon, ip_vs_genl_set_config).
"""

from __future__ import annotations

import socket
import struct

from .codec import service_key_nest
from .netlink import (
    GENL_SIZE,
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_REQUEST,
    U16,
    U32,
    attribute,
    attributes,
    message,
    read,
)
from .settings import (
    Control,
    Daemon,
    Information,
    Role,
    SetTimeouts,
    StartDaemon,
    StopDaemon,
    Timeouts,
    Zero,
)

_NEW_DAEMON, _DEL_DAEMON, _GET_DAEMON, _SET_CONFIG, _GET_CONFIG = range(9, 14)
_GET_INFO, _ZERO, _FLUSH = 15, 16, 17
_ATTR_DAEMON = 3
_ATTR_TCP, _ATTR_TCP_FIN, _ATTR_UDP = 4, 5, 6
_STATE, _INTERFACE, _SYNC_ID, _MAXLEN, _GROUP, _GROUP6, _PORT, _TTL = range(1, 9)
_INFO_VERSION, _INFO_SIZE = 1, 2
_STATES = {Role.MASTER: 1, Role.BACKUP: 2}
_ROLES = {number: role for role, number in _STATES.items()}


def control_request(family: int, sequence: int, control: Control) -> bytes:
    """The message that asks the kernel for one thing, to be acknowledged."""
    command, payload = _words(control)
    return message(family, NLM_F_REQUEST | NLM_F_ACK, sequence, command, payload)


def _words(control: Control) -> tuple[int, bytes]:
    if isinstance(control, SetTimeouts):
        # All three must be there; 0 leaves one as it is.
        values = zip((_ATTR_TCP, _ATTR_TCP_FIN, _ATTR_UDP), control.timeouts)
        return _SET_CONFIG, b"".join(attribute(kind, U32.pack(value)) for kind, value in values)
    if isinstance(control, StartDaemon):
        return _NEW_DAEMON, attribute(_ATTR_DAEMON, _daemon(control.daemon))
    if isinstance(control, StopDaemon):
        state = attribute(_STATE, U32.pack(_STATES[control.role]))
        return _DEL_DAEMON, attribute(_ATTR_DAEMON, state)
    if isinstance(control, Zero):
        return _ZERO, b"" if control.service is None else service_key_nest(control.service)
    return _FLUSH, b""


def _daemon(daemon: Daemon) -> bytes:
    by_ipv6 = ":" in daemon.group
    group = socket.inet_pton(socket.AF_INET6 if by_ipv6 else socket.AF_INET, daemon.group)
    value = [
        attribute(_STATE, U32.pack(_STATES[daemon.role])),
        attribute(_INTERFACE, daemon.interface.encode() + b"\0"),
        attribute(_SYNC_ID, U32.pack(daemon.syncid)),
        attribute(_GROUP6 if by_ipv6 else _GROUP, group),
        attribute(_PORT, U16.pack(daemon.port)),  # in the machine's own order, unlike other ports
        attribute(_TTL, bytes((daemon.ttl,))),
    ]
    if daemon.maxlen:
        value.append(attribute(_MAXLEN, U16.pack(daemon.maxlen)))
    return b"".join(value)


def timeouts_request(family: int, sequence: int) -> bytes:
    """Ask for the timeouts."""
    return message(family, NLM_F_REQUEST, sequence, _GET_CONFIG, b"")


def information_request(family: int, sequence: int) -> bytes:
    """Ask for IPVS's version and the size of its connection table."""
    return message(family, NLM_F_REQUEST, sequence, _GET_INFO, b"")


def daemons_request(family: int, sequence: int) -> bytes:
    """Ask for the sync daemons that run."""
    return message(family, NLM_F_REQUEST | NLM_F_DUMP, sequence, _GET_DAEMON, b"")


def decode_timeouts(body: bytes) -> Timeouts:
    """Read the answer to :func:`timeouts_request`. ValueError if it is none."""
    found = {kind: start for kind, start, _end in attributes(body, GENL_SIZE, len(body))}
    try:
        kinds = (_ATTR_TCP, _ATTR_TCP_FIN, _ATTR_UDP)
        return Timeouts._make(read(U32, body, found[kind]) for kind in kinds)
    except (KeyError, struct.error) as error:
        raise ValueError(f"an incomplete answer about timeouts ({error!r})") from None


def decode_information(body: bytes) -> Information:
    """Read the answer to :func:`information_request`. ValueError if it is none."""
    found = {kind: start for kind, start, _end in attributes(body, GENL_SIZE, len(body))}
    try:
        version = read(U32, body, found[_INFO_VERSION])
        size = read(U32, body, found[_INFO_SIZE])
    except (KeyError, struct.error) as error:
        raise ValueError(f"an incomplete answer about IPVS itself ({error!r})") from None
    return Information(f"{version >> 16}.{version >> 8 & 0xFF}.{version & 0xFF}", size)


def decode_daemon(body: bytes) -> Daemon:
    """Read what a dump says of one sync daemon. ValueError if something essential is missing.

    Kernels before 4.3 tell of role, interface and id only; the rest then is what they do.
    """
    found: dict[int, tuple[int, int]] = {}
    for kind, start, end in attributes(body, GENL_SIZE, len(body)):
        if kind == _ATTR_DAEMON:
            found = {k: (s, e) for k, s, e in attributes(body, start, end)}
    try:
        role = _ROLES[read(U32, body, found[_STATE][0])]
        start, end = found[_INTERFACE]
        interface = body[start:end].split(b"\0", 1)[0].decode("utf-8", "replace")
        daemon = Daemon(role, "lo")._replace(
            interface=interface, syncid=read(U32, body, found[_SYNC_ID][0])
        )
        for kind, family, size in ((_GROUP, socket.AF_INET, 4), (_GROUP6, socket.AF_INET6, 16)):
            if kind in found:
                start = found[kind][0]
                daemon = daemon._replace(group=socket.inet_ntop(family, body[start : start + size]))
        if _MAXLEN in found:
            daemon = daemon._replace(maxlen=read(U16, body, found[_MAXLEN][0]))
        if _PORT in found:
            daemon = daemon._replace(port=read(U16, body, found[_PORT][0]))
        if _TTL in found:
            daemon = daemon._replace(ttl=body[found[_TTL][0]])
    except (KeyError, struct.error, ValueError) as error:
        raise ValueError(f"an incomplete answer about a sync daemon ({error!r})") from None
    return daemon
