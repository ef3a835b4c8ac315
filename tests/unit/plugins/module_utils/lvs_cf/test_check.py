# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules between directives: each one breaks a quiet configuration in one place."""

from __future__ import annotations

import re

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.api import load
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.findings import CODES

from .cluster import QUIET, changed, codes

SECOND = """
virtual two {
    active = 1
    address = 192.0.2.80 eth0:1

    server one {
        address = 198.51.100.11
        active = 1
    }
}
"""


def test_the_quiet_configuration_is_quiet() -> None:
    assert load(QUIET).report() == []


@pytest.mark.parametrize(
    ("code", "line", "old", "new"),
    [
        ("E301", 0, "primary = 192.0.2.1\n", ""),
        ("E301", 1, "primary = 192.0.2.1\n", "primary = 0.0.0.0\n"),
        ("E302", 2, "backup = 192.0.2.2", "backup = 192.0.2.1"),
        ("E303", 5, "deadtime = 6", "deadtime = 2"),
        ("E304", 8, "    address = 192.0.2.80 eth0:1\n", ""),
        ("E306", 13, "        address = 198.51.100.11\n", ""),
        ("E308", 14, "198.51.100.11", "2001:db8::11"),
        ("E308", 11, "    port = 80", "    vip_nmask = /64"),
        ("E309", 11, "    port = 80", "    port = 0"),
        ("E309", 15, "198.51.100.11", "198.51.100.11\n        port = 0"),
        ("E310", 7, "deadtime = 6\n", "deadtime = 6\nsyncdaemon = 1\nsyncd_iface = eth0\n"),
        ("W301", 0, "virtual web {\n    active = 1", "virtual web {\n    active = 0"),
        ("W303", 8, "198.51.100.11\n        active = 1", "198.51.100.11\n        active = 0"),
        ("W305", 14, "198.51.100.11", "192.0.2.2"),
        ("W305", 14, "198.51.100.11", "192.0.2.80"),
        ("W305", 14, "198.51.100.11", "198.51.100.1"),
        ("W306", 15, "198.51.100.11", "198.51.100.11\n        port = 8080"),
        ("A305", 11, "    port = 80", "    port = ftp"),
        ("W310", 3, "backup_active = 1", "backup_private = 198.51.100.3\nbackup_active = 1"),
        ("A301", 10, "192.0.2.80 eth0:1", "192.0.2.80 eth0"),
        ("A302", 4, "backup_active = 1", "backup_active = 1\nheartbeat = 0"),
        ("A302", 11, "    port = 80", "    pmask = 255.255.255.0"),
        ("A302", 7, "deadtime = 6\n", "deadtime = 6\nsyncdaemon = 1\nsyncd_iface = lo\n"),
        ("A303", 0, "nat_router = 198.51.100.1 eth1:1\n", ""),
    ],
)
def test_a_rule_finds_what_breaks_it(code: str, line: int, old: str, new: str) -> None:
    text = QUIET
    if code == "W306":
        text = text.replace("    port = 80", "    forward = direct")
    assert text.count(old) == 1
    loaded = load(text.replace(old, new))
    assert [(found.code, found.line) for found in loaded.findings] == [(code, line)]


def test_deadtime_without_a_backup_is_only_a_warning() -> None:
    loaded = load(QUIET.replace("backup_active = 1\n", "").replace("deadtime = 6", "deadtime = 1"))
    assert codes(loaded) == ["W307"]


def test_two_active_virtual_servers_must_differ() -> None:
    loaded = load(QUIET + SECOND)
    assert [(found.code, found.line) for found in loaded.findings] == [("E305", 21)]
    assert "192.0.2.80 port 80 tcp" in loaded.findings[0].message


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    active = 1\n    address", "    active = 0\n    address"),
        ("eth0:1\n", "eth0:1\n    port = 81\n"),
        ("eth0:1\n", "eth0:1\n    protocol = udp\n"),
        ("192.0.2.80", "192.0.2.81"),
        ("eth0:1\n", "eth0:1\n    fwmark = 1\n"),
    ],
)
def test_virtual_servers_that_differ_are_fine(old: str, new: str) -> None:
    assert SECOND.count(old) == 1
    assert load(QUIET + SECOND.replace(old, new)).report() == []


def test_two_virtual_servers_with_one_mark_are_an_error() -> None:
    marked = (QUIET + SECOND.replace(".80", ".81")).replace("eth0:1\n", "eth0:1\n    fwmark = 7\n")
    assert codes(load(marked)) == ["E305"]


def test_a_server_may_stand_twice_on_different_ports_with_nat_only() -> None:
    again = "    server two {\n        address = 198.51.100.11\n        active = 1\n    }\n}\n"
    twice = QUIET.replace("    }\n}\n", "    }\n" + again)
    assert codes(load(twice)) == ["E307"]
    other_port = twice.replace("server two {\n", "server two {\n        port = 81\n")
    assert codes(load(other_port)) == []


def test_names_used_twice_are_a_warning() -> None:
    loaded = load(QUIET + SECOND.replace("two", "web").replace(".80", ".81"))
    assert codes(loaded) == ["W304"]


def test_a_failover_service_needs_its_commands() -> None:
    fos = "service = fos\nprimary = 192.0.2.1\nfailover db {\nactive = 1\n"
    fos += "address = 192.0.2.9 eth0:1\n}\n"
    assert codes(load(fos)) == ["W309", "W309"]


def test_blocks_of_the_other_service_are_set_aside() -> None:
    assert codes(changed("primary =", "service = fos\nprimary =")) == ["W301"]


def test_every_code_names_its_severity_and_has_a_meaning() -> None:
    for code, meaning in CODES.items():
        assert re.fullmatch("[EWA][1-9][0-9]{2}", code)
        assert meaning
