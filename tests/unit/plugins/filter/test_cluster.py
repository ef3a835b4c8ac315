# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The description of a cluster, and every way to get it wrong."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.piranha.lvs.plugins.filter import cluster as subject

GROUPS = {
    "piranha_routers": ["lvs1", "lvs2"],
    "web": ["web1", "web2"],
    "three": ["a", "b", "c"],
    "none": [],
}
HOSTVARS: dict[str, dict[str, Any]] = {
    "lvs1": {"piranha_address": "203.0.113.11", "piranha_private_address": "192.0.2.11"},
    "lvs2": {"piranha_address": "203.0.113.12", "piranha_private_address": "192.0.2.12"},
    "web1": {"piranha_address": "192.0.2.21", "piranha_weight": 3},
    "web2": {"ansible_host": "192.0.2.22"},
    "nameless": {"ansible_host": "nameless.example.org"},
    "2001:db8::5": {},
}
HTTP = {"name": "http", "address": "203.0.113.100 eth1:1", "port": 80, "real_server_group": "web"}
NAT = {"network": "nat", "nat_router": "192.0.2.254 eth2:1"}


def describe(**description: Any) -> dict[str, Any]:
    return subject.describe(description, GROUPS, HOSTVARS)


def complaint(**description: Any) -> str:
    with pytest.raises(subject.DescriptionError) as caught:
        describe(**description)
    return str(caught.value)


def test_real_servers_come_from_a_group_with_address_and_weight() -> None:
    (server,) = describe(globals=NAT, virtual_servers=[HTTP])["virtual_servers"]
    assert server == {
        "active": 1,
        "name": "http",
        "address": "203.0.113.100 eth1:1",
        "port": 80,
        "real_servers": [
            {"name": "web1", "active": 1, "address": "192.0.2.21", "weight": 3},
            {"name": "web2", "active": 1, "address": "192.0.2.22"},
        ],
    }


def test_the_first_of_the_group_is_primary_unless_said_otherwise() -> None:
    cluster = describe()
    assert (cluster["primary"], cluster["backup"], cluster["routers"]) == (
        "lvs1",
        "lvs2",
        ["lvs1", "lvs2"],
    )
    cluster = describe(primary="lvs2")
    assert (cluster["primary"], cluster["backup"], cluster["routers"]) == (
        "lvs2",
        "lvs1",
        ["lvs2", "lvs1"],
    )
    assert cluster["globals"]["primary"] == "203.0.113.12"
    assert cluster["globals"]["backup_private"] == "192.0.2.11"


def test_globals_follow_from_the_routers_and_the_user_adds_to_them() -> None:
    assert describe(globals={**NAT, "keepalive": 0.5, "heartbeat": 0})["globals"] == {
        "primary": "203.0.113.11",
        "backup": "203.0.113.12",
        "primary_private": "192.0.2.11",
        "backup_private": "192.0.2.12",
        "backup_active": 1,
        "heartbeat": 0,
        "keepalive": 0.5,
        **NAT,
    }


def test_one_router_alone_has_no_partner() -> None:
    cluster = subject.describe({"router_group": "alone"}, {"alone": ["lvs1"]}, HOSTVARS)
    assert cluster["backup"] is None
    assert cluster["globals"] == {
        "primary": "203.0.113.11",
        "primary_private": "192.0.2.11",
        "backup_active": 0,
        "heartbeat": 0,
    }


@pytest.mark.parametrize(
    ("more", "marks"),
    [
        ({}, False),
        ({"ports": [80, 443]}, False),
        ({"ports": [80, 443], "persistent": 300}, True),
        ({"ports": "80, 443", "persistent": "300"}, True),
        ({"ports": [80, 443], "persistent": 300, "active": 0}, False),
        ({"ports": [80, 443], "persistent": 300, "fwmark": 7}, False),
        ({"fwmark": 7, "marking": "auto"}, True),
        ({"ports": {"a": 1}, "persistent": []}, False),
    ],
)
def test_whether_firewall_marks_have_to_be_set(more: dict[str, object], marks: bool) -> None:
    service = {key: value for key, value in HTTP.items() if key != "port" or "ports" not in more}
    assert describe(globals=NAT, virtual_servers=[{**service, **more}])["marks"] is marks


def test_floating_addresses_are_the_gateway_and_those_of_active_blocks() -> None:
    off = {"name": "off", "active": 0, "address": "203.0.113.101 eth1:2"}
    twin = {"name": "https", "address": "203.0.113.100 eth1:1", "port": 443}
    assert describe(globals=NAT, virtual_servers=[HTTP, off, twin])["floating"] == [
        "192.0.2.254",
        "203.0.113.100",
    ]
    assert describe(globals={**NAT, "network": "direct"}, virtual_servers=[HTTP])["floating"] == [
        "203.0.113.100"
    ]


@pytest.mark.parametrize(
    ("gateway", "address"),
    [
        ({"address": "192.0.2.254", "device": "eth2:1"}, "192.0.2.254"),
        ("192.0.2.254/24 eth2:1", "192.0.2.254"),
        ("192.0.2.254", "192.0.2.254"),
    ],
)
def test_a_gateway_may_be_written_in_several_ways(gateway: Any, address: str) -> None:
    assert describe(globals={**NAT, "nat_router": gateway})["floating"] == [address]


@pytest.mark.parametrize("switch", [0, False, "0", "no", "off"])
def test_the_address_of_a_block_that_is_off_does_not_float(switch: Any) -> None:
    block = {"name": "off", "active": switch, "address": "203.0.113.5 eth1:1"}
    assert describe(virtual_servers=[block])["floating"] == []


def test_failover_services_alone_make_a_cluster_of_them() -> None:
    cluster = describe(failover_services=[{"name": "web", "address": "203.0.113.5 eth1:1"}])
    assert cluster["globals"]["service"] == "fos"
    assert cluster["failover_services"] == [
        {"active": 1, "name": "web", "address": "203.0.113.5 eth1:1"}
    ]
    assert cluster["floating"] == ["203.0.113.5"]


def test_real_servers_in_a_list_need_an_address_or_a_host_of_the_inventory() -> None:
    listed = [
        {"name": "box", "address": "192.0.2.90", "weight": 0},
        {"name": "web1", "weight": 7, "active": 0},
    ]
    (server,) = describe(virtual_servers=[{"name": "http", "real_servers": listed}])[
        "virtual_servers"
    ]
    assert server["real_servers"] == [
        {"name": "box", "active": 1, "address": "192.0.2.90", "weight": 0},
        {"name": "web1", "active": 0, "address": "192.0.2.21", "weight": 7},
    ]


def test_a_host_whose_name_is_an_address_needs_no_variable() -> None:
    groups = {**GROUPS, "six": ["2001:db8::5"]}
    (server,) = subject.describe(
        {"virtual_servers": [{"name": "http", "real_server_group": "six"}]}, groups, HOSTVARS
    )["virtual_servers"]
    assert server["real_servers"][0]["address"] == "2001:db8::5"


def test_nothing_given_is_changed() -> None:
    description = {"globals": dict(NAT), "virtual_servers": [dict(HTTP)]}
    before = yaml.safe_dump(description)
    subject.describe(description, GROUPS, HOSTVARS)
    assert yaml.safe_dump(description) == before


@pytest.mark.parametrize(
    ("description", "words"),
    [
        ({"router_group": "nobody"}, ["piranha_router_group", "no group 'nobody'"]),
        ({"router_group": "three"}, ["piranha_router_group", "3 hosts", "one or two"]),
        ({"router_group": "none"}, ["piranha_router_group", "0 hosts"]),
        ({"primary": "web1"}, ["piranha_primary", "'web1'", "lvs1, lvs2"]),
        (
            {"globals": {"primary": "192.0.2.1"}},
            ["piranha_globals", "'primary'", "piranha_address"],
        ),
        (
            {"globals": {"backup_private": "192.0.2.1"}},
            ["'backup_private'", "piranha_private_address"],
        ),
        ({"globals": ["network"]}, ["piranha_globals", "mapping"]),
        ({"virtual_servers": {"http": {}}}, ["piranha_virtual_servers", "a list"]),
        ({"virtual_servers": [{"port": 80}]}, ["piranha_virtual_servers[0]", "no name"]),
        ({"virtual_servers": ["http"]}, ["piranha_virtual_servers[0]", "mapping", "'http'"]),
        ({"virtual_servers": [HTTP, HTTP]}, ["'http'", "twice", "[0]", "[1]"]),
        ({"virtual_servers": [{**HTTP, "real_servers": []}]}, ["[0]", "both"]),
        (
            {"virtual_servers": [{"name": "x", "real_server_group": "gone"}]},
            ["real_server_group", "'gone'"],
        ),
        (
            {"virtual_servers": [{"name": "x", "real_servers": "web1"}]},
            ["[0].real_servers", "a list"],
        ),
        (
            {"virtual_servers": [{"name": "x", "real_servers": [{"name": "y"}]}]},
            ["real_servers[0]", "'y'"],
        ),
        ({"failover_services": [{}]}, ["piranha_failover_services[0]", "no name"]),
        ({"nonsense": 1}, ["'nonsense'"]),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence_with_its_place(
    description: dict[str, Any], words: list[str]
) -> None:
    sentence = complaint(**description)
    assert all(word in sentence for word in words), sentence
    assert "\n" not in sentence


def test_a_host_without_an_address_is_named() -> None:
    with pytest.raises(
        subject.DescriptionError, match="piranha_address is not set for the host 'nameless'"
    ):
        subject.describe({"router_group": "r"}, {"r": ["nameless"]}, HOSTVARS)


def test_a_private_address_on_one_router_only_is_refused() -> None:
    hostvars = {**HOSTVARS, "lvs2": {"piranha_address": "203.0.113.12"}}
    with pytest.raises(subject.DescriptionError, match="not for 'lvs2'"):
        subject.describe({}, GROUPS, hostvars)


def test_the_filter_raises_ansibles_own_error() -> None:
    function = subject.FilterModule().filters()["cluster"]
    assert function({}, GROUPS, HOSTVARS)["name"] == "piranha"
    with pytest.raises(AnsibleFilterError, match="piranha_primary"):
        function({"primary": "x"}, GROUPS, HOSTVARS)


def test_the_documented_options_and_defaults_are_the_real_ones() -> None:
    options = yaml.safe_load(subject.DOCUMENTATION)["options"]["_input"]["suboptions"]
    assert {name: option.get("default") for name, option in options.items()} == subject.DEFAULTS
