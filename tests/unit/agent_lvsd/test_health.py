# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts through adoption, shared checks and changes of the configuration."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from piranha.core.ipvs.model import Server, Table
from piranha.lvsd.health import Health
from piranha.lvsd.layout import Layout
from piranha.nanny.outcome import Result, bad, good, unknown
from piranha.nanny.verdict import State, begin, judge

from .support import GLOBALS, RESULTS, WEB, made, server_id

ONE_AND_TWO = made(GLOBALS + WEB)


def states(health: Health, laid: Layout) -> str:
    return "".join(health.verdicts[server.id].state.value[0] for _unused, server in laid.servers())


def table(laid: Layout, *weights: int | None) -> Table:
    virtual = laid.virtual[0]
    servers = [
        Server(server.id.server, weight)
        for server, weight in zip(virtual.servers, weights, strict=True)
        if weight is not None
    ]
    return Table([(virtual.service, servers)])


def fresh(laid: Layout) -> Health:
    health = Health()
    health.configure(laid, 10.0)
    return health


def test_what_is_in_the_table_is_up_and_what_is_not_must_prove_itself() -> None:
    health = fresh(ONE_AND_TWO)
    assert states(health, ONE_AND_TWO) == "SS"
    health.adopt(ONE_AND_TWO, table(ONE_AND_TWO, 1, None), 11.0)
    assert states(health, ONE_AND_TWO) == "US"


def test_weight_0_means_down_only_where_a_failed_server_gets_it() -> None:
    health = fresh(ONE_AND_TWO)
    health.adopt(ONE_AND_TWO, table(ONE_AND_TWO, 0, 0), 11.0)
    assert states(health, ONE_AND_TWO) == "UU"
    quiesce = made(GLOBALS + WEB.replace("port = 80", "port = 80\n    quiesce_server = 1"))
    health = fresh(quiesce)
    health.adopt(quiesce, table(quiesce, 0, 3), 11.0)
    assert states(health, quiesce) == "DU"
    drained = made(
        GLOBALS
        + WEB.replace("port = 80", "port = 80\n    quiesce_server = 1").replace(
            "weight = 3", "weight = 0"
        )
    )
    health = fresh(drained)
    health.adopt(drained, table(drained, 1, 0), 11.0)
    assert states(health, drained) == "UU"


def test_adoption_happens_once_and_never_over_a_verdict() -> None:
    health = fresh(ONE_AND_TWO)
    watch = ONE_AND_TWO.virtual[0].servers[0].watch
    health.record(watch, RESULTS["bad"](11.0))
    health.adopt(ONE_AND_TWO, table(ONE_AND_TWO, 1, None), 12.0)
    assert states(health, ONE_AND_TWO) == "DS"
    health.adopt(ONE_AND_TWO, table(ONE_AND_TWO, 1, 3), 13.0)
    assert states(health, ONE_AND_TWO) == "DS"


def test_one_result_counts_for_every_service_that_shares_the_check() -> None:
    laid = made(GLOBALS + WEB + WEB.replace("203.0.113.100", "203.0.113.101").replace("web", "w2"))
    health = fresh(laid)
    assert len(list(health.watches)) == 2
    changes = health.record(laid.virtual[0].servers[0].watch, RESULTS["good"](11.0))
    assert [(c.virtual.name, c.server.name, c.before) for c in changes] == [
        ("web", "one", State.STARTING),
        ("w2", "one", State.STARTING),
    ]
    assert states(health, laid) == "USUS"
    assert health.record(laid.virtual[0].servers[0].watch, RESULTS["good"](13.0)) == []


def test_health_survives_a_new_name_a_new_weight_and_a_new_check() -> None:
    health = fresh(ONE_AND_TWO)
    for _unused, server in ONE_AND_TWO.servers():
        health.record(server.watch, RESULTS["good"](11.0))
    before = dict(health.verdicts)
    changed = made(
        GLOBALS
        + WEB.replace("web", "shop")
        .replace("weight = 3", "weight = 5")
        .replace("timeout = 2", 'timeout = 3\n    send = "x"\n    expect = "y"')
    )
    health.configure(changed, 20.0)
    assert dict(health.verdicts) == before
    old = ONE_AND_TWO.virtual[0].servers[0].watch
    assert health.record(old, RESULTS["bad"](21.0)) == []
    assert states(health, changed) == "UU"


def test_what_is_new_starts_and_what_is_gone_is_forgotten() -> None:
    health = fresh(ONE_AND_TWO)
    health.record(ONE_AND_TWO.virtual[0].servers[0].watch, RESULTS["good"](11.0))
    moved = made(GLOBALS + WEB.replace("192.0.2.21", "192.0.2.31"))
    health.configure(moved, 20.0)
    assert states(health, moved) == "SS"
    assert server_id(ONE_AND_TWO) not in health.verdicts
    health.configure(ONE_AND_TWO, 30.0)
    assert states(health, ONE_AND_TWO) == "SS"


@given(st.lists(st.sampled_from([good("a"), good("b"), bad("c"), bad("d"), unknown("e")])))
def test_results_that_change_nothing_are_not_judged_and_nobody_can_tell(
    outcomes: list[Any],
) -> None:
    laid = made(GLOBALS + WEB.replace("timeout = 2", "timeout = 2\nrise = 2\nfall = 2"))
    virtual = laid.virtual[0]
    server = virtual.servers[0]
    health = fresh(laid)
    verdict = begin(10.0)
    for number, outcome in enumerate(outcomes):
        result = Result(outcome, 20.0 + number, 0.1)
        before, verdict = verdict, judge(verdict, result, virtual.policy)
        changes = health.record(server.watch, result)
        kept = health.verdicts[server.id]
        assert kept[:3] == verdict[:3]  # state, since, reason
        assert kept.changing == verdict.changing
        assert kept.last is not None
        assert kept.last.outcome == outcome
        assert health.last(server) == result
        assert [change.before for change in changes if not change.unchecked] == (
            [before.state] if verdict.state is not before.state else []
        )


def test_the_last_result_is_kept_when_the_configuration_changes() -> None:
    health = fresh(ONE_AND_TWO)
    server = ONE_AND_TWO.virtual[0].servers[0]
    for at in (11.0, 12.0, 13.0):
        health.record(server.watch, RESULTS["good"](at))
    slower = made(GLOBALS + WEB.replace("timeout = 2", "timeout = 4"))
    other = slower.virtual[0].servers[0]
    health.configure(slower, 14.0)
    last = health.last(other)
    assert last is not None
    assert last.at == 13.0
    health.configure(ONE_AND_TWO, 15.0)
    assert health.last(server) == health.verdicts[server.id].last == last
