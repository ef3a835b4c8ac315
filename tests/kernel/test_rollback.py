# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change that fails half-way on the real table: read by ipvsadm it is what it was.

The kernel is made to refuse at each place of a batch by a message that it cannot carry out; nothing
of the library is replaced. Others write meanwhile; their entries survive.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.kernel import Kernel
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import (
    Server,
    ServerKey,
    Service,
    ServiceKey,
    Table,
)
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.plan import (
    Kind,
    Operation,
    plan,
    takes_away,
)

from . import readers

WEB = Service(ServiceKey.by_address("tcp", "192.0.2.1", 80), "rr")
WEB6 = Service(ServiceKey.by_address("tcp", "2001:db8::1", 80), "sh", persistence=60, mask=64)
MAIL = Service(ServiceKey.by_address("tcp", "192.0.2.1", 25), "wlc", persistence=9)
MARK = Service(ServiceKey.by_mark(9), "mh", flags=["mh-port"])
A, B, C = (Server(ServerKey(f"198.51.100.{n}", 80), n) for n in (1, 2, 3))
A6, B6 = (Server(ServerKey(f"2001:db8:1::{n}", 80), n) for n in (1, 2))
GUE = Server(ServerKey("198.51.100.9", 80), 1, "tunnel", tunnel="gue", tunnel_port=6080, upper=9)

BEFORE = Table([(WEB, [A, B]), (WEB6, [A6, B6]), (MAIL, [C, GUE])])
AFTER = Table(
    [
        (WEB.replace(scheduler="wlc"), [A.replace(weight=0), C]),
        (WEB6, [A6.replace(weight=7), B6.replace(weight=0)]),
        (MARK, [A, B]),
    ]
)
CHANGE = plan(AFTER, BEFORE, list(BEFORE))
# What no kernel carries out: a multicast address for a server's; for the second half, where things
# go, an edit of a server to a weight of 0 that is above it all: the forwarding method is unknown.
NOWHERE = Server(ServerKey("224.0.0.1", 80), 1)


def refused(place: int) -> Operation:
    """An operation that the kernel refuses, of the half of the change where ``place`` is."""
    service = WEB.key
    if place < sum(not takes_away(operation) for operation in CHANGE):
        return Operation(Kind.ADD_SERVER, service, None, NOWHERE)
    # B stays until the very end; to lead another family into it by NAT is refused.
    other = ServerKey("2001:db8::9", 80)
    return Operation(
        Kind.EDIT_SERVER, service, Server(other, 1), Server._make((other, 0, *tuple(A)[2:]))
    )


@contextmanager
def theirs() -> Iterator[None]:
    """Another program's service, which must be there untouched at the end."""
    readers.ipvsadm("-A", "-t", "192.0.2.1:8443", "-s", "wrr", "-p", "77")
    readers.ipvsadm("-a", "-t", "192.0.2.1:8443", "-r", "198.51.100.9:8443", "-g", "-w", "5")
    lines = [line for line in readers.saved() if "8443" in line]
    yield
    assert [line for line in readers.saved() if "8443" in line] == lines
    assert len(lines) == 2


@pytest.fixture
def before(kernel: Kernel) -> list[str]:
    """The table BEFORE, and ipvsadm's lines of it."""
    kernel.apply(plan(BEFORE, kernel.read())).raise_first()
    return sorted(readers.saved())


@pytest.mark.parametrize("place", range(len(CHANGE) + 1))
def test_a_refusal_at_any_place(before: list[str], place: int) -> None:
    ordered = sorted(CHANGE, key=takes_away)
    operations = [*ordered[:place], refused(place), *ordered[place:]]
    with theirs():
        for batch in (1, 100):
            with Kernel(batch=batch) as kernel:
                report = kernel.apply(operations, rollback=True)
            (error,) = report.errors
            assert error.errno == errno.EINVAL
            assert report.rolled_back
            assert report.left == ()
            if batch == 1:
                assert list(report.undone) == operations[:place]
            assert sorted(line for line in readers.saved() if "8443" not in line) == before
            assert Kernel().read(list(BEFORE)) == BEFORE  # thresholds too
    # And without the message in between the very same change is made.
    with Kernel() as kernel:
        kernel.apply(ordered, rollback=True).raise_first()
        assert kernel.read([*BEFORE, *AFTER]) == AFTER


def test_an_unknown_scheduler_undoes_the_rest(before: list[str]) -> None:
    desired = Table([*AFTER.values(), (MAIL.replace(scheduler="nosuch"), [C])])
    with Kernel() as kernel:
        report = kernel.apply(plan(desired, kernel.read(), list(BEFORE)), rollback=True)
    assert report.story().startswith(
        "edit service tcp 192.0.2.1:25: the kernel does not know scheduler nosuch; choose another "
        "one or provide the kernel module ip_vs_nosuch."
    )
    assert report.story().endswith("undone: the table is what it was before.")
    assert sorted(readers.saved()) == before


def test_a_large_change_that_fails_at_its_end_is_undone(kernel: Kernel) -> None:
    """1,000 servers in batches, the last one refused."""
    servers = [Server(ServerKey(f"198.51.{100 + n // 200}.{1 + n % 200}", 80)) for n in range(1000)]
    kernel.apply(plan(BEFORE, kernel.read())).raise_first()
    before = sorted(readers.saved())
    desired = Table([(WEB, [A, B, *servers[3:]]), (MARK, [C, NOWHERE])])
    report = kernel.apply(plan(desired, kernel.read()), rollback=True)
    assert report.rolled_back
    assert sorted(readers.saved()) == before
    kernel.apply(
        plan(Table([(WEB, [A, B, *servers[3:]])]), kernel.read()), rollback=True
    ).raise_first()
    assert len(readers.saved()) == len(before) + len(servers[3:])


def test_servers_stay_where_none_of_their_successors_came(kernel: Kernel) -> None:
    kernel.apply(plan(Table([(WEB, [A]), (MAIL, [A])]), kernel.read())).raise_first()
    desired = Table([(WEB, [NOWHERE]), (MAIL, [NOWHERE, B])])
    report = kernel.apply(plan(desired, kernel.read()))
    assert len(report.errors) == 3
    assert sorted(readers.saved()) == [
        "-A -t 192.0.2.1:25 -s wlc -p 9",
        "-A -t 192.0.2.1:80 -s rr",
        "-a -t 192.0.2.1:25 -r 198.51.100.2:80 -m -w 2",
        "-a -t 192.0.2.1:80 -r 198.51.100.1:80 -m -w 1",
    ]


def test_rollback_while_another_process_writes(kernel: Kernel) -> None:
    """It adds and removes servers of the very services, and a service of its own."""
    kernel.apply(plan(BEFORE, kernel.read())).raise_first()
    own = Service(ServiceKey.by_address("tcp", "192.0.2.1", 443), "rr")
    guest = Server(ServerKey("198.51.100.77", 80), 5)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            chance = random.Random(5)
            with Kernel() as mine:
                mine.apply([Operation(Kind.ADD_SERVICE, own.key, None, own)]).raise_first()
                for number in range(400):
                    # It leaves with its entries in place.
                    comes = number >= 398 or chance.random() < 0.5
                    kind = Kind.ADD_SERVER if comes else Kind.DELETE_SERVER
                    sides = (None, guest) if comes else (guest, None)
                    service = (WEB.key, own.key)[number % 2]
                    mine.apply([Operation(kind, service, *sides)]).raise_first()
            code = 0
        finally:
            os._exit(code)
    rounds, status = 0, (0, 0)
    with Kernel(batch=1) as ours:
        while status == (0, 0):
            operations = [*sorted(CHANGE, key=takes_away)[:-2], refused(len(CHANGE))]
            report = ours.apply(operations, rollback=True)
            assert report.rolled_back
            assert report.left == ()
            rounds += 1
            status = os.waitpid(child, os.WNOHANG)
    assert status == (child, 0)
    assert rounds > 1
    ends = Table([(WEB, [A, B, guest]), (own, [guest])])
    assert kernel.read() == Table.of_entries({**BEFORE, **ends})
