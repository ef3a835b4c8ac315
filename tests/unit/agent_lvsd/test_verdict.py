# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of check results and the verdicts that must follow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from piranha.nanny.outcome import Result, bad, good, unknown
from piranha.nanny.verdict import Policy, State, Verdict, adopt, begin, judge, settled

OUTCOMES = {"g": good("connected"), "b": bad("connection refused"), "?": unknown("not checked")}
LETTERS = {State.STARTING: "S", State.UP: "U", State.DOWN: "D"}


def run(start: Verdict, results: str, policy: Policy) -> tuple[str, Verdict]:
    """Feed results one interval apart; give the states as letters, and the last verdict."""
    states, verdict = "", start
    for index, letter in enumerate(results):
        result = Result(OUTCOMES[letter], at=100 + index * policy.interval, seconds=0.01)
        verdict = judge(verdict, result, policy)
        states += LETTERS[verdict.state]
    return states, verdict


@pytest.mark.parametrize(
    ("results", "states", "policy"),
    [
        # The first success admits at once; one failure removes at once.
        ("gggbg", "UUUDD", Policy(reentry=180, interval=2)),
        # Readmission after reentry seconds of unbroken success: 6 s in steps of 2 s.
        ("gbgggg", "UDDDDU", Policy(reentry=6, interval=2)),
        ("gbgggbgggg", "UDDDDDDDDU", Policy(reentry=6, interval=2)),
        # reentry shorter than the interval: the first success.
        ("gbg", "UDU", Policy(reentry=0, interval=2)),
        ("gbgg", "UDDU", Policy(reentry=1, interval=2)),
        # A server that is down at the start needs the full count as well.
        ("bgggg", "DDDDU", Policy(reentry=6, interval=2)),
        # fall: that many in a row.
        ("gbbgbbb", "UUUUUUD", Policy(fall=3, reentry=6, interval=2)),
        ("bbg", "SSU", Policy(fall=3, reentry=180, interval=2)),
        ("bbb", "SSD", Policy(fall=3, reentry=180, interval=2)),
        # rise: that many in a row, and reentry as well where both are given.
        ("gbggg", "UDDDU", Policy(rise=3, reentry=0, interval=2)),
        ("gbggbggg", "UDDDDDDU", Policy(rise=3, reentry=0, interval=2)),
        ("gbgggg", "UDDDDU", Policy(rise=2, reentry=6, interval=2)),
        # What could not be checked changes nothing and breaks no row.
        ("?g?b?g?ggg", "SUUDDDDDDU", Policy(reentry=8, interval=2)),
    ],
)
def test_states(results: str, states: str, policy: Policy) -> None:
    assert run(begin(0.0), results, policy)[0] == states


def test_an_adopted_server_stays_up_until_its_first_verdict() -> None:
    policy = Policy(reentry=180, interval=2)
    assert run(adopt(0.0, up=True), "?g", policy)[0] == "UU"
    assert run(adopt(0.0, up=True), "b", policy)[0] == "D"
    assert run(adopt(0.0, up=False), "gg", policy)[0] == "DD"


def test_jitter_costs_no_round() -> None:
    policy = Policy(reentry=6, interval=2)
    verdict = run(begin(0.0), "gb", policy)[1]
    for at in (200.004, 202.0, 204.0, 206.001):
        verdict = judge(verdict, Result(OUTCOMES["g"], at, 0.001), policy)
    assert verdict.state is State.UP


def test_since_is_the_change_not_the_last_result() -> None:
    verdict = run(begin(0.0), "ggbbb", Policy(reentry=180, interval=2))[1]
    assert verdict.state is State.DOWN
    assert verdict.since == pytest.approx(104.01)


def test_reasons_tell_what_is_awaited() -> None:
    policy = Policy(reentry=6, interval=2)
    assert run(begin(0.0), "gb", policy)[1].reason == "connection refused"
    waiting = run(begin(0.0), "gbgg", policy)[1].reason
    assert waiting == "connected; waiting to be admitted: well for 2 s of 6 s"
    rising = run(begin(0.0), "gbg", Policy(rise=3, reentry=0, interval=2))[1].reason
    assert rising == "connected; waiting to be admitted: success 1 of 3"
    falling = run(begin(0.0), "gb", Policy(fall=3, reentry=180, interval=2))[1].reason
    assert falling == "connection refused (failure 1 of 3)"


@given(
    st.text("gb?", max_size=60),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from([0.0, 3.0, 10.0]),
)
def test_no_sequence_breaks_the_rules(results: str, rise: int, fall: int, reentry: float) -> None:
    policy = Policy(rise=rise, fall=fall, reentry=reentry, interval=2)
    verdict = begin(0.0)
    for index, letter in enumerate(results):
        before = verdict.state
        verdict = judge(verdict, Result(OUTCOMES[letter], index * 2.0, 0.0), policy)
        recent = results[: index + 1].replace("?", "")
        if before is not State.DOWN and verdict.state is State.DOWN:
            assert recent.endswith("b" * fall)
        if before is State.DOWN and verdict.state is State.UP:
            assert recent.endswith("g" * rise)
        if letter == "?":
            assert verdict.state is before


MANY = st.text(alphabet="gGbB?!", max_size=12)
"""Results; another case is another answer of the same sort."""
EVERY = {
    **OUTCOMES,
    "G": good("answered")._replace(share=50),
    "B": bad("connection reset"),
    "!": unknown("not checked: too many open files"),
}
POLICIES = st.builds(
    Policy, st.just(2.0), st.sampled_from([0.0, 6.0]), st.integers(1, 3), st.integers(1, 3)
)


@given(MANY, st.sampled_from(sorted(EVERY)), POLICIES)
def test_where_all_is_settled_one_more_of_the_same_changes_only_how_many_there_were(
    results: str, last: str, policy: Policy
) -> None:
    verdict = begin(90.0)
    for index, letter in enumerate(results):
        verdict = judge(verdict, Result(EVERY[letter], 100.0 + 2 * index, 0.0), policy)
    if settled(verdict, EVERY[last]):
        after = judge(verdict, Result(EVERY[last], 200.0, 0.0), policy)
        same = after._replace(last=verdict.last, goods=verdict.goods, bads=verdict.bads)
        assert same == verdict
        assert not after.changing or verdict.changing


def test_what_settles() -> None:
    def after(results: str, policy: Policy) -> Verdict:
        return run(begin(0.0), results, policy)[1]

    policy = Policy(interval=2, reentry=6, rise=2, fall=2)
    assert settled(after("g", policy), OUTCOMES["g"])
    assert not settled(after("g", policy), EVERY["G"])
    assert not settled(after("gb", policy), OUTCOMES["b"])
    assert settled(after("gbb", policy), OUTCOMES["b"])
    assert not settled(after("gbbg", policy), OUTCOMES["g"])
    assert not settled(begin(0.0), OUTCOMES["g"])
