# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rounds against a model of the kernel: what is ours, what is drift, what went wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from piranha.core.ipvs.errors import IpvsError
from piranha.core.ipvs.model import Server, ServerKey, Service, ServiceKey, Table
from piranha.core.ipvs.plan import Kind
from piranha.lvsd.owned import Owned
from piranha.lvsd.reconcile import Reconciler, Step

from .support import ModelKernel

WEB = ServiceKey.by_address("tcp", "203.0.113.100", 80)
MAIL = ServiceKey.by_address("tcp", "203.0.113.100", 25)
FOREIGN = ServiceKey.by_address("tcp", "203.0.113.200", 80)
ONE = Server(ServerKey("192.0.2.21", 80))
TWO = Server(ServerKey("192.0.2.22", 80))


def table(**services: list[Server]) -> Table:
    keys = {"web": WEB, "mail": MAIL, "foreign": FOREIGN}
    return Table((Service(keys[name]), servers) for name, servers in services.items())


@pytest.fixture
def kernel() -> ModelKernel:
    return ModelKernel(table(foreign=[ONE]))


@pytest.fixture
def reconciler(kernel: ModelKernel, tmp_path: Path) -> Reconciler:
    return Reconciler(kernel, Owned(tmp_path))


def step(reconciler: Reconciler, desired: Table) -> Step:
    return reconciler.step(desired, reconciler.read())


def test_what_is_ours_is_made_and_what_is_foreign_stays(
    kernel: ModelKernel, reconciler: Reconciler
) -> None:
    done = step(reconciler, table(web=[ONE, TWO]))
    assert (done.drift, done.errors, len(done.done)) == ((), (), 3)
    assert kernel.table == table(web=[ONE, TWO], foreign=[ONE])
    assert step(reconciler, table(web=[ONE, TWO])) == Step()


def test_a_service_that_has_left_the_configuration_goes_even_after_a_restart(
    kernel: ModelKernel, reconciler: Reconciler, tmp_path: Path
) -> None:
    step(reconciler, table(web=[ONE], mail=[TWO]))
    again = Reconciler(kernel, Owned(tmp_path))
    step(again, table(web=[ONE]))
    assert kernel.table == table(web=[ONE], foreign=[ONE])
    assert len(json.loads((tmp_path / "owned.json").read_text())["services"]) == 1


def test_without_memory_nothing_is_taken_for_ours(
    kernel: ModelKernel, reconciler: Reconciler, tmp_path: Path
) -> None:
    step(reconciler, table(web=[ONE], mail=[TWO]))
    (tmp_path / "owned.json").write_text("broken")
    again = Reconciler(kernel, Owned(tmp_path))
    done = step(again, table(web=[ONE]))
    assert "owned.json: cannot be read" in done.errors[0]
    assert kernel.table == table(web=[ONE], mail=[TWO], foreign=[ONE])
    assert step(again, table(web=[ONE])).errors == ()


def test_it_is_remembered_before_the_kernel_has_it(kernel: ModelKernel, tmp_path: Path) -> None:
    kernel.refusal = IpvsError("here", "no")
    done = step(Reconciler(kernel, Owned(tmp_path)), table(web=[ONE]))
    assert done.errors == ("here: no.",)
    assert Owned(tmp_path).load() == {WEB}


def test_drift_is_told_and_put_right(kernel: ModelKernel, reconciler: Reconciler) -> None:
    step(reconciler, table(web=[ONE, TWO]))
    kernel.table = table(web=[ONE])
    done = step(reconciler, table(web=[ONE, TWO]))
    assert [operation.kind for operation in done.drift] == [Kind.ADD_SERVER]
    assert kernel.table == table(web=[ONE, TWO])
    kernel.table = Table()
    assert len(step(reconciler, table(web=[ONE, TWO])).drift) == 3
    assert kernel.table == table(web=[ONE, TWO])


def test_a_change_of_ours_is_no_drift(kernel: ModelKernel, reconciler: Reconciler) -> None:
    step(reconciler, table(web=[ONE, TWO]))
    done = step(reconciler, table(web=[ONE]))
    assert done.drift == ()
    assert len(done.done) == 1
    assert step(reconciler, table(mail=[ONE])).drift == ()
    assert kernel.table == table(mail=[ONE], foreign=[ONE])


def test_what_somebody_adds_to_our_service_is_drift_and_goes(
    kernel: ModelKernel, reconciler: Reconciler
) -> None:
    step(reconciler, table(web=[ONE]))
    kernel.table = table(web=[ONE, TWO], foreign=[ONE])
    done = step(reconciler, table(web=[ONE]))
    assert [operation.kind for operation in done.drift] == [Kind.DELETE_SERVER]
    assert kernel.table == table(web=[ONE], foreign=[ONE])


def test_a_refused_service_is_told_and_the_others_are_made(
    kernel: ModelKernel, reconciler: Reconciler
) -> None:
    kernel.refused = {MAIL}
    done = step(reconciler, table(mail=[ONE], web=[ONE]))
    assert kernel.table == table(web=[ONE], foreign=[ONE])
    assert len(done.errors) == 1
    kernel.refused = set()
    done = step(reconciler, table(mail=[ONE], web=[ONE]))
    assert (done.errors, done.drift) == ((), ())
    assert kernel.table == table(mail=[ONE], web=[ONE], foreign=[ONE])
