# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The library at work on a real table: others beside it, stale plans, many entries, lost answers,
forks, refusals."""

from __future__ import annotations

import errno
import os
import random
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.errors import IpvsError
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.kernel import Kernel
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import (
    Server,
    ServerKey,
    Service,
    ServiceKey,
    Table,
)
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.outcome import State
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.plan import (
    Kind,
    Operation,
    apply_to,
    plan,
)

from . import readers

WEB = ServiceKey.by_address("tcp", "192.0.2.1", 80)
WEB6 = ServiceKey.by_address("tcp", "2001:db8::1", 80)
ONE, TWO, THREE = (Server(ServerKey(f"198.51.100.{n}", 80)) for n in (1, 2, 3))


def numbered(service: int, servers: int) -> tuple[Service, list[Server]]:
    """A service that differs from others by its port, with some servers."""
    key = ServiceKey.by_address("udp", "192.0.2.1", 1000 + service)
    return Service(key, "rr"), [
        Server(ServerKey(f"198.51.{100 + number // 200}.{1 + number % 200}", 80), 1 + number % 9)
        for number in range(servers)
    ]


def in_child(act: Callable[[], str]) -> str:
    """What ``act`` returns (or the sentence it fails with) in a forked child."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = act()
        except IpvsError as error:
            said = str(error)
        except BaseException as error:  # noqa: BLE001 - a child must not go on as a second pytest
            said = repr(error)
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


def test_random_tables_follow_each_other(kernel: Kernel) -> None:
    """From any table to any other: the kernel ends where the model of the kernel ends."""
    chance = random.Random(4)
    for _round in range(25):
        entries = []
        for number in chance.sample(range(6), chance.randrange(6)):
            service, servers = numbered(number, 4)
            service = service.replace(scheduler=chance.choice(("rr", "wlc")))
            weights = [server.replace(weight=chance.randrange(3)) for server in servers]
            entries.append((service, chance.sample(weights, chance.randrange(5))))
        desired, actual = Table(entries), kernel.read()
        operations = plan(desired, actual, list(actual))
        assert kernel.apply(operations).errors == ()
        assert kernel.read() == desired == apply_to(actual, operations)


def test_services_of_others_are_not_touched(kernel: Kernel) -> None:
    readers.ipvsadm("-A", "-t", "192.0.2.1:8443", "-s", "wrr", "-p", "77")
    readers.ipvsadm("-a", "-t", "192.0.2.1:8443", "-r", "198.51.100.9:8443", "-g", "-w", "5")
    foreign = readers.saved()
    ours = Table([(Service(WEB, "rr"), [ONE, TWO])])
    assert kernel.apply(plan(ours, kernel.read(), [])).errors == ()
    assert kernel.apply(plan(Table(), kernel.read(), [WEB])).errors == ()
    assert readers.saved() == foreign


def test_an_edit_keeps_connections_and_counters(kernel: Kernel) -> None:
    """Which deleting and adding would lose. The counters agree with ipvsadm's."""
    key = ServiceKey.by_address("udp", "192.0.2.1", 53)
    server = Server(ServerKey("127.0.0.1", 5353), 1)
    desired = Table([(Service(key, "rr"), [server])])
    kernel.apply(plan(desired, kernel.read())).raise_first()
    for _number in range(3):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"question", ("192.0.2.1", 53))
    until = time.monotonic() + 10
    while readers.ipvsadm("-Ln", "--stats", "--exact").split()[-5] != "3":
        assert time.monotonic() < until, "the kernel counted nothing"
        time.sleep(0.2)
    changed = Table([(Service(key, "wlc"), [server.replace(weight=0)])])
    kernel.apply(plan(changed, kernel.read())).raise_first()
    snapshot = kernel.snapshot()
    counted = snapshot.services[key].counters
    row = snapshot.servers[key, server.key]
    assert counted is not None
    assert row.counters is not None
    assert (counted.connections, row.counters.connections) == (3, 3)
    assert (counted.packets_in, counted.bytes_in) == (3, 3 * (20 + 8 + 8))
    assert (row.active, row.inactive, row.persistent) == (0, 3, 0)
    told = readers.ipvsadm("-Ln", "--stats", "--exact").splitlines()[-1].split()
    assert told[2:] == [str(number) for number in row.counters[:5]]


def test_a_thousand_servers_go_in_batches(kernel: Kernel) -> None:
    desired = Table([numbered(0, 1000)])
    report = kernel.apply(plan(desired, kernel.read()))
    assert len(report.done) == 1001
    assert kernel.read() == desired
    assert len(readers.saved()) == 1001
    half = Table([numbered(0, 500)])
    assert len(kernel.apply(plan(half, kernel.read())).done) == 500
    assert kernel.read() == half


def test_lost_answers_are_found_out_by_reading() -> None:
    """More refusals than the smallest receive buffer takes: ENOBUFS, yet the outcome is known.

    Everything is there already, as wanted; so every message is refused, and every result is there.
    """
    desired = Table([numbered(0, 500)])
    creation = plan(desired, Table())
    with Kernel() as kernel:
        kernel.apply(creation).raise_first()
    with Kernel(batch=1000, receive_buffer=1) as kernel:
        bad = Operation(Kind.EDIT_SERVICE, WEB, None, Service(WEB, "nosuch"))
        report = kernel.apply((*creation, bad))
        assert report.done == creation
        (error,) = report.errors
        assert error.errno == errno.ENOBUFS  # it was the last message: its answer is surely lost
        again = kernel.apply(creation, rollback=True)
        assert again.done == creation
    assert len(readers.saved()) == 501


def test_stale_plans_still_bring_about_what_is_wanted(kernel: Kernel) -> None:
    """Between reading and applying another program came first with the same, or undid it."""
    service = Service(WEB, "rr")
    create = plan(Table([(service, [ONE, TWO.replace(weight=7)])]), kernel.read())
    readers.ipvsadm("-A", "-t", "192.0.2.1:80", "-s", "wlc", "-p", "9")
    readers.ipvsadm("-a", "-t", "192.0.2.1:80", "-r", "198.51.100.2:80", "-g")
    assert kernel.apply(create).errors == ()
    assert readers.saved() == [
        "-A -t 192.0.2.1:80 -s rr",
        "-a -t 192.0.2.1:80 -r 198.51.100.1:80 -m -w 1",
        "-a -t 192.0.2.1:80 -r 198.51.100.2:80 -m -w 7",
    ]
    change = plan(Table([(service, [ONE.replace(weight=3)])]), kernel.read())
    readers.ipvsadm("-d", "-t", "192.0.2.1:80", "-r", "198.51.100.1:80")
    readers.ipvsadm("-d", "-t", "192.0.2.1:80", "-r", "198.51.100.2:80")
    assert kernel.apply(change).errors == ()
    assert readers.saved() == [
        "-A -t 192.0.2.1:80 -s rr",
        "-a -t 192.0.2.1:80 -r 198.51.100.1:80 -m -w 3",
    ]
    edit = plan(Table([(Service(WEB, "wlc"), [ONE, TWO])]), kernel.read())
    readers.ipvsadm("-C")
    assert kernel.apply(edit).errors == ()
    assert kernel.read() == Table([(Service(WEB, "wlc"), [ONE, TWO])])
    remove = plan(Table(), kernel.read(), [WEB])
    readers.ipvsadm("-C")
    assert kernel.apply(remove).errors == ()


MET_ANOTHER = {errno.ESRCH, errno.ENOENT, errno.EEXIST}
"""An entry came or went between two messages about it, as often as it was tried."""


def test_two_writers_of_the_same_table_both_get_there() -> None:
    """A second process keeps adding and removing the very entries; the last one wins."""
    desired = Table([numbered(number, 3) for number in range(5)])

    def second_writer() -> str:
        with Kernel() as kernel:
            for number in range(30):
                wanted = desired if number % 2 else desired.only(list(desired)[:2])
                report = kernel.apply(plan(wanted, kernel.read(), list(desired)))
                if {error.errno for error in report.errors} - MET_ANOTHER:
                    return str(report.errors)
        return "done"

    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, second_writer().encode())
        os._exit(0)
    os.close(writing)
    with Kernel() as kernel:
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            report = kernel.apply(plan(desired, kernel.read(), list(desired)))
            assert {error.errno for error in report.errors} <= MET_ANOTHER
        with os.fdopen(reading) as pipe:
            assert pipe.read() == "done"
        kernel.apply(plan(desired, kernel.read(), list(desired))).raise_first()
        assert kernel.read() == readers.by_pyroute2() == desired


def test_a_forked_child_gets_a_socket_of_its_own(kernel: Kernel) -> None:
    desired = Table([numbered(0, 3)])
    kernel.apply(plan(desired, kernel.read())).raise_first()
    assert in_child(lambda: str(kernel.read() == desired)) == "True"
    assert kernel.read() == desired


def test_no_descriptor_is_left_open() -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count, not paths

    before = count()
    for _number in range(3):
        with Kernel() as kernel:
            kernel.read()
            kernel.apply([Operation(Kind.ADD_SERVICE, WEB, None, Service(WEB, "nosuch"))])
    kernel = Kernel()
    kernel.read()
    kernel.close()
    assert count() == before


def test_each_refusal_is_told_and_stops_no_other(kernel: Kernel) -> None:
    unknown = Service(ServiceKey.by_address("tcp", "192.0.2.1", 81), "nosuch")
    nowhere = Server(ServerKey("224.0.0.1", 80))  # the kernel takes no multicast address
    report = kernel.apply(
        plan(Table([(Service(WEB), [nowhere, ONE]), (unknown, [TWO])]), kernel.read())
    )
    assert [str(error) for error in report.errors] == [
        "add server 224.0.0.1:80 of tcp 192.0.2.1:80: the kernel refuses the address or the "
        "tunnel settings; use a unicast address, and see that this host has an interface that is "
        "up.",
        "add service tcp 192.0.2.1:81: the kernel does not know scheduler nosuch; choose another "
        "one or provide the kernel module ip_vs_nosuch.",
    ]
    # That a server's service is not there is no error of its own.
    assert [str(o.operation) for o in report.outcomes if o.state is State.NOT_TRIED] == [
        "add server 198.51.100.2:80 of tcp 192.0.2.1:81"
    ]
    assert kernel.read() == Table([(Service(WEB), [ONE])])


def test_mixed_families_while_a_sync_daemon_runs(kernel: Kernel) -> None:
    service = Service(WEB6)
    mixed = Server(ONE.key, forward="tunnel")
    kernel.apply(plan(Table([(service, [])]), kernel.read())).raise_first()
    readers.ipvsadm("--start-daemon", "master", "--mcast-interface", "lo")
    try:
        report = kernel.apply(plan(Table([(service, [mixed])]), kernel.read()))
        (error,) = report.errors
        assert "only while no sync daemon runs; stop the sync daemon" in str(error)
    finally:
        readers.ipvsadm("--stop-daemon", "master")
    kernel.apply(plan(Table([(service, [mixed])]), kernel.read())).raise_first()


def test_without_privilege_it_is_one_sentence() -> None:
    def read_as_nobody() -> str:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        with Kernel() as kernel:
            return str(kernel.read())

    assert in_child(read_as_nobody) == (
        "IPVS in the kernel: this process may not read or change the table; "
        "run it as root or with the capability CAP_NET_ADMIN."
    )


def test_what_the_kernel_holds_and_ipvsadm_refuses_is_read_all_the_same(kernel: Kernel) -> None:
    """Port 0 without persistence: other programs may set it, and that must not break us."""
    odd = Service(ServiceKey.by_address("tcp", "192.0.2.1", 0))
    kernel.apply(plan(Table([(odd, [ONE])]), kernel.read())).raise_first()
    assert kernel.read() == Table([(odd, [ONE])])


def test_the_network_namespace_is_our_own() -> None:
    """Else these tests would empty the table of the machine that runs them."""
    done = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("lo ")
    mine = Path("/proc/self/ns/net").readlink()
    assert mine != Path(f"/proc/{os.getppid()}/ns/net").readlink()
