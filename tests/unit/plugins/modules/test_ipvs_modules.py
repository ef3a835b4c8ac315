# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules that change IPVS, on a kernel in memory: twins for check mode, states, refusals.

Every change has its twin under check mode, on a kernel that fails the test if it is written to.
"""

from __future__ import annotations

import errno
from types import ModuleType
from typing import Any

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.codec import Counters
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.ipvsadm import parse, table_lines
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import ServiceKey, Table
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.plan import plan
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.settings import Daemon, Role
from ansible_collections.piranha.lvs.plugins.modules import (
    ipvs_info,
    ipvs_server,
    ipvs_service,
    ipvs_sync_daemon,
    ipvs_table,
    ipvs_timeouts,
    ipvs_zero,
)

from tests.unit.plugins.module_utils.ipvs.memory import MemoryPort, others_do

from .running import run

Options = dict[str, Any]
BEFORE = """
-A -t 192.0.2.80:80 -s rr
-a -t 192.0.2.80:80 -r 198.51.100.21:80 -m -w 1
-a -t 192.0.2.80:80 -r 198.51.100.22:80 -m -w 5
-a -t 192.0.2.80:80 -r 198.51.100.23:80 -m -w 1 -x 9 -y 3
-A -u 192.0.2.53:53 -s wlc
-a -u 192.0.2.53:53 -r 198.51.100.53:53 -g -w 1
-A -t [2001:db8::80]:80 -s sh -b sh-port
-A -f 5 -6 -s wlc
"""
WEB = {"address": "192.0.2.80", "port": 80}
WEB6 = {"address": "2001:db8::80", "port": 80}
DNS = {"protocol": "udp", "address": "192.0.2.53", "port": 53}
MARK6 = {"fwmark": 5, "family": "ipv6"}
ONE = {"service": WEB, "address": "198.51.100.21"}
TWO, LIMITED = "198.51.100.22", "198.51.100.23"


@pytest.fixture
def full(memory: MemoryPort) -> MemoryPort:
    """A kernel with the table above."""
    memory.table = parse(BEFORE)
    memory.counted[ServiceKey.by_address("tcp", "192.0.2.80", 80), None] = Counters(*[7] * 10)
    return memory


def state(port: MemoryPort) -> tuple[object, ...]:
    """All that can be changed."""
    return port.table, dict(port.running), port.times, dict(port.counted)


# A task, and the commands that must come of it.
CHANGES: list[tuple[ModuleType, Options, list[str]]] = [
    (ipvs_service, {**WEB, "scheduler": "wlc"}, ["-E -t 192.0.2.80:80 -s wlc"]),
    (ipvs_service, {**WEB, "port": 81}, ["-A -t 192.0.2.80:81 -s wlc"]),
    (ipvs_service, {**WEB6, "state": "absent"}, ["-D -t [2001:db8::80]:80"]),
    (ipvs_service, {**MARK6, "persistence": 9}, ["-E -f 5 -6 -s wlc -p 9"]),
    (ipvs_service, {**WEB6, "scheduler": "mh"}, ["-E -t [2001:db8::80]:80 -s mh"]),
    (
        ipvs_server,  # the lower threshold goes with the upper one
        {**ONE, "address": LIMITED, "upper": 0},
        ["-e -t 192.0.2.80:80 -r 198.51.100.23:80 -m -w 1"],
    ),
    (ipvs_server, {**ONE, "weight": 0}, ["-e -t 192.0.2.80:80 -r 198.51.100.21:80 -m -w 0"]),
    (ipvs_server, {**ONE, "state": "absent"}, ["-d -t 192.0.2.80:80 -r 198.51.100.21:80"]),
    (ipvs_server, {**ONE, "port": 8080}, ["-a -t 192.0.2.80:80 -r 198.51.100.21:8080 -m -w 1"]),
    (
        ipvs_server,
        {**ONE, "service": MARK6, "address": "2001:db8::1", "forward": "direct"},
        ["-a -f 5 -6 -r [2001:db8::1]:0 -g -w 1"],
    ),
    (
        ipvs_table,  # merged: what is not said stays
        {"services": [{**WEB, "servers": [{"address": TWO, "weight": 6}]}, {**DNS, "port": 54}]},
        [
            "-A -u 192.0.2.53:54 -s wlc",
            "-e -t 192.0.2.80:80 -r 198.51.100.22:80 -m -w 6",
        ],
    ),
    (
        ipvs_table,
        {"state": "replaced", "services": [{**WEB, "servers": [{"address": TWO}]}, WEB6]},
        [
            "-E -t 192.0.2.80:80 -s wlc",
            "-E -t [2001:db8::80]:80 -s wlc",
            "-e -t 192.0.2.80:80 -r 198.51.100.22:80 -m -w 1",
            "-d -t 192.0.2.80:80 -r 198.51.100.21:80",
            "-d -t 192.0.2.80:80 -r 198.51.100.23:80",
        ],
    ),
    (
        ipvs_table,  # the servers of a service of which nothing is said stay
        {"state": "overridden", "services": [{**WEB, "scheduler": "rr"}]},
        ["-D -u 192.0.2.53:53", "-D -f 5 -6", "-D -t [2001:db8::80]:80"],
    ),
    (
        ipvs_table,
        {"state": "overridden", "services": [WEB], "restrict": {"addresses": ["192.0.2.0/24"]}},
        ["-E -t 192.0.2.80:80 -s wlc", "-D -u 192.0.2.53:53"],
    ),
    (
        ipvs_table,
        {"state": "overridden", "services": [], "restrict": {"fwmarks": [5]}, "allow_empty": True},
        ["-D -f 5 -6"],
    ),
    (
        ipvs_table,
        {
            "state": "overridden",
            "services": [],
            "restrict": {"protocols": ["udp"]},
            "allow_empty": True,
        },
        ["-D -u 192.0.2.53:53"],
    ),
    (
        ipvs_table,
        {"state": "replaced", "services": [{**WEB, "servers": []}], "allow_empty": True},
        [
            "-E -t 192.0.2.80:80 -s wlc",
            "-d -t 192.0.2.80:80 -r 198.51.100.21:80",
            "-d -t 192.0.2.80:80 -r 198.51.100.22:80",
            "-d -t 192.0.2.80:80 -r 198.51.100.23:80",
        ],
    ),
    (
        ipvs_table,
        {"state": "deleted", "services": [MARK6, {**WEB, "servers": []}, {**WEB, "port": 1}]},
        ["-D -t 192.0.2.80:80", "-D -f 5 -6"],
    ),
    (ipvs_table, {"saved": "-A -f 6 -s rr"}, ["-A -f 6 -s rr"]),
    (ipvs_timeouts, {"tcp": 60, "udp": 300}, ["--set 60 0 0"]),
    (
        ipvs_sync_daemon,
        {"role": "master", "interface": "eth0", "syncid": 9},
        ["--start-daemon master --mcast-interface eth0 --syncid 9 --sync-maxlen 1472"],
    ),
    (ipvs_zero, {}, ["-Z"]),
    (ipvs_zero, {"service": WEB}, ["-Z -t 192.0.2.80:80"]),
]


@pytest.mark.parametrize(("module", "options", "commands"), CHANGES)
def test_a_change_and_its_twin(
    full: MemoryPort,
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    options: Options,
    commands: list[str],
) -> None:
    if module is ipvs_sync_daemon:  # what the kernel makes of it where the interface is unknown
        options = {**options, "maxlen": 1472}
    before = state(full)
    with monkeypatch.context() as patch:
        patch.setattr(MemoryPort, "send", lambda *_args: pytest.fail("check mode has written"))
        foretold = run(module, check=True, diff=True, **options)
    assert state(full) == before
    done = run(module, diff=True, **options)
    assert state(full) != before
    assert done["changed"] is True
    assert {**done, "invocation": 0} == {**foretold, "invocation": 0}
    assert sorted(done["commands"]) == sorted(f"ipvsadm {line}" for line in commands)
    assert done["diff"]["before"] != done["diff"]["after"]
    again = run(module, diff=True, **options)
    assert (again["changed"], again["commands"], again["changes"]) == (False, [], [])
    assert again["diff"] == {"before": "", "after": ""}
    if module is not ipvs_zero:
        assert again["before"] == again["after"] == done["after"]


@pytest.mark.parametrize(
    ("module", "options", "commands"), [case for case in CHANGES if case[0] is ipvs_table]
)
def test_the_diff_is_minimal_and_sorted(
    full: MemoryPort, module: ModuleType, options: Options, commands: list[str]
) -> None:
    """What differs is in the diff, line by line, and nothing else."""
    before = set(table_lines(full.table))
    result = run(module, diff=True, **options)
    after = set(table_lines(full.table))
    sides = {side: result["diff"][side].splitlines() for side in ("before", "after")}
    assert set(sides["before"]) == before - after
    assert set(sides["after"]) == after - before
    for lines in sides.values():
        known = table_lines(parse(BEFORE)) if lines is sides["before"] else table_lines(full.table)
        assert lines == [line for line in known if line in lines]


def test_what_is_returned_brings_the_table_back(full: MemoryPort) -> None:
    there = full.table
    result = run(ipvs_table, state="overridden", services=[], allow_empty=True)
    assert full.table == Table()
    back = run(ipvs_table, services=result["before"])
    assert full.table == there
    assert back["after"] == result["before"]
    assert run(ipvs_info)["services"] == back["after"]


DEFAULTS: list[tuple[ModuleType, Options]] = [
    (ipvs_table, {"services": []}),
    (ipvs_table, {"services": [WEB]}),
    (ipvs_table, {"services": [{**WEB, "servers": []}]}),
    (ipvs_table, {"state": "replaced", "services": []}),
    (ipvs_table, {"state": "deleted", "services": []}),
    (ipvs_table, {"saved": "# nothing\n"}),
    (ipvs_service, {**WEB, "port": 82, "state": "absent"}),
    (ipvs_service, WEB),
    (ipvs_server, {**ONE, "address": "198.51.100.99", "state": "absent"}),
    (ipvs_server, {**ONE, "service": {**WEB, "port": 82}, "state": "absent"}),
    (ipvs_sync_daemon, {"role": "backup", "state": "absent"}),
    (ipvs_zero, {"service": DNS}),
    (ipvs_timeouts, {"tcp": 900}),
]


@pytest.mark.parametrize(("module", "options"), DEFAULTS)
def test_what_says_little_changes_nothing(
    full: MemoryPort, module: ModuleType, options: Options
) -> None:
    result = run(module, **options)
    assert (result.get("changed"), full.sent) == (False, []), result


REFUSALS: list[tuple[ModuleType, Options, str]] = [
    (ipvs_service, {}, "address: it is missing; give address and port of the virtual service"),
    (ipvs_service, {"address": "192.0.2.80"}, "port: it is missing;"),
    (ipvs_service, {**WEB, "fwmark": 5}, "it stands beside a firewall mark"),
    (ipvs_service, {**WEB, "family": "ipv6"}, "'ipv6' is not the family of 192.0.2.80"),
    (ipvs_service, {**WEB, "port": 65536}, "port 65536 is not a whole number from 0 to 65535"),
    (ipvs_service, {**WEB, "address": "web"}, "'web' is no IPv4 or IPv6 address"),
    (ipvs_service, {**WEB, "protocol": "icmp"}, "protocol 'icmp' is unknown; use tcp, udp, sctp"),
    (ipvs_service, {**WEB, "scheduler": "nosuch"}, "provide the kernel module ip_vs_nosuch"),
    (ipvs_service, {**WEB, "scheduler": "../x"}, "cannot be the name of a scheduler"),
    (ipvs_service, {**WEB, "flags": ["sh-port"]}, "scheduler rr does not have all of the flags"),
    (ipvs_service, {**WEB, "one_packet": True}, "one-packet scheduling does not work with tcp"),
    (ipvs_service, {**WEB, "persistence": 9, "mask": "33"}, "'33' is no mask for ipv4 clients"),
    (ipvs_service, {**WEB6, "persistence": 9, "mask": "129"}, "use a length from 1 to 128"),
    (ipvs_service, {"fwmark": 0}, "firewall mark 0 is not a whole number from 1"),
    (ipvs_server, {**ONE, "service": {"port": 80}}, "service.address: it is missing"),
    (ipvs_server, {**ONE, "service": {**WEB, "port": 82}}, "tcp 192.0.2.80:82 is not there; add"),
    (ipvs_server, {**ONE, "address": "2001:db8::1"}, "forwarding by nat cannot join"),
    (ipvs_server, {**ONE, "upper": 1, "lower": 2}, "the lower threshold 2 is above the upper"),
    (ipvs_server, {**ONE, "weight": -1}, "weight -1 is not a whole number from 0"),
    (ipvs_server, {**ONE, "tunnel": "gre"}, "tunnel settings do nothing with forwarding by nat"),
    (
        ipvs_server,
        {**ONE, "forward": "tunnel", "tunnel": "gue"},
        "a gue tunnel needs a port; give the UDP port that the server listens on",
    ),
    (
        ipvs_table,
        {"services": [WEB, DNS, {**WEB, "scheduler": "rr"}]},
        "services[0] and services[2]: both are virtual service tcp 192.0.2.80:80; keep one",
    ),
    (
        ipvs_table,
        {"services": [{**WEB, "servers": [{"address": TWO}, {"address": TWO, "port": 80}]}]},
        "services[0].servers[0] and services[0].servers[1]: both are real server",
    ),
    (
        ipvs_table,
        {
            "services": [
                {
                    **WEB,
                    "servers": [
                        {"address": TWO, "forward": "direct"},
                        {"address": TWO, "port": 81, "forward": "direct"},
                    ],
                }
            ]
        },
        "services[0].servers[0] and services[0].servers[1]: both are real server",
    ),
    (
        ipvs_table,
        {"services": [DNS, {**WEB, "servers": [{"address": "2001:db8::1"}]}]},
        "services[1].servers[0]: virtual service tcp 192.0.2.80:80: real server",
    ),
    (
        ipvs_table,
        {"services": [{**WEB, "servers": [{"address": TWO, "weight": -3}]}]},
        "services[0].servers[0]: real server 198.51.100.22:80: weight -3",
    ),
    (
        ipvs_table,
        {"services": [{**WEB, "persistence": -1}]},
        "services[0]: virtual service tcp 192.0.2.80:80: persistence -1",
    ),
    (
        ipvs_table,
        {"state": "overridden", "services": []},
        "services: the list is empty, which would delete 4 virtual services; set allow_empty",
    ),
    (
        ipvs_table,
        {"state": "overridden", "saved": "\n"},
        "services: the list is empty, which would delete 4 virtual services; set allow_empty",
    ),
    (
        ipvs_table,
        {"state": "replaced", "services": [{**WEB, "servers": []}]},
        "services[0].servers: the list is empty, which would delete 3 real servers of tcp",
    ),
    (
        ipvs_table,
        {"services": [DNS, WEB], "restrict": {"addresses": ["192.0.2.53"]}},
        "services[1]: virtual service tcp 192.0.2.80:80 is outside of what restrict names",
    ),
    (
        ipvs_table,
        {"services": [], "state": "overridden", "restrict": {}, "allow_empty": True},
        "restrict: it names nothing, which could be taken for the whole table",
    ),
    (
        ipvs_table,
        {"services": [], "restrict": {"addresses": ["192.0.2.80/24"]}},
        "restrict.addresses[0]: '192.0.2.80/24' is neither an address nor a network",
    ),
    (ipvs_table, {"saved": "-A -t 192.0.2.80:80 -s rr\n-q"}, "saved: line 2: unknown option '-q'"),
    (ipvs_table, {}, "one of the following is required: services, saved"),
    (ipvs_timeouts, {"tcp": 0}, "tcp: 0 is not a number of seconds from 1"),
    (ipvs_timeouts, {"udp": 2**31}, "udp timeout"),
    (ipvs_timeouts, {}, "one of the following is required: tcp, tcp_fin, udp"),
    (ipvs_sync_daemon, {"role": "master"}, "no interface is given to start one on"),
    (ipvs_sync_daemon, {"role": "master", "interface": "eth9"}, "there is no interface eth9"),
    (
        ipvs_sync_daemon,
        {"role": "backup", "interface": "eth0", "group": "192.0.2.1"},
        "'192.0.2.1' is no multicast address",
    ),
    (ipvs_zero, {"service": {**WEB, "port": 82}}, "tcp 192.0.2.80:82: it is not there"),
]


@pytest.mark.parametrize(("module", "options", "sentence"), REFUSALS)
def test_a_refusal_is_a_sentence_and_changes_nothing(
    full: MemoryPort, module: ModuleType, options: Options, sentence: str
) -> None:
    before = state(full)
    result = run(module, **options)
    assert result["failed"]
    assert sentence in result["msg"]
    assert "\n" not in result["msg"]
    assert state(full) == before


def test_a_refused_change_is_rolled_back(full: MemoryPort) -> None:
    before = full.table
    full.failing = {2: errno.EINVAL}
    services = [{**WEB, "port": 90 + number, "servers": [{"address": TWO}]} for number in range(3)]
    result = run(ipvs_table, services=services)
    assert (result["failed"], result["changed"]) == (True, False)
    assert "undone: the table is what it was before." in result["msg"]
    assert full.table == before


def test_what_another_program_did_meanwhile_is_no_error(full: MemoryPort) -> None:
    """It deletes the service between our reading and our first message; the result is as wanted."""
    gone = run(ipvs_service, check=True, **WEB, state="absent")
    assert gone["changed"]
    key = ServiceKey.by_address("tcp", "192.0.2.80", 80)
    service = full.table[key].service
    full.meanwhile = others_do(full, 0, plan(Table(), full.table, [key]))
    result = run(ipvs_service, **WEB, scheduler="wlc")
    assert (result["failed"], result["changed"]) == (False, True)
    assert full.table[key].service == service.replace(scheduler="wlc")
    assert result["after"]["servers"] == []


def test_a_port_that_the_kernel_ignores_is_replaced_with_a_warning(full: MemoryPort) -> None:
    task = {**ONE, "address": "198.51.100.30", "port": 8080, "forward": "direct"}
    result = run(ipvs_server, **task)
    assert result["server"] == "198.51.100.30:80"
    (warning,) = result["warnings"]
    assert "8080" in warning
    again = run(ipvs_server, **task)
    assert (again["changed"], again["server"]) == (False, "198.51.100.30:80")
    server = {name: value for name, value in task.items() if name != "service"}
    table = run(ipvs_table, services=[{**WEB, "servers": [server]}])
    assert (table["changed"], len(table["warnings"])) == (False, 1)
    assert run(ipvs_server, **task, state="absent")["changed"]


def test_the_counters_of_other_services_stay(full: MemoryPort) -> None:
    dns = ServiceKey.by_address("udp", "192.0.2.53", 53)
    full.counted[dns, None] = Counters(*[8] * 10)
    assert run(ipvs_zero, service=WEB)["changed"]
    assert list(full.counted) == [(dns, None)]


def test_a_daemon_keeps_what_is_not_given(memory: MemoryPort) -> None:
    memory.running[Role.MASTER] = Daemon("master", "eth0", syncid=9, maxlen=1000, ttl=3)
    result = run(ipvs_sync_daemon, role="master", syncid=10)
    assert result["commands"] == [
        "ipvsadm --stop-daemon master",
        "ipvsadm --start-daemon master --mcast-interface eth0 --syncid 10 --sync-maxlen 1000 "
        "--mcast-ttl 3",
    ]
    assert memory.running[Role.MASTER] == Daemon("master", "eth0", syncid=10, maxlen=1000, ttl=3)
    failed = run(ipvs_sync_daemon, role="master", interface="eth9")
    assert failed["failed"]
    assert memory.running[Role.MASTER].interface == "eth0"  # it runs again
