# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the results of checks to the verdict on one real server: STARTING, UP or DOWN.

Pure: results carry their own times. A verdict is an immutable value; `judge` gives the next one.

Rules (the original's, with `rise` and `fall` added):

    STARTING  the first good result admits at once; `fall` bad ones in a row make it DOWN
    UP        `fall` bad results in a row make it DOWN
    DOWN      `rise` good results in a row, spread over at least `reentry` seconds, make it UP

An UNKNOWN result (the router could not check) changes nothing but what is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from .outcome import Finding, Outcome, Result, duration


class State(Enum):
    """What the checks say of a real server. Whether it gets connections is decided elsewhere."""

    STARTING = "STARTING"
    UP = "UP"
    DOWN = "DOWN"


@dataclass(frozen=True)
class Policy:
    """How results become verdicts.

    rise, fall: results in a row; reentry: seconds; interval: seconds between two checks.
    """

    interval: float
    reentry: float
    rise: int = 1
    fall: int = 1

    def served(self, seconds: float) -> bool:
        """Tell whether good results over `seconds` are long enough.

        A tenth of an interval less will do: some milliseconds of jitter must not cost a round.
        """
        return seconds >= self.reentry - self.interval / 10


class Verdict(NamedTuple):
    """The verdict on one real server, since when (monotonic seconds), and why, in words.

    last: the last result that was judged; of those that changed nothing there may be later ones.
    share: percent of its weight that it asked for last (check = agent); None is all of it.
    ramp, busy: percent of its weight that slow_start and load_monitor leave it now.
    """

    state: State
    since: float
    reason: str
    goods: int = 0
    bads: int = 0
    good_since: float | None = None
    last: Result | None = None
    share: int | None = None
    ramp: int = 100
    busy: int = 100

    @property
    def eased(self) -> int:
        """Percent of its weight that slow start and its load leave it."""
        return max(1, self.ramp * self.busy // 100)

    @property
    def easing(self) -> list[str]:
        """The same in words; empty where it has all of its weight."""
        told = []
        if self.ramp < 100:  # noqa: PLR2004 - percent
            told.append(f"slow start, {self.ramp} % of its weight")
        if self.busy < 100:  # noqa: PLR2004 - percent
            told.append(f"busy, {self.busy} % of its weight")
        return told

    @property
    def changing(self) -> bool:
        """Whether more results of the last kind would change the state: check again soon."""
        if self.state is State.UP:
            return self.bads > 0
        return self.goods > 0 if self.state is State.DOWN else self.tried

    @property
    def tried(self) -> bool:
        """Whether any check has been made yet."""
        return self.last is not None


def begin(now: float) -> Verdict:
    """A server of which nothing is known yet."""
    return Verdict(State.STARTING, now, "not checked yet")


def adopt(now: float, *, up: bool) -> Verdict:
    """A server found in the table (or found there with weight 0) when lvsd started."""
    if up:
        return Verdict(State.UP, now, "was in the table when lvsd started; not checked yet")
    return Verdict(State.DOWN, now, "had weight 0 when lvsd started; not checked yet")


def judge(verdict: Verdict, result: Result, policy: Policy) -> Verdict:
    """Give the verdict after one more result."""
    if result.outcome.finding is Finding.UNKNOWN:
        return verdict._replace(last=result)
    if result.outcome.finding is Finding.BAD:
        return _after_bad(verdict, result, policy)
    return _after_good(verdict, result, policy)


def settled(verdict: Verdict, outcome: Outcome) -> bool:
    """Tell whether one more result with this outcome would change nothing but how many there were.

    Almost all results are of that sort, and whoever knows need not judge them.
    """
    if verdict.last is None or verdict.last.outcome != outcome:
        return False
    if outcome.finding is Finding.GOOD:
        return verdict.state is State.UP
    return outcome.finding is Finding.UNKNOWN or verdict.state is State.DOWN


def _after_bad(verdict: Verdict, result: Result, policy: Policy) -> Verdict:
    words = result.outcome.words
    bads = verdict.bads + 1
    counted = verdict._replace(goods=0, bads=bads, good_since=None, last=result)
    if verdict.state is State.DOWN:
        return counted._replace(reason=words)
    if bads < policy.fall:
        return counted._replace(reason=f"{words} (failure {bads} of {policy.fall})")
    return counted._replace(state=State.DOWN, since=_end(result), reason=words)


def _after_good(verdict: Verdict, result: Result, policy: Policy) -> Verdict:
    words = result.outcome.words
    goods = verdict.goods + 1
    first = result.at if verdict.good_since is None else verdict.good_since
    share = result.outcome.share
    counted = verdict._replace(goods=goods, bads=0, good_since=first, last=result, share=share)
    if verdict.state is State.UP:
        return counted._replace(reason=words)
    run = result.at - first
    if verdict.state is State.STARTING or (goods >= policy.rise and policy.served(run)):
        return counted._replace(state=State.UP, since=_end(result), reason=words)
    return counted._replace(reason=f"{words}; {_wait(goods, run, policy)}")


def _wait(goods: int, run: float, policy: Policy) -> str:
    parts = []
    if goods < policy.rise:
        parts.append(f"success {goods} of {policy.rise}")
    if not policy.served(run):
        parts.append(f"well for {duration(round(run, 1))} of {duration(policy.reentry)}")
    return "waiting to be admitted: " + ", ".join(parts)


def _end(result: Result) -> float:
    return result.at + result.seconds
