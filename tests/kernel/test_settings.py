# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Timeouts, sync daemons, zero, flush and IPVS itself on the real kernel, read back by ipvsadm.

The sync daemons run on a dummy interface with an IPv4 and an IPv6 address, where nobody listens.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs import ipvsadm as text
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.errors import IpvsError
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.kernel import Kernel
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import (
    Server,
    ServerKey,
    Service,
    ServiceKey,
    Table,
)
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.plan import plan
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.settings import (
    Daemon,
    Role,
    SetTimeouts,
    StartDaemon,
    StopDaemon,
    Timeouts,
)

from . import readers

INTERFACE = "sync0"
MTU = 1500
WEB = ServiceKey.by_address("tcp", "192.0.2.1", 80)
DNS = ServiceKey.by_address("udp", "192.0.2.1", 5301)


@pytest.fixture(scope="module")
def interface(ipvs: None) -> Iterator[None]:
    """An interface for the daemons, of this module alone."""
    for words in (
        ("link", "add", INTERFACE, "mtu", str(MTU), "type", "dummy"),
        ("link", "set", INTERFACE, "up"),
        ("address", "add", "198.51.100.250/24", "dev", INTERFACE),
        ("address", "add", "2001:db8:5::1/64", "dev", INTERFACE, "nodad"),
    ):
        subprocess.run(["ip", *words], check=True)
    yield
    subprocess.run(["ip", "link", "delete", INTERFACE], check=True)


@pytest.fixture
def daemons(kernel: Kernel, interface: None) -> Iterator[Kernel]:
    """The kernel without daemons, before and afterwards."""
    assert kernel.daemons() == ()
    yield kernel
    for daemon in kernel.daemons():
        kernel.stop_daemon(daemon.role)
    assert readers.ipvsadm("-L", "--daemon") == ""


def told() -> str:
    """What ipvsadm says of the daemons."""
    return readers.ipvsadm("-L", "--daemon").strip()


MASTER = Daemon("master", INTERFACE)
DEFAULTS = "mcast=sync0, syncid=0, maxlen=1472, group=224.0.0.81, port=8848, ttl=1"
DAEMONS: list[tuple[dict[str, Any], str]] = [
    ({}, DEFAULTS),
    ({"syncid": 1}, "mcast=sync0, syncid=1, maxlen=1472, group=224.0.0.81, port=8848, ttl=1"),
    ({"syncid": 255}, "mcast=sync0, syncid=255, maxlen=1472, group=224.0.0.81, port=8848, ttl=1"),
    ({"maxlen": 1400}, "mcast=sync0, syncid=0, maxlen=1400, group=224.0.0.81, port=8848, ttl=1"),
    (
        {"group": "239.1.2.3"},
        "mcast=sync0, syncid=0, maxlen=1472, group=239.1.2.3, port=8848, ttl=1",
    ),
    ({"group": "ff02::81"}, "mcast=sync0, syncid=0, maxlen=1452, group=ff02::81, port=8848, ttl=1"),
    ({"port": 1}, "mcast=sync0, syncid=0, maxlen=1472, group=224.0.0.81, port=1, ttl=1"),
    ({"port": 65535}, "mcast=sync0, syncid=0, maxlen=1472, group=224.0.0.81, port=65535, ttl=1"),
    ({"ttl": 255}, "mcast=sync0, syncid=0, maxlen=1472, group=224.0.0.81, port=8848, ttl=255"),
    (
        {"syncid": 7, "maxlen": 1100, "group": "ff05::5", "port": 9999, "ttl": 9},
        "mcast=sync0, syncid=7, maxlen=1100, group=ff05::5, port=9999, ttl=9",
    ),
]


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(("attributes", "line"), DAEMONS)
def test_every_attribute_of_a_daemon(
    daemons: Kernel, role: Role, attributes: dict[str, Any], line: str
) -> None:
    wanted = Daemon(role, INTERFACE, **attributes)
    daemons.start_daemon(wanted)
    assert told() == f"{role} sync daemon ({line})"
    (running,) = daemons.daemons()
    assert wanted.agrees(running)
    assert running.maxlen
    daemons.replace_daemon(wanted)  # runs already
    assert daemons.daemons() == (running,)


def test_ipvsadms_words_for_a_daemon_start_the_same_one(daemons: Kernel) -> None:
    """What is shown as a command does the same when somebody types it."""
    for attributes, line in DAEMONS:
        wanted = Daemon("master", INTERFACE, **attributes)
        readers.ipvsadm(*text.control_words(StartDaemon(wanted)))
        assert told() == f"master sync daemon ({line})"
        (running,) = daemons.daemons()
        assert wanted.agrees(running)
        readers.ipvsadm(*text.control_words(StopDaemon(Role.MASTER)))
        assert daemons.daemons() == ()


def test_a_daemon_that_never_ran_is_stopped_at_once(daemons: Kernel) -> None:
    """The kernel gives no answer then (it tells itself EINTR); waiting for one would take 5 s."""
    for role in Role:
        daemons.daemons()
        daemons.start_daemon(MASTER.replace(role=role))
        began = time.monotonic()
        daemons.stop_daemon(role)
        assert time.monotonic() - began < 2
        assert daemons.daemons() == ()


def test_both_daemons_at_once_and_each_stops_alone(daemons: Kernel) -> None:
    daemons.start_daemon(MASTER.replace(syncid=3))
    daemons.start_daemon(MASTER.replace(role="backup", syncid=4))
    assert [(daemon.role, daemon.syncid) for daemon in daemons.daemons()] == [
        (Role.BACKUP, 4),
        (Role.MASTER, 3),
    ]
    daemons.stop_daemon("master")
    assert told().startswith("backup sync daemon (mcast=sync0, syncid=4")
    assert "master" not in told()


def test_a_daemon_is_replaced(daemons: Kernel) -> None:
    daemons.replace_daemon(MASTER)
    daemons.replace_daemon(MASTER.replace(syncid=9, ttl=3))
    assert told() == (
        "master sync daemon "
        "(mcast=sync0, syncid=9, maxlen=1472, group=224.0.0.81, port=8848, ttl=3)"
    )


def test_a_daemon_whose_successor_does_not_start_runs_on(daemons: Kernel) -> None:
    daemons.start_daemon(MASTER.replace(syncid=5, maxlen=1000))
    before = told()
    with pytest.raises(IpvsError) as caught:
        daemons.replace_daemon(MASTER.replace(interface="nosuch0"))
    assert str(caught.value) == (
        "start sync daemon master: there is no interface nosuch0 in this network namespace; name "
        "one that 'ip link' shows."
    )
    assert told() == before


def test_refusals_about_daemons(daemons: Kernel) -> None:
    daemons.start_daemon(MASTER)
    for act, sentence in (
        (
            lambda: daemons.start_daemon(MASTER),
            "start sync daemon master: one runs already; stop it first.",
        ),
        (lambda: daemons.stop_daemon("backup"), "stop sync daemon backup: it does not run."),
    ):
        with pytest.raises(IpvsError) as caught:
            act()
        assert str(caught.value) == sentence


def test_no_daemon_on_an_interface_that_cannot_send(daemons: Kernel) -> None:
    commands = (
        ("link", "add", "down0", "type", "dummy"),
        ("link", "add", "only4", "type", "dummy"),
        ("link", "set", "only4", "up"),
        ("-6", "address", "flush", "dev", "only4"),
        ("address", "add", "198.51.100.251/32", "dev", "only4"),
    )
    for words in commands:
        subprocess.run(["ip", *words], check=True)
    try:
        with pytest.raises(IpvsError, match="interface down0 is down, or has no address"):
            daemons.start_daemon(MASTER.replace(interface="down0"))
        with pytest.raises(IpvsError, match="interface only4 has no address of the multicast"):
            daemons.start_daemon(MASTER.replace(interface="only4", group="ff02::81"))
        daemons.start_daemon(MASTER.replace(interface="only4"))
        daemons.stop_daemon("master")
    finally:
        for name in ("down0", "only4"):
            subprocess.run(["ip", "link", "delete", name], check=True)


def test_no_daemon_where_a_tunnel_joins_families(daemons: Kernel) -> None:
    service = Service(ServiceKey.by_address("tcp", "2001:db8::1", 80))
    mixed = Server(ServerKey("198.51.100.1", 80), forward="tunnel")
    daemons.apply(plan(Table([(service, [mixed])]), Table())).raise_first()
    with pytest.raises(IpvsError, match="a tunnel joins IPv4 and IPv6"):
        daemons.start_daemon(MASTER)


def test_timeouts(kernel: Kernel) -> None:
    before = kernel.timeouts()
    assert readers.ipvsadm("-L", "--timeout").split()[-3:] == [str(value) for value in before]
    try:
        for wanted in (Timeouts(1, 2, 3), Timeouts(31 * 24 * 3600, 31 * 24 * 3600, 31 * 24 * 3600)):
            kernel.set_timeouts(wanted)
            assert kernel.timeouts() == wanted
            assert readers.ipvsadm("-L", "--timeout").split()[-3:] == [str(v) for v in wanted]
        kernel.set_timeouts(Timeouts(udp=77))
        kernel.set_timeouts(Timeouts(tcp_fin=66))
        assert kernel.timeouts() == Timeouts(31 * 24 * 3600, 66, 77)
        readers.ipvsadm(*text.control_words(SetTimeouts(Timeouts(tcp=55))))
        assert kernel.timeouts() == Timeouts(55, 66, 77)
    finally:
        kernel.set_timeouts(before)


def test_zero_takes_one_service_or_all(kernel: Kernel) -> None:
    servers = [Server(ServerKey("127.0.0.1", 5399))]
    other = ServiceKey.by_address("udp", "192.0.2.1", 5302)
    table = Table([(Service(DNS, "rr"), servers), (Service(other, "rr"), servers)])
    kernel.apply(plan(table, Table())).raise_first()

    def counted() -> list[int]:
        rows = kernel.snapshot().services
        return [rows[key].counters.packets_in for key in (DNS, other)]  # type: ignore[union-attr]

    for _number in range(3):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"question", ("192.0.2.1", 5301))
            client.sendto(b"question", ("192.0.2.1", 5302))
    until = time.monotonic() + 10
    while counted() != [3, 3]:
        assert time.monotonic() < until, "the kernel counted nothing"
        time.sleep(0.2)
    kernel.zero(DNS)
    assert counted() == [0, 3]
    assert readers.ipvsadm("-Ln", "--stats", "--exact", "-u", "192.0.2.1:5301").split()[-1] == "0"
    kernel.zero()
    assert counted() == [0, 0]
    server = kernel.snapshot().servers[other, servers[0].key]
    assert server.counters is not None
    assert server.counters.packets_in == 0
    with pytest.raises(IpvsError) as caught:
        kernel.zero(WEB)
    assert str(caught.value) == (
        "zero tcp 192.0.2.1:80: the virtual service is not there; add it first."
    )


def test_flush_leaves_nothing(kernel: Kernel) -> None:
    readers.ipvsadm("-A", "-t", "192.0.2.1:80")
    readers.ipvsadm("-A", "-f", "3", "-6")
    kernel.flush()
    assert readers.saved() == []
    kernel.flush()  # an empty table is no error


def test_information_agrees_with_proc(kernel: Kernel) -> None:
    found = kernel.information()
    readers.ipvsadm("-A", "-t", "192.0.2.1:80")
    first = readers.ipvsadm("-Ln").splitlines()[0]
    assert first == (
        f"IP Virtual Server version {found.version} (size={found.connection_table_size})"
    )


def test_one_service_is_read_alone(kernel: Kernel) -> None:
    table = Table([(Service(WEB, "rr"), [Server(ServerKey("198.51.100.1", 80), 3)])])
    kernel.apply(plan(table, Table())).raise_first()
    readers.ipvsadm("-A", "-t", "192.0.2.1:81")
    assert kernel.read_service(WEB) == table[WEB]
    assert kernel.read_service(DNS) is None
    assert kernel.read([WEB, DNS]) == table
    v6 = ServiceKey.by_address("sctp", "2001:db8::1", 9)
    for key in (ServiceKey.by_mark(4, "ipv6"), ServiceKey.by_mark(2**32 - 1), v6):
        kernel.apply(plan(Table([(Service(key), [])]), Table())).raise_first()
        entry = kernel.read_service(key)
        assert entry is not None
        assert entry.service == Service(key)
