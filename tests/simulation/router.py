# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""One machine: the kernel's addresses, the files in /run, the supervisor, the heart's shell.

Kernel and files outlive processes; a power cut takes all of it. The engine, the conversation and
supervision.py are the real ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from piranha.pulse import oldwire, supervision
from piranha.pulse.conversation import Memory, farewells
from piranha.pulse.engine import Deed, Effect, Engine
from piranha.pulse.machine import Do, Input, Machine, State, Step, Timing
from piranha.pulse.oldwire import Said
from piranha.pulse.supervision import Child, Policy
from piranha.pulse.wire import Key, Role

from .elder import Elder

if TYPE_CHECKING:
    from .world import World

QUEUE = 277  # datagrams that a socket's default buffer holds
BOOTED = 1000.0  # what the routers' clocks show at the beginning
RESTART_SEC = 1.0  # piranha-pulse.service
STOP_LIMIT = 3.0  # supervisor.py
LETS_GO = 0.5  # the share of hearts that let go before systemd kills them with the rest
DIGEST = bytes(8)
CONNECTIONS = 1000  # in both kernels' tables at the beginning

Cell = tuple[Role, State, Input]


class Watched(Machine):
    """The machine, telling which cells of its tables were asked, and what it believed."""

    cells: set[Cell]
    believed: int
    why: Input | None = None
    released_for: Input | None = None
    """What made it let go of the addresses last."""

    def _feed(self, why: Input, now: float) -> list[Step]:
        self.why = why
        self.cells.add((self.timing.role, self.state, why))
        steps = super()._feed(why, now)
        if any(Do.RELEASE in step.do for step in steps):
            self.released_for = why
        return steps

    def heard(self, *args: object, **words: object) -> list[Step]:
        self.believed += 1
        return super().heard(*args, **words)  # type: ignore[arg-type]


@dataclass
class Blocked:
    """Until when something does not run."""

    until: float = 0.0

    def block(self, until: float) -> None:
        self.until = max(self.until, until)


class Router:
    """Router `number` of a world."""

    def __init__(self, world: World, number: int, timing: Timing, rate: float) -> None:
        self.world, self.number, self.timing, self.rate = world, number, timing, rate
        self.name = "AB"[number]
        self.keys: tuple[Key, ...] = (world.key,)
        self.old = False  # its agent is of before sequences were times
        # The machine.
        self.powered = True
        self.frozen = Blocked()  # nothing on it runs
        self.holds = False
        self.broken = False  # setting addresses fails
        self.sticky = False  # removing them fails
        self.able = 10  # virtual services that it can serve
        self.isolated_since: float | None = None
        self.blind = False  # its witness does not answer it
        self.linked = True  # the interfaces of the virtual addresses have their link
        self.patchy = False  # setting some of them fails
        self.robbed = False  # somebody deleted them, and the heart may not know it yet
        self.mend_at: float | None = None
        self.connections: set[int] = set()
        self.table = CONNECTIONS  # as many as are in the kernel's, for `preempt`
        # Files in /run.
        self.intends = False
        self.sessions: list[bytes] = []
        self.memory: Memory | None = None
        # The supervisor.
        self.wanted = True  # the service is to run
        self.supervised = False
        self.resigns_again = False  # it could not, and tries again after a second
        self.late = Blocked()  # the supervisor alone does not run
        self.child = Child(0.0)
        self.startable_at = 0.0
        self.ticked = 0.0
        self._watch = 0
        # The heart.
        self.engine: Engine | None = None
        self.hung = Blocked()  # the heart alone does not run
        self.queue: list[bytes] = []
        self._wake = 0
        self._seen: object = None
        self._given: set[int] = set()
        self._unread: list[str] = []  # what pulse has asked of a heart that does not run

    def clock(self) -> float:
        """What the heart reads."""
        return BOOTED + self.world.now * self.rate

    @property
    def runs(self) -> bool:
        """Whether a heart is there and gets the processor."""
        now = self.world.now
        return (
            self.engine is not None
            and self.powered
            and now >= self.frozen.until
            and now >= self.hung.until
        )

    @property
    def well(self) -> bool:
        """Whether a heart runs, or the supervisor could start one at any moment."""
        now = self.world.now
        awake = now >= max(self.frozen.until, self.late.until, self.startable_at)
        hangs = self.engine is not None and now < self.hung.until
        return self.powered and self.supervised and self.wanted and awake and not hangs

    @property
    def state(self) -> State | None:
        return None if self.engine is None else self.engine.machine.state

    @property
    def machine(self) -> Watched | None:
        """The heart's, where one runs."""
        machine = None if self.engine is None else self.engine.machine
        assert machine is None or isinstance(machine, Watched)
        return machine

    @property
    def other(self) -> Router:
        return self.world.routers[1 - self.number]

    def note(self, text: str) -> None:
        self.world.note(f"{self.name} {text}")

    # -- the supervisor -----------------------------------------------------------------------

    @property
    def policy(self) -> Policy:
        return Policy.of_heart(self.timing.deadtime)

    def boot(self) -> None:
        """The service is started."""
        if self.powered and self.wanted and not self.supervised:
            self.supervised = True
            self.child = Child(self.world.now)
            self.supervise()

    def supervise(self, turn: int | None = None) -> None:
        """The supervisor looks at its child."""
        if not self.supervised or not self.powered or (turn is not None and turn != self._watch):
            return
        world, now = self.world, self.world.now
        self._watch += 1
        blocked = max(self.frozen.until, self.late.until)
        if now < blocked:
            world.at(blocked, self.supervise, self._watch)
            return
        policy = self.policy
        if self.child.running and self.ticked >= self.child.started:
            self.child = supervision.ticked(self.child, self.ticked)
        if self.child.running and self.engine is None:
            self.child = supervision.ended(self.child, policy, now)
        self.child, actions = supervision.step(self.child, policy, now)
        for action in actions:
            match action:
                case supervision.Do.KILL:
                    self.kill()
                case supervision.Do.RESIGN:
                    self.resign()
                case supervision.Do.START:
                    if now >= self.startable_at:
                        self.start()
                    else:
                        self.child = replace(self.child, start_at=self.startable_at)
        due = supervision.wake_at(self.child, policy)
        if self.child.running and self.child.heard is None:
            due = now + self.timing.deadtime / 8  # its first tick will wake the supervisor
        if due is not None:
            world.at(max(due, now) + 1e-6, self.supervise, self._watch)

    def kill(self) -> None:
        """The heart ends where it stands."""
        if self.engine is not None:
            self.engine = None
            self.queue.clear()
            self._unread.clear()
            self.mend_at = None
            self.world.dirty = True

    def died(self) -> None:
        """The heart has ended by itself; the supervisor hears of it at once."""
        self.world.promises.struck(self)
        self.kill()
        self.supervise()

    def resign(self) -> None:
        """Let go for a heart that cannot (resign.py): addresses first, then the goodbye."""
        self.note("is resigned for")
        self.world.promises.struck(self)
        self.intends = False
        if self.sticky and self.holds:
            self.resigns_again = True
            self.child = supervision.unresigned(self.child, self.policy, self.world.now)
            return
        held = self.holds
        self.let_go()
        if self.world.classic:
            said = [oldwire.write(Said.STOPPED)] * 3
        else:
            said = farewells(self.keys, self.timing.role, self.sessions, DIGEST)
        for data in said:
            self.send(data)
        self._forget()
        if held:
            self.world.promises.parted(self)

    def _forget(self) -> None:
        self.sessions, self.memory = [], None
        self.world.promises.strangers()

    def ask_to_stop(self) -> None:
        """The service is stopped: in order where the heart can."""
        self.wanted = False
        if not self.supervised or not self.powered:
            return
        if self.runs:
            self._stop()
        elif self.engine is None and self.world.now >= self.frozen.until:
            self.supervised = False
            self.resign()
        else:  # it hangs, or all does
            self._unread.append("stop")
            when = max(self.world.now + STOP_LIMIT, self.frozen.until)
            self.world.at(when, self._end_hung)

    def _stop(self) -> None:
        """The heart is asked to stop."""
        if self.engine is not None:
            self.supervised = False
            held = self.holds
            self.carry(self.engine.stop(self.clock()))
            if held and not self.holds:
                self.world.promises.parted(self, handed=True)
            self._forget()
            self.kill()

    def wish(self) -> None:
        """The service is started again."""
        self.wanted = True
        self.boot()

    def reload(self, timing: Timing | None = None, keys: tuple[Key, ...] | None = None) -> None:
        """The files are changed and pulse is told; a heart that does not run reads it later."""
        self.note(f"is reloaded with {timing} {keys}")
        self.timing = timing or self.timing
        self.keys = keys or self.keys
        if timing is not None:
            self.world.promises.reconfigured()
        self.world.dirty = True
        if self.runs:
            self._reload()
        elif self.engine is not None:
            self._unread.append("reload")
        self.supervise()

    def plug(self, linked: bool) -> None:
        """A cable is drawn or put back; the kernel tells the heart, who may hear it late."""
        self.linked = linked
        self.world.dirty = True
        if self.runs:
            self._link()
        elif self.engine is not None:
            self._unread.append("link")

    def sicken(self, able: int) -> None:
        """It can serve so many virtual services of ten."""
        self.able = able
        self.world.dirty = True
        if self.engine is not None:
            self.engine.tell(able, 10)

    def count(self) -> None:
        """The kernel's sync daemons have given us more of the owner's; the heart looks now."""
        owner, ways = self.other, self.world.network.ways
        if self.powered and owner.powered and owner.holds and not ways[owner.number].cut:
            self.table = max(self.table, min(owner.table, self.table + CONNECTIONS // 10))
        if self.engine is not None:
            self.engine.tell(connections=self.table)
        self.world.later(self.timing.deadtime / 4, self.count)

    def switch_over(self) -> None:
        """An operator wants the partner to take over."""
        if not self.runs or self.engine is None or self.world.faults.healed:
            return
        self.world.promises.disturbed()
        refusal, effects = self.engine.switch(self.clock())
        self.note(f"switches over: {refusal or 'yes'}")
        self.carry(effects)
        if refusal is None and not self.holds:
            self.world.promises.parted(self, handed=True)
        self.schedule()
        self.changed()

    def _link(self) -> None:
        if self.engine is not None:
            self.carry(self.engine.carrier(self.linked, self.clock()))
            self.schedule()
            self.changed()

    def _reload(self) -> None:
        if self.engine is not None:
            self.carry(self.engine.reload(self.keys, self.timing, DIGEST, self.clock()))
            self._note_session()
            self.schedule()
            self.changed()

    def _end_hung(self) -> None:
        if self.supervised and self.powered and not self.wanted:
            self.supervised = False
            self.kill()
            self.resign()

    def lose_supervisor(self) -> None:
        """pulse is killed: the heart sees its link close, and lets go in order.

        systemd ends what is left of the service meanwhile (KillMode=mixed), so it may come to the
        end of that, or half way, or nowhere; where it does not run, nowhere. After that systemd
        resigns, and starts the service again.
        """
        if not self.powered or not self.supervised:
            return
        self.supervised = False
        chance = self.world.random.random()
        if self.engine is not None and self.runs and chance < LETS_GO:
            self._stop()
        elif self.engine is not None and self.runs:
            self.note("is killed while it lets go")
            effects = self.engine.stop(self.clock())
            self.carry(effects[: self.world.random.randrange(len(effects) + 1)])
            self.kill()
        else:
            self.kill()
        self.world.later(0.05, self.resign_if_powered)
        self.world.later(0.05 + RESTART_SEC, self.boot)

    def resign_if_powered(self) -> None:
        if self.powered and not self.supervised:
            self.resign()

    # -- power --------------------------------------------------------------------------------

    def cut_power(self) -> None:
        """Everything stops and is forgotten."""
        self.powered = self.supervised = False
        self.holds = self.intends = False
        self._forget()
        self.connections, self.table = set(), 0
        self.kill()
        self.world.dirty = True

    def power_on(self) -> None:
        """It boots."""
        if not self.powered:
            self.powered = True
            self.frozen.until = self.hung.until = self.late.until = self.startable_at = 0.0
            self.boot()

    # -- the heart's shell (heart.py) -----------------------------------------------------------

    def start(self) -> None:
        """The supervisor forks a heart, which adopts what it finds."""
        now = self.clock()
        self.child = supervision.started(self.child, self.world.now)
        self.hung.until = 0.0
        self.queue.clear()
        self._given = set()
        engine = Engine(
            self.keys, self.timing, DIGEST, lambda: self.world.random.randbytes(16), now
        )
        if self.old:
            Elder.ages(engine.conversation)
        machine = engine.machine
        machine.__class__ = Watched
        assert isinstance(machine, Watched)
        # What happens beside one of old must not stand for the tables that are others'.
        machine.cells = set() if self.world.classic else self.world.cells
        machine.believed = 0
        self.engine = engine
        if self.sessions:
            engine.resume(self.sessions[0], self.memory, now)
        self.note(f"starts, holds {self.holds}, intends {self.intends}")
        self._note_session()
        self.ticked = self.world.now
        engine.tell(self.able, 10, self.table)
        ours = self.holds and self.intends
        if not ours and not self.sticky:
            self.let_go()
        self.carry(engine.start(now, ours, self.holds and not ours))
        self.carry(engine.carrier(self.linked, now))
        self.schedule()
        self.changed()
        self.world.promises.begins(self)
        self.world.dirty = True

    def _note_session(self) -> None:
        if self.engine is not None:
            session = self.engine.conversation.session
            self.memory = self.engine.conversation.memory
            earlier = [entry for entry in self.sessions if entry != session]
            self.sessions = [session, *earlier][:4]

    def schedule(self) -> None:
        """Set the alarm of the loop."""
        if self.engine is None:
            return
        self._wake += 1
        due = (self.engine.next_at() - BOOTED) / self.rate
        if self.mend_at is not None and self.engine.holding:
            due = min(due, self.mend_at)
        now = self.world.now
        self.world.at((due if due > now else now) + 1e-6, self.woken, self._wake)

    def wake(self, since: float) -> None:
        """What did not run since then runs again."""
        self.world.promises.wakes(self, since)
        self.woken()

    def woken(self, wake: int | None = None) -> None:
        """The heart's loop turns once."""
        if self.engine is None or (wake is not None and wake != self._wake):
            return
        world = self.world
        if world.now < self.frozen.until or world.now < self.hung.until:
            if wake is not None:
                world.at(max(self.frozen.until, self.hung.until), self.woken, wake)
            return
        engine, now = self.engine, self.clock()
        if self.timing.witness and not self.blind:
            engine.machine.witnessed(now)
        if effects := engine.woke(now):
            self.carry(effects)
        if self.queue:
            waiting, self.queue = self.queue, []
            for data in waiting:
                self._hear(engine, data, now)
        if effects := engine.tick(now):
            self.carry(effects)
        if engine.holding:
            self._look_after_addresses(engine, now)
        self.ticked = world.now
        while self._unread:
            match self._unread.pop(0):
                case "stop":
                    self._stop()
                    return
                case "reload":
                    self._reload()
                case "link":
                    self._link()
        if self.engine is not None:
            self.schedule()
        self.changed()

    def _hear(self, engine: Engine, data: bytes, now: float) -> None:
        machine = engine.machine
        assert isinstance(machine, Watched)
        before = machine.believed
        effects = engine.received(data, now)
        if machine.believed > before:
            self.world.promises.believes(self, data)
        self.carry(effects)

    def _look_after_addresses(self, engine: Engine, now: float) -> None:
        due = self.mend_at is not None and self.world.now >= self.mend_at
        if due and self._acquire(engine, now):
            self.world.promises.announces(self)
        if engine.holding and not self.holds:
            self.carry(engine.lost(now))

    def changed(self) -> None:
        """Note it where the state is another than before."""
        engine = self.engine
        seen = None
        if engine is not None:
            machine = engine.machine
            seen = (machine.state, machine.partner is None, machine.wins)
        if seen != self._seen:
            self._seen = seen
            self.world.dirty = True
            if seen is not None:
                self.world.entered(self.number, seen[0])

    def carry(self, effects: Iterable[Effect]) -> None:
        """Carry out what the engine wants."""
        for effect in effects:
            engine = self.engine
            if engine is None:
                return
            match effect.deed:
                case Deed.SEND:
                    self.send(effect.data)
                case Deed.LOG:
                    self.note(effect.text)
                case Deed.ACQUIRE:
                    if not self._acquire(engine, self.clock()):
                        break
                case Deed.RELEASE:
                    if not self._release(engine):
                        break
                case Deed.RENEW:
                    self._given = set()
                    self.carry(engine.renew(self.clock()))
                case Deed.ANNOUNCE:
                    self.world.promises.announces(self)
                case Deed.LOOK:
                    if not self.holds:
                        self.carry(engine.lost(self.clock()))
                        break
                case Deed.SESSION:
                    self._note_session()
                case _:
                    self._part(engine, effect)

    def _acquire(self, engine: Engine, now: float) -> bool:
        self.world.promises.acquires(self)
        self.intends = True
        self.robbed = False
        if self.broken:
            self.holds = False
            self.mend_at = None
            self.world.dirty = True
            self.carry(engine.failed(now))
            return False
        self.holds = True
        self._given = set()
        self.world.promises.acquired(self)
        self.mend_at = self.world.now + self.timing.deadtime if self.patchy else None
        self.world.dirty = True
        return True

    def _release(self, engine: Engine) -> bool:
        if self.sticky and self.holds:
            self.intends = False
            self.carry(engine.stuck(self.clock()))
            return False
        # Until the last moment clients come; what they began must still reach the partner.
        if self.holds:
            self.connections.add(self.world.another())
        self.let_go()
        self.carry(engine.freed(self.clock()))
        return True

    def let_go(self) -> None:
        """The kernel loses the addresses."""
        if self.holds:
            self.world.promises.releases(self)
        self.holds = self.intends = self.robbed = self.resigns_again = False
        self.mend_at = None
        self.world.dirty = True

    def _part(self, engine: Engine, effect: Effect) -> None:
        """Hand over without waiting, take what comes, say goodbye."""
        now = self.clock()
        if effect.deed is Deed.HAND_OVER:
            if self.holds:
                self.connections.add(self.world.another())
            fresh = sorted(self.connections - self._given)
            self._given.update(fresh)
            if fresh:
                body = b" ".join(b"%d" % number for number in fresh)
                self.world.promises.portions.add((self.number, body))
                self.send(engine.hand(body, now)[1])
        elif effect.deed is Deed.GOODBYE:
            self.send(engine.goodbye(now))
        else:
            self.world.promises.takes(self, effect.data)
            self.connections.update(int(word) for word in effect.data.split())
            self.carry(engine.take((effect.sequence,), now))

    # -- the network --------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Hand a datagram to the network."""
        world = self.world
        world.promises.says(self, data)
        world.network.recorded[self.number].append(data)
        arrive = self.other.arrive
        for delay in world.network.ways[self.number].fates(world.random):
            world.at(world.now + delay, arrive, data)

    def arrive(self, data: bytes) -> None:
        """A datagram reaches the machine."""
        if self.engine is None or not self.powered:
            return
        if len(self.queue) < QUEUE:
            self.queue.append(data)
        if self.world.now >= self.frozen.until:
            self.woken()
