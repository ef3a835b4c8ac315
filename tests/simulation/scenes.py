# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is too rare to be left to chance: two faults that must meet within a moment.

One seed in fifty plays a scene among faults that are drawn as everywhere. A scene decides who and
about when, no more: what follows is up to the same routers, and judged by the same promises.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from piranha.pulse.machine import State
from piranha.pulse.wire import Role

from .faults import Fault, Faults
from .network import DELAY

if TYPE_CHECKING:
    from .router import Router

EACH, AT = 50, 7
"""A seed has a scene where it leaves AT when divided by EACH."""


@dataclass(frozen=True)
class Scene:
    """plan: draws and plans the faults. kind: of the world that it needs, or None."""

    plan: Callable[[Faults], None]
    kind: str | None = None


def _goodbye_in_doubt(faults: Faults) -> None:
    """The owner stands still, so briefly that its partner has not noticed; and that one stops once
    it has heard of the doubt, before it says another word."""
    dead, random = faults.world.deadtime, faults.random
    length = random.uniform(0.5, 0.8) * dead
    soon = random.uniform(1, 3) * DELAY
    leave = random.choice((Faults.stop, Faults.stop, Faults.kill_supervisor))

    def doubts(number: int) -> None:
        faults.world.later(soon, _unless_healed, faults, 1 - number, leave, 2 * dead)

    def stand_still() -> None:
        faults.wait_for(State.DOUBT, doubts)
        faults.strike(_owner(faults).number, Faults.freeze, length)

    if random.random() < 0.5:  # so that the backup is the owner as often
        faults.world.at(random.uniform(2, 2.5) * dead, faults.strike, 0, Faults.switch_over)
    faults.world.at(random.uniform(3.5, 6) * dead, stand_still)


def _cut_off_in_contest(faults: Faults) -> None:
    """The primary hears that there are two owners, and then neither its partner nor its witness:
    before it hears that the other one gives way, or while that one does not hear it."""
    dead, random = faults.world.deadtime, faults.random
    deaf = random.random() < 0.5
    way = Faults.cut_one if deaf else Faults.cut_both
    length = random.uniform(3, 4) if deaf else random.uniform(1.3, 2.5)
    soon = random.uniform(0, 0.45) * dead if deaf else 0.0
    alone = random.uniform(1.2, 2) * dead

    def contests(number: int) -> None:
        faults.world.later(soon, _unless_healed, faults, number, Faults.isolate, alone)

    def split() -> None:
        faults.wait_for(State.CONTESTED, contests)
        primary = [r.number for r in faults.world.routers if r.timing.role is Role.PRIMARY]
        faults.strike(primary[0] if primary else None, way, length * dead)

    faults.world.at(random.uniform(2, 4) * dead, split)


def _unless_healed(faults: Faults, number: int, kind: Fault, length: float) -> None:
    """Commit a fault that has waited for a state, perhaps for too long."""
    if not faults.healed:
        faults.strike(number, kind, length)


def _owner(faults: Faults) -> Router:
    one, two = faults.world.routers
    return two if two.holds else one


SCENES = (Scene(_goodbye_in_doubt), Scene(_cut_off_in_contest, "witness"))


def scene_of(seed: int) -> Scene | None:
    """Give the scene that a seed plays, if it has one."""
    turn, rest = divmod(seed, EACH)
    return SCENES[turn % len(SCENES)] if rest == AT else None
