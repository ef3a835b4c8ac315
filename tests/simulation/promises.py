# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold, and for how long it may not.

Conditions change at moments only, so they are looked at when something has changed; a promise
that was broken in between is then seen by how long it was. All bounds are stated here:

- Two owners while both hear each other: one dead time and two intervals.
- Two owners while one can hear the other: two dead times and two intervals.
- When two owners hear each other at last, one goes on: there is no gap; and where one of them had
  slept, it is the other.
- Who is no owner's heart any more (it hangs, it cannot be started) is resigned for in half a dead
  time and a twentieth, if the supervisor runs.
- No owner while one is able: one dead time and two intervals where nothing else has gone wrong
  and the other one does not run; two dead times and four intervals, one dead time more where the
  network loses or delays, or did so within three dead times; and the start delay.
- No owner while one has no heart for the moment, though one could be started: one dead time more
  than that, from the death of its heart on, however often its hearts have died before.
- After a goodbye or a resignation that could be heard: no owner for a few milliseconds, and the
  next owner has every connection.
- An owner whose interfaces have no link, beside one that has it: one dead time, two intervals.
- The clients reach the only owner after one dead time and four intervals.
- Whoever takes the addresses announces them in the same moment.
- Whoever keeps them, of two owners, knows in the end that the other one gave way, whose commands
  may have undone something that both share: its own run again (`wins`).
- Who holds the addresses lets go of them for no partner that is silent, gone, or without them.
- With a witness, who hears neither it nor the partner does not take over.
- With preempt, the primary is the owner in the end, and is given the addresses only once its table
  has 95 % of the connections that its partner has. With failover_on = health, an owner that could
  serve less than its standby partner is none after five dead times.
- Nobody takes or lets go once nothing has happened for five dead times.
- What a router says of itself is so; what it announces it has.
- A router believes only what its partner said, a short while ago, and in the order it was said.
- No heart turns in circles: what happens, wake-ups and datagrams above all, has a bound.
- A portion of connections is taken once, and only if the partner gave it.
- In the end there is one owner, one standby, and they hear each other.

With heartbeats of old (`heartbeat_format = classic`) these do not hold: nothing shows who said
what and when, so replays are left out; where one of two owners has slept, it is the backup that
gives way, not the sleeper; no connections are handed over; clients may not reach an owner whose
partner had the addresses meanwhile without its hearing so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from piranha.pulse import oldwire
from piranha.pulse.conversation import FRESH_AT_LEAST
from piranha.pulse.machine import Input, State
from piranha.pulse.oldwire import Said
from piranha.pulse.wire import Kind, PeerState, Role

from .network import DELAY

if TYPE_CHECKING:
    from .router import Router
    from .world import World

STATE_AT, KIND_AT = 5, 15  # wire.py: where a datagram says what its sender is, and what it carries
HOLDERS = (PeerState.ACTIVE, PeerState.DOUBT)
NO_REASONS = frozenset(
    {Input.SILENT, Input.CUT_OFF, Input.PEER_STANDBY, Input.PEER_FAULT, Input.PEER_GONE}
)
"""What is heard of a partner, or not heard, that leaves an owner the only one who can serve."""
PROMPT = 10 * DELAY + 0.002
BACK = 0.95
BUSIEST = 100
"""What may happen in one dead time, on average; it is 40 in most schedules."""


class Promises:
    """Watches a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.portions: set[tuple[int, bytes]] = set()
        self.taken = 0
        self._took: set[tuple[int, bytes]] = set()
        self._said: dict[bytes, tuple[int, float]] = {}
        self._calm_since: float | None = None
        self._clean_since: float | None = None
        self._half_since: float | None = None
        self._none_since: float | None = None
        self._able_since: list[float | None] = [None, None]
        self._well_since: list[float | None] = [None, None]
        self._two_since: float | None = None
        self._astray_since: float | None = None
        self._useless_since: float | None = None
        self._worse_since: float | None = None
        self._disturbed_at = self._reconfigured_at = 0.0
        self._contest = 0.0
        self._talk_since: float | None = None
        self._acquainted = False
        self._mute_since: list[float | None] = [None, None]
        self._two_at = -1.0
        self._sleeper: tuple[Router, float] | None = None
        self._unannounced: Router | None = None
        self._unwon: dict[int, float] = {}
        """Who has to learn that its partner had the addresses too, and since when."""
        self._wins = [0, 0]
        self._latest = [0.0, 0.0]
        self._heir: tuple[Router, float, frozenset[int]] | None = None

    # -- what lasts -----------------------------------------------------------------------------

    def look(self) -> None:
        """Something has changed: judge how it was until now, then note how it is."""
        self._judge()
        world = self.world
        one, two = world.routers
        both = one.runs and two.runs
        clean = world.network.clean
        well = not (one.broken or two.broken or one.sticky or two.sticky)
        calm = both and clean and well and self._paired()
        useless = calm and one.linked is not two.linked and (
            (one.holds and not one.linked) or (two.holds and not two.linked)
        )
        self._useless_since = self._since(self._useless_since, useless)
        self._clean_since = self._since(self._clean_since, clean)
        self._calm_since = self._since(self._calm_since, calm)
        self._talk_since = self._since(self._talk_since, clean and self._paired())
        cuts = world.network.ways[0].cut + world.network.ways[1].cut
        known = self._acquainted or world.classic
        half = both and well and cuts == 1 and self._paired() and known
        self._half_since = self._since(self._half_since, half and not (one.old or two.old))
        worse = calm and world.kind == "on_health" and not (one.old or two.old)
        worse = worse and one.linked and two.linked and (
            (one.holds and one.able < two.able) or (two.holds and two.able < one.able)
        )
        self._worse_since = self._since(self._worse_since, worse)
        owners = one.holds + two.holds
        if self._two_since is not None:
            self._two_at, self._contest = world.now, world.now - self._two_since
        if owners == 0 and self._reunited():
            self.fail("both let go at the end of a split")
        if self._unannounced is not None:
            self.fail(f"{self._unannounced.name} does not announce what it took")
        self._none_since = self._since(self._none_since, owners == 0)
        self._two_since = self._since(self._two_since, owners == 2)
        # An agent from before there were facts does not say that it had the addresses meanwhile.
        telling = not (one.old or two.old or world.classic)
        reached = world.routers[world.network.told or 0]
        astray = calm and telling and owners == 1 and not reached.holds
        self._astray_since = self._since(self._astray_since, astray)
        for number, router in enumerate(world.routers):
            may = not router.broken and router.linked and self._may_take(router)
            may = may and not (router.blind and router.timing.witness)
            able = router.runs and may
            mute = router.holds and router.powered and not (
                router.runs or router.sticky or router.resigns_again
            ) and not (
                world.now < max(router.frozen.until, router.late.until) or not router.supervised
            )
            self._mute_since[number] = self._since(self._mute_since[number], mute)
            self._able_since[number] = self._since(self._able_since[number], able)
            self._well_since[number] = self._since(self._well_since[number], router.well and may)
            wins = 0 if router.engine is None else router.engine.machine.wins
            if wins > self._wins[number] or not router.holds:
                self._unwon.pop(number, None)
            self._wins[number] = wins
        if self._heir is not None and not (
            self._talk_since is not None and self._heir[0].runs and self._heir[0].linked
        ):
            self._heir = None

    def _judge(self) -> None:
        now = self.world.now
        dead = self._dead()
        keep = self.world.keepalive
        if self._two_since is not None:
            if self._calm_since is not None:
                both = now - max(self._two_since, self._calm_since)
                if both > dead + 2 * keep:
                    self.fail(f"two owners for {both:.4f} s though both hear each other")
            if self._half_since is not None:
                both = now - max(self._two_since, self._half_since)
                if both > 2 * dead + 2 * keep:
                    self.fail(f"two owners for {both:.4f} s though one hears the other")
        able = [since for since in self._able_since if since is not None]
        if self._none_since is not None and able:
            none = now - max(self._none_since, min(able))
            # Two dead times, since a primary that is heard but hears nothing must first wait
            # for its own silence.
            clean = self._clean_since is not None and now - none - self._clean_since > 3 * dead
            delay = max(router.timing.start_delay for router in self.world.routers)
            quick = len(able) == 1 and self._alone(able[0], self._none_since)
            if quick and none > dead + 2 * keep:
                self.fail(f"no owner for {none:.4f} s though nothing hinders one")
            if none > (2 if clean else 3) * dead + 4 * keep + delay:
                self.fail(f"no owner for {none:.4f} s though one is able")
        self._judge_restarts(now, dead)
        if self._astray_since is not None and now - self._astray_since > dead + 4 * keep:
            self.fail(f"clients do not reach the owner for {now - self._astray_since:.4f} s")
        for since in self._mute_since:
            if since is not None and now - since > dead * 0.55 + 1e-3:
                self.fail(f"an owner without a heart for {now - since:.4f} s")
        if self._useless_since is not None and now - self._useless_since > dead + 2 * keep:
            self.fail(f"an owner without a link for {now - self._useless_since:.4f} s")
        if self._worse_since is not None and now - self._worse_since > 5 * dead + 4 * keep:
            self.fail(f"an owner that serves less for {now - self._worse_since:.4f} s")
        if self._heir is not None and now > self._heir[1]:
            if not self._heir[0].holds:
                self.fail(f"{self._heir[0].name} did not take though it was told to")
            self._heir = None

    def _judge_restarts(self, now: float, dead: float) -> None:
        """Nobody may wait long before a heart is started again."""
        well = [since for since in self._well_since if since is not None]
        if self._none_since is None or not well:
            return
        none = now - max(self._none_since, min(well))
        clean = self._clean_since is not None and now - none - self._clean_since > 3 * dead
        delay = max(router.timing.start_delay for router in self.world.routers)
        if none > (3 if clean else 4) * dead + 4 * self.world.keepalive + delay:
            self.fail(f"no owner for {none:.4f} s though a heart could be started")

    def _since(self, before: float | None, true: bool) -> float | None:
        if not true:
            return None
        return self.world.now if before is None else before

    def _dead(self) -> float:
        one, two = self.world.routers
        return max(one.timing.deadtime, two.timing.deadtime)

    def _paired(self) -> bool:
        """Whether their configurations let them hear each other."""
        one, two = self.world.routers
        return (
            one.timing.partnered
            and two.timing.partnered
            and one.timing.role is not two.timing.role
            and any(one.keys[0] == key for key in two.keys)
            and any(two.keys[0] == key for key in one.keys)
        )

    @staticmethod
    def _may_take(router: Router) -> bool:
        return router.timing.partnered or router.timing.role.name == "PRIMARY"

    def disturbed(self) -> None:
        """Somebody did something: until it has settled, changes have a reason."""
        self._disturbed_at = self.world.now

    def reconfigured(self) -> None:
        """A router has other roles, times or partners: what was expected of it may not come."""
        self.disturbed()
        self._reconfigured_at = self.world.now
        self._heir = self._sleeper = None

    def _settled(self) -> bool:
        if self._calm_since is None:
            return False
        dead = self._dead()
        begun = max(self._calm_since, self._disturbed_at)
        return self.world.now - begun > 5 * dead + 4 * self.world.keepalive

    def _alone(self, able_since: float, none_since: float) -> bool:
        """Whether the router that is able had heard all there was to hear when none owned."""
        dead = max(r.timing.deadtime + r.timing.start_delay for r in self.world.routers)
        return (
            none_since - able_since > 3 * dead
            and self._reconfigured_at < none_since
            and self._talk_since is not None
            and none_since - self._talk_since > 3 * dead
            and sum(router.runs for router in self.world.routers) == 1
        )

    def _reunited(self) -> bool:
        """Whether there were two owners a moment ago, and nothing that explains that none is."""
        now = self.world.now
        return (
            self._calm_since is not None
            and self._calm_since <= self._two_at
            and now - self._two_at < 2 * PROMPT
            and self._disturbed_at < self._two_at
            and self._two_since is None
            and self.world.kind != "preempt"
            # After a dead time the primary gives way, even if it was heard the moment before.
            and self._contest < 0.9 * min(r.timing.deadtime for r in self.world.routers)
        )

    def begins(self, router: Router) -> None:
        """A new heart, which has heard nothing yet."""
        self._able_since[router.number] = None
        self._unwon.pop(router.other.number, None)  # what the one before has done is not known
        if self._heir is not None and self._heir[0] is router:
            self._heir = None

    def struck(self, router: Router) -> None:
        """Its heart has ended: another one has to be started, and has heard nothing yet."""
        self._well_since[router.number] = None

    def overtaken(self) -> None:
        """Somebody brings a datagram before those that were sent earlier: those are lost."""
        self._heir = None

    def strangers(self) -> None:
        """A router has forgotten the partner, or is to be forgotten."""
        self._acquainted = False

    def wakes(self, router: Router, since: float) -> None:
        """A router, or its heart alone, runs again: if somebody else owns by now, he stays."""
        now, other = self.world.now, router.other
        slept = now - since > 0.55 * router.timing.deadtime
        if not router.runs or router.engine is None or router.old or other.old:
            return
        talks = self._talk_since is not None and self._talk_since < since
        awake = self._able_since[other.number]
        talks = talks and awake is not None and awake < since
        if slept and talks and router.holds and other.holds and other.runs and other.linked:
            # Of old, it is the backup that gives way, whoever has slept.
            backup = router if router.timing.role is Role.BACKUP else other
            self._sleeper = (backup if self.world.classic else router, now)

    # -- what happens at a moment -----------------------------------------------------------------

    def says(self, router: Router, data: bytes) -> None:
        """A router sends a datagram."""
        if self.world.classic:
            if (data == oldwire.write(Said.RUNNING)) is not router.holds and not router.robbed:
                self.fail(f"{router.name} says {data.hex()}, and holds: {router.holds}")
            return
        self._said[data] = (router.number, self.world.now)
        state = data[STATE_AT]
        if state not in HOLDERS:
            if router.holds:
                self.fail(f"{router.name} says {PeerState(state).name}, and holds the addresses")
        elif not router.holds and not router.robbed and data[KIND_AT] != Kind.CONNECTIONS:
            self.fail(f"{router.name} says {PeerState(state).name} and holds nothing")

    def believes(self, router: Router, data: bytes) -> None:
        """A router has accepted a datagram."""
        if self.world.classic:
            return  # nothing shows who said it, and when
        who, when = self._said.get(data, (router.number, 0.0))
        if who == router.number:
            self.fail(f"{router.name} believes what its partner never said")
        dead = self._dead()
        age = self.world.now - when
        # A farewell ends its session, however late it comes.
        final = data[STATE_AT] in (PeerState.LEAVING, PeerState.RESIGNED)
        if when < self._latest[router.number] and not final:
            self.fail(f"{router.name} believes what was said before what it knows")
        self._latest[router.number] = max(when, self._latest[router.number])
        if self._talk_since is not None and self.world.now - self._talk_since > 2 * dead:
            self._acquainted = self._calm_since is not None or self._acquainted
        if age > max(2 * dead, FRESH_AT_LEAST) + dead and not final:
            self.fail(f"{router.name} believes what was said {age:.4f} s ago")

    def acquires(self, router: Router) -> None:
        """A router sets the addresses."""
        since = router.isolated_since
        if since is not None and router.timing.witness and router.engine is not None:
            cut = self.world.network.ways[1 - router.number].cut and router.timing.partnered
            alone = cut and self.world.now - since > 0.6 * router.timing.deadtime
            if alone and router.state is State.ACTIVE and not router.holds and not router.robbed:
                self.fail(f"{router.name} takes the addresses though it is cut off")
        if self._settled() and not router.patchy:
            self.fail(f"{router.name} takes the addresses without a reason")
        if self._heir is not None and self._heir[0] is router:
            if lost := self._heir[2] - router.connections:
                self.fail(f"{router.name} takes over without the connections {sorted(lost)}")
            self._heir = None

    def acquired(self, router: Router) -> None:
        """A router has set the addresses."""
        self._unannounced = router
        self._unwon.pop(router.number, None)  # a change of state of its own

    def releases(self, router: Router) -> None:
        """A router removes the addresses that it holds."""
        if self._sleeper is not None:
            sleeper, woke = self._sleeper
            past = self.world.now > woke + sleeper.timing.deadtime
            if past or self._talk_since is None or not sleeper.holds:
                self._sleeper = None
            elif (
                router is sleeper
                or not (router.linked and router.wanted)
                or router.state is State.STOPPED
            ):
                pass  # it has another reason
            elif self._disturbed_at <= woke:
                self.fail(f"{router.name} gives way to {sleeper.name}, which was to give way")
        if self._settled():
            self.fail(f"{router.name} lets go of the addresses without a reason")
        telling = not (router.old or router.other.old or self.world.classic)
        in_order = router.state in (None, State.STOPPED, State.YIELDED)
        if telling and router.other.holds and not in_order:
            self._unwon[router.other.number] = self.world.now
        self._wanted_with_what(router)
        reason = router.machine.released_for if router.machine else None
        if reason in NO_REASONS:
            self.fail(f"{router.name} lets go of the addresses since {reason.value}")

    def _wanted_with_what(self, router: Router) -> None:
        """A router that lets go since a primary wants the addresses: does that one know enough?"""
        if router.machine is None or router.machine.why is not Input.WANTED:
            return
        # What was asked for may have waited on the way while the asker lost its power.
        if self._calm_since is None or self.world.now - self._calm_since < self._dead():
            return
        heir = router.other
        if heir.table < BACK * router.table:
            self.fail(f"{heir.name} is given the addresses with {heir.table} of {router.table}")

    def announces(self, router: Router) -> None:
        """A router tells the network that the addresses are here."""
        self._unannounced = None
        if not router.holds:
            if not router.robbed:
                self.fail(f"{router.name} announces what it does not hold")
            return
        self.world.network.told = router.number
        self.world.dirty = True

    def takes(self, router: Router, body: bytes) -> None:
        """A router takes connections of its partner."""
        if (1 - router.number, body) not in self.portions:
            self.fail(f"{router.name} takes connections that its partner never gave")
        if (router.number, body) in self._took:
            self.fail(f"{router.name} takes the same connections twice")
        self._took.add((router.number, body))
        self.taken += 1

    def parted(self, router: Router, handed: bool = False) -> None:
        """A router has let go and says so: whoever hears it has to take over at once."""
        heir, now = router.other, self.world.now
        dead = self._dead()
        since = self._able_since[heir.number]
        heard = heir.engine is not None and heir.engine.machine.partner is not None
        if (
            heard
            and heir.state is State.STANDBY
            and heir.runs
            and heir.linked
            and not heir.sticky
            and not heir.broken
            and since is not None
            and now - since > 2 * dead
            and self._talk_since is not None
            and now - self._talk_since > 2 * dead
        ):
            knows = router.engine is not None and router.engine.machine.partner is not None
            handed = handed and knows and not self.world.classic
            given = frozenset(router.connections) if handed else frozenset[int]()
            self._heir = (heir, now + PROMPT, given)
            self.world.later(2 * PROMPT, self.world.stir)

    # -- the end ------------------------------------------------------------------------------

    @property
    def most(self) -> int:
        """How many things may happen in the whole schedule."""
        return int(BUSIEST * self.world.end / self.world.deadtime)

    def turns(self) -> None:
        """More has happened than may."""
        self.fail(f"{self.world.count} things happened, where {self.most} would be many")

    def agree(self) -> None:
        """In the end all is well."""
        states = [router.state for router in self.world.routers]
        owners = [router.holds for router in self.world.routers]
        if sorted(owners) != [False, True]:
            self.fail(f"ends with owners {owners}, states {states}")
        primary = next(r for r in self.world.routers if r.timing.role.name == "PRIMARY")
        wanted = self.world.kind == "preempt" and not (primary.old or primary.other.old)
        if wanted and not primary.holds:
            self.fail("the primary has not taken the addresses back")
        for router, state in zip(self.world.routers, states, strict=True):
            if state is not (State.ACTIVE if router.holds else State.STANDBY):
                self.fail(f"{router.name} ends {state}, and holds: {router.holds}")
            if router.engine is None or router.engine.machine.partner is None:
                self.fail(f"{router.name} does not hear its partner at the end")
        for number, when in self._unwon.items():
            name = self.world.routers[number].name
            self.fail(f"{name} does not know that its partner let go at {when:.4f} s as well")

    def fail(self, what: str) -> None:
        """A promise is broken."""
        self.world.fail(what)
