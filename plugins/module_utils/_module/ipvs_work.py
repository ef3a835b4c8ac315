# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules ipvs_service and ipvs_table do, and what all that change the table have in
common: read, decide, refuse or apply, tell.

Private to this collection. The shell between AnsibleModule and the library; what is wanted is
decided in ipvs_options.py and ipvs_states.py, what is returned in ipvs_result.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from ansible.module_utils.basic import AnsibleModule

from ..ipvs.data import key_from_data, to_data
from ..ipvs.errors import IpvsError
from ..ipvs.ipvsadm import parse
from ..ipvs.kernel import Kernel
from ..ipvs.model import ServiceKey, Table
from ..ipvs.plan import Operation, apply_to, plan
from . import ipvs_result
from .ipvs_options import at, service_of
from .ipvs_owner import owned_by_lvsd, refuse_owned
from .ipvs_states import Goal, goal, scope_of, wishes

READ_SINGLY = 16  # services; reading more of them one by one is slower than the whole table

open_kernel: Callable[[], Kernel] = Kernel


class Failure(Exception):
    """What a module fails with beside an IpvsError: the sentence, and results that go with it."""

    def __init__(self, sentence: str, results: dict[str, Any]) -> None:
        super().__init__(sentence)
        self.results = results


def guarded(module: AnsibleModule, act: Callable[[Kernel], dict[str, Any]]) -> None:
    """Leave the module with what ``act`` makes of the kernel, or with one sentence."""
    try:
        with open_kernel() as kernel:
            result = act(kernel)
    except IpvsError as error:
        module.fail_json(msg=str(error))
    except Failure as failure:
        module.fail_json(msg=str(failure), **failure.results)
    else:
        module.exit_json(**result)


class Done(NamedTuple):
    """The part of the table that a task is about before and after, and what is returned of it."""

    before: Table
    after: Table
    told: dict[str, Any]


def carry_out(
    module: AnsibleModule,
    kernel: Kernel,
    decide: Callable[[Table], Goal],
    only: Collection[ServiceKey] | None,
) -> Done:
    """Bring about what ``decide`` makes of the table, or under check mode only say so.

    ``only``: the services to read, None for all. IpvsError, Failure.
    """
    if only is not None and len(only) > READ_SINGLY:
        only = None
    last: list[tuple[Table, Goal]] = []

    def operations_of(table: Table) -> tuple[Operation, ...]:
        last[:] = [(table, decide(table))]  # of a large table this is not to be done twice
        return last[0][1].operations

    actual, operations = kernel.compare(operations_of, only)
    decided = last[0][1] if last and last[0][0] is actual else decide(actual)
    if operations and not module.params["force"]:
        refuse_owned(operations, owned_by_lvsd())
    for warning in decided.warnings:
        module.warn(warning)
    told: dict[str, Any] = {
        "changed": bool(operations),
        "commands": ipvs_result.commands(operations),
        "changes": ipvs_result.changes(operations),
    }
    if module._diff:
        told["diff"] = ipvs_result.diff(operations, actual)
    before = actual.only(decided.about)
    if module.check_mode or not operations:
        return Done(before, apply_to(before, operations), told)
    _apply(kernel, operations, actual, told)
    after = kernel.read(None if only is None else decided.about)
    return Done(before, after.only(decided.about), told)


def _apply(
    kernel: Kernel, operations: tuple[Operation, ...], actual: Table, told: dict[str, Any]
) -> None:
    report = kernel.apply(operations, rollback=True, before=actual)
    if report.errors:
        results = {**told, "changed": bool(report.done or report.left)}
        results.pop("diff", None)  # it shows what has not come about
        raise Failure(report.story(), results)


def run_service(module: AnsibleModule) -> None:
    """The module ipvs_service."""

    def act(kernel: Kernel) -> dict[str, Any]:
        key = key_from_data(module.params)

        def decide(actual: Table) -> Goal:
            entry = actual.get(key)
            if module.params["state"] == "absent":
                return Goal(frozenset([key]), plan(Table(), actual, [key]))
            wanted = service_of(module.params, key, entry.service if entry else None)
            desired = Table([(wanted, actual.servers(key).values())])
            return Goal(frozenset([key]), plan(desired, actual))

        done = carry_out(module, kernel, decide, [key])
        return {**done.told, "before": _only(done.before), "after": _only(done.after)}

    guarded(module, act)


def _only(table: Table) -> dict[str, Any] | None:
    data = to_data(table)
    return data[0] if data else None


def run_table(module: AnsibleModule) -> None:
    """The module ipvs_table."""

    def act(kernel: Kernel) -> dict[str, Any]:
        params = module.params
        services = params["services"]
        if services is None:
            with at("saved"):
                services = to_data(parse(params["saved"]))
        wanted = wishes(services)
        scope = scope_of(params["restrict"])
        done = carry_out(
            module,
            kernel,
            lambda actual: goal(params["state"], wanted, actual, scope, params["allow_empty"]),
            None if params["state"] == "overridden" else sorted(wanted),
        )
        return {**done.told, "before": to_data(done.before), "after": to_data(done.after)}

    guarded(module, act)
