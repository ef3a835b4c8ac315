# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample file of 1999 on the command line: no error, what it says, the same bytes back.

The data file has the sample's directives, order and odd layout, with comments of our own and
addresses for documentation in the place of real ones.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from piranha.cli import main
from piranha.core.lvs_cf.api import decode, encode, load

SAMPLE = Path(__file__).parents[1] / "plugins/module_utils/lvs_cf/data/cluster.cf"


def test_it_has_no_finding(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", "--strict", str(SAMPLE)]) == 0
    assert capsys.readouterr().out == f"{SAMPLE}: fine\n"


def test_it_comes_back_byte_for_byte() -> None:
    data = SAMPLE.read_bytes()
    assert encode(load(decode(data)).document.text()) == data


def subset(part: dict[str, object], whole: dict[str, object]) -> bool:
    return {key: whole[key] for key in part} == part


def test_show_tells_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", "--json", str(SAMPLE)]) == 0
    data = json.loads(capsys.readouterr().out)
    assert set(data) == {"global", "virtual", "failover"}
    assert subset(
        {
            "service": "lvs",
            "primary": "192.0.2.150",
            "backup": "192.0.2.196",
            "backup_active": 1,
            "heartbeat": 1,
            "heartbeat_port": 1050,
            "keepalive": 6,
            "deadtime": 18,
            "rsh_command": "rsh",
            "network": "nat",
            "nat_router": {"address": "198.51.100.100", "device": "eth1:1"},
            "nat_nmask": None,
            "primary_private": "192.0.2.150",
        },
        data["global"],
    )
    first, second = data["virtual"]
    assert subset(
        {
            "name": "server1",
            "address": "192.0.2.252",
            "device": "eth0:1",
            "active": 1,
            "load_monitor": "uptime",
            "timeout": 5,
            "reentry": 10,
            "port": 80,
            "send": r"GET / HTTP/1.0\r\n\r\n",
            "expect": "HTTP",
            "scheduler": "wlc",
            "persistent": 60,
            "pmask": "255.255.255.255",
            "protocol": "tcp",
            "vip_nmask": None,
            "sorry_server": None,
        },
        first,
    )
    assert first["servers"] == [
        {"name": "Real1", **first["servers"][0], "address": "198.51.100.2", "weight": 1},
        {"name": "Real2", **first["servers"][1], "address": "198.51.100.3", "port": 80},
    ]
    assert subset({"active": 0, "port": 21, "send": r"\n", "scheduler": "wlc"}, second)
    assert [(one["name"], one["active"], one["port"]) for one in data["failover"]] == [
        ("web1", 1, 1010),
        ("ftp", 0, 21),
    ]
    assert data["failover"][0]["start_cmd"] == "/etc/rc.d/init.d/httpd start"
