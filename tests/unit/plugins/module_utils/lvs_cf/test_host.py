# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration judged against a machine that is described as data."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.api import load
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.host import (
    Device,
    Host,
    Program,
    check_host,
    questions,
)

from .cluster import QUIET, changed

FITTING = Host(
    devices={
        "lo": Device(multicast=False, addresses=("127.0.0.1/8",)),
        "eth0": Device(addresses=("192.0.2.1/24",)),
        "eth1": Device(addresses=("198.51.100.2/24",)),
    },
    ipvs=True,
    schedulers=frozenset(["rr", "wlc"]),
    forwards={4: True, 6: False},
)


def found(text: str, host: Host = FITTING) -> list[tuple[str, int, str]]:
    loaded = load(text)
    assert loaded.errors == []
    return [(one.code, one.line, one.message) for one in check_host(loaded.config, host)]


def codes(text: str, host: Host = FITTING) -> list[str]:
    return [code for code, _line, _message in found(text, host)]


def edited(old: str, new: str) -> str:
    return changed(old, new).document.text()


def with_device(name: str, device: Device) -> Host:
    return replace(FITTING, devices={**FITTING.devices, name: device})


def test_a_machine_that_fits_gives_no_finding() -> None:
    assert found(QUIET) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("eth0:1", "eth7:1", ("E501", 10, "there is no device eth7 on this host")),
        ("eth1:1", "eht1", ("E501", 6, "there is no device eht1 on this host")),
        ("192.0.2.80", "203.0.113.9", ("W502", 10, "203.0.113.9 is in no network of eth0")),
        (
            "192.0.2.80 eth0:1",
            "203.0.113.9",
            ("E501", 10, "no device of this host is in the network of 203.0.113.9"),
        ),
        ("    port", "    scheduler = mh\n    port", ("E505", 11, "no scheduler mh")),
        ("192.0.2.1\n", "192.0.2.7\n", ("E502", 1, "no device of this host has 192.0.2.7 or")),
    ],
)
def test_what_is_not_on_the_machine_is_named(
    old: str, new: str, told: tuple[str, int, str]
) -> None:
    (one,) = found(edited(old, new))
    assert one[:2] == told[:2]
    assert told[2] in one[2]


def test_the_device_may_follow_from_the_connected_network() -> None:
    assert found(edited("192.0.2.80 eth0:1", "192.0.2.80")) == []


def test_a_device_named_for_each_router_is_judged_on_its_own() -> None:
    text = edited("eth0:1", "primary=eth0:1,backup=ens3:1")
    assert found(text) == []
    backup = replace(
        FITTING,
        devices={
            "eth0": Device(addresses=("192.0.2.2/24",)),
            "eth1": Device(addresses=("198.51.100.3/24",)),
        },
    )
    assert [one[:2] for one in found(text, backup)] == [("E501", 10)]
    other = replace(FITTING, devices={"eth1": Device(addresses=("198.51.100.9/24",))})
    assert codes(text, other) == ["E502"]


def test_a_device_that_is_down_or_without_carrier_is_told_once() -> None:
    second = QUIET[QUIET.index("virtual") :].replace("web", "two").replace(".80", ".81")
    down = with_device("eth0", Device(up=False, addresses=("192.0.2.1/24",)))
    assert codes(QUIET + second, down) == ["W501"]
    loose = with_device("eth0", Device(running=False, addresses=("192.0.2.1/24",)))
    assert codes(QUIET, loose) == ["W501"]


def test_an_address_on_another_device_is_told() -> None:
    host = with_device("eth1", Device(addresses=("198.51.100.2/24", "192.0.2.80/32")))
    assert codes(QUIET, host) == ["W503"]


def test_a_virtual_address_that_is_up_makes_no_network_of_its_own() -> None:
    host = with_device("eth0", Device(addresses=("192.0.2.1/32", "192.0.2.80/24")))
    assert codes(QUIET, host) == ["W502"]
    host = with_device("eth0", Device(addresses=("192.0.2.1/24", "192.0.2.80/32")))
    assert codes(QUIET, host) == []


def test_a_kernel_without_ipvs_or_that_tells_nothing() -> None:
    assert codes(QUIET, replace(FITTING, ipvs=False)) == ["E505"]
    assert codes(QUIET, replace(FITTING, ipvs=None)) == ["A501"]
    assert codes(QUIET, replace(FITTING, schedulers=None)) == ["A501"]


def test_the_kernel_needs_the_persistence_engine() -> None:
    text = edited(
        "    port",
        "    protocol = udp\n    persistent = 60\n    persistence_engine = sip\n    port",
    )
    assert codes(text) == []
    assert codes(text, replace(FITTING, engines=frozenset(["sip"]))) == []
    assert codes(text, replace(FITTING, engines=frozenset())) == ["E505"]


def test_nat_needs_forwarding_of_its_family_only() -> None:
    assert codes(QUIET, replace(FITTING, forwards={4: False, 6: True})) == ["W505"]
    assert codes(QUIET, replace(FITTING, forwards={4: None})) == []


def test_ftp_by_nat_needs_the_kernels_help() -> None:
    text = edited("port = 80", "port = ftp")
    assert codes(text, replace(FITTING, ftp=False)) == ["W511"]
    for helped in (True, None):
        assert codes(text, replace(FITTING, ftp=helped)) == []
    others = ("port = 80", "port = 21\n    persistent = 300", "port = 21\n    forward = direct")
    for other in others:
        assert "W511" not in codes(edited("port = 80", other), replace(FITTING, ftp=False))


def test_direct_routing_needs_the_servers_beside_it() -> None:
    text = edited("nat_router = 198.51.100.1 eth1:1", "network = direct")
    assert codes(text) == []
    assert codes(text.replace("198.51.100.11", "203.0.113.5")) == ["W504"]
    tunnel = text.replace("direct", "tunnel").replace("198.51.100.11", "203.0.113.5")
    assert codes(tunnel) == []


def test_the_synchronisation_daemon_needs_its_interface() -> None:
    text = edited("primary =", "syncdaemon = 1\nsyncd_iface = eth1\nprimary =")
    assert codes(text) == []
    assert codes(text.replace("syncd_iface = eth1", "syncd_iface = eth7")) == ["E501"]
    host = with_device("eth1", Device(multicast=False, addresses=("198.51.100.2/24",)))
    assert codes(text, host) == ["W506"]


def test_programs_are_asked_for_and_judged() -> None:
    text = edited("    port", '    send_program = "/usr/bin/check %h"\n    port')
    text = text.replace("primary =", 'active_cmd = "notify on"\nprimary =', 1)
    text = text.replace("    port", "    load_monitor = uptime\n    port", 1)
    asked = questions(load(text).config)
    assert asked.programs == ("notify", "/usr/bin/check", "ssh")
    assert codes(text) == []
    host = replace(
        FITTING,
        programs={
            "/usr/bin/check": Program(unsafe="/usr/bin belongs to user 7"),
            "notify": Program(missing="is not there"),
            "ssh": Program(missing="is not there"),
        },
    )
    assert found(text, host) == [
        ("E503", 1, "`notify` is not there"),
        ("E504", 12, "`/usr/bin/check` would not be run, since /usr/bin belongs to user 7"),
        ("W508", 0, "`ssh`, which should ask for the load, is not there"),
    ]


def test_what_failover_services_and_changes_of_state_run_is_judged_too() -> None:
    block = (
        "failover db {\nactive = 1\naddress = 203.0.113.77 eth0\nport = 5432\n"
        'start_cmd = "db start"\nstop_cmd = "db-stop"\nsend_program = "ask %h"\n}\n'
    )
    top = 'service = fos\nfault_cmd = "page"\nnotify_cmd = "tell all"\n'
    text = top + QUIET + block
    assert questions(load(text).config).programs == ("page", "tell", "db", "db-stop", "ask")
    missing = {name: Program(missing="is not there") for name in ("tell", "db-stop")}
    told = [one for one in found(text, replace(FITTING, programs=missing)) if one[0] == "E503"]
    assert [sentence for _code, _line, sentence in told] == [
        "`tell` is not there",
        "`db-stop` is not there",
    ]


def test_inactive_blocks_ask_for_nothing() -> None:
    text = edited("    port", '    send_program = "/usr/bin/check %h"\n    port')
    text = text.replace("    active = 1\n", "    active = 0\n", 1).replace("eth0:1", "eth7")
    assert questions(load(text).config).programs == ()
    assert codes(text) == []


def test_names_are_asked_for_and_those_without_an_address_told() -> None:
    text = edited("address = 198.51.100.11", "address = one.example")
    assert questions(load(text).config).names == ("one.example",)
    assert codes(text) == []
    assert codes(text, replace(FITTING, unresolved=frozenset(["one.example"]))) == ["W507"]


def test_the_key_counts_with_a_partner_only() -> None:
    assert questions(load(QUIET).config).key_file == "/etc/piranha/heartbeat.key"
    host = replace(FITTING, key_trouble="the key is bad")
    assert codes(QUIET, host) == ["E506"]
    alone = edited("backup_active = 1", "backup_active = 0")
    assert questions(load(alone).config).key_file is None
    assert codes(alone, host) == []


def test_checks_through_the_virtual_address_need_accept_local() -> None:
    via = edited("    port", "    forward = direct\n    check_via = virtual\n    port")
    plain = edited("    port", "    forward = direct\n    port")
    server = Device(addresses=("198.51.100.2/24",))
    host = with_device("eth1", server)
    assert "W509" not in codes(via, host)
    deaf = with_device("eth1", server._replace(accepts_local=False))
    assert codes(via, deaf) == ["W509"]
    assert codes(plain, deaf) == []


_SHOP = ("    port = 80\n", "    ports = 80, 443\n    persistent = 300\n")
_NOT_THERE = Program(missing="is in no folder of /usr/sbin")


@pytest.mark.parametrize(
    ("lines", "nft", "legacy", "told"),
    [
        (_SHOP[1], Program(), _NOT_THERE, []),
        (_SHOP[1], _NOT_THERE, Program(), []),
        (_SHOP[1], _NOT_THERE, _NOT_THERE, [("E503", 11)]),
        (_SHOP[1], Program(unsafe="can be written by others"), Program(unsafe="x"), [("E504", 11)]),
        ("    fwmark = 7\n    marking = auto\n", _NOT_THERE, _NOT_THERE, [("E503", 12)]),
        ("    fwmark = 7\n", _NOT_THERE, _NOT_THERE, []),
    ],
)
def test_one_program_that_marks_packets_is_enough_and_needed_only_for_marks(
    lines: str, nft: Program, legacy: Program, told: list[tuple[str, int]]
) -> None:
    text = edited(_SHOP[0], lines)
    asked = questions(load(text).config).programs
    assert asked == (("nft", "iptables-legacy") if "ports" in lines or "auto" in lines else ())
    host = replace(FITTING, programs={"nft": nft, "iptables-legacy": legacy})
    assert [one[:2] for one in found(text, host)] == told


def test_the_sentence_says_what_to_install() -> None:
    host = replace(FITTING, programs={"nft": _NOT_THERE, "iptables-legacy": _NOT_THERE})
    (wrong,) = check_host(load(edited(*_SHOP)).config, host)
    where = "is in no folder of /usr/sbin"
    assert wrong.sentence() == (
        f"packets cannot be marked: `nft` {where} and `iptables-legacy` {where};"
        " install the package nftables"
    )
