# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `piranha status` and `piranha metrics` say of a router with failover services."""

from __future__ import annotations

from typing import Any

from piranha.control import metrics, render

NOW = 1_000_000.0
DB = {
    "name": "db",
    "address": "2001:db8::9",
    "port": 5432,
    "protocol": "tcp",
    "state": "running",
    "since": NOW - 30,
    "reason": "answered PONG",
    "restarts": 2,
    "critical": True,
    "failed": False,
    "checked_from_here": True,
}
WEB = {**DB, "name": "web", "address": "192.0.2.9", "port": 80, "state": "stuck", "failed": True}


def status(**fos: Any) -> dict[str, Any]:
    return {
        "host": "r1",
        "version": "1",
        "heart": {"state": "active", "role": "primary", "problems": []},
        "fos": {"services": [WEB, DB], "problems": [], "config": {"digest": "ab" * 32}, **fos},
        "lvsd": None,
        "ages": {"heart": 0.1, "fos": 0.1},
        "pulse": {"running": {"heart": True, "fos": True}, "restarts": {"heart": 0, "fos": 1}},
    }


def test_the_services_stand_in_a_table_of_their_own() -> None:
    lines = render.status(status(), now=NOW)
    rows = [" ".join(line.split()) for line in lines]
    assert "web tcp 192.0.2.9:80 STUCK (failed) 2 yes answered PONG (since 30.0 s)" in rows
    assert "db tcp [2001:db8::9]:5432 RUNNING 2 yes answered PONG (since 30.0 s)" in rows
    assert not [row for row in rows if "virtual service" in row]
    assert any(row.startswith("config digest abababab") for row in rows)
    assert render.problems(status()) == []


def test_what_is_wrong_and_what_moves_is_said() -> None:
    moving = {"name": "", "moving": "db failed"}
    found = status(problems=["failover service web could not be stopped here"], groups=[moving])
    assert render.problems(found) == ["failover service web could not be stopped here"]
    assert "going to the partner: db failed" in render.status(found, now=NOW)
    found["pulse"]["running"]["fos"] = False
    assert render.problems(found)[0] == "fos is not running; see piranha events"
    assert render.status({"pulse": {"running": {"fos": True}}}, now=NOW), "never fails"


def test_metrics_tell_states_restarts_and_failures() -> None:
    page = metrics.render(status())
    where = '{failover="web",address="192.0.2.9:80"'
    assert f'piranha_failover_state{where},state="stuck"}} 1' in page
    assert f'piranha_failover_state{where},state="running"}} 0' in page
    assert f"piranha_failover_restarts_total{where}}} 2" in page
    assert f"piranha_failover_failed{where}}} 1" in page
    assert 'digest="abab' in page
    assert 'piranha_process_running{process="fos"} 1' in page


def test_groups_are_shown_with_their_router_where_there_are_any() -> None:
    found = status(
        services=[{**DB, "group": "data"}, {**WEB, "group": ""}],
        groups=[{"name": "", "moving": ""}, {"name": "data", "moving": "root asks"}],
    )
    address = {"address": "192.0.2.9", "prefix": 24, "device": None}
    here = {"name": "", "state": "active", "holding": True, "partner": "standby"}
    there = {"name": "data", "state": "standby", "holding": False, "partner": "active"}
    found["heart"]["groups"] = [{**here, "addresses": [address]}, there]
    rows = [" ".join(line.split()) for line in render.status(found, now=NOW)]
    assert "group data is going to the partner: root asks" in rows
    assert "group here partner addresses" in rows
    assert "(none) ACTIVE STANDBY 192.0.2.9" in rows
    assert "data STANDBY ACTIVE" in rows
    assert "db data tcp [2001:db8::9]:5432 RUNNING 2 yes answered PONG (since 30.0 s)" in rows
    page = metrics.render(found)
    assert 'piranha_failover_group_active{group="data"} 0' in page
    assert 'piranha_failover_group_active{group=""} 1' in page
