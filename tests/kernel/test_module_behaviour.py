# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules at work on a real kernel: what IPVS keeps beside the table, others in the same table,
refusals half-way, and services of lvsd. Attributes are in test_module_attributes.py."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils._module import ipvs_owner
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.kernel import Kernel
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import ServiceKey, Table
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.plan import plan
from ansible_collections.piranha.lvs.plugins.modules import (
    ipvs_info,
    ipvs_server,
    ipvs_service,
    ipvs_sync_daemon,
    ipvs_table,
    ipvs_timeouts,
    ipvs_zero,
)
from piranha.lvsd.owned import Owned

from tests.unit.plugins.modules.running import run

from . import readers
from .quick import saved
from .test_module_attributes import plain

WEB = {"address": "192.0.2.1", "port": 80}
SERVERS = [{"address": f"198.51.100.{number}"} for number in (1, 2, 3)]
FOREIGN = [
    "-A -t 192.0.2.1:8443 -s wrr -p 77",
    "-a -t 192.0.2.1:8443 -r 198.51.100.9:8443 -g -w 5",
    "-A -f 99 -6 -s rr",
]


def twice(module: Any, **options: object) -> Any:
    """Under check mode and in earnest: the same result; and again: unchanged."""
    foretold = run(module, check=True, diff=True, **options)
    done = run(module, diff=True, **options)
    assert plain(foretold) == plain(done)
    again = run(module, **options)
    assert again.get("changed") is False, again
    return done


# Timeouts, sync daemons, counters


@pytest.fixture
def timeouts() -> Iterator[None]:
    yield
    run(ipvs_timeouts, tcp=900, tcp_fin=120, udp=300)


@pytest.mark.usefixtures("timeouts")
@pytest.mark.parametrize(
    ("said", "printed"),
    [
        ({"tcp": 3600}, "3600 120 300"),
        ({"tcp_fin": 1}, "900 1 300"),
        ({"udp": 2678400}, "900 120 2678400"),
        ({"tcp": 7, "tcp_fin": 8, "udp": 9}, "7 8 9"),
        ({"tcp": 900, "udp": 30}, "900 120 30"),
    ],
)
def test_timeouts(said: dict[str, int], printed: str) -> None:
    result = twice(ipvs_timeouts, **said)
    assert result["changed"]
    shown = readers.ipvsadm("-L", "--timeout").strip()
    assert shown == f"Timeout (tcp tcpfin udp): {printed}"
    assert " ".join(str(number) for number in result["after"].values()) == printed


@pytest.fixture
def no_daemons() -> Iterator[None]:
    yield
    for role in ("master", "backup"):
        run(ipvs_sync_daemon, role=role, state="absent")


@pytest.mark.usefixtures("no_daemons")
@pytest.mark.parametrize(
    ("said", "printed"),
    [
        ({"role": "master"}, "master sync daemon (mcast=lo, syncid=0, maxlen=1472, "
         "group=224.0.0.81, port=8848, ttl=1)"),
        ({"role": "backup"}, "backup sync daemon (mcast=lo, syncid=0, maxlen=65507, "
         "group=224.0.0.81, port=8848, ttl=1)"),
        ({"role": "master", "syncid": 255, "maxlen": 900, "port": 9000, "ttl": 255,
          "group": "224.0.0.99"}, "master sync daemon (mcast=lo, syncid=255, maxlen=900, "
         "group=224.0.0.99, port=9000, ttl=255)"),
        ({"role": "backup", "maxlen": 10}, "backup sync daemon (mcast=lo, syncid=0, maxlen=1024, "
         "group=224.0.0.81, port=8848, ttl=1)"),
        ({"role": "backup", "group": "FF02::81"}, "backup sync daemon (mcast=lo, syncid=0, "
         "maxlen=65487, group=ff02::81, port=8848, ttl=1)"),
    ],
)  # fmt: skip
def test_a_sync_daemon(said: dict[str, Any], printed: str) -> None:
    assert twice(ipvs_sync_daemon, interface="lo", **said)["changed"]
    assert readers.ipvsadm("-L", "--daemon").strip() == printed
    (daemon,) = run(ipvs_info)["sync_daemons"]
    changed = twice(ipvs_sync_daemon, role=said["role"], syncid=77)
    assert changed["after"] == {**daemon, "syncid": 77}
    assert "syncid=77," in readers.ipvsadm("-L", "--daemon")
    assert twice(ipvs_sync_daemon, role=said["role"], state="absent")["changed"]
    assert readers.ipvsadm("-L", "--daemon").strip() == ""


@pytest.mark.usefixtures("no_daemons")
def test_both_daemons_and_a_device_that_is_not_there() -> None:
    for role in ("master", "backup"):
        assert run(ipvs_sync_daemon, role=role, interface="lo", syncid=4)["changed"]
    refused = run(ipvs_sync_daemon, role="master", interface="nosuch0")
    assert "there is no interface nosuch0 in this network namespace" in refused["msg"]
    shown = readers.ipvsadm("-L", "--daemon").strip().splitlines()
    assert [line.split(" (")[0] for line in shown] == ["master sync daemon", "backup sync daemon"]


def _counts() -> dict[str, int]:
    """Connections by service as ipvsadm prints them."""
    lines = readers.ipvsadm("-Ln", "--stats", "--exact").splitlines()[3:]
    return {line.split()[1]: int(line.split()[-5]) for line in lines if line[:2] != "  "}


def test_counters_are_zeroed_of_one_service_or_of_all() -> None:
    services = [
        {
            "protocol": "udp",
            "address": "192.0.2.1",
            "port": port,
            "servers": [{"address": "127.0.0.1", "port": 5353}],
        }
        for port in (53, 54)
    ]
    run(ipvs_table, services=services)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for port in (53, 54, 54):
            client.sendto(b"question", ("192.0.2.1", port))
    until = time.monotonic() + 10
    while 0 in _counts().values():
        assert time.monotonic() < until, "the kernel counted nothing"
        time.sleep(0.2)
    one = {name: services[0][name] for name in ("protocol", "address", "port")}
    before = _counts()
    foretold = run(ipvs_zero, check=True, service=one)
    assert _counts() == before
    done = run(ipvs_zero, service=one)
    assert plain(done) == plain(foretold)
    assert [found["counters"]["connections"] for found in done["before"]] == [1, 1]
    assert _counts() == {"192.0.2.1:53": 0, "192.0.2.1:54": before["192.0.2.1:54"]}
    assert run(ipvs_zero, service=one)["changed"] is False
    assert run(ipvs_zero)["changed"] is True
    assert set(_counts().values()) == {0}


# Others in the same table


TASKS: list[tuple[Any, dict[str, Any]]] = [
    (ipvs_table, {"services": [{**WEB, "servers": SERVERS}]}),
    (ipvs_table, {"state": "replaced", "services": [{**WEB, "servers": SERVERS[:1]}]}),
    (
        ipvs_table,
        {
            "state": "overridden",
            "services": [{**WEB, "servers": SERVERS}],
            "restrict": {"addresses": ["192.0.2.1"], "protocols": ["udp", "tcp"], "fwmarks": [5]},
            "allow_empty": True,
        },
    ),
    (ipvs_table, {"state": "deleted", "services": [WEB]}),
    (ipvs_service, {**WEB, "scheduler": "sh"}),
    (ipvs_service, {**WEB, "state": "absent"}),
    (ipvs_server, {"service": WEB, "address": "198.51.100.1", "state": "absent"}),
    (ipvs_server, {"service": WEB, "address": "198.51.100.1", "state": "drained"}),
    (ipvs_server, {"service": WEB, "address": "198.51.100.9"}),
    (ipvs_zero, {}),
]


@pytest.mark.parametrize(("module", "options"), TASKS)
def test_services_of_others_are_not_touched(module: Any, options: dict[str, Any]) -> None:
    """Whatever a task does that was not told to own the whole table, or their address."""
    foreign = [line.replace("192.0.2.1:8443", "192.0.2.7:8443") for line in FOREIGN]
    run(ipvs_table, services=[{**WEB, "servers": SERVERS}])
    run(ipvs_table, saved="\n".join(foreign))
    theirs = [line for line in saved() if "8443" in line or "-f 99" in line]
    assert sorted(theirs) == sorted(foreign)
    assert not run(module, **options)["failed"]
    assert [line for line in saved() if "8443" in line or "-f 99" in line] == theirs


def _another_writer() -> int:
    """A child that keeps deleting and adding the very services; its process id."""
    child = os.fork()
    if child:
        return child
    try:
        keys = [ServiceKey.by_address("tcp", "192.0.2.1", 80 + number) for number in range(4)]
        with Kernel() as kernel:
            for number in itertools.count():
                there = kernel.read(keys)
                part = there.only(keys[: number % 4])
                kernel.apply(plan(part, there, keys))
    finally:
        os._exit(1)


def test_another_program_changes_the_same_services_meanwhile() -> None:
    """No run fails with anything but a sentence, and when the other rests the last one wins."""
    services = [{**WEB, "port": 80 + number, "servers": SERVERS} for number in range(4)]
    run(ipvs_table, state="replaced", services=services)
    child = _another_writer()
    told: list[Any] = []
    until = time.monotonic() + 60
    try:
        # Each change is one that the other made necessary.
        while sum(result.get("changed", False) for result in told) < 10:
            assert time.monotonic() < until, "the other program does nothing"
            told.append(run(ipvs_table, state="replaced", services=services))
        assert os.waitpid(child, os.WNOHANG) == (0, 0)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    for result in told:
        assert not result["failed"] or result["msg"].endswith("."), result
    run(ipvs_table, state="replaced", services=services)
    assert run(ipvs_table, state="replaced", services=services)["changed"] is False
    assert len(saved()) == 16


def test_a_refusal_half_way_leaves_the_table_as_it_was() -> None:
    run(ipvs_table, services=[{**WEB, "servers": SERVERS}])
    before = saved()
    wanted = [
        {**WEB, "scheduler": "rr", "servers": [{"address": "198.51.100.1", "weight": 9}]},
        {**WEB, "port": 81, "servers": [{"address": "224.0.0.1"}]},  # the kernel takes no multicast
        {**WEB, "port": 82, "servers": SERVERS},
    ]
    refused = run(ipvs_table, state="overridden", services=wanted)
    assert (refused["failed"], refused["changed"]) == (True, False)
    assert "add server 224.0.0.1:81 of tcp 192.0.2.1:81: the kernel refuses" in refused["msg"]
    assert refused["msg"].endswith("undone: the table is what it was before.")
    assert saved() == before


@pytest.fixture
def lvsd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An agent's folder as lvsd itself writes it, and somebody who answers."""
    Owned(tmp_path).save([ServiceKey.by_address("tcp", "192.0.2.1", 80)])
    monkeypatch.setattr(ipvs_owner, "RUN_DIR", tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "control.sock"))
        listener.listen()
        yield


@pytest.mark.usefixtures("lvsd")
def test_what_lvsd_owns_is_refused() -> None:
    run(ipvs_service, **WEB, force=True)
    refused = run(ipvs_server, service=WEB, address="198.51.100.1")
    assert "use piranha_server" in refused["msg"]
    assert saved() == ["-A -t 192.0.2.1:80 -s wlc"]
    assert run(ipvs_server, service=WEB, address="198.51.100.1", force=True)["changed"]
    assert run(ipvs_service, **{**WEB, "port": 81})["changed"]


def test_a_large_table_goes_in_and_out() -> None:
    """More than one batch, and more than are read one by one."""
    services = [{**WEB, "port": 1000 + number, "servers": SERVERS} for number in range(60)]
    assert len(twice(ipvs_table, state="overridden", services=services)["commands"]) == 240
    assert len(saved()) == 240
    result = twice(ipvs_table, state="deleted", services=services)
    assert len(result["commands"]) == 60
    with Kernel() as kernel:
        assert kernel.read() == Table()
