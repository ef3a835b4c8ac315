# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections of every kind go through our code into a real kernel, and ipvsadm shows them.

Runs inside a kernel with IPVS: tests/lab/in-ipvs-kernel .venv/bin/python -m pytest tests/cluster
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from ipaddress import ip_address

import pytest
from piranha.core.lvs_cf import api
from piranha.net import sync
from piranha.net.connections import Connection, parse
from piranha.pulse.arrival import LINGER, Arrival
from piranha.pulse.handover import MOST, Services, portions

from tests.cluster.cluster import run, soon

CONFIG = """\
primary = 192.0.2.11
network = nat
virtual web {
    active = 1
    address = 192.0.2.100
    port = 80
    persistent = 300
}
virtual six {
    active = 1
    address = 2001:db8::100
    port = 443
}
virtual names {
    active = 1
    address = 192.0.2.100
    port = 53
    protocol = udp
    forward = direct
}
virtual marked {
    active = 1
    address = 192.0.2.101
    fwmark = 7
    persistent = 60
}
"""
TABLE = """\
-A -t 192.0.2.100:80 -s rr -p 300
-a -t 192.0.2.100:80 -r 10.9.0.21:8080 -m
-A -t [2001:db8::100]:443 -s rr
-a -t [2001:db8::100]:443 -r [fd00::21]:443 -m
-A -u 192.0.2.100:53 -s rr
-a -u 192.0.2.100:53 -r 10.9.0.21:53 -g
-A -f 7 -s rr -p 60
-a -f 7 -r 10.9.0.21:0 -m
"""
SERVICES = Services(api.load(CONFIG).config)
OTHER = "sync-test"
ETH_P_ALL = 3  # linux/if_ether.h


@pytest.fixture(autouse=True)
def table() -> Iterator[None]:
    """The services in this kernel, an interface with routes to the servers, and no connection."""
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", OTHER, "type", "dummy")
    run("ip", "link", "set", OTHER, "up")
    run("ip", "address", "add", "10.9.0.11/24", "dev", OTHER)
    run("ip", "address", "add", "fd00::11/64", "dev", OTHER, "nodad")
    run("ipvsadm", "-R", text=TABLE)
    yield
    run("ipvsadm", "--stop-daemon", "backup", check=False)
    run("ipvsadm", "-C")
    run("ip", "link", "delete", OTHER)


def made(
    virtual: str, port: int, server: str, server_port: int, protocol: int = 6, state: int = 1
) -> Connection:
    client = "2001:db8::9" if ":" in virtual else "198.51.100.9"
    packed = (ip_address(text).packed for text in (client, virtual, server))
    first, second, third = packed
    return Connection(protocol, state, first, 5000 + state, second, port, third, server_port)


def completed(connection: Connection) -> Connection:
    """As the old router sends it."""
    found = SERVICES.complete(connection)
    assert found is not None
    return found


def give(arrival: Arrival, chosen: list[Connection]) -> None:
    """Do what the heart does, until all is confirmed."""
    begun = time.monotonic()
    for number, portion in enumerate(portions(chosen)):
        assert arrival.take(portion, number, time.monotonic()) == ""
    owed = set(range(len(portions(chosen))))
    while owed and time.monotonic() < begun + 5:
        owed -= set(arrival.step(time.monotonic()) or ())
        time.sleep(0.001)
    assert not owed


def shown() -> dict[tuple[str, str], list[str]]:
    """Give the kernel's connections by protocol and client as ipvsadm tells them."""
    rows = [line.split() for line in run("ipvsadm", "-Lnc").splitlines()[2:]]
    return {(row[0], row[3]): [row[2], row[4], row[5]] for row in rows}


def daemons() -> str:
    return run("ipvsadm", "-Ln", "--daemon").strip()


def test_every_kind_reaches_the_kernel_as_it_was() -> None:
    web = made("192.0.2.100", 80, "10.9.0.21", 8080)
    bound = web._replace(template=True, client_port=0, state=0)
    marked = bound._replace(
        protocol=0, virtual=(7).to_bytes(4, "big"), virtual_port=0, server_port=0
    )
    chosen = [
        web,
        made("192.0.2.100", 80, "10.9.0.21", 8080, state=4),
        made("2001:db8::100", 443, "fd00::21", 443),
        made("192.0.2.100", 53, "10.9.0.21", 53, protocol=17, state=0),
        made("192.0.2.101", 4711, "10.9.0.21", 4711, state=3),
        bound,
        marked,
    ]
    arrival = Arrival(SERVICES, 1.5)
    give(arrival, [completed(connection) for connection in chosen])
    expected = {
        ("TCP", "198.51.100.9:5001"): ["ESTABLISHED", "192.0.2.100:80", "10.9.0.21:8080"],
        ("TCP", "198.51.100.9:5004"): ["FIN_WAIT", "192.0.2.100:80", "10.9.0.21:8080"],
        ("TCP", "[2001:db8::9]:5001"): ["ESTABLISHED", "[2001:db8::100]:443", "[fd00::21]:443"],
        ("UDP", "198.51.100.9:5000"): ["UDP", "192.0.2.100:53", "10.9.0.21:53"],
        ("TCP", "198.51.100.9:5003"): ["SYN_RECV", "192.0.2.101:4711", "10.9.0.21:4711"],
        ("TCP", "198.51.100.9:0"): ["NONE", "192.0.2.100:80", "10.9.0.21:8080"],
        ("IP", "198.51.100.9:0"): ["NONE", "0.0.0.7:0", "10.9.0.21:0"],
    }
    assert shown() == expected
    again, whole = sync.read(parse, time.monotonic() + 5, MOST)
    assert whole
    assert set(again) == set(chosen), "read back it is what was given"
    counted = run("ipvsadm", "-Ln")
    assert "10.9.0.21:8080" in counted, counted
    row = next(line.split() for line in counted.splitlines() if "10.9.0.21:8080" in line)
    assert row[2:] == ["Masq", "1", "1", "1"], "bound to the server: one active, one closing"
    assert daemons() != ""
    soon(lambda: arrival.step(time.monotonic()) is None and not daemons(), "it stops", LINGER + 5)
    assert arrival.news() == "7 connections were taken over from the partner"
    assert arrival.news() == ""
    assert shown().keys() == expected.keys(), "the connections stay when the daemon has gone"


def test_many_connections_all_arrive() -> None:
    """Far more than the daemon's buffer holds at once."""
    web = completed(made("192.0.2.100", 80, "10.9.0.21", 8080))
    chosen = [web._replace(client_port=10000 + number) for number in range(3000)]
    arrival = Arrival(SERVICES, 1.5)
    window = 12 * 25
    for start in range(0, len(chosen), window):
        give(arrival, chosen[start : start + window])
    ours = {("TCP", f"198.51.100.9:{port}") for port in range(10000, 13000)}
    assert ours <= shown().keys()
    found, whole = sync.read(parse, time.monotonic() + 10, MOST)
    assert whole
    assert {one.client_port for one in found} >= set(range(10000, 13000))
    found, whole = sync.read(parse, time.monotonic() - 1, MOST)
    assert not whole, "the time limit is kept"
    assert len(found) < 3000
    arrival.end()
    assert daemons() == ""


def test_the_operators_own_daemon_is_used_and_left_alone() -> None:
    run("ipvsadm", "--start-daemon", "backup", "--mcast-interface", OTHER, "--syncid", "42")
    before = daemons()
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
    wire.bind((OTHER, ETH_P_ALL))
    wire.setblocking(False)
    arrival = Arrival(SERVICES, 1.5)
    give(arrival, [completed(made("192.0.2.100", 80, "10.9.0.21", 8080))])
    assert ("TCP", "198.51.100.9:5001") in shown()
    arrival.end()
    assert daemons() == before
    seen = []
    with wire, contextlib.suppress(BlockingIOError):
        while True:
            packet, source = wire.recvfrom(2048)
            if source[2] == socket.PACKET_OUTGOING:
                seen.append(packet)
    group = ip_address("224.0.0.81").packed
    assert not [packet for packet in seen if packet[16:20] == group and packet[9] == 17], seen


def test_what_an_earlier_heart_left_is_stopped_and_only_that() -> None:
    sync.Backup().start()
    assert "lo" in daemons()
    Arrival(SERVICES, 1.5).clear()
    assert daemons() == ""
    run("ipvsadm", "--start-daemon", "backup", "--mcast-interface", OTHER, "--syncid", "42")
    Arrival(SERVICES, 1.5).clear()
    assert OTHER in daemons()


def test_where_no_daemon_can_be_started_it_is_said_once_and_refused() -> None:
    run("ip", "link", "set", "lo", "down")
    try:
        arrival = Arrival(SERVICES, 1.5)
        (portion,) = portions([completed(made("192.0.2.100", 80, "10.9.0.21", 8080))])
        said = arrival.take(portion, 1, 0.0)
        assert said.startswith("connections are not taken over: the kernel's sync daemon")
        assert arrival.step(0.0) == ()
        assert arrival.take(portion, 2, 0.0) == ""
        assert arrival.step(0.0) == ()
        assert arrival.step(0.0) is None
        arrival.end()
    finally:
        run("ip", "link", "set", "lo", "up")
    assert daemons() == ""
