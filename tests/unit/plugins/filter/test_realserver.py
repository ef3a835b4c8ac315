# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cluster needs of one of its real servers, by every forwarding method."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.piranha.lvs.plugins.filter import realserver as subject

WEB1 = "192.0.2.21"


def realserver(data: Any, address: str, name: str = "somebody") -> Any:
    return subject.FilterModule().filters()["realserver"](data, name, address)


def cluster(*virtual: dict[str, Any], **globals_: Any) -> dict[str, Any]:
    settings = {
        "primary": "203.0.113.11", "nat_router": "192.0.2.254 eth2:1", "nat_nmask": "/24",
        **globals_,
    }
    servers = [
        {"name": "web1", "active": 1, "address": WEB1},
        {"name": "web2", "active": 1, "address": "192.0.2.22"},
    ]
    return {
        "name": "lab",
        "globals": settings,
        "virtual_servers": [
            {
                "name": f"v{number}", "active": 1, "address": f"203.0.113.{100 + number}",
                "real_servers": servers, **({} if "ports" in one else {"port": 80}), **one,
            }
            for number, one in enumerate(virtual)
        ],
    }


def test_nat_needs_the_gateway_and_no_address() -> None:
    assert realserver(cluster({}), WEB1) == {
        "methods": ["nat"],
        "virtual_addresses": [],
        "tunnels": [],
        "gateway": "192.0.2.254",
        "services": [{"address": WEB1, "protocol": "tcp", "port": 80}],
    }


def test_direct_needs_the_addresses_and_no_gateway() -> None:
    servers = [{"name": "a", "active": 1, "address": WEB1}]
    six = {"address": "2001:db8::9", "real_servers": servers, "forward": "tunnel"}
    data = cluster({}, {"address": "203.0.113.9"}, six, network="direct")
    found = realserver(data, WEB1)
    assert found["methods"] == ["direct", "tunnel"]
    assert found["virtual_addresses"] == ["203.0.113.9", "203.0.113.100", "2001:db8::9"]
    assert found["gateway"] is None
    assert found["services"] == []
    assert found["tunnels"] == [
        {
            "type": "ipip",
            "port": 0,
            "checksum": False,
            "address": WEB1,
            "virtual_addresses": ["2001:db8::9"],
        }
    ]


def test_one_virtual_server_may_differ_from_the_others() -> None:
    data = cluster({}, {"forward": "direct", "port": 443}, {"forward": "nat", "protocol": "udp"})
    found = realserver(data, WEB1)
    assert found["methods"] == ["direct", "nat"]
    assert found["virtual_addresses"] == ["203.0.113.101"]
    assert found["services"] == [
        {"address": WEB1, "protocol": protocol, "port": 80} for protocol in ("tcp", "udp")
    ]


@pytest.mark.parametrize(
    ("directives", "tunnel"),
    [
        ({}, {"type": "ipip", "port": 0, "checksum": False}),
        (
            {"tunnel_type": "gue", "tunnel_port": 6080},
            {"type": "gue", "port": 6080, "checksum": False},
        ),
        (
            {"tunnel_type": "gre", "tunnel_checksum": "csum"},
            {"type": "gre", "port": 0, "checksum": True},
        ),
    ],
)
def test_each_tunnel_is_told_by_what_its_packets_are(
    directives: dict[str, Any], tunnel: dict[str, Any]
) -> None:
    data = cluster({"forward": "tunnel", **directives}, {"forward": "tunnel", **directives})
    assert realserver(data, WEB1)["tunnels"] == [
        {**tunnel, "address": WEB1, "virtual_addresses": ["203.0.113.100", "203.0.113.101"]}
    ]


@pytest.mark.parametrize(
    ("virtual", "ports"),
    [
        ({"real_servers": [{"name": "a", "active": 1, "address": WEB1, "port": 8080}]}, [8080]),
        ({"ports": [80, 443]}, [80, 443]),
        ({"fwmark": 1}, [0]),
        ({"fwmark": 1, "ports": [80, 443], "marking": "auto"}, [80, 443]),
        ({"port": 0, "persistent": 60}, [0]),
        ({"sorry_server": "192.0.2.30"}, [80]),
    ],
)
def test_the_ports_are_those_at_the_real_server(virtual: dict[str, Any], ports: list[int]) -> None:
    services = realserver(cluster(virtual), WEB1)["services"]
    assert [service["port"] for service in services] == ports


def test_a_server_of_last_resort_is_a_real_server_too() -> None:
    data = cluster({"forward": "direct", "sorry_server": "192.0.2.30"})
    assert realserver(data, "192.0.2.30")["virtual_addresses"] == ["203.0.113.100"]


def test_what_is_not_active_and_what_is_elsewhere_needs_nothing() -> None:
    nothing = {
        "methods": [], "virtual_addresses": [], "tunnels": [], "gateway": None, "services": []
    }
    off = cluster({"active": 0})
    assert realserver(off, WEB1) == nothing
    assert realserver(cluster({}), "192.0.2.99") == nothing


def test_a_server_that_is_switched_off_may_come_back_without_another_run() -> None:
    servers = [
        {"name": "web1", "active": 0, "address": WEB1},
        {"name": "web2", "active": 1, "address": "192.0.2.22"},
    ]
    assert realserver(cluster({"real_servers": servers}), WEB1)["methods"] == ["nat"]


def test_the_name_tells_a_server_too_which_may_have_several_addresses() -> None:
    data = cluster(
        {},
        {
            "address": "2001:db8::9",
            "forward": "tunnel",
            "real_servers": [{"name": "web1", "active": 1, "address": "2001:db8::21"}],
        },
    )
    found = realserver(data, WEB1, "web1")
    assert found["services"] == [{"address": WEB1, "protocol": "tcp", "port": 80}]
    assert found["virtual_addresses"] == ["2001:db8::9"]
    assert [tunnel["address"] for tunnel in found["tunnels"]] == ["2001:db8::21"]
    assert realserver(data, WEB1, "web2")["tunnels"] == []


def test_a_host_without_an_address_is_told_what_to_set() -> None:
    with pytest.raises(AnsibleFilterError, match="set piranha_address for it"):
        realserver(cluster({}), "web1.example.org", "web1")


def test_errors_are_told_as_the_module_lvs_cf_would() -> None:
    with pytest.raises(AnsibleFilterError, match=r"virtual_servers\[0\]\.forward"):
        realserver(cluster({"forward": "bridge"}), WEB1)
    with pytest.raises(AnsibleFilterError, match="not a value of str"):
        realserver("nothing", WEB1)
