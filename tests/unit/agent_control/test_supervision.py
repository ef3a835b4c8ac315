# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""When pulse starts, kills, replaces a child and resigns: the rules, told over a made-up clock."""

from __future__ import annotations

import random

import pytest
from piranha.pulse import supervision
from piranha.pulse.supervision import Child, Do, Policy

HEART = Policy("heart", silence=0.75, first_tick=10, resigns=True)
LVSD = Policy("lvsd", silence=60, first_tick=None)


class Story:
    """One child in a made-up world: what it does is told, what pulse does is noted."""

    def __init__(self, policy: Policy, now: float = 100.0) -> None:
        self.policy, self.now = policy, now
        self.child = Child(now)
        self.done: list[tuple[float, Do]] = []
        self.startable = True

    def look(self) -> None:
        for _unused in range(10):
            self.child, actions = supervision.step(self.child, self.policy, self.now)
            self.done += [(self.now, action) for action in actions]
            if Do.START not in actions or not self.startable:
                return
            self.child = supervision.started(self.child, self.now)

    def until(self, end: float, tick_every: float | None = None, life: float | None = None) -> None:
        """Let time pass; the process ticks every so often, or lives only so long."""
        while self.now < end:
            self.look()
            wake = supervision.wake_at(self.child, self.policy)
            times = [end]
            if wake is not None:
                times.append(max(wake, self.now + 1e-6))
            if self.child.running and tick_every is not None:
                times.append(self.now + tick_every)
            dies = self.child.started + life if life is not None and self.child.running else None
            if dies is not None:
                times.append(max(dies, self.now))
            self.now = min(times)
            if dies is not None and self.now >= dies:
                self.child = supervision.ended(self.child, self.policy, self.now)
            elif self.child.running and tick_every is not None:
                self.child = supervision.ticked(self.child, self.now)
        self.look()

    def times(self, what: Do) -> list[float]:
        return [when for when, action in self.done if action is what]


def test_a_healthy_heart_is_left_alone() -> None:
    story = Story(HEART)
    story.until(200, tick_every=0.2)
    assert [what for _unused, what in story.done] == [Do.START]


def test_a_heart_that_dies_is_started_again_at_once_and_nobody_resigns() -> None:
    story = Story(HEART)
    story.until(105, tick_every=0.2)
    story.child = supervision.ended(story.child, HEART, story.now)
    story.until(110, tick_every=0.2)
    assert story.times(Do.START) == [100, 105]
    assert story.times(Do.RESIGN) == []


def test_a_heart_that_hangs_is_killed_and_resigned_for_within_half_the_dead_time() -> None:
    story = Story(HEART)
    story.until(105, tick_every=0.2)
    last = story.child.heard
    assert last is not None
    story.until(106)
    assert [w for _unused, w in story.done[1:]] == [Do.KILL, Do.RESIGN, Do.START]
    assert story.times(Do.RESIGN)[0] == pytest.approx(last + 0.75)


def test_a_heart_that_keeps_dying_is_resigned_for_in_time_although_it_is_restarted() -> None:
    story = Story(HEART)
    story.until(105, tick_every=0.2)
    last = story.child.heard
    assert last is not None
    story.until(130, life=0.05)
    assert story.times(Do.RESIGN) == [pytest.approx(last + 0.75)]
    starts = story.times(Do.START)
    assert len([s for s in starts if 105 <= s < 106]) >= 3, "the first restarts come at once"
    gaps = [two - one for one, two in zip(starts[-4:], starts[-3:], strict=False)]
    assert all(4.9 < gap < 5.2 for gap in gaps), "later ones are slowed down, and bounded"


@pytest.mark.parametrize("how", ["hangs", "dies"])
@pytest.mark.parametrize("deadtime", [0.03, 1.5, 60])
def test_a_heart_that_was_well_is_back_within_a_dead_time_however_often_it_ends(
    how: str, deadtime: float
) -> None:
    """Its partner may be in the same plight: two machines of one overloaded host."""
    policy = Policy.of_heart(deadtime)
    story = Story(policy)
    for number in range(1, 20):
        story.until(story.now + deadtime, tick_every=deadtime / 16)
        assert story.child.running
        if how == "dies":
            ended = story.now
            story.child = supervision.ended(story.child, policy, ended)
        else:
            story.until(story.now + policy.silence * 1.01)
            ended = story.times(Do.KILL)[-1]
            assert len(story.times(Do.KILL)) == len(story.times(Do.RESIGN)) == number
        assert story.child.start_at <= ended + deadtime
        story.until(max(story.now, story.child.start_at) + deadtime / 100)
    assert story.child.failures > len(supervision.DELAYS) or deadtime > supervision.STABLE


def test_a_heart_that_never_was_well_does_not_keep_the_machine_busy() -> None:
    story = Story(Policy.of_heart(0.03))
    story.until(200, life=0.001)
    assert len(story.times(Do.START)) < 40


def test_a_heart_that_cannot_be_started_at_all_is_resigned_for() -> None:
    story = Story(HEART)
    story.until(105, tick_every=0.2)
    story.child = supervision.ended(story.child, HEART, story.now)
    story.startable = False
    story.until(106)
    assert len(story.times(Do.RESIGN)) == 1


def test_a_first_heart_that_never_ticks_is_resigned_for_once() -> None:
    # The kernel may hold addresses of an earlier pulse that nobody looks after now.
    story = Story(HEART)
    story.until(160)
    assert story.times(Do.RESIGN) == [pytest.approx(110)]
    assert len(story.times(Do.KILL)) > 1, "and each that hangs is replaced"


def test_after_a_resignation_a_heart_that_ticks_may_be_resigned_for_again() -> None:
    story = Story(HEART)
    story.until(102, tick_every=0.2)
    story.until(104)
    story.until(120, tick_every=0.2)
    assert not story.child.resigned
    story.until(122)
    assert len(story.times(Do.RESIGN)) == 2


def test_a_tick_of_the_past_does_not_turn_the_clock_back() -> None:
    child = supervision.ticked(Child(0.0), 5.0)
    assert supervision.ticked(child, 4.0) is child


def test_lvsd_may_take_its_time_but_not_for_ever() -> None:
    story = Story(LVSD)
    story.until(400)
    assert [what for _unused, what in story.done] == [Do.START]
    story.until(401, tick_every=1)
    story.until(470)
    assert [what for _unused, what in story.done] == [Do.START, Do.KILL, Do.START]


def test_a_long_life_clears_the_record() -> None:
    story = Story(LVSD)
    story.until(110, life=0.01)
    assert story.child.failures > 3
    story.until(140, tick_every=1)
    story.child = supervision.ended(story.child, LVSD, story.now)
    assert story.child.failures == 1
    assert story.child.start_at == story.now


@pytest.mark.parametrize("seed", range(10))
def test_whatever_happens_no_address_is_kept_without_a_tick(seed: int) -> None:
    """In any schedule: resigned `silence` after the last tick at the latest, never sooner."""
    chance = random.Random(seed)
    story = Story(HEART)
    ticks: list[float] = []
    for _unused in range(100):
        how = chance.choice(["tick", "tick", "hang", "die", "loop"])
        length = chance.uniform(0.05, 2.0)
        if how == "tick":
            story.until(story.now + length, tick_every=0.2)
            if story.child.heard:
                ticks.append(story.child.heard)
        elif how == "die":
            if story.child.running:
                story.child = supervision.ended(story.child, HEART, story.now)
        else:
            story.until(story.now + length, life=0.05 if how == "loop" else None)
        heard = story.child.heard
        if heard is not None and story.now > heard + HEART.silence + 0.001:
            raise AssertionError(f"silent since {heard}, now {story.now}, nobody resigned")
    for when in story.times(Do.RESIGN):
        assert not any(when - HEART.silence < tick < when for tick in ticks)
