# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The codec against what a real kernel sent, against the header's layout, and against itself.

Whether the kernel understands what is written: tests/kernel, with ipvsadm and pyroute2 as readers.
"""

from __future__ import annotations

import contextlib
import ipaddress
import struct

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs import codec, netlink
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import (
    Server,
    ServerKey,
    Service,
    ServiceKey,
)
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.plan import Kind, Operation
from hypothesis import given
from hypothesis import strategies as st

from .tables import servers, services

WEB = ServiceKey.by_address("tcp", "192.0.2.1", 80)

# A kernel 6.1 (64 bit, little endian) wrote these, asked about a table that ipvsadm had set as the
# comments say. Changed here: the three numbers of connections were 0 and are 3, 4, 5; the counters
# that followed are added by the tests.
SERVICES = [
    (
        "01010000"  # -A -t 192.0.2.1:80 -s rr -p 300 -M 255.255.0.0
        "54010100060001000200000006000200060000001400030"
        "0c0000201000000000000000000000000060004000050000007000600727200000c0007000300"
        "0000ffffffff080008002c01000008000900ffff0000",
        Service(WEB, "rr", persistence=300, mask="255.255.0.0"),
    ),
    (
        "01010000"  # -A -t [2001:db8::1]:80 -s sh -b sh-port -p 360 -M 64
        "54010100060001000a000000060002000600000014000300"
        "20010db8000000000000000000000001060004000050000007000600736800000c000700130000"
        "00ffffffff08000800680100000800090040000000",
        Service(
            ServiceKey.by_address("tcp", "2001:db8::1", 80),
            "sh",
            flags=["sh-port"],
            persistence=360,
            mask=64,
        ),
    ),
    (
        "01010000"  # -A -f 5 -s wlc -o
        "3c0101000600010002000000080005000500000008000600776c63000c00070006000000ffffffff"
        "080008000000000008000900ffffffff",
        Service(ServiceKey.by_mark(5), "wlc", one_packet=True),
    ),
]
SERVERS = [
    (
        "05010000"  # -a -t 192.0.2.1:80 -r 198.51.100.1:8080 -m -w 0 -x 100 -y 50
        "7c01020014000100c6336401000000000000000000000000060002001f90000008000300"
        "00000000080004000000000005000d000000000006000e000000000006000f0000000000"
        "080005006400000008000600320000000800070003000000080008000400000008000900"
        "0500000006000b0002000000",
        Server(ServerKey("198.51.100.1", 8080), 0, "nat", upper=100, lower=50),
    ),
    (
        "05010000"  # -r 198.51.100.2:80 -i -w 7 --tun-type gue --tun-port 6080 --tun-remcsum
        "7c01020014000100c6336402000000000000000000000000060002000050000008000300"
        "02000000080004000700000005000d000100000006000e0017c0000006000f0002000000"
        "080005000000000008000600000000000800070003000000080008000400000008000900"
        "0500000006000b0002000000",
        Server(
            ServerKey("198.51.100.2", 80),
            7,
            "tunnel",
            tunnel="gue",
            tunnel_port=6080,
            tunnel_checksum="remcsum",
        ),
    ),
]


def counters_nest(kind: int) -> bytes:
    """A block of 64-bit counters 1 to 10, each after the padding attribute that aligns it."""
    value = b"".join(struct.pack("=HHHHQ", 4, 11, 12, number, number) for number in range(1, 11))
    return netlink.attribute(kind, value)


COUNTERS = codec.Counters(*range(1, 11))


def completed(answer: str, *more: bytes) -> bytes:
    """The recorded answer with more attributes in its nest, whose length is counted again."""
    body = bytes.fromhex(answer)
    (kind,) = struct.unpack_from("=H", body, 6)
    return body[:4] + netlink.attribute(kind, body[8:] + b"".join(more))


@pytest.mark.parametrize(("answer", "service"), SERVICES)
def test_the_kernels_services_are_read(answer: str, service: Service) -> None:
    assert codec.decode_service(completed(answer, counters_nest(12)), True) == (service, COUNTERS)
    assert codec.decode_service(completed(answer, counters_nest(12))) == (service, None)
    assert codec.decode_service(completed(answer), True) == (service, None)


@pytest.mark.parametrize(("answer", "server"), SERVERS)
def test_the_kernels_servers_are_read(answer: str, server: Server) -> None:
    row = codec.decode_server(completed(answer, counters_nest(12)), "ipv6", True)
    assert row == (server, 3, 4, 5, COUNTERS)


def test_attributes_of_later_kernels_are_passed_over() -> None:
    answer, service = SERVICES[0]
    assert codec.decode_service(completed(answer, netlink.attribute(77, b"new"))).service == service


def test_half_an_answer_is_an_error() -> None:
    without_scheduler = SERVICES[0][0].replace("0700060072720000", "")
    with pytest.raises(ValueError, match="incomplete answer about a virtual service"):
        codec.decode_service(completed(without_scheduler))
    without_weight = SERVERS[0][0].replace("0800040000000000", "", 1)
    with pytest.raises(ValueError, match="incomplete answer about a real server"):
        codec.decode_server(completed(without_weight), "ipv4")
    with pytest.raises(ValueError, match="without the attribute that it is about"):
        codec.decode_service(bytes.fromhex("01010000"))


def test_a_cut_off_attribute_is_an_error() -> None:
    with pytest.raises(ValueError, match="netlink attribute of 340 bytes"):
        codec.decode_service(bytes.fromhex(SERVICES[0][0]))
    with pytest.raises(ValueError, match="netlink message of 400 bytes in 16"):
        list(netlink.messages(struct.pack("=IHHII", 400, 2, 0, 0, 0)))


def test_other_protocols_and_odd_tunnels_of_other_programs_are_told_by_number() -> None:
    answer = SERVICES[0][0].replace("0600020006000000", "0600020032000000")
    key = codec.decode_service(completed(answer)).service.key
    assert key.protocol == "50"
    assert codec.service_key_nest(key)[12:20] == bytes.fromhex("0600020032000000")
    odd = SERVERS[1][0].replace("05000d0001000000", "05000d0009000000")
    server = codec.decode_server(completed(odd), "ipv4").server
    assert server.tunnel == "9"
    assert bytes.fromhex("05000d0009000000") in codec.server_nest(server)


def test_a_service_is_written_as_the_header_says() -> None:
    """Compared with bytes put together by hand from linux/ip_vs.h."""
    service = Service(WEB, "sh", flags=["sh-port"], persistence=300, mask=16, engine="sip")
    value = b"".join(
        (
            netlink.attribute(1, struct.pack("=H", 2)),  # IPVS_SVC_ATTR_AF
            netlink.attribute(2, struct.pack("=H", 6)),  # PROTOCOL
            netlink.attribute(3, bytes((192, 0, 2, 1)) + bytes(12)),  # ADDR
            netlink.attribute(4, struct.pack("!H", 80)),  # PORT
            netlink.attribute(6, b"sh\0"),  # SCHED_NAME
            netlink.attribute(7, struct.pack("=II", 0x10 | 0x1, 0x3D)),  # FLAGS: wanted, and mask
            netlink.attribute(8, struct.pack("=I", 300)),  # TIMEOUT
            netlink.attribute(9, bytes((255, 255, 0, 0))),  # NETMASK
            netlink.attribute(11, b"sip\0"),  # PE_NAME
        )
    )
    assert codec.service_nest(service) == netlink.attribute(1, value)


def test_a_server_is_written_as_the_header_says() -> None:
    server = Server(
        ServerKey("2001:db8::2", 81),
        7,
        "tunnel",
        upper=9,
        lower=8,
        tunnel="gue",
        tunnel_port=6080,
        tunnel_checksum="csum",
    )
    value = b"".join(
        (
            netlink.attribute(1, bytes.fromhex("20010db8000000000000000000000002")),  # ADDR
            netlink.attribute(11, struct.pack("=H", 10)),  # ADDR_FAMILY
            netlink.attribute(2, struct.pack("!H", 81)),  # PORT
            netlink.attribute(3, struct.pack("=I", 2)),  # FWD_METHOD
            netlink.attribute(4, struct.pack("=I", 7)),  # WEIGHT
            netlink.attribute(5, struct.pack("=I", 9)),  # U_THRESH
            netlink.attribute(6, struct.pack("=I", 8)),  # L_THRESH
            netlink.attribute(13, struct.pack("=B", 1)),  # TUN_TYPE
            netlink.attribute(14, struct.pack("!H", 6080)),  # TUN_PORT
            netlink.attribute(15, struct.pack("=H", 1)),  # TUN_FLAGS
        )
    )
    assert codec.server_nest(server) == netlink.attribute(2, value)
    assert codec.server_nest(server, whole=False) == netlink.attribute(2, value[:36])


def payload_of(request: bytes) -> tuple[int, int, bytes]:
    """Netlink flags, command and the rest of a request that is one whole message."""
    (message,) = netlink.messages(request)
    assert message.kind == 33
    assert message.sequence == 7
    return message.flags, message.body[0], message.body


@given(services(), st.sampled_from([Kind.ADD_SERVICE, Kind.EDIT_SERVICE]))
def test_what_is_said_of_a_service_reads_back(service: Service, kind: Kind) -> None:
    operation = Operation(kind, service.key, None, service)
    flags, command, body = payload_of(codec.operation_request(33, 7, operation))
    assert flags == netlink.NLM_F_REQUEST
    assert command == {Kind.ADD_SERVICE: 1, Kind.EDIT_SERVICE: 2}[kind]
    assert codec.decode_service(body).service == service


@given(services(), st.data())
def test_what_is_said_of_a_server_reads_back(service: Service, data: st.DataObject) -> None:
    server = data.draw(servers(service.key.family))
    operation = Operation(Kind.ADD_SERVER, service.key, None, server)
    _flags, command, body = payload_of(codec.operation_request(33, 7, operation))
    assert command == 5
    # The kernel adds the connections inside the nest; here the nest is made again with them.
    start = len(body) - len(codec.server_nest(server))
    added = b"".join(netlink.attribute(kind, struct.pack("=I", 1)) for kind in (7, 8, 9))
    nest = netlink.attribute(2, body[start + 4 :] + added)
    assert codec.decode_server(body[:start] + nest, "ipv4").server == server


@given(services())
def test_deleting_names_the_service_and_says_no_more(service: Service) -> None:
    operation = Operation(Kind.DELETE_SERVICE, service.key, service, None)
    flags, command, body = payload_of(codec.operation_request(33, 7, operation))
    assert flags == netlink.NLM_F_REQUEST
    assert command == 3
    assert body[4:] == codec.service_key_nest(service.key)
    assert codec.service_nest(service)[4:].startswith(codec.service_key_nest(service.key)[4:])


@given(servers("ipv4") | servers("ipv6"), st.tuples(*[st.integers(0, 2**32 - 1)] * 3), st.data())
def test_both_ways_of_reading_a_server_agree(
    server: Server, connections: tuple[int, int, int], data: st.DataObject
) -> None:
    """In the kernel's usual layout, read in one go, and in any other order, walked."""
    nest = codec.server_nest(server)
    found = netlink.attributes(nest, 4, len(nest))
    told = {kind: nest[start - 4 : end] for kind, start, end in found}
    for kind, number in enumerate(connections, 7):
        told[kind] = netlink.attribute(kind, struct.pack("=I", number))[:8]
    usual = [told[kind] for kind in (1, 2, 3, 4, 13, 14, 15, 5, 6, 7, 8, 9, 11)]
    other = data.draw(st.permutations(usual))

    def answer(parts: list[bytes]) -> bytes:
        whole = b"".join(part + bytes(-len(part) % 4) for part in parts)
        return bytes(4) + netlink.attribute(2, whole)

    row = codec.decode_server(answer(usual), "ipv4")
    assert row == (server, *connections, None)
    assert codec.decode_server(answer(other), "ipv4") == row


@given(
    st.binary(min_size=16, max_size=16)
    | st.integers(0, 2**40).map(lambda number: number.to_bytes(16, "big"))
)
def test_addresses_are_written_as_the_model_writes_them(packed: bytes) -> None:
    """The codec asks the C library for speed; the model goes by ipaddress."""
    body = bytes.fromhex(SERVICES[1][0])
    body = body.replace(bytes.fromhex("20010db8000000000000000000000001"), packed)
    nest = bytes(4) + netlink.attribute(1, body[8:])
    address = codec.decode_service(nest).service.key.address
    assert address == ipaddress.IPv6Address(packed).compressed


@given(st.binary(max_size=200), st.sampled_from([0, 1]))
def test_nonsense_is_a_value_error_and_nothing_else(noise: bytes, which: int) -> None:
    for body in (noise, bytes(4) + netlink.attribute(2 - which, noise)):
        for counters in (True, False):
            with contextlib.suppress(ValueError):
                codec.decode_service(body, counters)
            with contextlib.suppress(ValueError):
                codec.decode_server(body, "ipv4", counters)
        with contextlib.suppress(ValueError):
            list(netlink.messages(body))


def test_an_address_that_is_cut_off_is_a_value_error() -> None:
    short = b"".join(
        (
            netlink.attribute(1, struct.pack("=H", 2)),
            netlink.attribute(2, struct.pack("=H", 6)),
            netlink.attribute(4, struct.pack("!H", 80)),
            struct.pack("=HH", 6, 3) + b"\1\2",
        )
    )
    with pytest.raises(ValueError, match="address of 2 bytes"):
        codec.decode_service(bytes(4) + struct.pack("=HH", 4 + len(short), 1) + short)


@given(st.data())
def test_a_damaged_answer_is_a_value_error_or_an_answer(data: st.DataObject) -> None:
    text, _value = data.draw(st.sampled_from(SERVICES + SERVERS))
    body = bytearray(completed(text, counters_nest(12)))
    for _change in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    del body[data.draw(st.integers(len(body) // 2, len(body))) :]
    for counters in (True, False):
        with contextlib.suppress(ValueError):
            codec.decode_service(bytes(body), counters)
        with contextlib.suppress(ValueError):
            codec.decode_server(bytes(body), "ipv6", counters)


def test_families_and_errors() -> None:
    (asked,) = netlink.messages(netlink.family_request(9, codec.FAMILY_NAME))
    assert asked.kind == 0x10
    assert b"IPVS\0" in asked.body
    assert netlink.family_number(bytes(4) + netlink.attribute(1, struct.pack("=H", 33))) == 33
    with pytest.raises(ValueError, match="without a family number"):
        netlink.family_number(bytes(4))
    assert netlink.error_number(struct.pack("=i", -17)) == 17
    assert netlink.error_number(struct.pack("=i", 0)) == 0
    assert netlink.error_number(b"") == 0
