# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The heart: a small loop around the engine. Heartbeats, addresses, announcements, nothing else.

It runs in a child of pulse, forked and not executed. It waits for nothing but its own poll: log
lines go to pulse as messages that are dropped rather than waited for, its memory is locked and
it runs with real-time priority where that is allowed. What to do when is engine.py's matter; the
hands that do it are holding.py, pathways.py, parting.py, arrival.py and witness.py, the voice is
reporter.py.
"""

from __future__ import annotations

import gc
import os
import select
import socket
import time
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from piranha.control.link import Link
from piranha.net.addresses import Addresses
from piranha.net.rtnetlink import Netlink

from . import counting, ledger, report
from .arrival import Arrival
from .engine import Deed, Effect, Engine
from .heart_settings import HeartSettings
from .holding import Outcome
from .holdings import Holdings
from .parting import Parting
from .pathways import Pathways
from .priority import outlive_parent, raise_priority
from .reading import CannotRun, read_settings
from .reporter import Reporter
from .syncing import Syncing
from .wire import SESSION_SIZE, Key
from .witness import Witnesses
from .word import UNSURE, from_json

OK, FAILED, CANNOT_RUN = 0, 1, 78
TICKS = 16
"""Ticks in a dead time: pulse, which waits for half of one, counts a stop of seven as none."""
TELL = 1.0
"""Seconds between two snapshots of the state when nothing changes."""
_SAY = frozenset({Deed.SEND, Deed.GOODBYE, Deed.RENEW})
"""Deeds that tell the partner what was to become of the addresses."""
UNSIGNED = (
    "heartbeats are those of Piranha of old (heartbeat_format = classic): whoever can send from the"
    " partner's address is believed; remove it when both routers run this agent"
)
GOODBYE_GAP = 0.003
"""Seconds after each goodbye, so that one short burst of loss does not take all."""


def clock() -> float:
    """Seconds, counted on while the machine sleeps: a pause of any kind is to be noticed."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Heart:
    """One life of the heart. force: it takes the addresses at once, whoever may have them."""

    def __init__(self, link: Link, config_path: Path, run_dir: Path, force: bool = False) -> None:
        self._force = force
        self._link, self._reporter = link, Reporter(link)
        self._log = self._reporter.log
        self._config_path, self._run_dir = config_path, run_dir
        netlink = Netlink()
        self._addresses = Addresses(netlink)
        self._settings, keys = read_settings(config_path, self._addresses)
        self._paths = self._open(self._settings)
        self._holdings = Holdings(self._addresses, self._settings.groups, run_dir, self._log)
        now = clock()
        self._engine = Engine(
            # A lone primary sends nothing; its conversation still wants a key to hold.
            keys or (Key.of(os.urandom(32)),),
            self._settings.timing,
            self._settings.digest,
            lambda: os.urandom(SESSION_SIZE),
            now,
            tuple(self._settings.groups),
        )
        for member in self._engine.members if self._settings.fos else ():
            member.word = UNSURE
        self._arrival = Arrival(self._settings.services, self._settings.timing.deadtime)
        self._syncing = Syncing(self._settings.sync)
        self._witnesses = Witnesses(self._settings.witnesses, self._own, netlink, now)
        self._parting: Parting | None = None
        self._sessions: tuple[bytes, ...] = ()
        self._told_at = self._ticked_at = self._counted_at = 0.0
        self._begun = now
        self._reason = ""
        self._ending = False
        self._linked = not self._settings.routes
        self._heeded: list[int] = []
        self._unsaid: list[Effect] = []
        """Lines of the log that come after what matters more."""

    # -- life ---------------------------------------------------------------------------------

    def live(self) -> int:
        """Run until asked to stop, or until pulse has gone."""
        self._log("info", raise_priority())
        self._holdings[self._engine.members.main.name].complain()
        self._watch()
        now = clock()
        before = ledger.read_session(self._run_dir)
        self._sessions = before.sessions if before else ()
        if before is not None and before.resumable:
            self._engine.resume(before.sessions[0], before.memory, now)
        self._note_session()
        self._carry(self._engine.start(now, *self._holdings.adopt(now), force=self._force), now)
        self._see_links(now)
        self._arrival.clear()
        while not self._ending:
            self._turn()
        return OK

    def _watch(self) -> None:
        watches = [holding.fileno() for _name, holding in self._holdings]
        paths = [path.fileno() for path in self._paths.sockets]
        self._heeded = [self._link.fileno(), *watches, *paths]

    def _turn(self) -> None:
        """Wait, then: see how long we were away, read all that waits, see what is due."""
        parts = (self._engine, self._holdings, self._arrival, self._syncing, self._witnesses)
        due = min(when for part in parts if (when := part.next_at()) is not None)
        due = min(due, self._ticked_at + self._settings.timing.deadtime / TICKS)
        # select counts in microseconds. poll's milliseconds made each takeover half of one longer,
        # and a process with so few descriptors as this one never has number 1024.
        readable, _unused, _unused = select.select(
            self._heeded, (), (), max(0.0, min(due - clock(), 1.0))
        )
        now, ready = clock(), set(readable)
        self._carry(self._engine.woke(now), now)
        if not self._linked:
            self._await_link(now)
        words = self._engine.members.words
        for route, data in self._paths.receive(ready):
            effects = self._engine.received(data, now)
            if self._engine.genuine:
                self._paths.heard(route, now)
            self._carry(effects, now)
        if self._engine.members.words != words:
            self._tell(now)  # fos may wait for it
        if any(holding.fileno() in ready for _name, holding in self._holdings):
            self._heed(now)
        for level, text in self._witnesses.step(self._engine.members.waiting(now), now):
            self._log(level, text)
        self._engine.members.share_witness()
        self._carry(self._engine.tick(now), now)
        if (taken := self._arrival.step(now)) is not None:
            self._carry(self._engine.take(taken, now), now)
        self._log("notice", self._arrival.news())
        self._holdings.step(now)
        self._syncing.step(now, busy=self._arrival.busy)
        self._tick(now)
        self._holdings.make_ready(now)
        if self._link.fileno() in ready:
            self._hear(now)

    @property
    def _own(self) -> str:
        """Our address on the first path of the heartbeats; empty where there is none."""
        routes = self._settings.routes
        return routes[0].own if routes else ""

    def _await_link(self, now: float) -> None:
        """After the start, silence is no news before a cable carries anything."""
        own = frozenset(ip_address(route.own) for route in self._settings.routes)
        self._linked = self._addresses.linked(own)
        if not self._linked:
            for member in self._engine.members:
                member.machine.unlinked(now)

    def _heed(self, now: float) -> None:
        """See what somebody has done to the addresses or their interfaces."""
        members = self._engine.members
        gone = [name for name, one in self._holdings if one.heed(now, members[name].holding)]
        self._see_links(now)
        for name in gone:
            if members[name].holding:
                self._carry(self._engine.lost(now, name), now)

    def _see_links(self, now: float) -> None:
        """Stand back while an interface of the addresses has no link, if the file says so."""
        for name, holding in self._holdings:
            linked = holding.linked or not self._settings.monitor_links
            if linked != self._engine.members[name].machine.linked:
                self._carry(self._engine.carrier(linked, now, name), now)
                self._part()

    def _part(self) -> None:
        """Say what became of a hand-over that is through."""
        self._say()
        if self._parting is not None:
            self._log(*self._parting.told())
            self._parting = None

    def _tick(self, now: float) -> None:
        timing = self._settings.timing
        # `_turn` wakes us in time for the next one; more than twice as often is a waste.
        if now - self._ticked_at >= timing.deadtime / TICKS / 2:
            self._ticked_at = now
            self._reporter.tick()
        for name, holding in self._holdings:
            if self._engine.members[name].holding and holding.mend_due(now):
                self._acquire(name, now)
        if timing.preempt and now - self._counted_at >= counting.EVERY:
            self._counted_at = now
            self._engine.tell(connections=counting.connections())
        if now - self._told_at >= TELL:
            self._tell(now)

    # -- effects ------------------------------------------------------------------------------

    def _carry(self, effects: list[Effect], now: float) -> None:
        """Carry out what the engine wants; the log comes last, and in its order."""
        self._say()  # what an outer call has put off
        changed = False
        void: set[str] = set()
        for effect in effects:
            if void and (effect.group in void or effect.deed in _SAY):
                continue  # it was meant for one who has the addresses, or has not
            match effect.deed:
                case Deed.SEND:
                    self._paths.send(effect.data)
                case Deed.ACQUIRE | Deed.RELEASE | Deed.LOOK:
                    if not self._move(effect, now):
                        void.add(effect.group)
                case Deed.ANNOUNCE:
                    self._holdings[effect.group].announce(now)
                case Deed.SESSION:
                    self._note_session()
                case Deed.HAND_OVER:
                    self._hand_over()
                case Deed.RENEW:
                    self._part()
                    self._carry(self._engine.renew(clock()), now)
                case Deed.TAKE:
                    self._log("warning", self._arrival.take(effect.data, effect.sequence, now))
                case Deed.GOODBYE:
                    self._paths.send(self._engine.goodbye(clock()))
                    time.sleep(GOODBYE_GAP)
                case Deed.LOG:
                    self._unsaid.append(effect)
                    changed = True
        self._say()
        if changed:
            self._tell(now)

    def _say(self) -> None:
        """Log what waits for it."""
        unsaid, self._unsaid = self._unsaid, []
        for effect in unsaid:
            self._reason, _unused, _unused = effect.text.partition(": ")
            self._log(effect.level, effect.text)

    def _move(self, effect: Effect, now: float) -> bool:
        """Set, remove or look for the addresses; False, and the engine knows, where that failed."""
        if effect.deed is Deed.ACQUIRE:
            return self._acquire(effect.group, now)
        if effect.deed is Deed.RELEASE:
            return self._release(effect.group, now)
        if self._holdings[effect.group].gone():
            self._carry(self._engine.lost(now, effect.group), now)
            return False
        return True

    def _acquire(self, group: str, now: float) -> bool:
        """Set the addresses; False, and the engine knows, where none could be set."""
        self._arrival.settle()
        outcome = self._holdings[group].acquire(now)
        if outcome is Outcome.FAILED:
            self._carry(self._engine.failed(now, group), now)
        elif outcome is Outcome.MENDED:
            self._holdings[group].announce(now)
        return outcome is not Outcome.FAILED

    def _release(self, group: str, now: float) -> bool:
        """Remove the addresses; False, and the engine knows, where some are still here."""
        done = self._holdings[group].release()
        if not done:
            self._part()
        engine = self._engine
        self._carry(engine.freed(now, group) if done else engine.stuck(now, group), now)
        return done

    def _note_session(self) -> None:
        talk = self._engine.conversation
        session = talk.session
        earlier = tuple(entry for entry in self._sessions if entry != session)
        self._sessions = (session, *earlier)[: ledger.SESSIONS_KEPT]
        speaker = ledger.Spokesman(
            sessions=self._sessions,
            role=self._settings.role,
            routes=self._settings.routes,
            port=self._settings.port,
            key_file=self._settings.key_file,
            digest=self._settings.digest,
            memory=talk.memory,
            classic=talk.order,
            boot=ledger.boot_id(),
        )
        try:
            ledger.write_session(self._run_dir, speaker)
        except OSError as error:
            path = self._run_dir / ledger.SESSION
            self._log("err", f"{path}: cannot be written ({error.strerror}); see what fills it")

    # -- pulse --------------------------------------------------------------------------------

    def _tell(self, now: float) -> None:
        self._told_at = now
        patience = self._settings.timing.deadtime * 2
        waiting = now - self._begun < patience
        problems = self._holdings.troubles()
        problems += [self._syncing.problem] if self._syncing.problem else []
        state = report.snapshot(self._engine, self._settings, problems, self._reason, now)
        state["links"] = report.links(self._paths, patience, now)
        state["sync"] = self._syncing.state()
        machine = self._engine.machine
        state["witnesses"] = self._witnesses.state(machine, now, time.time() - now)
        state["problems"] += self._paths.problems(now, patience)
        state["problems"] += self._witnesses.problems(machine, now)
        if waiting:  # until then silence is no news
            state["problems"] = problems
        self._reporter.state(state, self._holdings.problems)

    def _hear(self, now: float) -> None:
        for message in self._link.receive():
            match message.get("do"):
                case "stop":
                    self._reporter.answer(message.get("ask"), self._stop(now))
                case "switchover":
                    self._reporter.answer(message.get("ask"), self._switch(message, now))
                case "reload":
                    self._reporter.answer(message.get("ask"), self._reload(now))
                case "facts":
                    self._note_facts(message.get("with"))
                    self._reporter.answer(message.get("ask"))
                case "say" | "unfit":
                    self._services(message, now)
                case other:
                    error = f"the heart does not know {other!r}"
                    self._reporter.answer(message.get("ask"), error)
        if self._link.closed and not self._ending:
            if self._settings.fos:
                # Services may run here, and a goodbye would start them elsewhere. Whoever comes
                # after pulse stops them first (`piranha release`), or adopts all as it is.
                self._ending = True
            else:
                self._stop(now)

    def _note_facts(self, said: object) -> None:
        """Take in how many virtual services can be served here, as pulse has it of lvsd."""
        facts = said if isinstance(said, dict) else {}
        able, of = facts.get("able"), facts.get("of")
        if isinstance(able, int) and isinstance(of, int):
            self._engine.tell(able=max(able, 0), of=max(of, 0))

    def _services(self, message: dict[str, Any], now: float) -> None:
        """What pulse asks in the name of fos: another word to the partner, or to let go."""
        said = message.get("with")
        said = said if isinstance(said, dict) else {}
        known = {member.name for member in self._engine.members}
        if message.get("do") == "unfit" and said.get("group") in known:
            effects = self._engine.unfit(str(said.get("why")), now, str(said.get("group")))
            self._carry(effects, now)
        elif isinstance(groups := said.get("groups"), dict):
            words = {name: from_json(word) for name, word in groups.items() if name in known}
            told = {name: word for name, word in words.items() if word is not None}
            self._carry(self._engine.say(told, now), now)
        self._reporter.answer(message.get("ask"))

    def _switch(self, message: dict[str, Any], now: float) -> str | None:
        """Let the partner take over and stay; a sentence where that cannot be."""
        said = message.get("with")
        group = said.get("group") if isinstance(said, dict) else None
        member = self._engine.members.find(group)
        if member is None:
            return f"there is no group {group!r}; see piranha status for those that are there"
        refusal, effects = self._engine.switch(now, member.name)
        self._carry(effects, now)
        if refusal is None and member.holding:
            refusal = "the addresses could not be removed here, so nothing was switched over"
        return refusal

    def _stop(self, now: float) -> str | None:
        """Hand over and let go, then say goodbye, a few times over; a sentence where that fails."""
        self._ending = True
        self._carry(self._engine.stop(now), now)
        self._part()
        self._arrival.end()
        if self._holdings.unreleased:
            return "; ".join(self._holdings.problems)  # the ledger tells others what is still here
        ledger.forget(self._run_dir)
        return None

    def _hand_over(self) -> None:
        if self._settings.fos:
            return  # no connection of theirs is in this kernel's IPVS table
        if self._parting is None:
            services = self._settings.services
            self._parting = Parting(self._engine, self._paths, services, clock)
        self._parting.hand_over()

    def _reload(self, now: float) -> str | None:
        """Take a new configuration, or leave everything as it is and say why."""
        try:
            settings, keys = read_settings(self._config_path, self._addresses)
            partner = self._settings.routes[0].partner if self._settings.routes else ""
            if (refusal := self._engine.estranging(settings.timing, partner)) is not None:
                return refusal
            paths = self._open(settings, self._paths)
        except CannotRun as error:
            return str(error)
        self._settings, self._paths = settings, paths
        self._arrival.want(settings.services, settings.timing.deadtime)
        self._syncing.want(settings.sync)
        self._witnesses = self._witnesses.want(settings.witnesses, self._own, now)
        self._regroup(settings, now)
        self._watch()
        self._see_links(now)
        keys = keys or self._engine.conversation.keys
        self._carry(self._engine.reload(keys, settings.timing, settings.digest, now), now)
        self._note_session()
        self._tell(now)
        return None

    def _regroup(self, settings: HeartSettings, now: float) -> None:
        """Hold the addresses of the new configuration, those of each group where that one is."""
        holding = {member.name: member.holding for member in self._engine.members}
        begins = self._holdings.begins(settings.groups, holding)
        failed = self._holdings.exchange(settings.groups, now, begins)
        self._carry(self._engine.regroup(begins, settings.timing, now), now)
        for group in failed:
            self._carry(self._engine.failed(now, group), now)

    def _open(self, settings: HeartSettings, old: Pathways | None = None) -> Pathways:
        try:
            paths = Pathways.opened(settings.routes, settings.port, old)
        except OSError as error:
            raise CannotRun(
                f"heartbeats cannot be received: {error.strerror} ({error.filename});"
                f" see which program uses the port, or correct heartbeat_port in lvs.cf"
            ) from None
        classic = settings.timing.classic
        if classic and not (old is not None and old.anywhere):
            self._log("warning", UNSIGNED)
        paths.anywhere = classic
        return paths


def run(sock: socket.socket, config_path: Path, run_dir: Path, force: bool = False) -> int:
    """Be the heart until asked to stop. Gives the exit status. force: as Heart takes it.

    sock: our end of the socket pair with pulse. 78: cannot run with this configuration.
    """
    link = Link(sock)
    try:
        heart = Heart(link, config_path, run_dir, force)
    except CannotRun as error:
        link.send({"event": {"level": "crit", "text": str(error)}})
        return CANNOT_RUN
    gc.freeze()
    outlive_parent()
    return heart.live()
