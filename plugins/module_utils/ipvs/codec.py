# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of the kernel's generic netlink family IPVS about the table: values <-> bytes.

Pure functions over bytes; port.py has the socket, settings_codec.py the other words of the family.
Numbers and layouts are those of linux/ip_vs.h; how the kernel reads them is
net/netfilter/ipvs/ip_vs_ctl.c (ip_vs_genl_parse_service, ip_vs_genl_parse_dest).
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from functools import lru_cache
from typing import Any, NamedTuple

from .model import Forward, Server, ServerKey, Service, ServiceKey
from .netlink import (
    BE16,
    GENL_SIZE,
    NLM_F_DUMP,
    NLM_F_REQUEST,
    U16,
    U32,
    U64,
    attribute,
    attributes,
    message,
    read,
)
from .normal import CHECKSUMS, HOST_MASK, TUNNELS, flag_bits, flag_names
from .plan import Kind, Operation

# linux/ip_vs.h
FAMILY_NAME = "IPVS"
_CMD_GET_SERVICE = 4
_CMD_GET_DEST = 8
COMMANDS = {
    Kind.ADD_SERVICE: 1,
    Kind.EDIT_SERVICE: 2,
    Kind.DELETE_SERVICE: 3,
    Kind.ADD_SERVER: 5,
    Kind.EDIT_SERVER: 6,
    Kind.DELETE_SERVER: 7,
}
_ATTR_SERVICE = 1
_ATTR_DEST = 2
_SVC_AF, _SVC_PROTOCOL, _SVC_ADDR, _SVC_PORT, _SVC_FWMARK, _SVC_SCHED, _SVC_FLAGS = range(1, 8)
_SVC_TIMEOUT, _SVC_NETMASK, _SVC_STATS, _SVC_PE, _SVC_STATS64 = range(8, 13)
_DST_ADDR, _DST_PORT, _DST_FWD, _DST_WEIGHT, _DST_UPPER, _DST_LOWER = range(1, 7)
_DST_ACTIVE, _DST_INACTIVE, _DST_PERSISTENT, _DST_STATS, _DST_AF = range(7, 12)
_DST_STATS64, _DST_TUN_TYPE, _DST_TUN_PORT, _DST_TUN_FLAGS = range(12, 16)

_F_PERSISTENT = 0x1
_F_ONE_PACKET = 0x4
_F_SCHED_SHIFT = 3
_F_SCHED_MASK = 0x7
# The bits that this library sets or clears; the kernel keeps the others (it marks its own there).
_F_OURS = _F_PERSISTENT | _F_ONE_PACKET | _F_SCHED_MASK << _F_SCHED_SHIFT
_FWD_MASK = 0x7

_AF = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
_FAMILY = {int(number): name for name, number in _AF.items()}
_PROTOCOL = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}
_PROTOCOL_NAME = {int(number): name for name, number in _PROTOCOL.items()}
_METHOD = {
    Forward.NAT: 0,
    Forward.LOCAL: 1,
    Forward.TUNNEL: 2,
    Forward.DIRECT: 3,
    Forward.BYPASS: 4,
}
_FORWARD = {number: method for method, number in _METHOD.items()}
_TUNNEL = {name: number for number, name in enumerate(TUNNELS)}
_CHECKSUM = {name: number for number, name in enumerate(CHECKSUMS)}

# A whole nest is written in one go; each letter group is one attribute: length, type, value, pad.
_KEY_BY_ADDRESS = struct.Struct("=HHHxxHHHxxHH16sHH2sxx")
_KEY_BY_MARK = struct.Struct("=HHHxxHHI")
_SERVICE_REST = struct.Struct("=HHIIHHIHH4s")
_SERVER_KEY = struct.Struct("=HH16sHHHxxHH2sxx")
_SERVER_REST = struct.Struct("=HHIHHIHHIHHIHHBxxxHH2sxxHHHxx")


class Counters(NamedTuple):
    """What went through a service or a server since it was zeroed; rates are per second.

    The kernel sums them up every two seconds, so they lag behind by as much.
    """

    connections: int
    packets_in: int
    packets_out: int
    bytes_in: int
    bytes_out: int
    connection_rate: int
    packet_rate_in: int
    packet_rate_out: int
    byte_rate_in: int
    byte_rate_out: int


class ServiceRow(NamedTuple):
    """A service as a dump tells it; ``counters`` only where they were asked for."""

    service: Service
    counters: Counters | None


class ServerRow(NamedTuple):
    """A server as a dump tells it, with the connections it has at the moment."""

    server: Server
    active: int
    inactive: int
    persistent: int
    counters: Counters | None


def services_request(family: int, sequence: int) -> bytes:
    """Ask for all virtual services."""
    return message(family, NLM_F_REQUEST | NLM_F_DUMP, sequence, _CMD_GET_SERVICE, b"")


def service_request(family: int, sequence: int, key: ServiceKey) -> bytes:
    """Ask for one virtual service."""
    return message(family, NLM_F_REQUEST, sequence, _CMD_GET_SERVICE, service_key_nest(key))


def servers_request(family: int, sequence: int, key: ServiceKey) -> bytes:
    """Ask for all servers of one virtual service."""
    return message(
        family, NLM_F_REQUEST | NLM_F_DUMP, sequence, _CMD_GET_DEST, service_key_nest(key)
    )


def operation_request(family: int, sequence: int, operation: Operation) -> bytes:
    """The message that asks the kernel for one operation; it answers only if it refuses."""
    subject = operation.subject
    if isinstance(subject, Service):
        whole = operation.kind is not Kind.DELETE_SERVICE
        payload = service_nest(subject) if whole else service_key_nest(subject.key)
    else:
        whole = operation.kind is not Kind.DELETE_SERVER
        payload = service_key_nest(operation.service) + server_nest(subject, whole)
    command = COMMANDS[operation.kind]
    return message(family, NLM_F_REQUEST, sequence, command, payload)


def _packed(address: str, family: str) -> bytes:
    # The kernel's union nf_inet_addr is 16 bytes, and "16s" pads IPv4 to that, as ipvsadm does.
    return socket.inet_pton(_AF[family], address)


def _protocol_number(name: str) -> int:
    return int(_PROTOCOL[name]) if name in _PROTOCOL else int(name)


@lru_cache(maxsize=4096)
def _service_key(key: ServiceKey) -> bytes:
    if key.fwmark:
        return _KEY_BY_MARK.pack(6, _SVC_AF, _AF[key.family], 8, _SVC_FWMARK, key.fwmark)
    return _KEY_BY_ADDRESS.pack(
        *(6, _SVC_AF, _AF[key.family]),
        *(6, _SVC_PROTOCOL, _protocol_number(key.protocol)),
        *(20, _SVC_ADDR, _packed(key.address, key.family)),
        *(6, _SVC_PORT, BE16.pack(key.port)),
    )


@lru_cache(maxsize=4096)
def service_key_nest(key: ServiceKey) -> bytes:
    """The nested attribute that names a service and says no more of it."""
    return attribute(_ATTR_SERVICE, _service_key(key))


def service_nest(service: Service) -> bytes:
    """The nested attribute with all of a service."""
    flags = flag_bits(service.scheduler, service.flags) << _F_SCHED_SHIFT
    flags |= _F_PERSISTENT if service.persistence else 0
    flags |= _F_ONE_PACKET if service.one_packet else 0
    if service.key.family == "ipv4":
        mask = socket.inet_aton(service.mask)
    else:
        mask = U32.pack(int(service.mask))  # a plain number: the prefix length
    value = (
        _service_key(service.key)
        + attribute(_SVC_SCHED, service.scheduler.encode() + b"\0")
        + _SERVICE_REST.pack(
            *(12, _SVC_FLAGS, flags, _F_OURS),
            *(8, _SVC_TIMEOUT, service.persistence),
            *(8, _SVC_NETMASK, mask),
        )
    )
    if service.engine:
        value += attribute(_SVC_PE, service.engine.encode() + b"\0")
    return attribute(_ATTR_SERVICE, value)


def server_nest(server: Server, whole: bool = True) -> bytes:
    """The nested attribute with all of a server, or with what names it only."""
    family, address, port = server.key
    value = _SERVER_KEY.pack(
        *(20, _DST_ADDR, _packed(address, family)),
        *(6, _DST_AF, _AF[family]),
        *(6, _DST_PORT, BE16.pack(port)),
    )
    if whole:
        value += _SERVER_REST.pack(
            *(8, _DST_FWD, _METHOD[server.forward]),
            *(8, _DST_WEIGHT, server.weight),
            *(8, _DST_UPPER, server.upper),
            *(8, _DST_LOWER, server.lower),
            *(5, _DST_TUN_TYPE, _number(_TUNNEL, server.tunnel)),
            *(6, _DST_TUN_PORT, BE16.pack(server.tunnel_port)),
            *(6, _DST_TUN_FLAGS, _number(_CHECKSUM, server.tunnel_checksum)),
        )
    return attribute(_ATTR_DEST, value)


def _number(names: dict[str, int], name: str) -> int:
    return names[name] if name in names else int(name)


def _nest(body: bytes, wanted: int) -> dict[int, tuple[int, int]]:
    for kind, start, end in attributes(body, GENL_SIZE, len(body)):
        if kind == wanted:
            return {k: (s, e) for k, s, e in attributes(body, start, end)}
    raise ValueError("an answer without the attribute that it is about")


def _address(packed: bytes, family: str) -> str:
    if len(packed) < 16:  # noqa: PLR2004 - the size of union nf_inet_addr, for both families
        raise ValueError(f"an address of {len(packed)} bytes")
    if family == "ipv4":
        return socket.inet_ntoa(packed[:4])
    text = socket.inet_ntop(socket.AF_INET6, packed)
    # The C library writes the last half of some addresses as IPv4, which ipaddress does not.
    return ipaddress.IPv6Address(packed).compressed if "." in text else text


def _text(data: bytes, where: tuple[int, int]) -> str:
    return data[where[0] : where[1]].split(b"\0", 1)[0].decode("ascii", "replace")


def decode_service(body: bytes, counters: bool = False) -> ServiceRow:
    """Read the answer about one service. ValueError if something essential is missing."""
    found = _nest(body, _ATTR_SERVICE)
    try:
        service = _service(body, found)
    except (KeyError, struct.error) as error:
        raise ValueError(f"an incomplete answer about a virtual service ({error!r})") from None
    return ServiceRow(service, _counters(body, found, _SVC_STATS64) if counters else None)


def _service(body: bytes, found: dict[int, tuple[int, int]]) -> Service:
    family = _FAMILY[read(U16, body, found[_SVC_AF][0])]
    if _SVC_FWMARK in found:
        fwmark = read(U32, body, found[_SVC_FWMARK][0])
        key = ServiceKey._make((family, "", "", 0, fwmark))
    else:
        protocol = read(U16, body, found[_SVC_PROTOCOL][0])
        start = found[_SVC_ADDR][0]
        port = read(BE16, body, found[_SVC_PORT][0])
        name = _PROTOCOL_NAME.get(protocol, str(protocol))
        key = ServiceKey._make((family, name, _address(body[start : start + 16], family), port, 0))
    scheduler = _text(body, found[_SVC_SCHED])
    flags = read(U32, body, found[_SVC_FLAGS][0])
    # A time without the flag, or the flag with no time, binds no client: both read as 0. The mask
    # then means nothing, as in the model.
    persistence = read(U32, body, found[_SVC_TIMEOUT][0]) if flags & _F_PERSISTENT else 0
    mask = HOST_MASK[family]
    if persistence and _SVC_NETMASK in found:
        start = found[_SVC_NETMASK][0]
        if family == "ipv4":
            mask = socket.inet_ntoa(body[start : start + 4])
        else:
            mask = str(read(U32, body, start))
    return Service._make(
        (
            key,
            scheduler,
            flag_names(scheduler, flags >> _F_SCHED_SHIFT & _F_SCHED_MASK),
            persistence,
            mask,
            _text(body, found[_SVC_PE]) if _SVC_PE in found else "",
            bool(flags & _F_ONE_PACKET),
        )
    )


# How kernels since 5.3 fill in a server (ip_vs_genl_fill_dest), up to its counters: kind, size and
# layout of each attribute. Read in one go that takes a fifth of the time of a walk over the
# attributes; whatever is laid out otherwise is walked.
_FILLED = (
    (_DST_ADDR, 16, "16s"),
    (_DST_PORT, 2, "2s2x"),
    (_DST_FWD, 4, "I"),
    (_DST_WEIGHT, 4, "I"),
    (_DST_TUN_TYPE, 1, "B3x"),
    (_DST_TUN_PORT, 2, "2s2x"),
    (_DST_TUN_FLAGS, 2, "H2x"),
    (_DST_UPPER, 4, "I"),
    (_DST_LOWER, 4, "I"),
    (_DST_ACTIVE, 4, "I"),
    (_DST_INACTIVE, 4, "I"),
    (_DST_PERSISTENT, 4, "I"),
    (_DST_AF, 2, "H2x"),
)
_WHOLE_SERVER = struct.Struct("=6xH" + "".join("4s" + layout for _kind, _size, layout in _FILLED))
_HEADERS = (_ATTR_DEST, *(attribute(kind, bytes(size))[:4] for kind, size, _layout in _FILLED))
_NO_TUNNEL = ("ipip", 0, "nocsum")
_new = tuple.__new__


def decode_server(body: bytes, service_family: str, counters: bool = False) -> ServerRow:
    """Read the answer about one server; kernels before 3.18 leave its family to the service's."""
    if not counters and len(body) >= _WHOLE_SERVER.size:
        told = _WHOLE_SERVER.unpack_from(body)
        if told[:1] + told[1::2] == _HEADERS:
            return _server_row(told[2::2], service_family, None)
    found = _nest(body, _ATTR_DEST)
    try:
        told = tuple(_one(body, found, kind, layout) for kind, _size, layout in _FILLED)
    except (KeyError, struct.error) as error:
        raise ValueError(f"an incomplete answer about a real server ({error!r})") from None
    tallies = _counters(body, found, _DST_STATS64) if counters else None
    return _server_row(told, service_family, tallies)


# What older kernels do not tell: before 3.18 the family (0: the service's), before 5.3 the tunnel.
_UNTOLD: dict[int, Any] = {_DST_AF: 0, _DST_TUN_TYPE: 0, _DST_TUN_PORT: b"\0\0", _DST_TUN_FLAGS: 0}


def _one(body: bytes, found: dict[int, tuple[int, int]], kind: int, layout: str) -> Any:
    if kind in _UNTOLD and kind not in found:
        return _UNTOLD[kind]
    return struct.unpack_from("=" + layout, body, found[kind][0])[0]


def _server_row(told: tuple[Any, ...], family: str, counters: Counters | None) -> ServerRow:
    """Put together what was told in the order of _FILLED."""
    (address, port, method, weight, kind, tunnel_port, checksum, *rest) = told
    upper, lower, active, inactive, persistent, number = rest
    family = _FAMILY.get(number, family)
    try:
        forward = _FORWARD[method & _FWD_MASK]
    except KeyError:
        raise ValueError(f"forwarding method {method & _FWD_MASK}, which nobody knows") from None
    tunnel = _NO_TUNNEL
    if forward is Forward.TUNNEL:
        tunnel = (
            TUNNELS[kind] if kind < len(TUNNELS) else str(kind),
            tunnel_port[0] << 8 | tunnel_port[1],
            CHECKSUMS[checksum] if checksum < len(CHECKSUMS) else str(checksum),
        )
    # tuple.__new__ is what _make does, without looking whether there are enough fields.
    key = _new(ServerKey, (family, _address(address, family), port[0] << 8 | port[1]))
    server = _new(Server, (key, weight, forward, upper, lower, *tunnel))
    return _new(ServerRow, (server, active, inactive, persistent, counters))


def _counters(body: bytes, found: dict[int, tuple[int, int]], nest: int) -> Counters | None:
    """64-bit counters (kernel 4.1 and later); None from a kernel that has none."""
    if nest not in found:
        return None
    values = {k: s for k, s, e in attributes(body, *found[nest]) if e - s == U64.size}
    fields = range(1, len(Counters._fields) + 1)
    return Counters._make(read(U64, body, values[kind]) for kind in fields)
