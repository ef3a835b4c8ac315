# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two configurations compared by meaning, and those of the two routers of a cluster."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf import directives as d
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.api import digest, load
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.compare import (
    Difference,
    differences,
)
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.config import Config, derive
from hypothesis import given
from hypothesis import strategies as st

from .cluster import CLUSTER, QUIET, changed
from .strategies import configs

BASE = load(QUIET).config


def after(old: str, new: str, nodes: bool = False) -> list[Difference]:
    return differences(BASE, changed(old, new).config, nodes)


def test_spelling_order_and_written_defaults_do_not_count() -> None:
    text = "# other\nscheduler_is = no directive\n" + QUIET.replace("= 80\n", "= http # web\n")
    text = text.replace("    port", "\tscheduler = wlc\n    port").replace("= 6", "= 6000ms")
    assert differences(BASE, load(text.split("\n", maxsplit=2)[2]).config) == []
    extra = "virtual b {\n}\n"
    two = load(QUIET + extra).config
    assert differences(two, load(extra + QUIET).config) == []


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("deadtime = 6", "deadtime = 7", [Difference((), "deadtime", 6, 7)]),
        ("keepalive = 2\n", "", []),
        ("deadtime = 6\n", "", [Difference((), "deadtime", 6, 5, (True, False))]),
        (
            "eth1:1",
            "eth2:1",
            [
                Difference(
                    (),
                    "nat_router",
                    {"address": "198.51.100.1", "device": "eth1:1"},
                    {"address": "198.51.100.1", "device": "eth2:1"},
                )
            ],
        ),
        ("eth0:1", "eno1:1", [Difference(("virtual web",), "device", "eth0:1", "eno1:1")]),
        (
            "        active = 1",
            "        active = 1\n        weight = 0",
            [Difference(("virtual web", "server one"), "weight", 1, 0, (False, True))],
        ),
        ("primary =", "serial_no = 9\nprimary =", []),
    ],
)
def test_each_difference_is_named_with_its_block_and_both_values(
    old: str, new: str, found: list[Difference]
) -> None:
    assert after(old, new) == found


def test_a_directive_that_others_follow_shows_where_it_works() -> None:
    """The server's port follows the virtual server's."""
    assert [one.path for one in after("port = 80", "port = 81")] == [
        "virtual web: port",
        "virtual web: server one: port",
    ]


def test_a_block_that_one_side_lacks_is_said_once() -> None:
    (lost,) = differences(BASE, load(QUIET[: QUIET.index("virtual")]).config)
    assert (lost.path, lost.directive, lost.right, lost.given) == (
        "virtual web", "", None, (True, False),
    )  # fmt: skip
    assert isinstance(lost.left, dict)
    assert lost.left["servers"][0]["address"] == "198.51.100.11"
    (new,) = after("    server one {", "    server two {\n    }\n    server one {")
    assert (new.path, new.left) == ("virtual web: server two", None)
    assert new.right == {"name": "two", "address": None, "active": 0, **_rest(new.right)}


def _rest(data: object) -> dict[str, object]:
    assert isinstance(data, dict)
    return {key: value for key, value in data.items() if key not in ("name", "address", "active")}


def test_blocks_of_one_name_are_compared_in_their_order() -> None:
    twice = load(QUIET + QUIET[QUIET.index("virtual") :].replace(".80", ".81")).config
    other = load(QUIET + QUIET[QUIET.index("virtual") :].replace(".80", ".82")).config
    assert [one.path for one in differences(twice, other)] == ["virtual web (2): address"]


def test_between_nodes_devices_and_idle_directives_do_not_count() -> None:
    assert after("eth0:1", "eno1:1", nodes=True) == []
    assert after("eth1:1", "eno2:1", nodes=True) == []
    assert after("primary =", "syncd_iface = eno2\nprimary =", nodes=True) == []
    assert after("primary =", "debug_level = 3\nprimary =", nodes=True) == []
    assert len(after("primary =", "debug_level = 3\nprimary =")) == 1
    moved = after("198.51.100.1 eth1:1", "198.51.100.2 eth1:1", nodes=True)
    assert moved == [Difference((), "nat_router", "198.51.100.1", "198.51.100.2")]


@given(configs, st.data())
def test_a_change_of_one_value_is_exactly_what_is_found(
    config: Config, data: st.DataObject
) -> None:
    assert differences(config, config) == []
    other = copy.deepcopy(config)
    sections = [((), other.globals)]
    rows = [name for name, row in d.GLOBAL_TABLE.rows.items() if row.kind == d.SWITCH]
    key = data.draw(st.sampled_from([name for name in rows if name != "backup_active"]))
    section = sections[0][1]
    section.written[key] = 1 - section.flag(key)
    derive(other)
    assert [(one.block, one.directive) for one in differences(config, other)] == [((), key)]


@given(configs, configs)
def test_no_difference_goes_with_equal_digests(one: Config, two: Config) -> None:
    if digest(one) == digest(two):
        assert differences(one, two) == []
    if differences(one, two) == [] and len(one.blocks()) < 2:
        assert digest(one) == digest(two)


def test_the_sample_differs_from_itself_without_failover_in_two_blocks() -> None:
    shorter = load(CLUSTER[: CLUSTER.index("failover")]).config
    found = differences(load(CLUSTER).config, shorter)
    assert [one.path for one in found] == ["failover web1", "failover ftp"]
