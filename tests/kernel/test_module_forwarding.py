# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests through a table that the modules alone have set: NAT, direct, tunnel; and draining."""

from __future__ import annotations

import hashlib
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.kernel import Kernel
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import ServerKey
from ansible_collections.piranha.lvs.plugins.modules import (
    ipvs_info,
    ipvs_server,
    ipvs_table,
    ipvs_timeouts,
)

from tests.unit.plugins.modules.running import run

from .forwarding import (
    LARGE,
    PORT,
    SERVERS,
    SERVERS6,
    VIRTUAL,
    VIRTUAL6,
    Client,
    Network,
    asked,
    datagram,
    inside,
)

SERVICE = {"address": VIRTUAL, "port": PORT}
FORWARD = ("nat", "direct", "tunnel")
FAMILIES = {"ipv4": (VIRTUAL, SERVERS), "ipv6": (VIRTUAL6, SERVERS6)}


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    made = Network()
    try:
        made.up()
        yield made
    finally:
        made.down()


def on_router(module: Any, **options: object) -> Any:
    """The module's result on the router; it must not fail."""
    with inside("router"):
        result = run(module, **options)
    assert not result["failed"], result["msg"]
    return result


def set_table(forward: str, family: str = "ipv4", **said: object) -> None:
    """The web service with both real servers and nothing else, by one task."""
    virtual, addresses = FAMILIES[family]
    servers = [{"address": address, "forward": forward} for address in addresses.values()]
    service = {"address": virtual, "port": PORT, "scheduler": "rr", "servers": servers, **said}
    on_router(ipvs_table, state="overridden", services=[], allow_empty=True)
    on_router(ipvs_table, state="overridden", services=[service])


def path_mtu(virtual: str) -> int | None:
    """What the client has learned of the path to the virtual address; None for nothing."""
    with inside("client"):
        done = subprocess.run(
            ["ip", "route", "get", virtual], capture_output=True, text=True, check=True
        )
    words = done.stdout.split()
    return int(words[words.index("mtu") + 1]) if "mtu" in words else None


def counted() -> dict[str, int]:
    """The service's counters, which the kernel sums up every two seconds."""
    until = time.monotonic() + 10
    while True:
        (service,) = on_router(ipvs_info, counters=True)["services"]
        if service["counters"]["connections"] or time.monotonic() > until:
            return dict(service["counters"])
        time.sleep(0.2)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("forward", FORWARD)
def test_requests_reach_both_real_servers(network: Network, forward: str, family: str) -> None:
    set_table(forward, family)
    names = asked(6, FAMILIES[family][0])
    assert names[:2] in (["rs1", "rs2"], ["rs2", "rs1"])
    assert names == names[:2] * 3
    counters = counted()
    assert counters["connections"] == 6
    assert (counters["packets_out"] > 0) == (forward == "nat")  # who sees the answers


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("forward", FORWARD)
def test_a_megabyte_goes_both_ways_with_df_set(network: Network, forward: str, family: str) -> None:
    """A small request never shows a hole that swallows full-sized packets."""
    set_table(forward, family)
    virtual = FAMILIES[family][0]
    body = bytes(range(256)) * (LARGE // 256)
    client = Client(virtual)
    name, large = client.get("/large")
    assert len(large) == LARGE
    again, digest = client.post(body)
    client.close()
    assert (again, digest.decode()) == (name, hashlib.sha256(body).hexdigest())
    # A packet in a tunnel is longer by a header: the router has told, the client has listened.
    fits = {"ipv4": 1480, "ipv6": 1460}[family]
    assert path_mtu(virtual) == (fits if forward == "tunnel" else None)


def weight(name: str) -> int:
    """The weight of a real server, read without a module: one may be running."""
    with inside("router"), Kernel() as kernel:
        (entry,) = kernel.read().values()
    return entry.servers[ServerKey(SERVERS[name], PORT)].weight


@pytest.mark.parametrize("forward", FORWARD)
def test_a_server_is_drained_while_a_connection_is_open(network: Network, forward: str) -> None:
    """It lives on, new ones go elsewhere, and the module returns when it ends."""
    set_table(forward)
    client = Client()
    name, _body = client.get()
    other = next(each for each in SERVERS if each != name)
    results: list[Any] = []
    began = time.monotonic()

    def drain() -> None:
        task = {"service": SERVICE, "address": SERVERS[name], "state": "drained"}
        results.append(on_router(ipvs_server, **task, timeout=60, interval=1))

    draining = threading.Thread(target=drain)
    draining.start()
    try:
        while weight(name) > 0:
            assert time.monotonic() < began + 10
        while time.monotonic() < began + 3:
            assert client.get()[0] == name
            assert asked(1) == [other]
            time.sleep(0.2)
        assert draining.is_alive(), results
    finally:
        client.close()
        closed = time.monotonic()
        draining.join(70)
    (result,) = results
    assert result["drained"] is True
    assert time.monotonic() - closed < 5
    assert result["waited"] >= 3
    assert (result["before"]["weight"], result["after"]["weight"]) == (1, 0)
    assert result["waiting_for"] == {}


def test_the_weight_comes_back_where_the_task_says_so(network: Network) -> None:
    set_table("nat")
    client = Client()
    name, _body = client.get()
    task = {"service": SERVICE, "address": SERVERS[name], "state": "drained", "timeout": 1}
    with inside("router"):
        result = run(ipvs_server, **task, on_timeout="restore")
        kept = run(ipvs_server, **task, on_timeout="fail")
    client.close()
    assert result["failed"]
    assert result["msg"] == (
        f"real server {SERVERS[name]}:80: it is not drained after 1 s, 1 active connection left; "
        "it has weight 1 again, give it more time or look which clients stay."
    )
    assert kept["failed"]
    assert "it keeps weight 0" in kept["msg"]
    (service,) = on_router(ipvs_info)["services"]
    weights = {server["address"]: server["weight"] for server in service["servers"]}
    assert weights[SERVERS[name]] == 0


def test_persistence_is_honoured(network: Network) -> None:
    """A client comes back to a drained server until the kernel has forgotten it. By UDP, where the
    kernel calls no connection active, and whose timeout can be made short."""
    service = {"protocol": "udp", "address": VIRTUAL, "port": PORT}
    servers = [{"address": address} for address in SERVERS.values()]
    on_router(ipvs_timeouts, udp=1)
    on_router(ipvs_table, services=[{**service, "persistence": 3, "servers": servers}])
    name = datagram()
    task = {"service": service, "address": SERVERS[name], "state": "drained", "interval": 1}
    with inside("router"):
        refused = run(ipvs_server, **task, persistence="expire", check=True)
    assert "net.ipv4.vs.expire_quiescent_template is not 1" in refused["msg"]
    late = on_router(ipvs_server, **task, timeout=0, on_timeout="proceed")
    assert (late["drained"], late["waiting_for"]) == (False, {"inactive": 1, "persistent": 1})
    assert late["warnings"] == [
        f"real server {SERVERS[name]}:80: it is not drained after 0 s, 1 inactive connection and "
        "1 persistence template left; it keeps weight 0 and the play goes on."
    ]
    assert datagram() == name
    gone = on_router(ipvs_server, **task, timeout=60)
    assert (gone["drained"], gone["changed"]) == (True, False)
    assert gone["waited"] >= 1
    assert datagram() != name


def test_persistent_clients_go_elsewhere_with_the_sysctl(network: Network) -> None:
    set_table("nat", persistence=300)
    (name,) = asked(1)
    with inside("router"):
        sysctl = Path("/proc/sys/net/ipv4/vs/expire_quiescent_template")
        sysctl.write_text("1", encoding="ascii")
    task = {"service": SERVICE, "address": SERVERS[name], "state": "drained"}
    gone = on_router(ipvs_server, **task, persistence="expire", timeout=30, interval=1)
    assert (gone["drained"], gone["connections"]["persistent"]) == (True, 1)
    assert asked(1) != [name]
