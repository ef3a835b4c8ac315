# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""plan(): the fewest operations, in an order that never does harm, and nothing of others."""

from __future__ import annotations

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.errors import IpvsError
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
    apply_to,
    plan,
    reached,
)
from hypothesis import given
from hypothesis import strategies as st

from .tables import keys, tables

WEB = ServiceKey.by_address("tcp", "192.0.2.1", 80)
DNS = ServiceKey.by_address("udp", "192.0.2.1", 53)
A, B, C = (Server(ServerKey(f"198.51.100.{n}", 80), 1) for n in (1, 2, 3))

owned_keys = st.lists(keys, unique=True)


def described(operations: tuple[Operation, ...]) -> list[str]:
    return [str(operation) for operation in operations]


@given(tables(), tables(), owned_keys)
def test_the_plan_leads_to_what_is_desired_and_touches_nothing_else(
    desired: Table, actual: Table, owned: list[ServiceKey]
) -> None:
    result = apply_to(actual, plan(desired, actual, owned))
    foreign = actual.without([*desired, *owned])
    assert result == Table.of_entries({**foreign, **desired})
    assert plan(desired, result, owned) == ()


@given(tables(), tables(), owned_keys)
def test_the_plan_is_minimal(desired: Table, actual: Table, owned: list[ServiceKey]) -> None:
    operations = plan(desired, actual, owned)
    names = [
        (operation.service, getattr(operation.subject, "key", None)) for operation in operations
    ]
    assert len(set(names)) == len(names), "something is touched twice"
    for operation in operations:
        assert operation.before != operation.after
        assert not reached(actual, operation)
        assert operation.service in desired or operation.service in owned
        if operation.kind is Kind.DELETE_SERVER:
            assert operation.service in desired  # else the service goes with all its servers


@given(tables(), tables(), owned_keys)
def test_no_step_takes_away_what_is_on_both_sides(
    desired: Table, actual: Table, owned: list[ServiceKey]
) -> None:
    table = actual
    for operation in plan(desired, actual, owned):
        table = apply_to(table, [operation])
        assert reached(table, operation)
        for key in set(desired) & set(actual):
            assert set(table[key].servers) >= set(desired[key].servers) & set(actual[key].servers)
            if actual[key].servers and desired[key].servers:
                assert table[key].servers


@given(tables(), tables())
def test_kinds_come_in_order(desired: Table, actual: Table) -> None:
    def rank(kind: Kind) -> int:
        return 2 * kind.value.startswith("delete") + kind.value.startswith("edit")

    kinds = [operation.kind for operation in plan(desired, actual, list(actual))]
    assert [rank(kind) for kind in kinds] == sorted(rank(kind) for kind in kinds)
    deletions = [kind for kind in kinds if rank(kind) == 2]
    assert deletions == sorted(deletions, key=lambda kind: kind is Kind.DELETE_SERVICE)


def test_a_weight_is_one_edit() -> None:
    actual = Table([(Service(WEB), [A, B])])
    desired = Table([(Service(WEB), [A, B.replace(weight=0)])])
    assert plan(desired, actual) == (Operation(Kind.EDIT_SERVER, WEB, B, B.replace(weight=0)),)


def test_a_scheduler_is_one_edit_and_the_servers_stay() -> None:
    actual = Table([(Service(WEB, "rr"), [A, B])])
    desired = Table([(Service(WEB, "wlc"), [A, B])])
    assert described(plan(desired, actual)) == ["edit service tcp 192.0.2.1:80"]


def test_load_moves_without_a_moment_of_weight_zero_everywhere() -> None:
    actual = Table([(Service(WEB), [A, B.replace(weight=0)])])
    desired = Table([(Service(WEB), [A.replace(weight=0), B])])
    assert described(plan(desired, actual)) == [
        "edit server 198.51.100.2:80 of tcp 192.0.2.1:80",
        "edit server 198.51.100.1:80 of tcp 192.0.2.1:80",
    ]


def test_what_comes_is_there_before_anything_goes() -> None:
    actual = Table([(Service(WEB), [A]), (Service(DNS), [B])])
    desired = Table([(Service(WEB), [C])])
    assert described(plan(desired, actual, [WEB, DNS])) == [
        "add server 198.51.100.3:80 of tcp 192.0.2.1:80",
        "delete server 198.51.100.1:80 of tcp 192.0.2.1:80",
        "delete service udp 192.0.2.1:53",
    ]


def test_services_of_others_stay() -> None:
    actual = Table([(Service(WEB), [A]), (Service(DNS), [B])])
    assert plan(Table(), actual, []) == ()
    assert described(plan(Table(), actual, {DNS})) == ["delete service udp 192.0.2.1:53"]


def test_owning_what_is_not_there_is_nothing_to_do() -> None:
    assert plan(Table(), Table(), [WEB]) == ()


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        (Operation(Kind.ADD_SERVICE, WEB, None, Service(WEB)), "it is there already"),
        (Operation(Kind.EDIT_SERVICE, DNS, None, Service(DNS)), "it is not there"),
        (Operation(Kind.DELETE_SERVICE, DNS, Service(DNS), None), "it is not there"),
        (Operation(Kind.ADD_SERVER, WEB, None, A), "it is there already"),
        (Operation(Kind.EDIT_SERVER, WEB, B, B), "it is not there"),
        (Operation(Kind.DELETE_SERVER, WEB, B, None), "it is not there"),
        (Operation(Kind.ADD_SERVER, DNS, None, B), "the virtual service is not in the table"),
        (
            Operation(Kind.ADD_SERVER, WEB, None, Server(ServerKey("2001:db8::9", 80))),
            "forwarding by nat cannot join",
        ),
    ],
)
def test_the_model_of_the_kernel_refuses_what_the_kernel_refuses(
    operation: Operation, reason: str
) -> None:
    with pytest.raises(IpvsError, match=reason):
        apply_to(Table([(Service(WEB), [A])]), [operation])


def test_an_operation_without_before_and_after_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="without before and after"):
        str(Operation(Kind.ADD_SERVER, WEB, None, None))
