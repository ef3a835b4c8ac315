# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operations on their way into a kernel (in memory): refused at any place, answers lost, others
writing meanwhile, rolled back, and servers kept where their successors did not come.

The same on the real table: tests/kernel/test_apply.py, test_rollback.py.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable

import pytest
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
from hypothesis import given
from hypothesis import strategies as st

from .memory import MemoryPort, others_do
from .tables import tables

WEB = Service(ServiceKey.by_address("tcp", "192.0.2.1", 80), "rr")
DNS = Service(ServiceKey.by_address("udp", "192.0.2.1", 53), "wlc")
MAIL = Service(ServiceKey.by_address("tcp", "192.0.2.1", 25), "wlc")
A, B, C = (Server(ServerKey(f"198.51.100.{n}", 80), 1) for n in (1, 2, 3))
REFUSED = errno.ENOMEM

BEFORE = Table([(WEB, [A, B]), (DNS, [B, C]), (MAIL, [A])])
# Every kind of operation is needed to get from the one to the other.
AFTER = Table(
    [
        (WEB.replace(scheduler="wlc"), [A.replace(weight=5), C]),
        (DNS, [B.replace(weight=0), C.replace(weight=3)]),
        (Service(ServiceKey.by_mark(7), "sh"), [A, B]),
    ]
)
OWNED = list(BEFORE)


def kinds(operations: Iterable[Operation]) -> set[Kind]:
    return {operation.kind for operation in operations}


def test_the_example_needs_every_kind_of_operation() -> None:
    assert kinds(plan(AFTER, BEFORE, OWNED)) == set(Kind)


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
@pytest.mark.parametrize("at", range(len(plan(AFTER, BEFORE, OWNED))))
def test_a_refusal_at_any_place_leaves_the_table_as_it_was(at: int, batch: int) -> None:
    operations = plan(AFTER, BEFORE, OWNED)
    port = MemoryPort(BEFORE)
    port.failing[at] = REFUSED
    report = Kernel(batch=batch, port=port).apply(operations, rollback=True)
    assert port.table == BEFORE
    assert report.rolled_back
    assert report.left == ()
    assert report.done == ()
    (error,) = report.errors
    assert error.errno == REFUSED
    states = [outcome.state for outcome in report.outcomes]
    assert states.count(State.REFUSED) == 1
    refused = states.index(State.REFUSED)
    assert [outcome.operation for outcome in report.outcomes] == list(operations)
    assert str(operations[refused]) == error.place
    undone = states.count(State.UNDONE)
    assert undone >= at
    changes = f"{undone} change was" if undone == 1 else f"{undone} changes were"
    assert report.story() == f"{error} " + (
        f"{changes} undone: the table is what it was before." if undone else "Nothing was changed."
    )


@pytest.mark.parametrize("at", range(len(plan(AFTER, BEFORE, OWNED))))
def test_a_lost_answer_at_any_place_is_no_failure(at: int) -> None:
    port = MemoryPort(BEFORE)
    port.failing[at] = None
    report = Kernel(batch=3, port=port).apply(plan(AFTER, BEFORE, OWNED), rollback=True)
    assert report.errors == ()
    assert port.table == AFTER


@given(tables(), tables(), st.data())
def test_any_plan_that_fails_anywhere_is_undone(
    desired: Table, actual: Table, data: st.DataObject
) -> None:
    operations = plan(desired, actual, list(actual))
    if not operations:
        return
    port = MemoryPort(actual)
    port.failing[data.draw(st.integers(0, len(operations) - 1))] = REFUSED
    batch = data.draw(st.integers(1, 9))
    report = Kernel(batch=batch, port=port).apply(operations, rollback=True, before=actual)
    assert port.table == actual
    assert len(report.errors) == 1


@given(tables(), tables(), st.integers(1, 9))
def test_any_plan_that_does_not_fail_is_done(desired: Table, actual: Table, batch: int) -> None:
    port = MemoryPort(actual)
    operations = plan(desired, actual, list(actual))
    report = Kernel(batch=batch, port=port).apply(operations, rollback=True)
    assert report.errors == ()
    assert report.done == operations
    assert port.table == desired
    assert len(port.sent) == len(operations)


def test_what_others_did_meanwhile_survives_the_rollback() -> None:
    """A service of theirs appears, and the place of a server of ours is taken by theirs."""
    theirs = Service(ServiceKey.by_address("tcp", "192.0.2.9", 443), "rr")
    their_c = C.replace(weight=77)
    port = MemoryPort(BEFORE)
    port.meanwhile = others_do(
        port,
        0,
        [
            Operation(Kind.ADD_SERVICE, theirs.key, None, theirs),
            Operation(Kind.ADD_SERVER, theirs.key, None, A),
            Operation(Kind.ADD_SERVER, WEB.key, None, their_c),
        ],
    )
    operations = plan(Table([(WEB, [C]), (DNS, [B, C, A])]), BEFORE)
    assert [str(operation) for operation in operations[:2]] == [
        f"add server {C.key} of {WEB.key}",
        f"add server {A.key} of {DNS.key}",
    ]
    port.failing[1] = REFUSED
    report = Kernel(port=port).apply(operations, rollback=True)
    assert report.rolled_back
    assert port.table[WEB.key].servers == {A.key: A, B.key: B, C.key: their_c}
    assert port.table[theirs.key].servers == {A.key: A}
    assert port.table.only(BEFORE).without([WEB.key]) == BEFORE.without([WEB.key])


def test_what_others_did_for_us_is_not_undone() -> None:
    """They added the very server that we wanted: nothing to send, nothing to take back."""
    port = MemoryPort(BEFORE)
    port.meanwhile = others_do(port, 0, [Operation(Kind.ADD_SERVER, WEB.key, None, C)])
    port.failing[1] = REFUSED
    desired = Table([(WEB, [A, B, C]), (DNS, [B, C, A])])
    Kernel(port=port).apply(plan(desired, BEFORE), rollback=True)
    assert port.table[WEB.key].servers == {A.key: A, B.key: B, C.key: C}
    assert len(port.sent) == 2


def test_what_vanished_meanwhile_is_no_error_where_it_was_to_go() -> None:
    port = MemoryPort(BEFORE)
    port.meanwhile = others_do(
        port,
        0,
        [
            Operation(Kind.DELETE_SERVER, WEB.key, B, None),
            Operation(Kind.DELETE_SERVICE, MAIL.key, MAIL, None),
        ],
    )
    desired = Table([(WEB, [A]), (DNS, [B, C])])
    report = Kernel(port=port).apply(plan(desired, BEFORE, OWNED), rollback=True)
    assert report.errors == ()
    assert port.table == desired


def test_a_rollback_that_fails_says_what_is_left() -> None:
    port = MemoryPort(BEFORE)
    operations = plan(Table([(WEB, [A, B, C]), (DNS, [A, B, C])]), BEFORE)
    assert len(operations) == 2
    port.failing = {1: REFUSED, 2: errno.EIO}
    report = Kernel(port=port).apply(operations, rollback=True)
    assert [error.errno for error in report.errors] == [REFUSED, errno.EIO]
    assert report.left[0].place == f"delete server {C.key} of {WEB.key}"
    assert report.story().endswith("the table is not what it was before.")


def test_without_rollback_a_refusal_stops_no_other() -> None:
    operations = plan(AFTER, BEFORE, OWNED)
    for at, operation in enumerate(operations):
        if operation.kind not in (Kind.EDIT_SERVER, Kind.DELETE_SERVER):
            continue  # others have followers that depend on them
        port = MemoryPort(BEFORE)
        port.failing[at] = REFUSED
        report = Kernel(port=port).apply(operations)
        (error,) = report.errors
        assert set(report.done) == set(operations) - {
            outcome.operation for outcome in report.outcomes if outcome.error
        }
        assert not report.rolled_back
        assert port.table == apply_to(BEFORE, report.done)
        assert report.story() == f"{error} {len(report.done)} changes were made all the same."


def test_servers_stay_where_none_of_their_successors_came() -> None:
    port = MemoryPort(Table([(WEB, [A, B]), (DNS, [A])]))
    operations = plan(Table([(WEB, [B.replace(weight=0), C]), (DNS, [C])]), port.table)
    port.failing[0] = REFUSED  # the addition of C to the one; that to the other goes well
    assert operations[0].service == WEB.key
    report = Kernel(port=port).apply(operations)
    assert port.table == Table([(WEB, [A, B]), (DNS, [C])])
    told = [(str(o.operation), o.state) for o in report.outcomes if o.state is State.WITHHELD]
    assert told == [
        (f"edit server {B.key} of {WEB.key}", State.WITHHELD),
        (f"delete server {A.key} of {WEB.key}", State.WITHHELD),
    ]
    assert [error.reason for error in report.errors[1:]] == [
        "not done, since none of the servers to be added to the service could be"
    ] * 2


def test_one_successor_is_enough_to_let_the_others_go() -> None:
    port = MemoryPort(Table([(WEB, [A])]))
    port.failing[0] = REFUSED
    report = Kernel(port=port).apply(plan(Table([(WEB, [B, C])]), port.table))
    assert port.table == Table([(WEB, [C])])
    assert len(report.errors) == 1


def test_no_privilege_raises_before_anything_is_said() -> None:
    port = MemoryPort(BEFORE)
    operations = plan(AFTER, BEFORE, OWNED)
    port.failing = dict.fromkeys(range(100), errno.EPERM)
    with pytest.raises(IpvsError, match="CAP_NET_ADMIN"):
        Kernel(port=port).apply(operations)
    assert port.table == BEFORE


def test_an_edit_that_does_not_say_what_was_before_can_be_undone_all_the_same() -> None:
    """Operations need not come from plan(): what they change is read where it is not told."""
    lighter = A.replace(weight=0)
    port = MemoryPort(BEFORE)
    port.failing[2] = REFUSED
    Kernel(port=port, batch=1).apply(
        [
            Operation(Kind.EDIT_SERVER, WEB.key, None, lighter),
            Operation(Kind.EDIT_SERVICE, DNS.key, None, DNS.replace(scheduler="rr")),
            Operation(Kind.ADD_SERVER, WEB.key, None, C),
        ],
        rollback=True,
    )
    assert port.table == BEFORE


@pytest.mark.parametrize("at", range(len(plan(AFTER, BEFORE, OWNED))))
def test_a_socket_that_breaks_at_any_place_leaves_the_table_as_it_was(at: int) -> None:
    """What of the batch was done before is found out by reading."""
    port = MemoryPort(BEFORE)
    port.failing[at] = OSError(errno.ENOMEM, "no memory")
    report = Kernel(batch=3, port=port).apply(plan(AFTER, BEFORE, OWNED), rollback=True)
    assert report.rolled_back
    assert "the kernel's answer was lost" in str(report.errors[0])
    assert port.table == BEFORE


def test_a_table_that_cannot_be_read_any_more_is_an_error_after_an_attempt_to_undo() -> None:
    port = MemoryPort(BEFORE)
    operations = plan(AFTER, BEFORE, OWNED)
    at = operations.index(Operation(Kind.ADD_SERVER, WEB.key, None, C))
    assert at > 0
    port.failing[at] = None  # must be settled by reading,
    port.lost_dumps = 100  # which does not work
    with pytest.raises(IpvsError, match="answers were lost"):
        Kernel(batch=1, port=port).apply(operations, rollback=True, before=BEFORE)
    assert port.table == apply_to(BEFORE, [operations[at]])  # nobody could know of this one
