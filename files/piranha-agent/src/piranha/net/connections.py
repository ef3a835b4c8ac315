# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections of the kernel's IPVS: how /proc lists them, how its sync daemon reads them. Pure.

The layouts are those of the kernel's net/netfilter/ipvs: ip_vs_conn.c (ip_vs_conn_seq_show) for a
line of /proc/net/ip_vs_conn, ip_vs_sync.c (ip_vs_sync_v4, ip_vs_sync_v6, ip_vs_sync_mesg) for an
entry of a sync message, version 1. Which connections go anywhere is handover.py's matter.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_TCP, _UDP = int(socket.IPPROTO_TCP), int(socket.IPPROTO_UDP)
ANY_PROTOCOL = 0
"""Protocol of a template that binds a client to a server of a service with a firewall mark."""

_PROTOCOLS = {b"TCP": _TCP, b"UDP": _UDP, b"IP": ANY_PROTOCOL}
_TCP_STATES = (
    *(b"NONE", b"ESTABLISHED", b"SYN_SENT", b"SYN_RECV", b"FIN_WAIT", b"TIME_WAIT", b"CLOSE"),
    *(b"CLOSE_WAIT", b"LAST_ACK", b"LISTEN", b"SYNACK"),
)
_TCP_STATE = {name: number for number, name in enumerate(_TCP_STATES)}
ESTABLISHED = _TCP_STATE[b"ESTABLISHED"]
_TEMPLATE_STATE = {b"NONE": 0, b"ASSURED": 1}
_ENDED = {_TCP_STATE[b"TIME_WAIT"]: 120, _TCP_STATE[b"CLOSE"]: 10}
"""States in which both ends have said all, and the seconds for which the kernel keeps them."""
FRESH = 2
"""Seconds for which the last packets of a connection that has ended may still be under way."""

# linux/ip_vs.h
FORWARD_MASK = 0x7
_INACTIVE, _TEMPLATE = 0x0100, 0x1000

_HEADER = struct.Struct("!BBHBbH")  # reserved, sync id, bytes in all, entries, version, spare
_ENTRY = struct.Struct("!BBHIHHHHII")
_VERSION = 1
_SIZE_MASK = 0x0FFF
_FAMILIES = {4: 0, 16: 1}  # bytes of an address -> kind of an entry
_WIDTHS = {kind: width for width, kind in _FAMILIES.items()}
_COLUMNS = 9
_IPV4_DIGITS, _IPV6_DIGITS = 8, 32
MOST_ENTRIES = 255
"""Entries in one sync message; their number has one byte."""


class Connection(NamedTuple):
    """One entry of the kernel's connection table. Addresses are 4 or 16 bytes, all the same.

    state: the kernel's number for the protocol. forward: the kernel's number of the forwarding
    method. mark: the service's firewall mark, or 0. timeout: seconds; 0 for what the kernel that
    takes it gives a connection in this state. template: no connection, but what binds a client to
    its server (persistence); then client_port is 0.
    """

    protocol: int
    state: int
    client: bytes
    client_port: int
    virtual: bytes
    virtual_port: int
    server: bytes
    server_port: int
    template: bool = False
    forward: int = 0
    mark: int = 0
    timeout: int = 0


def parse(line: bytes) -> Connection | None:
    """Read one line of /proc/net/ip_vs_conn; forward, mark and timeout are not in it and stay 0.

    None for what is not to be given on: the heading, protocols and states that are not known
    here, connections of a persistence engine (they need more than the line tells), a server of
    another address family, and connections that have ended a while ago.
    """
    columns = line.split()
    if len(columns) != _COLUMNS:
        return None
    protocol = _PROTOCOLS.get(columns[0])
    if protocol is None:
        return None
    try:
        client_port, left = int(columns[2], 16), int(columns[8])
        template = client_port == 0
        state = _state(protocol, columns[7], template)
        # First of all, since most of a busy router's table has ended, and while it is read again
        # nobody has the addresses.
        ended = not template and protocol == _TCP and left + FRESH < _ENDED.get(state or 0, 0)
        if state is None or ended:
            return None
        client, virtual, server = (_address(columns[at]) for at in (1, 3, 5))
        virtual_port, server_port = int(columns[4], 16), int(columns[6], 16)
    except ValueError:
        return None
    if not len(client) == len(virtual) == len(server):
        return None
    return Connection(
        protocol,
        state,
        client,
        client_port,
        virtual,
        virtual_port,
        server,
        server_port,
        template,
    )


def _state(protocol: int, name: bytes, template: bool) -> int | None:
    if template:
        return _TEMPLATE_STATE.get(name)
    if protocol == _TCP:
        return _TCP_STATE.get(name)
    return 0 if protocol == _UDP else None


def _address(text: bytes) -> bytes:
    digits = text.replace(b":", b"")
    if len(digits) not in (_IPV4_DIGITS, _IPV6_DIGITS):
        raise ValueError("no address")
    return bytes.fromhex(digits.decode("ascii"))


def entry(connection: Connection) -> bytes:
    """Give a connection as an entry of a sync message: 36 bytes, with IPv6 72."""
    width = len(connection.client)
    size = _ENTRY.size + 3 * width
    flags = connection.forward & FORWARD_MASK
    if connection.template:
        flags |= _TEMPLATE
    elif connection.protocol != _TCP or connection.state != ESTABLISHED:
        flags |= _INACTIVE  # what the kernel counts as an inactive connection of a server
    return (
        _ENTRY.pack(
            _FAMILIES[width],
            connection.protocol,
            size,  # the version of an entry, 0, is in the upper four bits
            flags,
            connection.state,
            connection.client_port,
            connection.virtual_port,
            connection.server_port,
            connection.mark,
            connection.timeout,
        )
        + connection.client
        + connection.virtual
        + connection.server
    )


def entries(data: bytes) -> Iterator[Connection]:
    """Read entries that stand one behind the other. ValueError for anything else."""
    at = 0
    while at < len(data):
        try:
            kind, protocol, size, flags, state, *ports, mark, timeout = _ENTRY.unpack_from(data, at)
        except struct.error:
            raise ValueError("an entry is cut off") from None
        width = _WIDTHS.get(kind)
        if width is None or size != _ENTRY.size + 3 * width or at + size > len(data):
            raise ValueError("an entry has another layout")
        if flags & ~(FORWARD_MASK | _TEMPLATE | _INACTIVE):
            raise ValueError("an entry has flags that are not known")
        start = at + _ENTRY.size
        client, virtual, server = (
            data[start + number * width : start + (number + 1) * width] for number in range(3)
        )
        yield Connection(
            protocol,
            state,
            client,
            ports[0],
            virtual,
            ports[1],
            server,
            ports[2],
            template=bool(flags & _TEMPLATE),
            forward=flags & FORWARD_MASK,
            mark=mark,
            timeout=timeout,
        )
        at += size


def plausible(connection: Connection) -> bool:
    """Tell whether the kernel would take it: a protocol and a state that it knows."""
    if connection.template:
        known = connection.protocol in _PROTOCOLS.values()
        return known and connection.state in _TEMPLATE_STATE.values()
    states = {_TCP: len(_TCP_STATES), _UDP: 1}.get(connection.protocol, 0)
    return connection.state < states and connection.client_port > 0


def sync_message(sync_id: int, chosen: Iterable[Connection]) -> bytes:
    """Give the datagram by which a sync daemon tells another of at most 255 connections."""
    written = [entry(connection) for connection in chosen]
    body = b"".join(written)
    size = _HEADER.size + len(body)
    return _HEADER.pack(0, sync_id, size, len(written), _VERSION, 0) + body
