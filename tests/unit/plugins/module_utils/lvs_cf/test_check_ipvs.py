# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What IPVS can do beyond the original's ways: how it is written, and what contradicts itself."""

from __future__ import annotations

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs import normal
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf import directives as d
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf import ipvs_rows
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.api import (
    Loaded,
    from_data,
    load,
    to_data,
    write,
)
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.config import service_ports
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.values import AddressDevice

from .cluster import QUIET, changed


def in_virtual(lines: str) -> Loaded:
    return changed("    port = 80\n", lines)


def found(loaded: Loaded) -> list[tuple[str, int]]:
    return [(one.code, one.line) for one in loaded.findings]


@pytest.mark.parametrize(
    "text", ["[ 80 443 ]", "[80 https]", "80 443", "80,443", "[80, 443]", "http https"]
)
def test_several_ports_may_be_written_as_people_write_lists(text: str) -> None:
    loaded = in_virtual(f"    ports = {text}\n")
    assert found(loaded) == []
    settings = loaded.config.virtual[0].settings
    assert service_ports(settings) == (80, 443)
    assert settings.number("port") == 80
    assert "    ports = [ 80 443 ]\n" in write(loaded.config)
    assert to_data(loaded.config)["virtual"][0]["ports"] == [80, 443]


@pytest.mark.parametrize("value", [[80, 443], ["80", "https"], "80 443", "80,443"])
def test_several_ports_may_come_as_data(value: object) -> None:
    built = from_data({"virtual": [{"name": "web", "ports": value}]})
    assert [one.path for one in built.findings if "ports" in one.path] == []
    assert service_ports(built.config.virtual[0].settings) == (80, 443)


@pytest.mark.parametrize(
    ("code", "line", "lines"),
    [
        ("E203", 11, "    ports = [ 80 nosuch ]\n"),
        ("E203", 11, "    ports = [ 80 http ]\n"),
        ("E203", 11, "    ports = [ ]\n"),
        ("E204", 11, "    ports = [ 0 80 ]\n"),
        ("E204", 11, "    ports = 80, 99999\n"),
        ("E313", 12, "    port = 80\n    ports = [ 80 81 ]\n"),
        ("E320", 13, "    ports = 80, 443\n    persistent = 300\n    marking = none\n"),
        ("A302", 11, "    marking = auto\n"),
        ("E203", 11, "    marking = nftables\n"),
        ("A305", 11, "    ports = [ 20 21 ]\n"),
        ("W308", 11, "    ports = [ 20 21 ]\n    forward = direct\n"),
        ("E314", 11, "    ops = 1\n"),
        ("A302", 11, "    persistence_engine = sip\n"),
        ("A302", 11, "    persistence_engine = sip\n    persistent = 60\n"),
        ("E203", 11, "    persistence_engine = rtp\n"),
        ("E317", 11, "    scheduler_flags = [ sh-port ]\n"),
        ("E317", 12, "    scheduler = mh\n    scheduler_flags = [ mh-port sh-port ]\n"),
        ("E203", 11, "    scheduler_flags = sh-prot\n"),
        ("A302", 11, "    tunnel_type = gre\n"),
        ("E315", 12, "    forward = tunnel\n    tunnel_type = gue\n"),
        ("E315", 12, "    forward = tunnel\n    tunnel_port = 6080\n"),
        ("E315", 12, "    forward = tunnel\n    tunnel_checksum = csum\n"),
        ("E319", 11, "    protocol = sctp\n"),
        ("E204", 11, "    persistent = 2678401\n"),
        ("E204", 12, "    load_monitor = uptime\n    load_interval = 0.5\n"),
        ("A302", 12, "    load_monitor = uptime\n    load_interval = 2\n"),
    ],
)
def test_a_contradiction_is_named_in_its_place(code: str, line: int, lines: str) -> None:
    assert found(in_virtual(lines)) == [(code, line)]


@pytest.mark.parametrize(
    "lines",
    [
        "    ports = [ 80 443 ]\n    persistent = 300\n    fwmark = 7\n",
        "    ports = [ 80 ]\n    persistent = 300\n",
        "    protocol = udp\n    send = x\n    ops = 1\n",
        "    fwmark = 7\n    ops = 1\n",
        "    protocol = udp\n    send = x\n    persistent = 60\n    persistence_engine = sip\n",
        "    scheduler = sh\n    scheduler_flags = [ sh-port sh-fallback ]\n",
        "    scheduler = twos\n    scheduler_flags = flag-1\n",
        "    forward = tunnel\n    tunnel_type = gue\n    tunnel_port = 6080\n"
        "    tunnel_checksum = remcsum\n",
        "    forward = tunnel\n    tunnel_type = gre\n    tunnel_checksum = csum\n",
        "    protocol = sctp\n    send_program = /usr/bin/check\n",
        "    load_monitor = uptime\n    load_interval = 5\n",
        "    load_monitor = /usr/bin/load\n    load_interval = 1\n",
    ],
)
def test_what_goes_together_is_quiet(lines: str) -> None:
    # Without NAT's gateway only because a service here may forward otherwise.
    assert [one for one in in_virtual(lines).report() if "nat_router" not in one] == []


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("", "upper_threshold = 100\nlower_threshold = 50\n"),
        ("", "upper_threshold = 100\n"),
        ("E316", "upper_threshold = 100\nlower_threshold = 101\n"),
        ("E316", "lower_threshold = 1\n"),
        ("E204", "upper_threshold = -1\n"),
    ],
)
def test_thresholds_must_make_sense(code: str, lines: str) -> None:
    loaded = changed("        active = 1\n    }", f"        active = 1\n{lines}    }}")
    assert [one.code for one in loaded.findings] == ([code] if code else [])


def test_ports_of_two_virtual_servers_may_not_overlap() -> None:
    second = QUIET[QUIET.index("virtual web") :].replace("web", "two")
    loaded = load(in_virtual_text("    ports = [ 81 80 ]\n") + second)
    assert [one.code for one in loaded.findings] == ["E305"]


def in_virtual_text(lines: str) -> str:
    return QUIET.replace("    port = 80\n", lines)


def test_a_server_port_of_its_own_goes_with_nat_only() -> None:
    text = in_virtual_text("    ports = [ 80 81 ]\n").replace(
        "        active = 1\n    }", "        active = 1\n        port = 80\n    }"
    )
    assert load(text).report() == []
    direct = text.replace("    ports", "    forward = direct\n    ports")
    assert [one.code for one in load(direct).findings if one.code != "A303"] == ["W306"]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("lb_algo", "scheduler"),
        ("lvs_method", "forward"),
        ("persistence_timeout", "persistent"),
        ("pe", "persistence_engine"),
    ],
)
def test_the_words_of_other_programs_lead_to_ours(theirs: str, ours: str) -> None:
    (wrong,) = in_virtual(f"    {theirs} = x\n").findings
    assert (wrong.code, wrong.line) == ("E201", 11)
    assert ours in wrong.remedy


@pytest.mark.parametrize(
    "text",
    [
        "primary=eth0:1,backup=ens3:1",
        "primary=eth0:1 backup=ens3:1",
        "backup=ens3:1,primary=eth0:1",
    ],
)
def test_a_device_may_differ_between_the_routers(text: str) -> None:
    loaded = changed("192.0.2.80 eth0:1", f"192.0.2.80 {text}")
    assert found(loaded) == []
    address = loaded.config.virtual[0].settings.address("address")
    assert address == AddressDevice("192.0.2.80", "primary=eth0:1,backup=ens3:1")
    assert address.on("primary") == "eth0:1"
    assert address.on("backup") == "ens3:1"
    assert address.devices() == ("eth0:1", "ens3:1")
    assert from_data(to_data(loaded.config)).config == loaded.config


def test_a_device_may_be_named_for_one_router_or_for_none() -> None:
    one = AddressDevice("192.0.2.80", "backup=ens3:1")
    assert (one.on("primary"), one.on("backup")) == (None, "ens3:1")
    assert changed("192.0.2.80 eth0:1", "192.0.2.80").report() == []
    assert AddressDevice("192.0.2.80").devices() == ()


def test_data_may_map_roles_to_devices() -> None:
    web = {
        "name": "web",
        "address": "192.0.2.80",
        "device": {"primary": "eth0:1", "backup": "ens3:1"},
    }
    router = {"address": "198.51.100.1", "device": {"primary": "eth1:1"}}
    built = from_data({"globals": {"nat_router": router}, "virtual": [web]})
    address = built.config.virtual[0].settings.address("address")
    assert address == AddressDevice("192.0.2.80", "primary=eth0:1,backup=ens3:1")
    assert built.config.globals.address("nat_router") == AddressDevice(
        "198.51.100.1", "primary=eth1:1"
    )


@pytest.mark.parametrize(
    "text", ["primry=eth0", "primary=", "primary=eth0,primary=eth1", "primary=a/b", "x=eth0"]
)
def test_a_wrong_device_is_refused_where_it_stands(text: str) -> None:
    loaded = changed("192.0.2.80 eth0:1", f"192.0.2.80 {text}")
    (wrong,) = [one for one in loaded.errors if one.code != "E304"]
    assert (wrong.code, wrong.line, wrong.column) == ("E203", 10, 26)


def test_every_device_is_looked_at() -> None:
    assert found(changed("eth0:1", "primary=eth0:1,backup=ens3")) == [("A301", 10)]
    text = QUIET.replace("eth0:1", "primary=eth0:1,backup=ens3:1")
    assert [f.code for f in load("syncdaemon = 1\nsyncd_iface = ens3\n" + text).findings] == [
        "E310"
    ]


@pytest.mark.parametrize(
    ("codes", "lines"),
    [
        ([], "primary_links = [ 10.9.0.1 2001:db8::1 ]\nbackup_links = 10.9.0.2 2001:db8::2\n"),
        (["E318"], "primary_links = [ 10.9.0.1 10.8.0.1 ]\nbackup_links = [ 10.9.0.2 ]\n"),
        (["E318"], "backup_links = [ 10.9.0.2 ]\n"),
        (["E318"], "primary_links = [ 192.0.2.1 ]\nbackup_links = [ 10.9.0.2 ]\n"),
        (["E203"], "primary_links = [ 10.9.0.300 ]\n"),
    ],
)
def test_links_come_in_pairs(codes: list[str], lines: str) -> None:
    assert [one.code for one in load(lines + QUIET).findings] == codes


def test_the_words_are_those_of_the_ipvs_library() -> None:
    """Two libraries that know nothing of each other; what passes here must be known there."""
    flags = {flag for flags in normal.SCHEDULER_FLAGS.values() for flag in flags}
    assert set(ipvs_rows.SCHEDULER_FLAGS) == flags
    assert ipvs_rows.TUNNELS == normal.TUNNELS
    assert ipvs_rows.CHECKSUMS == normal.CHECKSUMS
    assert d.VIRTUAL_TABLE.rows["protocol"].choices == normal.PROTOCOLS
    assert d.VIRTUAL_TABLE.rows["persistent"].high == normal.LONGEST_PERSISTENCE
