# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a firewall on a cluster's routers has to let pass."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.piranha.lvs.plugins.filter import openings as subject

openings = subject.FilterModule().filters()["openings"]
HTTP = {
    "name": "http",
    "active": 1,
    "address": "203.0.113.100 eth1:1",
    "port": 80,
    "real_servers": [
        {"name": "web1", "active": 1, "address": "192.0.2.21"},
        {"name": "web2", "active": 1, "address": "192.0.2.22", "port": 8080},
    ],
}
GLOBALS = {
    "primary": "203.0.113.11",
    "backup": "203.0.113.12",
    "primary_private": "192.0.2.11",
    "backup_private": "192.0.2.12",
    "backup_active": 1,
    "heartbeat": 1,
    "nat_router": "192.0.2.254 eth2:1",
    "nat_nmask": "/24",
}


def found(*virtual: dict[str, Any], **globals_: Any) -> list[dict[str, Any]]:
    return list(openings({"globals": {**GLOBALS, **globals_}, "virtual_servers": list(virtual)}))


def test_heartbeats_come_from_both_addresses_of_both_routers() -> None:
    assert found(HTTP)[0] == {
        "hook": "input",
        "why": "heartbeat",
        "protocol": "udp",
        "from": ["203.0.113.11", "203.0.113.12", "192.0.2.11", "192.0.2.12"],
        "to": None,
        "port": 539,
    }
    assert found(HTTP, heartbeat_port=1050)[0]["port"] == 1050


def test_sync_passes_only_where_the_kernel_synchronises() -> None:
    assert [one["why"] for one in found(HTTP)][:2] == ["heartbeat", "http"]
    sync = found(HTTP, syncdaemon=1, syncd_iface="eth2")[1]
    assert (sync["why"], sync["protocol"], sync["port"]) == ("sync", "udp", 8848)


def test_clients_reach_the_service_and_answers_by_nat_pass() -> None:
    web, one, two = found(HTTP)[1:]
    assert (web["hook"], web["to"], web["port"]) == ("input", "203.0.113.100", 80)
    assert (one["hook"], one["from"], one["port"]) == ("forward", ["192.0.2.21"], 80)
    assert (two["hook"], two["from"], two["port"]) == ("forward", ["192.0.2.22"], 8080)


@pytest.mark.parametrize("forward", ["direct", "tunnel"])
def test_by_other_methods_nothing_passes_the_router(forward: str) -> None:
    servers = [{"name": "web1", "active": 1, "address": "192.0.2.21"}]
    hooks = [one["hook"] for one in found({**HTTP, "real_servers": servers, "forward": forward})]
    assert hooks == ["input", "input"]


def test_several_ports_and_marks() -> None:
    several = {**HTTP, "ports": [80, 443]}
    del several["port"]
    assert [one["port"] for one in found(several) if one["hook"] == "input"] == [539, 80, 443]
    marked = {**HTTP, "fwmark": 7, "real_servers": HTTP["real_servers"][:1]}
    assert [one["port"] for one in found(marked) if one["hook"] == "input"] == [539, 0]


def test_what_is_not_active_opens_nothing() -> None:
    assert [one["why"] for one in found({**HTTP, "active": 0})] == ["heartbeat"]


def test_a_lone_router_has_no_heartbeat() -> None:
    alone = {"globals": {"primary": "203.0.113.11", "network": "direct"}, "virtual_servers": []}
    assert openings(alone) == []


def test_errors_are_told() -> None:
    with pytest.raises(AnsibleFilterError, match="not a value of list"):
        openings([])
    with pytest.raises(AnsibleFilterError, match="errors:"):
        found({**HTTP, "port": 70000})
