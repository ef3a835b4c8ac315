# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which firewall mark a virtual server gets, who marks its packets, and what that must go with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.api import from_data, load, to_data
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.config import Section
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.marks import own_mark
from hypothesis import given
from hypothesis import strategies as st

from .cluster import QUIET
from .strategies import addresses

SHOP = "    ports = 80, 443\n    persistent = 300\n"
# Found by trying: two addresses that get one mark for TCP from port 80 on.
TWINS = ("10.80.12.13", "10.80.25.102")


def web(lines: str, address: str = "192.0.2.80") -> str:
    """A sound file whose virtual server has these lines in place of its port."""
    return QUIET.replace("    port = 80\n", lines).replace("192.0.2.80", address)


def settings(text: str) -> Section:
    loaded = load(text)
    assert [one for one in loaded.report() if "nat_router" not in one] == []
    return loaded.config.virtual[0].settings


def two(first: str, second: str, address: str = "192.0.2.80") -> list[tuple[str, str]]:
    """Codes and messages of a file with two virtual servers."""
    other = web(second, address)
    other = other[other.index("virtual web") :].replace("virtual web", "virtual two")
    return [(one.code, one.message) for one in load(web(first) + other).errors]


def test_persistence_over_several_ports_has_a_mark_that_the_agent_sets() -> None:
    found = settings(web(SHOP))
    assert found.number("fwmark") == own_mark("192.0.2.80", "tcp", [80]) == 0x505BBC40
    assert (found["marking"], found.given("fwmark"), found["port"]) == ("auto", False, 80)


@pytest.mark.parametrize(
    ("lines", "mark", "marking"),
    [
        ("    ports = 80, 443\n", 0, "none"),
        ("    ports = 80\n    persistent = 300\n", 0, "none"),
        ("    port = 80\n    persistent = 300\n", 0, "none"),
        (SHOP + "    fwmark = 7\n", 7, "none"),
        (SHOP + "    fwmark = 7\n    marking = auto\n", 7, "auto"),
        ("    port = 80\n    fwmark = 7\n    marking = auto\n", 7, "auto"),
        (SHOP + "    fwmark = 0\n", 0x505BBC40, "auto"),
    ],
)
def test_other_services_have_the_mark_that_is_written(lines: str, mark: int, marking: str) -> None:
    found = settings(web(lines))
    assert (found.number("fwmark"), found["marking"]) == (mark, marking)


def test_a_mark_follows_from_address_protocol_and_lowest_port_alone() -> None:
    mark = own_mark("192.0.2.80", "tcp", [443, 80])
    assert mark == own_mark("192.0.2.80", "tcp", [8080, 80])
    others = [
        own_mark("192.0.2.81", "tcp", [80]),
        own_mark("192.0.2.80", "udp", [80]),
        own_mark("192.0.2.80", "tcp", [81]),
    ]
    assert len({mark, *others}) == 4
    assert own_mark("2001:DB8:0::1", "tcp", [80]) == own_mark("2001:db8::1", "tcp", [80])


@given(st.one_of(addresses, st.text()), st.sampled_from(["tcp", "udp", "sctp"]), st.integers(1))
def test_marks_are_in_a_range_of_their_own(address: str, protocol: str, port: int) -> None:
    assert 0x50000000 <= own_mark(address, protocol, [port]) <= 0x50FFFFFF


def test_two_services_with_one_mark_are_told() -> None:
    assert own_mark(TWINS[0], "tcp", [80]) == own_mark(TWINS[1], "tcp", [80])
    first = web(SHOP, TWINS[0])
    second = web(SHOP, TWINS[1])
    second = second[second.index("virtual web") :].replace("virtual web", "virtual two")
    (wrong,) = load(first + second).errors
    assert wrong.code == "E305"
    assert "are both firewall mark" in wrong.message


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (SHOP, "    port = 443\n"),
        ("    port = 443\n", SHOP),
        (SHOP, "    ports = 443, 444\n    persistent = 60\n"),
        (SHOP, "    port = 80\n    fwmark = 7\n    marking = auto\n"),
    ],
)
def test_packets_cannot_go_to_two_services(first: str, second: str) -> None:
    ((code, message),) = two(first, second)
    assert code == "E305"
    assert "port" in message


def test_one_cause_is_told_once() -> None:
    assert [message for _code, message in two(SHOP, SHOP)] == [
        "virtual server `two` and `web` are both 192.0.2.80 port 80 tcp",
        "virtual server `two` and `web` are both 192.0.2.80 port 443 tcp",
    ]


def test_a_service_beside_one_that_marks_every_port_gets_nothing_and_that_is_told() -> None:
    every = "    port = 0\n    fwmark = 7\n    marking = auto\n    check_port = 80\n"
    for pair in ((every, "    port = 443\n"), ("    port = 443\n", every)):
        ((code, message),) = two(*pair)
        assert code == "E305"
        assert "would get no packet" in message
    # Marked itself, or elsewhere, or of another protocol.
    assert two(every, SHOP) == []
    assert two(every, "    port = 443\n", "192.0.2.81") == []
    assert two(every, "    port = 443\n    protocol = udp\n    check = icmp\n") == []


def test_somebody_else_may_mark_what_he_likes() -> None:
    assert two("    fwmark = 7\n", "    port = 80\n") == []
    assert two(SHOP + "    fwmark = 7\n", "    port = 80\n") == []


def test_what_follows_may_also_be_written() -> None:
    config = load(web(SHOP)).config
    again = from_data(to_data(config)).config.virtual[0].settings
    assert again.effective() == config.virtual[0].settings.effective()


def test_a_failover_service_has_no_mark() -> None:
    text = web(SHOP).replace("virtual web", "failover web")
    (block,) = load("service = fos\n" + text).config.failover
    assert block.settings.number("fwmark") == 0


def test_the_examples_of_the_page_are_sound() -> None:
    page = Path(__file__).resolve().parents[5] / "docs" / "marks.md"
    examples = re.findall(r"```lvs.cf\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) == 2
    for text in examples:
        assert load(text).report() == []
        (block,) = load(text).config.virtual
        assert block.settings["marking"] == "auto"
