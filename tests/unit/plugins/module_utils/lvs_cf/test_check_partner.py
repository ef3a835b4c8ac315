# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said about the partner, and about what means nothing without one."""

from __future__ import annotations

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.api import load, to_data, write
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.host import (
    Device,
    Host,
    check_host,
    questions,
)

from .cluster import QUIET

TWO = QUIET


def codes(text: str) -> list[str]:
    return [one.code for one in load(text).findings]


def said(text: str) -> str:
    return " ".join(one.message for one in load(text).findings)


def test_the_file_of_these_tests_has_a_partner_and_is_quiet() -> None:
    assert load(TWO).config.globals.flag("backup_active")
    assert codes(TWO) == []


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("gateway", ("gateway",)),
        ("192.0.2.254", ("192.0.2.254",)),
        ("[ gateway 2001:db8::fe ]", ("gateway", "2001:db8::fe")),
    ],
)
def test_a_witness_is_an_address_or_the_gateway_or_several(
    written: str, words: tuple[str, ...]
) -> None:
    loaded = load(f"witness = {written}\n{TWO}")
    assert loaded.report() == []
    assert loaded.config.globals.words("witness") == words
    assert f"witness = [ {' '.join(words)} ]\n" in write(loaded.config)
    assert to_data(loaded.config)["global"]["witness"] == list(words)


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("192.0.2.1", "an address of the routers themselves"),
        ("192.0.2.2", "an address of the routers themselves"),
        ("192.0.2.80", "a virtual address"),
        ("198.51.100.1", "a virtual address"),
        ("gatewy", "is a name"),
        ("127.0.0.1", "no address of another machine"),
        ("224.0.0.1", "no address of another machine"),
        ("fe80::1", "cannot be told from others"),
    ],
)
def test_who_is_no_witness(word: str, sentence: str) -> None:
    text = f"witness = [ gateway {word} ]\n{TWO}"
    assert codes(text) == ["E323"]
    assert sentence in said(text)
    assert load(text).findings[0].line == 1


def test_the_other_end_of_a_link_is_no_witness() -> None:
    links = "primary_links = 10.9.0.1\nbackup_links = 10.9.0.2\n"
    assert codes(f"{links}witness = 10.9.0.2\n{TWO}") == ["E323"]


@pytest.mark.parametrize(
    "line",
    [
        "witness = gateway",
        "preempt = 1",
        "failover_on = health",
        "start_delay = 5",
        "heartbeat_key_file = /etc/other.key",
        "primary_links = 10.9.0.1\nbackup_links = 10.9.0.2",
    ],
)
def test_what_means_nothing_without_a_partner(line: str) -> None:
    assert codes(f"{line}\n{TWO}") == []
    alone = TWO.replace("backup_active = 1", "backup_active = 0")
    assert set(codes(f"{line}\n{alone}")) == {"A302"}
    assert "without an active backup router" in said(f"{line}\n{alone}")


def test_a_default_that_is_written_is_no_mistake() -> None:
    alone = TWO.replace("backup_active = 1", "backup_active = 0")
    assert codes(f"preempt = 0\nfailover_on = silence\npreempt_delay = 0\n{alone}") == []


def test_a_delay_means_nothing_without_what_is_delayed() -> None:
    assert codes(f"preempt_delay = 60\n{TWO}") == ["A302"]
    assert "without preempt" in said(f"preempt_delay = 60\n{TWO}")
    assert codes(f"preempt = 1\npreempt_delay = 60\n{TWO}") == []


@pytest.mark.parametrize("line", ["preempt = 1", "failover_on = health"])
def test_failover_services_move_by_rules_of_their_own(line: str) -> None:
    block = (
        "failover db {\n active = 1\n address = 192.0.2.9 eth0:9\n"
        ' start_cmd = "/bin/db start"\n stop_cmd = "/bin/db stop"\n}\n'
    )
    text = f"service = fos\n{line}\n{TWO}{block}"
    assert codes(text) == ["A302"]
    assert "with failover services" in said(text)


CLASSIC = "heartbeat_format = classic\n"


def test_heartbeats_of_old_say_what_they_cost() -> None:
    assert codes(CLASSIC + TWO) == ["W323"]
    assert load(CLASSIC + TWO).findings[0].line == 1
    assert codes("heartbeat_format = signed\n" + TWO) == []
    alone = TWO.replace("backup_active = 1", "backup_active = 0")
    assert codes(CLASSIC + alone) == ["A302"]


@pytest.mark.parametrize(
    "line",
    [
        "preempt = 1",
        "preempt_delay = 5",
        "failover_on = health",
        "heartbeat_key_file = /etc/other.key",
        "primary_links = 10.9.0.1\nbackup_links = 10.9.0.2",
    ],
)
def test_what_heartbeats_of_old_do_not_carry(line: str) -> None:
    text = f"{CLASSIC}{line}\n{TWO}"
    assert codes(text)[0] == "W323"
    assert set(codes(text)[1:]) == {"A302"}
    assert "has no effect with `heartbeat_format = classic`" in said(text)


def test_a_witness_and_a_delay_are_as_good_beside_one_of_old() -> None:
    assert codes(f"{CLASSIC}witness = gateway\nstart_delay = 5\n{TWO}") == ["W323"]


def test_where_heartbeats_of_old_cannot_do() -> None:
    block = (
        "failover db {\n active = 1\n address = 192.0.2.9 eth0:9\n"
        ' start_cmd = "/bin/db start"\n stop_cmd = "/bin/db stop"\n}\n'
    )
    assert codes(f"service = fos\n{CLASSIC}{TWO}{block}") == ["E326"]
    six = TWO.replace("backup = 192.0.2.2", "backup = 2001:db8::2")
    assert codes(CLASSIC + six) == ["E326"]


def test_no_key_is_asked_for_where_none_is_used() -> None:
    assert questions(load(TWO).config).key_file == "/etc/piranha/heartbeat.key"
    assert questions(load(CLASSIC + TWO).config).key_file is None


PUBLIC = Device(addresses=("192.0.2.1/24",))
MANAGEMENT = Device(addresses=("10.7.0.1/24",))
INSIDE = Device(addresses=("198.51.100.11/24",))


def on_host(witness: str, **gateways: str | None) -> list[str]:
    versions = {int(key[1:]): value for key, value in gateways.items()}
    host = Host({"eth0": PUBLIC, "eth1": INSIDE, "eth2": MANAGEMENT}, gateways=versions)
    config = load(f"witness = {witness}\n{TWO}").config
    return [one.code for one in check_host(config, host) if one.code in ("W510", "A502")]


def test_a_witness_that_this_machine_can_ask() -> None:
    assert on_host("192.0.2.254", v4=None, v6=None) == []
    assert on_host("198.51.100.77", v4=None, v6=None) == []
    assert on_host("203.0.113.1", v4="192.0.2.254", v6=None) == []
    assert on_host("gateway", v4="192.0.2.254", v6=None) == []
    assert on_host("gateway") == [], "nobody has looked"


def test_a_witness_that_it_cannot_ask() -> None:
    assert on_host("203.0.113.1", v4=None, v6="fe80::1") == ["W510"]
    assert on_host("2001:db8::1", v4="192.0.2.254", v6=None) == ["W510"]
    assert on_host("gateway", v4=None, v6=None) == ["W510"]


def test_a_witness_that_hears_a_router_which_has_lost_its_clients() -> None:
    assert on_host("10.7.0.9", v4=None, v6=None) == ["A502"]
    assert on_host("gateway", v4="10.7.0.254", v6=None) == ["A502"]
