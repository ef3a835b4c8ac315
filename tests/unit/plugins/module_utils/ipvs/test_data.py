# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables as lists and mappings: what is told is taken back; what is wrong is said with its path."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.data import (
    SERVER_FIELDS,
    SERVER_KEY_FIELDS,
    SERVICE_FIELDS,
    SERVICE_KEY_FIELDS,
    daemon_data,
    daemon_from_data,
    from_data,
    key_from_data,
    timeouts_data,
    timeouts_from_data,
    to_data,
)
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.errors import IpvsError
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.kernel import Kernel
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import (
    Server,
    ServerKey,
    Service,
    ServiceKey,
    Table,
)
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.settings import Daemon, Timeouts
from hypothesis import given

from .memory import MemoryPort
from .tables import tables


def test_every_field_of_the_model_is_told() -> None:
    """A field that is added to the model and forgotten here would be lost silently."""
    assert set(SERVICE_KEY_FIELDS) == set(ServiceKey._fields)
    assert {"key", *SERVICE_FIELDS} == set(Service._fields)
    assert {"family", *SERVER_KEY_FIELDS} == set(ServerKey._fields)
    assert {"key", *SERVER_FIELDS} == set(Server._fields)


@given(tables())
def test_what_is_told_is_taken_back(table: Table) -> None:
    told = json.loads(json.dumps(to_data(table)))
    assert from_data(told) == table
    with_tallies = json.loads(json.dumps(to_data(Kernel(port=MemoryPort(table)).snapshot(), True)))
    assert from_data(with_tallies) == table
    assert all("counters" in service for service in with_tallies)


def test_by_hand_only_what_is_special_is_written() -> None:
    table = from_data(
        [
            {
                "address": "192.0.2.80",
                "port": "80",
                "servers": [{"address": "198.51.100.1"}, {"address": "198.51.100.2", "weight": 0}],
            },
            {"fwmark": 5, "family": "ipv6", "scheduler": "sh", "flags": "sh-port"},
            {"fwmark": "7", "protocol": "", "address": None, "port": 0},
        ]
    )
    web = ServiceKey.by_address("tcp", "192.0.2.80", 80)
    assert table == Table(
        [
            (
                Service(web),
                [
                    Server(ServerKey("198.51.100.1", 80)),
                    Server(ServerKey("198.51.100.2", 80), 0),
                ],
            ),
            (Service(ServiceKey.by_mark(5, "ipv6"), "sh", flags=["sh-port"]), []),
            (Service(ServiceKey.by_mark(7)), []),
        ]
    )


WEB = {"address": "192.0.2.80", "port": 80}


@pytest.mark.parametrize(
    ("services", "sentence"),
    [
        ("tcp", "services: 'tcp' is no list; write a list."),
        ({}, "services: {} is no list; write a list."),
        (["tcp"], "services[0]: 'tcp' is no mapping; write names with values."),
        (
            [{"port": 80}],
            "services[0].address: it is missing; give address and port of the virtual service, or "
            "fwmark.",
        ),
        (
            [WEB, {"address": "192.0.2.80"}],
            "services[1].port: it is missing; give address and port of the virtual service, or "
            "fwmark.",
        ),
        (
            [{**WEB, "fwmark": 3}],
            "services[0].address: it stands beside a firewall mark, which takes its place; give "
            "either fwmark or address, port and protocol.",
        ),
        ([{**WEB, "port": "http"}], "services[0].port: 'http' is no whole number; write digits"),
        ([{**WEB, "port": 80.5}], "services[0].port: 80.5 is no whole number; write digits only."),
        ([{**WEB, "port": True}], "services[0].port: True is no whole number; write digits only."),
        ([{**WEB, "port": 65536}], "services[0], virtual service tcp 192.0.2.80:65536: port 65536"),
        ([{**WEB, "protocol": "icmp"}], "protocol 'icmp' is unknown; use tcp, udp, sctp."),
        (
            [{**WEB, "family": "ipv6"}],
            "services[0].family: 'ipv6' is not the family of 192.0.2.80; write ipv4 or leave it",
        ),
        (
            [{**WEB, "address": "::ffff:192.0.2.80"}],
            "'::ffff:192.0.2.80' is an IPv4 address in IPv6 form, which no packet carries; write "
            "192.0.2.80.",
        ),
        ([{**WEB, "address": 3221225985}], "3221225985 is no IPv4 or IPv6 address"),
        ([{**WEB, "address": ["192.0.2.80"]}], "['192.0.2.80'] is no IPv4 or IPv6 address"),
        (
            [{**WEB, "schedular": "rr"}],
            "services[0].schedular: there is no such value; use family, protocol, address,",
        ),
        ([{**WEB, "scheduler": 5}], "services[0].scheduler: 5 is no text; write a word."),
        (
            [{**WEB, "one_packet": "yes"}],
            "services[0].one_packet: 'yes' is neither true nor false; write true or false.",
        ),
        ([{**WEB, "flags": 5}], "services[0].flags: 5 is no list; write a list."),
        ([{**WEB, "flags": ["sh-port"]}], "scheduler wlc does not have all of the flags sh-port"),
        ([{**WEB, "servers": [{"port": 3}]}], "services[0].servers[0].address: it is missing"),
        (
            [{**WEB, "servers": [{"address": "198.51.100.1"}, {"address": "x", "weight": 1}]}],
            "services[0].servers[1], real server x:80: 'x' is no IPv4 or IPv6 address",
        ),
        (
            [{**WEB, "servers": [{"address": "198.51.100.1", "weight": "much"}]}],
            "services[0].servers[0].weight: 'much' is no whole number; write digits only.",
        ),
        (
            [{**WEB, "servers": [{"address": "198.51.100.1", "lower": 5, "upper": 4}]}],
            "services[0].servers[0], real server 198.51.100.1:80: the lower threshold 5 is above "
            "the upper one 4; give a lower threshold that is not higher than the upper one.",
        ),
        (
            [{**WEB, "servers": [{"address": "198.51.100.1"}, {"address": "198.51.100.1"}]}],
            "services[0].servers[1]: real server 198.51.100.1:80 is there twice, here and at "
            "services[0].servers[0]; keep one of the two.",
        ),
        (
            [{**WEB, "servers": [{"address": "2001:db8::1"}]}],
            "services[0].servers[0], virtual service tcp 192.0.2.80:80: real server "
            "[2001:db8::1]:80 is ipv6 and the service is ipv4, which forwarding by nat cannot join",
        ),
        (
            [WEB, {**WEB, "protocol": "tcp"}],
            "services[1]: virtual service tcp 192.0.2.80:80 is there twice, here and at "
            "services[0]; keep one of the two.",
        ),
    ],
)
def test_bad_data_is_one_sentence_with_its_path(services: Any, sentence: str) -> None:
    with pytest.raises(IpvsError) as caught:
        from_data(services)
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("services")
    assert "\n" not in str(caught.value)


def test_a_key_may_stand_at_the_top() -> None:
    assert key_from_data({**WEB, "weight": 3}) == ServiceKey.by_address("tcp", "192.0.2.80", 80)
    with pytest.raises(IpvsError) as caught:
        key_from_data({"address": "192.0.2.80"})
    assert caught.value.place == "port"


def test_timeouts_and_daemons_are_told_and_taken_back() -> None:
    times = Timeouts(900, 120, 300)
    assert timeouts_data(times) == {"tcp": 900, "tcp_fin": 120, "udp": 300}
    assert timeouts_from_data(json.loads(json.dumps(timeouts_data(times)))) == times
    assert timeouts_from_data({"udp": "9", "tcp": None}) == Timeouts(udp=9)
    daemon = Daemon("backup", "eth0", syncid=9, group="ff02::81", maxlen=1400, port=9, ttl=3)
    assert daemon_from_data(json.loads(json.dumps(daemon_data(daemon)))) == daemon
    assert daemon_from_data({"role": "master", "interface": "lo"}) == Daemon("master", "lo")
    for given_one, sentence in (
        ({"role": "master"}, "daemon.interface: it is missing; give the daemon's interface."),
        (
            {"role": "m", "interface": "lo"},
            "daemon, sync daemon m: role 'm' is unknown; use master",
        ),
        ({"role": "master", "interface": "lo", "ttl": "x"}, "daemon.ttl: 'x' is no whole number"),
        ({"role": "master", "interface": "lo", "mtu": 1}, "daemon.mtu: there is no such value"),
    ):
        with pytest.raises(IpvsError) as caught:
            daemon_from_data(given_one)
        assert str(caught.value).startswith(sentence)
