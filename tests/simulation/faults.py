# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong, and what operators do.

Most faults come at random times. Some wait for a router to come into a state that another fault
brings about, since what is rare alone would else never meet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from piranha.pulse.machine import State
from piranha.pulse.wire import Role

from .network import DELAY

if TYPE_CHECKING:
    from .router import Router
    from .world import World

LENGTHS = (0.1, 0.4, 0.6, 0.9, 1.1, 2, 4, 6)  # of a fault, in dead times
MOST = 5  # faults in a schedule; three on average


class Faults:
    """Draws and commits the faults of one world."""

    def __init__(self, world: World) -> None:
        self.world, self.random = world, world.random
        self._armed: dict[State, list[Callable[[int], None]]] = {}
        self._heal_at = 0.0
        self._rotating = False
        self.healed = False
        self.count = 0

    def plan(self, scene: Callable[[Faults], None] | None = None) -> float:
        """Draw when faults happen; gives the end of the schedule.

        scene: plans two of them (scenes.py).
        """
        dead = self.world.deadtime
        self._heal_at = 10 * dead
        left = self.random.randint(1, MOST)
        if scene is not None:
            scene(self)
            left -= 2
        while left > 0:
            when = self.random.uniform(1.5, 9) * dead
            if left > 1 and self.random.random() < 0.35:
                self.world.at(when, self._aim)
                left -= 2
            else:
                self.world.at(when, self.strike)
                left -= 1
        self.world.at(self._heal_at, self.heal)
        return self._heal_at + 7 * dead

    def _aim(self) -> None:
        """Bring a router into a state, and let another fault wait for it there."""
        state = self.random.choice(tuple(PROVOKED_BY))
        kind = self.random.choice(KINDS if self.random.random() < 0.4 else PIERCING)
        struck = False

        def strike(number: int | None = None) -> None:
            nonlocal struck
            if not struck and self.world.now < self._heal_at:
                struck = True
                self.strike(number, kind)

        def entered(number: int) -> None:
            far = 0.5 * self.world.deadtime * self.random.random()
            soon = self.random.choice((0.0, 0.0, DELAY, far))
            whom = number if self.random.random() < 0.7 else 1 - number
            self.world.later(soon, strike, whom)

        self.wait_for(state, entered)
        self.strike(None, self.random.choice(PROVOKED_BY[state]))
        self.world.later(3 * self.world.deadtime, strike)

    def wait_for(self, state: State, what: Callable[[int], None]) -> None:
        """Have something happen, once, when a router comes into a state; it is told which one."""
        self._armed.setdefault(state, []).append(what)

    def entered(self, number: int, state: State) -> None:
        """A router has come into a state."""
        for what in self._armed.pop(state, ()):
            what(number)

    def strike(
        self, number: int | None = None, kind: Fault | None = None, length: float | None = None
    ) -> None:
        """Commit a fault now, what is not given being drawn. length: in seconds."""
        routers = self.world.routers
        if number is None:
            number = self.random.randrange(2)
            if self.random.random() < 0.6 and (routers[0].holds or routers[1].holds):
                number = 0 if routers[0].holds else 1
        router = routers[number]
        length = length or self.world.deadtime * self.random.choice(LENGTHS)
        kind = kind or self.random.choice(KINDS)
        self.count += 1
        self.world.note(f"FAULT {kind.__name__} at {router.name} for {length:.4f} s")
        if kind is not Faults.rotate_keys:
            self.world.promises.disturbed()
        kind(self, router, length)
        self.world.dirty = True

    def after(self, length: float, what: Callable[[], None]) -> None:
        """Undo a fault, when everything is healed at the latest."""

        def undo() -> None:
            self.world.promises.disturbed()
            what()
            self.world.dirty = True

        self.world.at(min(self.world.now + length, self._heal_at - 1e-6), undo)

    # -- the network --------------------------------------------------------------------------

    def cut_both(self, router: Router, length: float) -> None:
        for way in self.world.network.ways:
            way.spoil(cut=True)
        self.after(length, self.world.network.mend)

    def cut_one(self, router: Router, length: float) -> None:
        self.world.network.ways[router.number].spoil(cut=True)
        self.after(length, self.world.network.mend)

    def lose(self, router: Router, length: float) -> None:
        for way in self.world.network.ways:
            way.spoil(loss=self.random.choice((0.05, 0.3, 0.7)))
        self.after(length * 2, self.world.network.mend)

    def jumble(self, router: Router, length: float) -> None:
        for way in self.world.network.ways:
            way.spoil(jitter=self.random.choice((0.5, 3)) * self.world.keepalive, double=0.3)
        self.after(length * 2, self.world.network.mend)

    def replay(self, router: Router, length: float) -> None:
        """Somebody sends what was recorded on the way to this router, some of it changed."""
        for _unused in range(40):
            self.world.later(self.random.random() * length, self._inject, router)

    def _inject(self, router: Router) -> None:
        recorded = self.world.network.recorded[1 - router.number]
        if not recorded or self.world.now > self._heal_at or self.world.classic:
            return  # heartbeats of old are believed, whoever sends them
        self.world.promises.overtaken()
        data = recorded[self.random.randrange(len(recorded))]
        chance = self.random.random()
        if chance < 0.3:
            changed = bytearray(data)
            changed[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
            data = bytes(changed)
        elif chance < 0.4:
            data = data[: self.random.randrange(len(data))]
        router.arrive(data)

    def isolate(self, router: Router, length: float) -> None:
        """A router loses its network: partner and witness."""
        self.cut_both(router, length)
        router.blind = True
        router.isolated_since = self.world.now
        self.after(length, partial(self._see, router))

    def blind(self, router: Router, length: float) -> None:
        """The witness alone is not there."""
        router.blind = True
        self.after(length, partial(self._see, router))

    @staticmethod
    def _see(router: Router) -> None:
        router.blind, router.isolated_since = False, None

    # -- processes and machines -----------------------------------------------------------------

    def crash(self, router: Router, length: float) -> None:
        """The heart ends; where that lasts long, each that is started soon does so as well, on both
        routers: as where they are machines of one host."""
        self._crash_now(router)
        if length < 1.5 * self.world.deadtime:
            return
        until, again = min(self.world.now + length, self._heal_at), 0.12 * self.world.deadtime
        for number in range(1, int((until - self.world.now) / again)):
            each = router.other if number % 2 else router
            self.world.later(number * again, self._crash_now, each)

    def _crash_now(self, router: Router) -> None:
        if router.engine is not None:
            self.world.promises.disturbed()
            router.died()
            self.world.dirty = True

    def crash_and_restart_while_cut(self, router: Router, length: float) -> None:
        self.cut_one(self.random.choice(self.world.routers), length * 2)
        self._crash_now(router)

    def cannot_restart(self, router: Router, length: float) -> None:
        if router.engine is not None:
            router.startable_at = min(self.world.now + length, self._heal_at)
            router.died()

    def hang(self, router: Router, length: float) -> None:
        router.hung.block(min(self.world.now + length, self._heal_at))
        self.after(length, partial(router.wake, self.world.now))

    def freeze(self, router: Router, length: float) -> None:
        router.frozen.block(min(self.world.now + length, self._heal_at))
        self.after(length, partial(router.wake, self.world.now))

    def freeze_both(self, router: Router, length: float) -> None:
        """As where both are virtual machines of one host."""
        self.freeze(router, length)
        self.freeze(router.other, length * self.random.choice((1, 1.2)))

    def supervisor_late(self, router: Router, length: float) -> None:
        router.late.block(min(self.world.now + length, self._heal_at))
        if self.random.random() < 0.5:
            self.hang(router, self.world.deadtime * self.random.choice(LENGTHS))

    def kill_supervisor(self, router: Router, length: float) -> None:
        router.lose_supervisor()

    def power_cut(self, router: Router, length: float) -> None:
        router.cut_power()
        self.after(length, router.power_on)

    # -- addresses ------------------------------------------------------------------------------

    def break_addresses(self, router: Router, length: float) -> None:
        router.broken = True
        if self.random.random() < 0.5:
            self.rob(router, length)
        self.after(length, partial(setattr, router, "broken", False))

    def lose_and_fail(self, router: Router, length: float) -> None:
        """What could be set in part fails as a whole while it is being mended."""
        router.broken = True
        if router.holds:
            router.holds, router.robbed, router.mend_at = False, True, self.world.now
            router.woken()
        self.after(length, partial(setattr, router, "broken", False))

    def patch_addresses(self, router: Router, length: float) -> None:
        """Some can be set and some not."""
        router.patchy = True
        self.after(length, partial(setattr, router, "patchy", False))

    def stick_addresses(self, router: Router, length: float) -> None:
        """None can be removed."""
        router.sticky = True
        self.after(length, partial(setattr, router, "sticky", False))
        if self.random.random() < 0.5:
            self.world.later(self.random.random() * length, router.switch_over)

    def stick_and_part(self, router: Router, length: float) -> None:
        """None can be removed when they are to be."""
        self.stick_addresses(router, length * 2)
        self.random.choice((Faults.part_company, Faults.cut_one, Faults.unplug, Faults.swap_roles))(
            self, router, length
        )

    def rob(self, router: Router, length: float) -> None:
        """Somebody deletes the addresses; the kernel tells it soon."""
        if router.holds:
            router.holds, router.robbed = False, True
            self.world.later(0.001 * self.random.random(), router.woken)

    def unplug(self, router: Router, length: float) -> None:
        """An interface of the virtual addresses loses its link; heartbeats go on elsewhere."""
        router.plug(False)
        self.after(length, partial(router.plug, True))

    # -- what operators do ------------------------------------------------------------------------

    def stop(self, router: Router, length: float) -> None:
        router.ask_to_stop()
        self.after(length, router.wish)

    def switch_over(self, router: Router, length: float) -> None:
        router.switch_over()

    def sicken(self, router: Router, length: float) -> None:
        """Real servers are out of its reach; where that matters, so long that it must be heeded."""
        router.sicken(self.random.choice((0, 5, 9)))
        if self.world.kind == "on_health":
            length = max(length, 9 * self.world.deadtime)
        self.after(length, partial(router.sicken, 10))

    def retime(self, router: Router, length: float) -> None:
        """Other intervals, on one router now and on the other later or never."""
        keepalive = self.world.keepalive * self.random.choice((0.5, 0.8, 1))
        deadtime = self.world.deadtime * self.random.choice((1, 1.5))

        def change(each: Router) -> None:
            each.reload(replace(each.timing, keepalive=keepalive, deadtime=deadtime))

        change(router)
        if self.random.random() < 0.5:
            self.after(length, partial(change, router.other))

    def rotate_keys(self, router: Router, length: float) -> None:
        """The way that the manual describes: nobody must notice."""
        old = router.keys[0]
        new = self.world.fresh_key()
        if router.other.keys != (old,) or self._rotating:
            return
        self._rotating = True
        steps = [(router, (old, new)), (router.other, (old, new)), (router, (new, old)),
                 (router.other, (new, old)), (router, (new,)), (router.other, (new,))]
        for number, (each, keys) in enumerate(steps):
            self.world.at(
                min(self.world.now + number * length / 3, self._heal_at + number * 0.001),
                each.reload, None, keys,
            )
        self.world.at(min(self.world.now + 2 * length, self._heal_at + 0.01), self._rotated)

    def _rotated(self) -> None:
        self._rotating = False

    def wrong_key(self, router: Router, length: float) -> None:
        if self._rotating:
            return
        right, wrong = router.keys, (self.world.fresh_key(),)
        if router.other.keys != right:
            return

        def undo() -> None:
            if router.keys == wrong:
                router.reload(keys=right)

        router.reload(keys=wrong)
        self.after(length, undo)

    def part_company(self, router: Router, length: float) -> None:
        """backup_active = 0, on one router now, on the other later or never; and back."""

        def change(each: Router, partnered: bool) -> None:
            each.reload(replace(each.timing, partnered=partnered))

        change(router, False)
        if self.random.random() < 0.7:
            self.after(length * 0.5, partial(change, router.other, False))
        self.after(length, partial(change, router, True))
        self.after(length * self.random.choice((1, 1.2)), partial(change, router.other, True))

    def swap_roles(self, router: Router, length: float) -> None:
        """The primary becomes the backup, first in one file and then in the other."""

        def change(each: Router, role: Role) -> None:
            each.reload(replace(each.timing, role=role))

        mine, its = router.timing.role, router.other.timing.role
        change(router, its)
        self.after(length, partial(change, router.other, mine))

    # -- the end ------------------------------------------------------------------------------

    def heal(self) -> None:
        """From here on nothing goes wrong any more."""
        world = self.world
        world.note("HEAL")
        self.healed = True
        world.promises.disturbed()
        self._armed.clear()
        world.network.mend()
        one, two = world.routers
        for router in world.routers:
            router.broken = router.patchy = router.sticky = False
            self._see(router)
            router.sicken(10)
            for block in (router.frozen, router.hung, router.late):
                block.until = min(block.until, world.now)
            router.startable_at = min(router.startable_at, world.now)
            router.child = replace(router.child, start_at=world.now, failures=0)
            router.power_on()
            router.woken()
            router.supervise()
            router.plug(True)
            world.later(0.1 * world.deadtime, router.wish)
        if one.keys != two.keys and not self._rotating:
            keys = (world.fresh_key(),)
            one.reload(keys=keys)
            two.reload(keys=keys)
        if one.timing.role is two.timing.role:
            two.reload(replace(two.timing, role=one.timing.role.other))
        for router in world.routers:
            if not router.timing.partnered:
                router.reload(replace(router.timing, partnered=True))
        world.dirty = True


Fault = Callable[[Faults, "Router", float], None]
KINDS: tuple[Fault, ...] = (
    Faults.cut_both,
    Faults.cut_one,
    Faults.lose,
    Faults.jumble,
    Faults.isolate,
    Faults.blind,
    Faults.replay,
    Faults.crash,
    Faults.crash_and_restart_while_cut,
    Faults.cannot_restart,
    Faults.hang,
    Faults.freeze,
    Faults.freeze_both,
    Faults.supervisor_late,
    Faults.kill_supervisor,
    Faults.power_cut,
    Faults.break_addresses,
    Faults.lose_and_fail,
    Faults.patch_addresses,
    Faults.rob,
    Faults.unplug,
    Faults.stick_addresses,
    Faults.sicken,
    Faults.stop,
    Faults.switch_over,
    Faults.switch_over,
    Faults.retime,
    Faults.rotate_keys,
    Faults.wrong_key,
    Faults.part_company,
    Faults.swap_roles,
)

PIERCING: tuple[Fault, ...] = (
    Faults.lose_and_fail,
    Faults.rob,
    Faults.unplug,
    Faults.stop,
    Faults.hang,
    Faults.isolate,
    Faults.power_cut,
    Faults.part_company,
    Faults.swap_roles,
    Faults.stick_addresses,
)
"""Those that mean something to a state that is soon over."""

PROVOKED_BY: dict[State, tuple[Fault, ...]] = {
    State.STANDBY: (Faults.crash, Faults.power_cut),
    State.ACTIVE: (Faults.power_cut, Faults.stop),
    State.CONTESTED: (Faults.cut_one, Faults.cut_both, Faults.swap_roles),
    State.DOUBT: (Faults.hang, Faults.freeze, Faults.freeze_both),
    State.FAULT: (Faults.lose_and_fail, Faults.unplug),
    State.YIELDED: (Faults.switch_over,),
    State.STUCK: (Faults.stick_and_part,),
}
"""What may bring a router into a state."""
