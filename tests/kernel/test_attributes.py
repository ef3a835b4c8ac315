# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every attribute the library knows, set on the real table and read by ipvsadm and pyroute2.

The expected text is what `ipvsadm -Sn` prints, written down by hand.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from typing import Any

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs import ipvsadm as text
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.kernel import Kernel
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import (
    Server,
    ServerKey,
    Service,
    ServiceKey,
    Table,
)
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.plan import plan
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.scope import normalise

from . import readers

V4, V6 = "192.0.2.1", "2001:db8::1"
ONE = ServerKey("198.51.100.1", 80)
ONE6 = ServerKey("2001:db8:1::1", 80)
BY_ADDRESS = ServiceKey.by_address

KEYS = [
    (BY_ADDRESS("tcp", V4, 80), "-t 192.0.2.1:80"),
    (BY_ADDRESS("udp", V4, 53), "-u 192.0.2.1:53"),
    (BY_ADDRESS("sctp", V4, 65535), "--sctp-service 192.0.2.1:65535"),
    (BY_ADDRESS("tcp", V6, 80), "-t [2001:db8::1]:80"),
    (BY_ADDRESS("udp", V6, 53), "-u [2001:db8::1]:53"),
    (BY_ADDRESS("sctp", V6, 1), "--sctp-service [2001:db8::1]:1"),
    (ServiceKey.by_mark(1), "-f 1"),
    (ServiceKey.by_mark(2**32 - 1), "-f -1"),  # ipvsadm prints it as a signed number
    (ServiceKey.by_mark(7, "ipv6"), "-f 7 -6"),
]

WEB, WEB6 = KEYS[0][0], KEYS[3][0]
DNS = KEYS[1][0]

SCHEDULERS = ("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh")

# Key, attributes, and what follows the key in ipvsadm's line.
SERVICES: list[tuple[ServiceKey, dict[str, Any], str]] = [
    *((key, {"scheduler": "rr"}, "-s rr") for key, _words in KEYS),
    *((WEB, {"scheduler": name}, f"-s {name}") for name in SCHEDULERS),
    (WEB6, {"scheduler": "mh"}, "-s mh"),
    (WEB, {"scheduler": "sh", "flags": ["sh-fallback"]}, "-s sh -b sh-fallback"),
    (WEB, {"scheduler": "sh", "flags": ["sh-port"]}, "-s sh -b sh-port"),
    (WEB, {"scheduler": "mh", "flags": ["mh-port", "mh-fallback"]}, "-s mh -b mh-fallback,mh-port"),
    (WEB6, {"scheduler": "sh", "flags": ["sh-port"]}, "-s sh -b sh-port"),
    (WEB, {"scheduler": "rr", "flags": ["flag-1", "flag-3"]}, "-s rr -b flag-1,flag-3"),
    (WEB, {"persistence": 1}, "-s wlc -p 1"),
    (WEB, {"persistence": 360}, "-s wlc -p 360"),
    (WEB, {"persistence": 31 * 24 * 3600}, "-s wlc -p 2678400"),
    (WEB, {"persistence": 60, "mask": 24}, "-s wlc -p 60 -M 255.255.255.0"),
    (WEB, {"persistence": 60, "mask": "255.0.0.0"}, "-s wlc -p 60 -M 255.0.0.0"),
    (WEB6, {"persistence": 60}, "-s wlc -p 60"),
    (WEB6, {"persistence": 60, "mask": 64}, "-s wlc -p 60 -M 64"),
    (WEB6, {"persistence": 60, "mask": 1}, "-s wlc -p 60 -M 1"),
    (KEYS[6][0], {"persistence": 60, "mask": 16}, "-s wlc -p 60 -M 255.255.0.0"),
    (KEYS[8][0], {"persistence": 60, "mask": 48}, "-s wlc -p 60 -M 48"),
    (BY_ADDRESS("tcp", V4, 0), {"persistence": 60}, "-s wlc -p 60"),
    (BY_ADDRESS("tcp", V6, 0), {"persistence": 60}, "-s wlc -p 60"),
    (DNS, {"one_packet": True}, "-s wlc -o"),
    (KEYS[4][0], {"one_packet": True}, "-s wlc -o"),
    (KEYS[6][0], {"one_packet": True}, "-s wlc -o"),
    (KEYS[8][0], {"one_packet": True, "scheduler": "rr"}, "-s rr -o"),
    (WEB6, {"scheduler": "mh", "flags": ["mh-fallback"]}, "-s mh -b mh-fallback"),
    (WEB, {"scheduler": "sh", "flags": ["sh-port", "sh-fallback"]}, "-s sh -b sh-fallback,sh-port"),
    *((WEB6, {"scheduler": name}, f"-s {name}") for name in ("lblc", "lblcr", "dh", "sh", "fo")),
    (BY_ADDRESS("udp", V4, 5060), {"persistence": 60, "engine": "sip"}, "-s wlc -p 60 --pe sip"),
    (
        BY_ADDRESS("udp", V6, 5060),
        {"scheduler": "sh", "flags": ["sh-port"], "persistence": 9, "mask": 64, "engine": "sip"},
        "-s sh -p 9 -M 64 --pe sip -b sh-port",
    ),
]

# Service, server's key, attributes, what follows the service in ipvsadm's line.
SERVERS: list[tuple[ServiceKey, ServerKey, dict[str, Any], str]] = [
    (WEB, ONE, {}, "-r 198.51.100.1:80 -m -w 1"),
    (WEB, ONE, {"forward": "direct"}, "-r 198.51.100.1:80 -g -w 1"),
    (WEB, ONE, {"forward": "tunnel"}, "-r 198.51.100.1:80 -i -w 1 --tun-type ipip"),
    (WEB, ServerKey("198.51.100.1", 8080), {}, "-r 198.51.100.1:8080 -m -w 1"),
    (WEB6, ONE6, {}, "-r [2001:db8:1::1]:80 -m -w 1"),
    (WEB6, ONE6, {"forward": "direct"}, "-r [2001:db8:1::1]:80 -g -w 1"),
    (WEB6, ONE6, {"forward": "tunnel"}, "-r [2001:db8:1::1]:80 -i -w 1 --tun-type ipip"),
    (WEB6, ONE, {"forward": "tunnel"}, "-r 198.51.100.1:80 -i -w 1 --tun-type ipip"),
    (WEB, ONE6, {"forward": "tunnel"}, "-r [2001:db8:1::1]:80 -i -w 1 --tun-type ipip"),
    (DNS, ONE, {}, "-r 198.51.100.1:80 -m -w 1"),
    (KEYS[2][0], ONE, {}, "-r 198.51.100.1:80 -m -w 1"),
    (KEYS[6][0], ServerKey("198.51.100.1", 0), {}, "-r 198.51.100.1:0 -m -w 1"),
    (KEYS[8][0], ServerKey("2001:db8:1::1", 0), {}, "-r [2001:db8:1::1]:0 -m -w 1"),
    (WEB, ONE, {"weight": 0}, "-r 198.51.100.1:80 -m -w 0"),
    (WEB, ONE, {"weight": 65535}, "-r 198.51.100.1:80 -m -w 65535"),
    (WEB, ONE, {"weight": 2**31 - 1}, "-r 198.51.100.1:80 -m -w 2147483647"),
    (WEB6, ONE6, {"weight": 0}, "-r [2001:db8:1::1]:80 -m -w 0"),
    (
        WEB,
        ONE,
        {"forward": "tunnel", "tunnel": "gue", "tunnel_port": 6080},
        "-r 198.51.100.1:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum",
    ),
    (
        WEB,
        ONE,
        {"forward": "tunnel", "tunnel": "gue", "tunnel_port": 1, "tunnel_checksum": "csum"},
        "-r 198.51.100.1:80 -i -w 1 --tun-type gue --tun-port 1 --tun-csum",
    ),
    (
        WEB,
        ONE,
        {"forward": "tunnel", "tunnel": "gue", "tunnel_port": 6080, "tunnel_checksum": "remcsum"},
        "-r 198.51.100.1:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum",
    ),
    (
        WEB,
        ONE,
        {"forward": "tunnel", "tunnel": "gre"},
        "-r 198.51.100.1:80 -i -w 1 --tun-type gre --tun-nocsum",
    ),
    (
        WEB,
        ONE,
        {"forward": "tunnel", "tunnel": "gre", "tunnel_checksum": "csum"},
        "-r 198.51.100.1:80 -i -w 1 --tun-type gre --tun-csum",
    ),
    (
        WEB6,
        ONE6,
        {"forward": "tunnel", "tunnel": "gue", "tunnel_port": 65535, "tunnel_checksum": "remcsum"},
        "-r [2001:db8:1::1]:80 -i -w 1 --tun-type gue --tun-port 65535 --tun-remcsum",
    ),
    (
        WEB6,
        ONE6,
        {"forward": "tunnel", "tunnel": "gre", "tunnel_checksum": "csum", "weight": 0},
        "-r [2001:db8:1::1]:80 -i -w 0 --tun-type gre --tun-csum",
    ),
    # Families that differ: by tunnel only, of every kind and in both directions.
    (
        WEB,
        ONE6,
        {"forward": "tunnel", "tunnel": "gue", "tunnel_port": 6080},
        "-r [2001:db8:1::1]:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum",
    ),
    (
        WEB6,
        ONE,
        {"forward": "tunnel", "tunnel": "gre"},
        "-r 198.51.100.1:80 -i -w 1 --tun-type gre --tun-nocsum",
    ),
    (
        KEYS[8][0],
        ServerKey("198.51.100.1", 0),
        {"forward": "tunnel"},
        "-r 198.51.100.1:0 -i -w 1 --tun-type ipip",
    ),
    (KEYS[7][0], ServerKey("198.51.100.1", 0), {"forward": "direct"}, "-r 198.51.100.1:0 -g -w 1"),
    (KEYS[5][0], ONE6, {"forward": "direct", "weight": 3}, "-r [2001:db8:1::1]:80 -g -w 3"),
    (KEYS[4][0], ONE6, {"weight": 100}, "-r [2001:db8:1::1]:80 -m -w 100"),
]


Case = tuple[Any, ...]


def words_of(key: ServiceKey) -> str:
    """The key in ipvsadm's words; those of KEYS are written down, the others are like them."""
    known = dict(KEYS)
    if key in known:
        return known[key]
    like = known[BY_ADDRESS(key.protocol, key.address, 53 if key.protocol == "udp" else 80)]
    return like.rpartition(":")[0] + f":{key.port}"


def bring_about(kernel: Kernel, desired: Table) -> None:
    """Make the table so, and see that all agree that it is so and nothing is left to do."""
    report = kernel.apply(plan(desired, kernel.read(), list(kernel.read())))
    assert report.errors == ()
    assert kernel.read() == desired
    assert readers.by_pyroute2() == desired
    assert plan(desired, kernel.read(), list(desired)) == ()


def spread(cases: Iterable[Case]) -> list[Case]:
    """Give the cases of the common services ports of their own, so that one table can hold all.

    Starting a program takes long in a user-mode kernel, so a test reads whole tables.
    """
    return [
        (BY_ADDRESS(case[0].protocol, case[0].address, 1000 + number), *case[1:])
        if case[0] in (WEB, WEB6, DNS)
        else case
        for number, case in enumerate(cases)
    ]


def rounds(cases: Iterable[Case]) -> list[list[Case]]:
    """Put the cases into as few tables as can be: no service twice in one."""
    tables: list[dict[ServiceKey, Case]] = []
    for case in spread(cases):
        table = next((table for table in tables if case[0] not in table), None)
        if table is None:
            table = {}
            tables.append(table)
        table[case[0]] = case
    return [list(table.values()) for table in tables]


@pytest.mark.parametrize("cases", rounds(SERVICES))
def test_services(kernel: Kernel, cases: list[tuple[ServiceKey, dict[str, Any], str]]) -> None:
    bring_about(kernel, Table((Service(key, **attributes), []) for key, attributes, _row in cases))
    expected = [f"-A {words_of(key)} {line}" for key, _attributes, line in cases]
    assert sorted(readers.saved()) == sorted(expected)


@pytest.mark.parametrize("cases", rounds(SERVERS))
def test_servers(
    kernel: Kernel, cases: list[tuple[ServiceKey, ServerKey, dict[str, Any], str]]
) -> None:
    desired = Table(
        (Service(service, "rr"), [Server(key, **given)]) for service, key, given, _line in cases
    )
    bring_about(kernel, desired)
    expected = [f"-A {words_of(service)} -s rr" for service, *_rest in cases]
    expected += [f"-a {words_of(service)} {line}" for service, _key, _given, line in cases]
    assert sorted(readers.saved()) == sorted(expected)


@pytest.mark.parametrize(("upper", "lower"), [(1, 0), (100, 50), (7, 7), (2**31 - 1, 1)])
@pytest.mark.parametrize(("service", "server"), [(WEB, ONE), (WEB6, ONE6)])
def test_thresholds(
    kernel: Kernel, service: ServiceKey, server: ServerKey, upper: int, lower: int
) -> None:
    """Which `ipvsadm -Sn` does not print, but `-L --thresholds` does."""
    bring_about(kernel, Table([(Service(service), [Server(server, upper=upper, lower=lower)])]))
    last = readers.ipvsadm("-Ln", "--thresholds").splitlines()[-1].split()
    assert last[:4] == ["->", str(server), str(upper), str(lower)]


@pytest.mark.parametrize(
    ("key", "before", "after"),
    [
        (WEB, {"scheduler": "rr"}, {"scheduler": "wlc"}),
        (WEB, {"scheduler": "sh", "flags": ["sh-port"]}, {"scheduler": "sh"}),
        (WEB, {"scheduler": "sh", "flags": ["sh-port"]}, {"scheduler": "rr"}),
        (WEB, {"persistence": 60, "mask": 24}, {}),
        (WEB, {}, {"persistence": 60, "mask": 24}),
        (WEB6, {"persistence": 60, "mask": 64}, {"persistence": 61}),
        (DNS, {"one_packet": True}, {}),
        (DNS, {"persistence": 60, "engine": "sip"}, {"persistence": 60}),
    ],
)
def test_services_change_in_place(
    kernel: Kernel, key: ServiceKey, before: dict[str, Any], after: dict[str, Any]
) -> None:
    server = Server(ONE6 if key.family == "ipv6" else ONE)
    bring_about(kernel, Table([(Service(key, **before), [server])]))
    desired = Table([(Service(key, **after), [server])])
    (operation,) = plan(desired, kernel.read())
    assert str(operation) == f"edit service {key}"
    bring_about(kernel, desired)
    assert readers.saved() == text.table_lines(desired)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"weight": 1}, {"weight": 0}),
        ({"weight": 0}, {"weight": 9}),
        ({"forward": "nat"}, {"forward": "direct"}),
        ({"forward": "direct"}, {"forward": "tunnel", "tunnel": "gre"}),
        ({"forward": "tunnel", "tunnel": "gue", "tunnel_port": 6080}, {"forward": "nat"}),
        ({"upper": 9, "lower": 3}, {}),
    ],
)
def test_servers_change_in_place(
    kernel: Kernel, before: dict[str, Any], after: dict[str, Any]
) -> None:
    bring_about(kernel, Table([(Service(WEB), [Server(ONE, **before)])]))
    desired = Table([(Service(WEB), [Server(ONE, **after)])])
    (operation,) = plan(desired, kernel.read())
    assert str(operation) == f"edit server {ONE} of {WEB}"
    bring_about(kernel, desired)


def test_what_ipvsadm_prints_is_what_the_library_reads(kernel: Kernel) -> None:
    """All of the above at once, through the text and back."""
    services = {key: Service(key, **attributes) for key, attributes, _line in spread(SERVICES)}
    servers: dict[ServiceKey, dict[ServerKey, Server]] = {}
    for service, key, attributes, _line in SERVERS:
        services.setdefault(service, Service(service))
        servers.setdefault(service, {})[key] = Server(key, **attributes)
    desired = Table((each, servers.get(key, {}).values()) for key, each in services.items())
    bring_about(kernel, desired)
    assert text.parse("\n".join(readers.saved())) == kernel.read()


def test_what_the_library_writes_is_what_ipvsadm_restores(kernel: Kernel) -> None:
    """All of the above at once, thresholds too, as lines for `ipvsadm -R`.

    A port that the forwarding method ignores becomes the service's by ipvsadm as by us.
    """
    services = {key: Service(key, **attributes) for key, attributes, _line in spread(SERVICES)}
    servers: dict[ServiceKey, dict[ServerKey, Server]] = {}
    for number, (service, key, attributes, _line) in enumerate(SERVERS):
        services.setdefault(service, Service(service))
        limited = {**attributes, "upper": number, "lower": number // 2}
        servers.setdefault(service, {})[key] = Server(key, **limited)
    desired = Table((each, servers.get(key, {}).values()) for key, each in services.items())
    lines = "".join(f"{line}\n" for line in text.table_lines(desired))
    subprocess.run(["ipvsadm", "-R"], input=lines, text=True, check=True, timeout=60)
    normal = normalise(desired)
    assert normal.warnings
    assert kernel.read() == normal.table
