# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the original silently did something dangerous: what was meant is read, and it is said.

One test for each entry of the list; what the original did is told in the specification.
"""

from __future__ import annotations

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.api import CLASSIC, Loaded, load

from .cluster import QUIET, changed

SECOND = QUIET[QUIET.index("virtual web") :].replace("web", "two")


def said(loaded: Loaded) -> list[tuple[str, int]]:
    return [(found.code, found.line) for found in loaded.findings]


@pytest.mark.parametrize(("dialect", "code"), [(CLASSIC, "W204"), ("extended", "A304")])
def test_crlf_cut_the_file_off_behind_line_1(dialect: str, code: str) -> None:
    loaded = load(QUIET.replace("\n", "\r\n"), dialect=dialect)
    assert said(loaded) == [(code, 2)]
    assert "passed over" in loaded.findings[0].message
    assert loaded.config == load(QUIET).config


def test_a_mark_used_twice_lost_the_second_service() -> None:
    text = (QUIET + SECOND.replace("2.80", "2.81")).replace("port = 80", "fwmark = 7")
    assert said(load(text)) == [("E305", 21)]


@pytest.mark.parametrize("deadtime", ["1", "2"])
def test_a_deadtime_not_above_keepalive_never_settled(deadtime: str) -> None:
    loaded = changed("deadtime = 6", f"deadtime = {deadtime}")
    assert said(loaded) == [("E303", 5)]
    assert loaded.config.globals.seconds("deadtime") == int(deadtime)


def test_a_port_beyond_all_ports_was_passed_on() -> None:
    loaded = changed("port = 80", "port = 99999")
    assert said(loaded) == [("E204", 11)]
    assert "ipvsadm" in loaded.findings[0].message
    assert (loaded.findings[0].column, loaded.findings[0].length) == (12, 5)


def test_two_virtual_servers_with_one_address_and_port_were_one() -> None:
    assert said(load(QUIET + SECOND)) == [("E305", 20)]


def test_a_device_without_alias_lost_the_routers_own_address() -> None:
    loaded = changed("eth0:1", "eth0")
    assert said(loaded) == [("A301", 10)]
    address = loaded.config.virtual[0].settings.address("address")
    assert address is not None
    assert address.device == "eth0"


def test_a_deadtime_of_0_made_pulse_deaf_to_its_end() -> None:
    loaded = changed("deadtime = 6", "deadtime = 0")
    assert said(loaded) == [("E303", 5)]
    alone = load(
        QUIET.replace("deadtime = 6", "deadtime = 0").replace(
            "backup_active = 1", "backup_active = 0"
        )
    )
    assert said(alone) == [("W307", 5)]
    assert alone.config.globals.seconds("deadtime") == 5
    assert alone.errors == []


@pytest.mark.parametrize("address", ["192.0.2.1", "192.0.2.2", "198.51.100.1", "192.0.2.80"])
def test_a_router_as_its_own_real_server(address: str) -> None:
    assert said(changed("198.51.100.11", address)) == [("W305", 14)]


def test_the_sync_daemon_where_clients_are() -> None:
    loaded = changed("deadtime = 6\n", "deadtime = 6\nsyncdaemon = 1\nsyncd_iface = eth0\n")
    assert said(loaded) == [("E310", 7)]


def test_ftp_without_what_ftp_needs() -> None:
    assert said(changed("port = 80", "port = 21")) == [("A305", 11)]
    direct = changed("nat_router = 198.51.100.1 eth1:1", "network = direct").document.text()
    assert said(load(direct.replace("port = 80", "port = 21"))) == [("W308", 11)]
    assert changed("port = 80", "port = 21\n    persistent = 300").report() == []
    assert changed("port = 80", "port = 21\n    fwmark = 21").report() == []


@pytest.mark.parametrize("network", ["direct", "tunnel"])
def test_a_server_port_that_the_kernel_stored_and_ignored(network: str) -> None:
    text = QUIET.replace("198.51.100.11\n", "198.51.100.11\n        port = 8080\n")
    loaded = load(text.replace("nat_router = 198.51.100.1 eth1:1", f"network = {network}"))
    assert said(loaded) == [("W306", 15)]
    assert loaded.config.virtual[0].servers[0].settings.number("port") == 8080
