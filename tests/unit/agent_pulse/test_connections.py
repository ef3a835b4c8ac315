# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of /proc/net/ip_vs_conn and entries of sync messages: read, written, and never believed."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from piranha.net.connections import (
    ANY_PROTOCOL,
    ESTABLISHED,
    Connection,
    entries,
    entry,
    parse,
    plausible,
    sync_message,
)

HEADING = b"Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData"
TCP4 = b"TCP CB007164 03EA CB00710A 0050 0A090015 1F90 ESTABLISHED     899"
TCP6 = (
    b"TCP 20010db8000000000000000000000064 C001 20010db800000000000000000000000a 01BB"
    b" fd00:0000:0000:0000:0000:0000:0000:0021 20FB SYN_RECV         60"
)
CLIENT, VIRTUAL, SERVER = (
    ip_address(text).packed for text in ("203.0.113.100", "203.0.113.10", "10.9.0.21")
)
PLAIN = Connection(6, ESTABLISHED, CLIENT, 1002, VIRTUAL, 80, SERVER, 8080)


def test_a_line_of_each_family() -> None:
    assert parse(TCP4) == PLAIN
    six = parse(TCP6)
    assert six is not None
    assert ip_address(six.client) == ip_address("2001:db8::64")
    assert ip_address(six.server) == ip_address("fd00::21")
    assert (six.client_port, six.virtual_port, six.server_port) == (0xC001, 443, 0x20FB)
    assert six.state == 3, "SYN_RECV in linux/ip_vs.h"


def test_udp_and_templates() -> None:
    udp = parse(TCP4.replace(b"TCP", b"UDP").replace(b"ESTABLISHED", b"UDP"))
    assert udp == PLAIN._replace(protocol=17, state=0)
    bound = parse(b"TCP CB007164 0000 CB00710A 0050 0A090015 0050 NONE             290")
    assert bound == PLAIN._replace(client_port=0, server_port=80, state=0, template=True)
    # A service with a firewall mark: the mark, 7, stands where the virtual address would.
    marked = parse(b"IP  CB007164 0000 00000007 0000 0A090015 0000 ASSURED         290")
    assert marked is not None
    assert (marked.protocol, marked.template, marked.state) == (ANY_PROTOCOL, True, 1)
    assert marked.virtual == (7).to_bytes(4, "big")


@pytest.mark.parametrize(
    "line",
    [
        HEADING,
        b"",
        TCP4.replace(b"TCP", b"ESP"),
        TCP4.replace(b"ESTABLISHED", b"SOMETHING"),
        TCP4.replace(b"03EA", b"03EX"),
        TCP4.replace(b"CB007164", b"CB0071"),
        TCP4 + b" sip 7-callid",
        TCP4.replace(b"0A090015", b"fd00:0000:0000:0000:0000:0000:0000:0021"),
        TCP4.replace(b"ESTABLISHED     899", b"TIME_WAIT       117"),
        TCP4.replace(b"ESTABLISHED     899", b"CLOSE             7"),
    ],
    ids=str,
)
def test_what_is_not_given_on(line: bytes) -> None:
    assert parse(line) is None


@pytest.mark.parametrize("end", [b"TIME_WAIT       119", b"CLOSE             9"])
def test_what_has_just_ended_is_given_on(end: bytes) -> None:
    """The answer to the last packet may still be under way."""
    assert parse(TCP4.replace(b"ESTABLISHED     899", end)) is not None


def test_an_entry_is_what_the_kernel_reads() -> None:
    made = entry(PLAIN._replace(forward=3, mark=7, timeout=300))
    assert len(made) == 36
    assert struct.unpack_from("!BBHIHHHHII", made) == (0, 6, 36, 3, 1, 1002, 80, 8080, 7, 300)
    assert made[24:] == CLIENT + VIRTUAL + SERVER
    six = parse(TCP6)
    assert six is not None
    assert len(entry(six)) == 72
    assert struct.unpack_from("!BBHI", entry(six)) == (1, 6, 72, 0x100)
    assert struct.unpack_from("!I", entry(PLAIN._replace(template=True)), 4) == (0x1000,)


def test_a_message_is_what_the_kernel_reads() -> None:
    made = sync_message(9, [PLAIN, PLAIN])
    assert struct.unpack_from("!BBHBbH", made) == (0, 9, len(made), 2, 1, 0)
    assert made[8:] == entry(PLAIN) * 2


def connections() -> st.SearchStrategy[Connection]:
    """Whatever an entry can hold."""
    ports = st.integers(0, 0xFFFF)

    def build(width: int) -> st.SearchStrategy[Connection]:
        address = st.binary(min_size=width, max_size=width)
        return st.builds(
            Connection,
            st.integers(0, 255),
            ports,
            address,
            ports,
            address,
            ports,
            address,
            ports,
            template=st.booleans(),
            forward=st.integers(0, 7),
            mark=st.integers(0, 2**32 - 1),
            timeout=st.integers(0, 2**32 - 1),
        )

    return st.sampled_from((4, 16)).flatmap(build)


@given(st.lists(connections(), max_size=20))
def test_entries_and_back(chosen: list[Connection]) -> None:
    assert list(entries(b"".join(map(entry, chosen)))) == chosen


@given(st.lists(connections(), min_size=1, max_size=3), st.data())
def test_entries_that_are_cut_off_are_refused(
    chosen: list[Connection], data: st.DataObject
) -> None:
    whole = b"".join(map(entry, chosen))
    length = data.draw(st.integers(1, len(whole) - 1))
    borders = {len(b"".join(map(entry, chosen[:count]))) for count in range(len(chosen))}
    if length not in borders:
        with pytest.raises(ValueError, match="entry"):
            list(entries(whole[:length]))


@given(st.binary(max_size=200))
def test_any_bytes_are_entries_or_refused(data: bytes) -> None:
    try:
        found = list(entries(data))
    except ValueError:
        return
    assert all(len(one.client) in (4, 16) for one in found)
    for one in found:
        plausible(one)


@given(st.binary(max_size=120))
def test_any_bytes_are_a_line(data: bytes) -> None:
    found = parse(data)
    assert found is None or plausible(found)


@given(st.integers(0, len(TCP6) - 1), st.integers(0, 255))
def test_a_damaged_line_is_read_or_left_out(at: int, value: int) -> None:
    for line in (TCP4, TCP6):
        bad = bytearray(line)
        bad[at % len(line)] = value
        found = parse(bytes(bad))
        assert found is None or plausible(found)


@pytest.mark.parametrize(
    "odd",
    [
        PLAIN._replace(protocol=47),
        PLAIN._replace(state=11),
        PLAIN._replace(protocol=17, state=1),
        PLAIN._replace(client_port=0),
        PLAIN._replace(template=True, state=2),
        PLAIN._replace(template=True, protocol=47, state=0),
    ],
)
def test_what_the_kernel_would_not_take(odd: Connection) -> None:
    assert plausible(PLAIN)
    assert not plausible(odd)
