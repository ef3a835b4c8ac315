# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""When too few servers are left: quorum, fail_open, sorry server, and who goes first."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from piranha.lvsd import ramp
from piranha.lvsd.alarms import Alarms
from piranha.lvsd.desired import desired, sorry_serves
from piranha.lvsd.health import Health
from piranha.lvsd.layout import Layout
from piranha.lvsd.pool import Ordered, Overrides, Pool, Standing, Verdicts, pool
from piranha.nanny.verdict import State

from .support import GLOBALS, RESULTS, made, server_id, verdict, verdicts

DRAINED, DISABLED, FORCED = Ordered(0), Ordered(out=True), Ordered(up=True)


def laid(directives: str = "", weights: tuple[int, ...] = (10, 20, 30)) -> Layout:
    """One virtual service with servers s1, s2 and so on."""
    servers = "".join(
        f"    server s{number} {{\n        address = 192.0.2.{number}\n        active = 1\n"
        f"        weight = {weight}\n    }}\n"
        for number, weight in enumerate(weights, 1)
    )
    return made(
        f"{GLOBALS}virtual web {{\n    active = 1\n    address = 203.0.113.100 eth0:1\n"
        f"    timeout = 2\n    reentry = 6\n    {directives}\n{servers}}}\n"
    )


def decided(layout: Layout, states: str, overrides: dict[int, Ordered] | None = None) -> Pool:
    ids = {server_id(layout, 0, index): one for index, one in (overrides or {}).items()}
    return pool(layout.virtual[0], verdicts(layout, states), ids)


def shown(found: Pool) -> dict[str, int]:
    return {server.name: weight for server, weight in found.weights.items()}


SORRY, OPEN = "sorry_server = 192.0.2.99", "fail_open = 1"
QUORUM, BOTH = "quorum = 2", "quorum = 2\nfail_open = 1"
ALL_OF_THEM = {"s1": 10, "s2": 20, "s3": 30}


@pytest.mark.parametrize(
    ("directives", "states", "standing", "weights"),
    [
        ("", "UDD", Standing.MET, {"s1": 10}),
        ("", "DDD", Standing.SHORT, {}),
        (OPEN, "UDD", Standing.MET, {"s1": 10}),
        (OPEN, "DDD", Standing.OPEN, ALL_OF_THEM),
        (QUORUM, "UUD", Standing.MET, {"s1": 10, "s2": 20}),
        (QUORUM, "UDD", Standing.SHORT, {"s1": 10}),
        (f"{QUORUM}\n{SORRY}", "UDD", Standing.SORRY, {"s1": 0}),
        (f"{QUORUM}\n{SORRY}", "UUD", Standing.MET, {"s1": 10, "s2": 20}),
        (BOTH, "UDD", Standing.OPEN, ALL_OF_THEM),
        (BOTH, "UUD", Standing.MET, {"s1": 10, "s2": 20}),
        (f"{BOTH}\n{SORRY}", "UDD", Standing.OPEN, ALL_OF_THEM),
        (f"{BOTH}\nquiesce_server = 1", "UUD", Standing.MET, {"s1": 10, "s2": 20, "s3": 0}),
        (f"{BOTH}\nquiesce_server = 1", "UDD", Standing.OPEN, ALL_OF_THEM),
        # Nothing is opened while the first checks could still find enough of them well.
        (OPEN, "SSS", Standing.WAITING, {}),
        (BOTH, "USD", Standing.WAITING, {"s1": 10}),
        (BOTH, "DDS", Standing.OPEN, ALL_OF_THEM),
        (f"{BOTH}\n{SORRY}", "USD", Standing.WAITING, {"s1": 0}),
    ],
)
def test_too_few(directives: str, states: str, standing: Standing, weights: dict[str, int]) -> None:
    found = decided(laid(directives), states)
    assert (found.standing, shown(found)) == (standing, weights)
    assert found.well == states.count("U")


@pytest.mark.parametrize(
    ("overrides", "standing", "weights"),
    [
        ({0: DISABLED}, Standing.OPEN, {"s2": 20, "s3": 30}),
        ({0: DRAINED}, Standing.OPEN, {"s2": 20, "s3": 30}),
        ({1: Ordered(7)}, Standing.OPEN, {**ALL_OF_THEM, "s2": 7}),
        ({0: DISABLED, 1: DISABLED, 2: DISABLED}, Standing.SORRY, {}),
        ({0: DRAINED, 1: DISABLED, 2: DRAINED}, Standing.SORRY, {}),
        ({2: FORCED}, Standing.OPEN, ALL_OF_THEM),
        ({1: FORCED, 2: FORCED}, Standing.MET, {"s2": 20, "s3": 30}),
        ({1: FORCED, 2: Ordered(5, up=True)}, Standing.MET, {"s2": 20, "s3": 5}),
    ],
)
def test_operators_go_before_the_pool(
    overrides: dict[int, Ordered], standing: Standing, weights: dict[str, int]
) -> None:
    found = decided(laid(f"{BOTH}\n{SORRY}"), "DDD", overrides)
    assert (found.standing, shown(found)) == (standing, weights)
    serves = sorry_serves(laid(SORRY).virtual[0], found)
    assert serves is (standing is Standing.SORRY)


def test_a_drained_server_that_is_well_keeps_its_connections_while_others_are_kept_open() -> None:
    assert shown(decided(laid(BOTH), "UDD", {0: DRAINED})) == {"s1": 0, "s2": 20, "s3": 30}


def test_a_server_that_asks_for_nothing_itself_is_not_kept() -> None:
    layout = laid(OPEN)
    known = verdicts(layout, "UDD")
    known[server_id(layout)] = known[server_id(layout)]._replace(share=0)
    found = pool(layout.virtual[0], known)
    assert (found.standing, shown(found)) == (Standing.OPEN, {"s1": 0, "s2": 20, "s3": 30})


ORDERS = st.one_of(
    st.just(Ordered()),
    st.builds(Ordered, st.none() | st.integers(0, 9), st.booleans(), st.booleans()),
)


@st.composite
def pools(
    draw: st.DrawFn, letters: str = "SUD", always: str = ""
) -> tuple[Layout, Verdicts, Overrides]:
    """Any pool in any state, with operators who say anything."""
    states = "".join(draw(st.lists(st.sampled_from(letters), min_size=1, max_size=6)))
    weights = tuple(draw(st.integers(0, 100)) for _unused in states)
    lines = [f"quorum = {draw(st.integers(1, 7))}"]
    lines += [
        line
        for line in (OPEN, SORRY, "quiesce_server = 1")
        if line == always or draw(st.booleans())
    ]
    layout = laid("\n".join(lines), weights)
    shares = st.none() | st.integers(0, 100)
    known = {
        key: one._replace(share=draw(shares), ramp=draw(st.integers(1, 100)))
        for key, one in verdicts(layout, states).items()
    }
    return layout, known, {key: draw(ORDERS) for key in known if draw(st.booleans())}


@given(pools())
def test_the_operator_always_wins(made_up: tuple[Layout, Verdicts, Overrides]) -> None:
    layout, known, overrides = made_up
    found = pool(layout.virtual[0], known, overrides)
    for server in layout.virtual[0].servers:
        ordered = overrides.get(server.id, Ordered())
        if ordered.out:
            assert server not in found.weights
        elif ordered.weight is not None:
            assert found.weights.get(server, 0) in (0, ordered.weight)
        elif ordered.up and found.standing is Standing.MET:
            assert found.weights[server] >= min(server.weight, 1) or known[server.id].share == 0


@given(pools("UD", OPEN))
def test_fail_open_never_leaves_a_pool_empty_by_mistake(
    made_up: tuple[Layout, Verdicts, Overrides],
) -> None:
    layout, known, overrides = made_up
    (virtual,) = layout.virtual
    usable = [
        server
        for server in virtual.servers
        if not (order := overrides.get(server.id, Ordered())).out
        and (server.weight if order.weight is None else order.weight)
        and (order.weight or known[server.id].share != 0)
    ]
    assume(usable)
    found = pool(virtual, known, overrides)
    assert found.in_service >= min(virtual.quorum, len(usable))
    if found.standing is Standing.OPEN:
        assert all(found.weights[server] > 0 for server in usable)


@given(pools(always=SORRY))
def test_somebody_serves_wherever_a_sorry_server_is_written(
    made_up: tuple[Layout, Verdicts, Overrides],
) -> None:
    layout, known, overrides = made_up
    (entry,) = desired(layout, known, overrides).values()
    assert any(server.weight for server in entry.servers.values())


@given(pools(), st.integers(0, 100))
def test_one_more_server_that_is_well_never_takes_service_away(
    made_up: tuple[Layout, Verdicts, Overrides], index: int
) -> None:
    layout, known, overrides = made_up
    (virtual,) = layout.virtual
    key = virtual.servers[index % len(virtual.servers)].id
    better = {**known, key: verdict(State.UP)}
    before, after = pool(virtual, known, overrides), pool(virtual, better, overrides)
    assert after.well >= before.well
    assert not (before.standing is Standing.MET and after.standing is not Standing.MET)


def test_the_alarm_is_raised_once_and_taken_back() -> None:
    layout = laid(BOTH)
    alarms = Alarms()

    def told(states: str) -> list[tuple[str, str]]:
        found = alarms.events(layout.virtual, lambda _one: decided(layout, states))
        return [(event["level"], event["text"]) for event in found]

    assert told("SSS") == []
    assert told("UUU") == []
    ((level, text),) = told("UDD")
    assert level == "crit"
    assert "only 1 of the 2 servers that its quorum asks for: fail_open keeps those" in text
    assert told("DDD") == []
    ((level, text),) = told("UUD")
    assert (level, text.endswith("has its quorum again: 2 servers")) == ("notice", True)
    assert told("DDD") != []


def test_a_pool_without_any_guard_is_told_of_by_its_servers_alone() -> None:
    layout = laid()
    assert Alarms().events(layout.virtual, lambda _one: decided(layout, "DDD")) == []


@given(st.floats(0, 1000), st.floats(0, 1000), st.floats(0.001, 500))
def test_a_ramp_is_monotone_bounded_and_ends(one: float, other: float, seconds: float) -> None:
    early, late = sorted((one, other))
    assert 0 < ramp.percent(early, seconds) <= ramp.percent(late, seconds) <= ramp.WHOLE
    assert ramp.percent(seconds, seconds) == ramp.WHOLE
    if ramp.percent(early, seconds) < ramp.WHOLE:
        pause = ramp.next_step(early, seconds)
        assert 0 <= pause <= seconds / ramp.STEPS * 1.001
        assert ramp.percent(early + pause + seconds / 1e6, seconds) > ramp.percent(early, seconds)


def test_slow_start_is_for_servers_that_were_down_and_is_kept_across_a_reload() -> None:
    layout = laid("slow_start = 10")
    health = Health()
    health.configure(layout, 0.0)
    first, key = layout.virtual[0].servers[0], server_id(layout)

    def result(kind: str, at: float) -> None:
        health.record(first.watch, RESULTS[kind](at))

    def weight(of: Layout) -> int:
        return pool(of.virtual[0], health.verdicts).weights[of.virtual[0].servers[0]]

    result("good", 1.0)
    assert weight(layout) == 10  # it was never down
    result("bad", 2.0)
    result("good", 3.0)
    result("good", 9.0)
    assert (health.verdicts[key].state, weight(layout)) == (State.UP, 1)
    assert health.rise(9.51) == (set(), pytest.approx(0.5))
    heavier = laid("slow_start = 10", (50, 20, 30))
    health.configure(heavier, 11.0)
    assert health.rise(12.11) == ({layout.virtual[0].key}, pytest.approx(0.9))
    assert weight(heavier) == 50 * 40 // 100
    assert health.verdicts[key].easing == ["slow start, 40 % of its weight"]
    assert health.rise(20.0) == ({layout.virtual[0].key}, None)
    assert weight(heavier) == 50
    result("bad", 21.0)
    assert health.rise(22.0) == (set(), None)
