# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each state makes of a configuration, and configurations as the data that modules take."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.config import Config, read
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.data import read_data
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.document import parse
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.merge import (
    ABSENT,
    MERGED,
    OVERRIDDEN,
    REPLACED,
    Ambiguous,
    Change,
    differences,
    effective_data,
    find,
    merge,
    without_server,
    written_data,
)
from hypothesis import given

from .cluster import QUIET
from .strategies import configs

QUIET_DATA: dict[str, Any] = {
    "globals": {
        "primary": "192.0.2.1",
        "backup": "192.0.2.2",
        "backup_active": 1,
        "keepalive": 2,
        "deadtime": 6,
        "nat_router": {"address": "198.51.100.1", "device": "eth1:1"},
    },
    "virtual_servers": [
        {
            "name": "web",
            "active": 1,
            "address": "192.0.2.80",
            "device": "eth0:1",
            "port": 80,
            "real_servers": [{"name": "one", "address": "198.51.100.11", "active": 1}],
        }
    ],
    "failover_services": [],
}


def quiet() -> Config:
    return read(parse(QUIET))[0]


def after(data: dict[str, Any], state: str) -> dict[str, Any]:
    """The data of the quiet configuration after a task."""
    built = merge(quiet(), data, state)
    assert not built.findings, built.report()
    return dict(written_data(built.config))


def web(**changes: Any) -> list[dict[str, Any]]:
    return [{**QUIET_DATA["virtual_servers"][0], **changes}]


def test_what_is_written_can_be_given_again() -> None:
    assert written_data(quiet()) == QUIET_DATA


@given(configs)
def test_any_configuration_survives_as_data(config: Config) -> None:
    data = written_data(config)
    built = read_data(data)
    assert not built.errors
    assert built.config == config
    assert written_data(built.config) == data
    assert written_data(merge(quiet(), data, OVERRIDDEN).config) == data


def test_merged_adds_and_changes_what_is_given_and_null_unsets() -> None:
    data = {
        "globals": {"keepalive": 1, "deadtime": None, "nat_router": {"device": "eth2:1"}},
        "virtual_servers": [
            {
                "name": "web",
                "address": "192.0.2.81",
                "port": None,
                "real_servers": [{"name": "one", "weight": 3}, {"name": "two", "active": 0}],
            },
            {"name": "mail", "port": 25},
        ],
    }
    got = after(data, MERGED)
    wanted = {**QUIET_DATA["globals"], "keepalive": 1}
    del wanted["deadtime"]
    wanted["nat_router"] = {"address": "198.51.100.1", "device": "eth2:1"}
    assert got["globals"] == wanted
    changed = web(address="192.0.2.81")[0]
    del changed["port"]
    one = {"name": "one", "address": "198.51.100.11", "active": 1, "weight": 3}
    changed["real_servers"] = [one, {"name": "two", "active": 0}]
    assert got["virtual_servers"] == [changed, {"name": "mail", "port": 25, "real_servers": []}]


@pytest.mark.parametrize(
    ("given_web", "address", "device"),
    [
        ({"device": "eth5"}, "192.0.2.80", "eth5"),
        ({"device": None}, "192.0.2.80", None),
        ({"address": "192.0.2.9"}, "192.0.2.9", "eth0:1"),
        ({"address": "192.0.2.9 eth5"}, "192.0.2.9", "eth5"),
        ({"address": {"address": "192.0.2.9"}}, "192.0.2.9", "eth0:1"),
        ({"address": None}, None, None),
        ({"address": "192.0.2.9", "device": None}, "192.0.2.9", None),
    ],
)
def test_address_and_device_are_merged_one_by_one(
    given_web: dict[str, Any], address: str | None, device: str | None
) -> None:
    (got,) = after({"virtual_servers": [{"name": "web", **given_web}]}, MERGED)["virtual_servers"]
    assert (got.get("address"), got.get("device")) == (address, device)


def test_replaced_takes_the_place_of_what_it_names() -> None:
    got = after({"virtual_servers": [{"name": "web", "port": 81}]}, REPLACED)
    assert got["globals"] == QUIET_DATA["globals"]
    assert got["virtual_servers"] == [{"name": "web", "port": 81, "real_servers": []}]
    got = after({"globals": {"primary": "192.0.2.9"}}, REPLACED)
    assert got == {**QUIET_DATA, "globals": {"primary": "192.0.2.9"}}
    assert after({"globals": {}}, REPLACED)["globals"] == {}
    new = {"name": "new", "port": 9, "real_servers": []}
    got = after({"virtual_servers": [new]}, REPLACED)
    assert got["virtual_servers"] == [*QUIET_DATA["virtual_servers"], new]


def test_overridden_leaves_nothing_else() -> None:
    got = after({"globals": {"primary": "192.0.2.9"}}, OVERRIDDEN)
    assert got == {
        "globals": {"primary": "192.0.2.9"},
        "virtual_servers": [],
        "failover_services": [],
    }


def test_absent_removes_what_is_named_whatever_its_values() -> None:
    data = {
        "globals": {"keepalive": 99, "deadtime": None, "start_delay": 1},
        "virtual_servers": [{"name": "web"}, {"name": "other"}],
    }
    got = after(data, ABSENT)
    assert set(QUIET_DATA["globals"]) - set(got["globals"]) == {"keepalive", "deadtime"}
    assert got["virtual_servers"] == []


def test_failover_services_are_merged_too() -> None:
    fos = {"name": "web", "start_cmd": "/sbin/start", "real_servers": []}
    built = merge(quiet(), {"failover_services": [fos]}, MERGED)
    assert written_data(built.config)["failover_services"] == [fos]
    change = {"name": "web", "start_cmd": None, "stop_cmd": "/sbin/stop"}
    built = merge(built.config, {"failover_services": [change]}, MERGED)
    stop = {"name": "web", "stop_cmd": "/sbin/stop", "real_servers": []}
    assert written_data(built.config) == {**QUIET_DATA, "failover_services": [stop]}


def test_a_name_that_means_two_blocks_is_refused() -> None:
    twice = read(parse(QUIET + QUIET[QUIET.index("\nvirtual") :]))[0]
    with pytest.raises(Ambiguous, match="the name `web` stands 2 times as virtual server, so"):
        merge(twice, {"virtual_servers": [{"name": "web", "port": 81}]}, MERGED)
    with pytest.raises(Ambiguous, match="stands 2 times as virtual server in the data"):
        merge(quiet(), {"virtual_servers": [{"name": "x"}, {"name": "x"}]}, MERGED)
    servers = [{"name": "one", "weight": 1}, {"name": "one", "weight": 2}]
    with pytest.raises(Ambiguous, match="as real server of virtual server web in the data"):
        merge(quiet(), {"virtual_servers": [{"name": "web", "real_servers": servers}]}, MERGED)
    assert merge(twice, {"virtual_servers": [{"name": "web"}]}, ABSENT).config.virtual == []
    with pytest.raises(Ambiguous):
        without_server(twice, "web", "one")


def test_wrong_data_changes_nothing_and_says_where() -> None:
    present = quiet()
    built = merge(present, {"globals": {"keepalive": "soon"}, "virtual_servers": [{}]}, MERGED)
    assert built.config is present
    assert [found.path for found in built.errors] == [
        "globals.keepalive",
        "virtual_servers[0].name",
    ]


def test_a_server_can_be_taken_out() -> None:
    assert written_data(without_server(quiet(), "web", "one"))["virtual_servers"] == web(
        real_servers=[]
    )
    assert written_data(without_server(quiet(), "web", "two")) == QUIET_DATA
    assert written_data(without_server(quiet(), "mail", "one")) == QUIET_DATA


def test_differences_name_every_change_by_its_place() -> None:
    changed = merge(
        quiet(),
        {
            "globals": {"keepalive": 1},
            "virtual_servers": [
                {"name": "web", "port": None, "real_servers": [{"name": "one", "weight": 2}]},
                {"name": "mail", "port": 25},
            ],
        },
        MERGED,
    ).config
    assert differences(QUIET_DATA, written_data(changed)) == [
        Change("globals", "keepalive", 2, 1),
        Change("virtual server web", "port", 80, None),
        Change("virtual server web, real server one", "weight", None, 2),
        Change("virtual server mail", "", None, {"name": "mail", "port": 25, "real_servers": []}),
    ]
    assert differences(QUIET_DATA, QUIET_DATA) == []


def test_blocks_are_found_by_name() -> None:
    data = written_data(quiet())
    assert find(data, "virtual", "web") == QUIET_DATA["virtual_servers"][0]
    assert find(data, "virtual", "web", "one") == {
        "name": "one",
        "address": "198.51.100.11",
        "active": 1,
    }
    assert find(data, "virtual", "web", "two") is None
    assert find(data, "failover", "web") is None


def test_effective_data_has_everything_under_the_same_names() -> None:
    data: dict[str, Any] = effective_data(quiet())
    assert list(data) == ["globals", "virtual_servers", "failover_services"]
    (block,) = data["virtual_servers"]
    assert (block["scheduler"], block["pmask"], block["send"]) == ("wlc", "255.255.255.255", None)
    assert block["real_servers"][0]["port"] == 80
