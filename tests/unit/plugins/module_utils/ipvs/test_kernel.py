# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading through Kernel while others write: what is read again, and when it is believed.

The kernel is one in memory; tests/kernel does the same with the real one and a second process.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.codec import (
    ServerRow,
    ServiceRow,
)
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.errors import IpvsError
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.kernel import FEW, READINGS, Kernel
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import (
    Entry,
    Server,
    ServerKey,
    Service,
    ServiceKey,
    Table,
)
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.plan import Operation, plan
from hypothesis import given

from .memory import MemoryPort
from .tables import tables

WEB = Service(ServiceKey.by_address("tcp", "192.0.2.1", 80), "rr")
DNS = Service(ServiceKey.by_address("udp", "192.0.2.1", 53), "rr")
MAIL = Service(ServiceKey.by_address("tcp", "192.0.2.1", 25), "rr")
A, B, C = (Server(ServerKey(f"198.51.100.{n}", 80), 1) for n in (1, 2, 3))
TABLE = Table([(WEB, [A, B]), (DNS, [B, C]), (MAIL, [A])])


class TornPort(MemoryPort):
    """A kernel whose lists leave things out, as real ones do while others delete.

    ``torn``: how many of the next lists do so; ``hide``: what they leave out.
    """

    def __init__(self, table: Table, torn: int, hide: object) -> None:
        super().__init__(table)
        self.torn = torn
        self.hide = hide
        self.split = 1  # longer lists come in pieces, and say so

    def _whole(self, rows: list, key: Callable) -> list:  # type: ignore[type-arg]
        if self.torn and any(key(row) == self.hide for row in rows):
            self.torn -= 1
            return [row for row in rows if key(row) != self.hide]
        return rows

    def services(self, counters: bool) -> tuple[list[ServiceRow], bool]:
        rows, _whole = super().services(counters)
        return self._whole(rows, lambda row: row.service.key), False

    def servers(self, key: ServiceKey, counters: bool) -> tuple[list[ServerRow], bool]:
        rows, _whole = super().servers(key, counters)
        return self._whole(rows, lambda row: row.server.key), False


@given(tables())
def test_what_is_there_is_read(table: Table) -> None:
    kernel = Kernel(port=MemoryPort(table))
    assert kernel.read() == table
    for key in table:
        assert kernel.read_service(key) == table[key]
        assert kernel.read([key]) == table.only([key])
    assert kernel.read_service(ServiceKey.by_mark(99)) is None


def test_one_service_is_read_without_the_others() -> None:
    port = MemoryPort(TABLE)
    assert Kernel(port=port).read_service(WEB.key) == Entry(WEB, {A.key: A, B.key: B})
    assert port.reads == 2


@pytest.mark.parametrize("hide", [WEB.key, B.key])
def test_a_list_that_left_something_out_is_read_again(hide: object) -> None:
    assert Kernel(port=TornPort(TABLE, 1, hide)).read() == TABLE


def test_a_list_of_one_moment_is_read_once() -> None:
    port = MemoryPort(TABLE)
    Kernel(port=port).read()
    assert port.reads == 1 + len(TABLE)


def test_a_table_that_never_stands_still_is_read_all_the_same() -> None:
    port = TornPort(TABLE, 0, None)
    flip = iter([TABLE, TABLE.only([WEB.key])] * 100)
    services = port.services

    def restless(counters: bool) -> tuple[list[ServiceRow], bool]:
        port.table = next(flip)
        return services(counters)

    port.services = restless  # type: ignore[method-assign]
    assert set(Kernel(port=port).read()) in ({WEB.key}, set(TABLE))


def decision(actual: Table) -> tuple[Operation, ...]:
    return plan(TABLE, actual, [*TABLE, *actual])


@pytest.mark.parametrize("hide", [WEB.key, B.key])
def test_what_only_seems_to_be_missing_is_no_difference(hide: object) -> None:
    port = TornPort(TABLE, 1, hide)
    assert Kernel(port=port).compare(decision) == (TABLE, ())


@pytest.mark.parametrize("hide", [WEB.key, B.key])
def test_nor_where_it_seems_so_over_and_over(hide: object) -> None:
    port = TornPort(TABLE, READINGS - 1, hide)
    assert Kernel(port=port).compare(decision).operations == ()


def test_a_real_difference_is_found_and_nothing_else() -> None:
    lighter = Table([(WEB, [A, B.replace(weight=9)]), (DNS, [B, C]), (MAIL, [A])])
    port = MemoryPort(lighter)
    actual, operations = Kernel(port=port).compare(decision)
    assert actual == lighter
    assert [str(operation) for operation in operations] == [f"edit server {B.key} of {WEB.key}"]
    assert port.reads == 1 + len(TABLE) + 2, "what differs is read again"


def test_where_very_much_differs_the_whole_table_is_read_again() -> None:
    many = Table(
        (Service(ServiceKey.by_address("tcp", "192.0.2.9", 1000 + number)), [A])
        for number in range(FEW + 4)
    )
    port = MemoryPort(many.only(list(many)[:3]))
    comparison = Kernel(port=port).compare(lambda actual: plan(many, actual, list(actual)))
    assert len(comparison.operations) == 2 * (FEW + 1)
    assert port.reads == 2 * (1 + 3)
    port = MemoryPort(many)
    comparison = Kernel(port=port).compare(lambda actual: plan(Table(), actual, list(actual)))
    assert len(comparison.operations) == FEW + 4
    assert port.reads == 2 * (1 + FEW + 4)


def test_where_nothing_is_to_be_done_the_table_is_read_once() -> None:
    port = MemoryPort(TABLE)
    assert Kernel(port=port).compare(decision) == (TABLE, ())
    assert port.reads == 1 + len(TABLE)


def test_some_services_are_compared_without_reading_the_others() -> None:
    port = MemoryPort(TABLE)
    wanted = Table([(WEB, [A])])
    actual, operations = Kernel(port=port).compare(lambda table: plan(wanted, table), [WEB.key])
    assert actual == TABLE.only([WEB.key])
    assert [str(operation) for operation in operations] == [f"delete server {B.key} of {WEB.key}"]
    assert port.reads == 4


def test_lost_answers_are_asked_for_again() -> None:
    port = MemoryPort(TABLE)
    port.lost_dumps = READINGS - 1
    assert Kernel(port=port).read() == TABLE
    port.lost_dumps = READINGS
    with pytest.raises(IpvsError) as caught:
        Kernel(port=port).read()
    assert str(caught.value) == "IPVS in the kernel: answers were lost (ENOBUFS); try again."
