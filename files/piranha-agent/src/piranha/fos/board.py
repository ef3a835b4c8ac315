# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What fos does with its services, and when. Pure: facts and times in, deeds out.

Whoever calls it (daemon.py) runs commands and checks and tells it what came of them. docs/fos.md
has the reasons; the rules, in words:

1. Services run where the virtual addresses are: started after they have come, in the order of the
   file, stopped in reverse order before they are let go of wherever there is a choice.
2. One command at a time. What is unknown (after a crash in the middle, or at the very first start)
   is stopped before anything else.
3. Nothing is started while the partner is heard and a service may run there.
4. A service that fails is started again on the spot, `max_restarts` times within
   `restart_interval`. After that, if it is critical and the partner is able, all are stopped and
   the addresses go to the partner; if it is not able, it is tried again here, now and then.
5. What cannot be stopped is STUCK: nothing moves before it is stopped, and the partner knows.
6. A router whose services failed is spared for a while: the partner hands nothing back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from piranha.pulse.word import Word

from .settings import Service

HEED_AGAIN = 600.0
"""Seconds in which a router heeds its partner's complaint once: two that both find the other's
services out of order, though each is content with its own, must not hand them to and fro."""


class Phase(Enum):
    """What a service is on this router."""

    UNKNOWN = "unknown"
    """It may run: nobody has looked yet, or somebody died in the middle of a command."""
    STOPPED = "stopped"
    STARTING = "starting"
    """Its command runs, or has ended and no check has succeeded yet."""
    RUNNING = "running"
    STOPPING = "stopping"
    STUCK = "stuck"
    """It was to stop and did not."""


class Act(Enum):
    """What the caller has to do with a service."""

    START = "start"
    STOP = "stop"
    CANCEL = "cancel"
    """Kill the command that starts it; `done` is to follow."""


@dataclass(frozen=True)
class Deed:
    """Something to do, or (without a service) an event to tell."""

    act: Act | None = None
    service: Service | None = None
    level: str = "info"
    text: str = ""


@dataclass(frozen=True)
class Role:
    """What the heart says.

    holding: the virtual addresses are here. partner: its state as it is heard, None where it is
    not heard. word: its news of its services, None where it says none.
    """

    holding: bool = False
    partnered: bool = False
    partner: str | None = None
    word: Word | None = None


@dataclass
class Entry:
    """One service on this router; moments are seconds on the caller's clock."""

    service: Service
    phase: Phase
    since: float
    reason: str = ""
    busy: bool = False
    """A command of it is under way."""
    cancelled: bool = False
    gone: bool = False
    """It is no longer in lvs.cf: to be stopped and forgotten."""
    mend: bool = False
    """It failed, and is to be stopped and started again at `retry_at`."""
    failed: bool = False
    """It failed more often than it may be started again here."""
    retry_at: float = 0.0
    deadline: float = 0.0
    ran: bool = False
    """It ran when it was last told to stop."""
    recent: list[float] = field(default_factory=list)
    """When it was started again, lately."""
    restarts: int = 0
    checked: str = ""


NOT_HERE = "this router does not have the virtual addresses; ask the one that has them"


class Board:
    """All services of one group on this router; group: its name.

    `begin` first; then `role`, `done`, `checked`, `asked` and `tick` as things happen; each gives
    the deeds that follow.
    """

    def __init__(self, services: Iterable[Service], now: float, group: str = "") -> None:
        self.group = group
        self.entries = [Entry(one, Phase.UNKNOWN, now, "not looked at yet") for one in services]
        self.role_now = Role()
        self.known = False
        """Whether the heart has said anything yet."""
        self.stopping = False
        self.moving = ""
        """Why everything is to go to the partner; empty where it is not."""
        self.asked = False
        """Whether an operator wants that; nothing has failed here then."""
        self.complaint = ""
        """As a standby: what is wrong with the partner's services, in words."""
        self.waits_for = ""
        self._spared_until = now
        self._heed_again_at = now

    # -- facts ---------------------------------------------------------------------------------

    def adopt(self, name: str, phase: Phase, since: float, restarts: int, reason: str) -> None:
        """Take over what an earlier fos knew of a service."""
        for entry in self.entries:
            if entry.service.name == name:
                entry.phase, entry.since, entry.reason = phase, since, reason
                entry.restarts = restarts

    def reload(self, services: Iterable[Service], now: float) -> list[Deed]:
        """Take another configuration: what goes on goes on, with its new times and commands."""
        wanted = {one.name: one for one in services}
        known = {entry.service.name: entry for entry in self.entries}
        for name, entry in known.items():
            entry.gone = name not in wanted
        kept = [entry for entry in self.entries if entry.gone]
        for name, one in wanted.items():
            entry = known.get(name) or Entry(one, Phase.UNKNOWN, now, "not looked at yet")
            entry.service = one
            kept.append(entry)
        self.entries = kept
        return self.tick(now)

    def role(self, role: Role, now: float) -> list[Deed]:
        """The heart says something else."""
        before, self.role_now, self.known = self.role_now, role, True
        if not role.holding:
            self.moving = ""
            for entry in self.entries:
                entry.mend = entry.failed = False
                if entry.phase is not Phase.STUCK:
                    entry.retry_at = 0.0
        elif not before.holding:
            self.complaint = ""
        return self.tick(now)

    def move(self, why: str, now: float) -> tuple[str, list[Deed]]:
        """Somebody wants the services on the partner; gives why that cannot be, else an empty text.

        why: in words. All is stopped here first; the addresses follow (`released`).
        """
        stuck = next((e for e in self.entries if e.phase is Phase.STUCK), None)
        if not self.role_now.holding:
            return NOT_HERE, []
        if stuck is not None:
            return f"{stuck.service} could not be stopped here; stop it by hand first", []
        if unable := self._unable(weak=False):
            return f"the services stay here: {unable}", []
        self.moving, self.asked = why, True
        said = self._say("notice", f"{why}; {self._all} are stopped and go to the partner")
        return "", [said, *self.tick(now)]

    def stop(self, now: float) -> list[Deed]:
        """Stop all, for good; also what was stuck, at once."""
        self.stopping = True
        for entry in self.entries:
            entry.retry_at = 0.0
        return self.tick(now)

    def done(self, name: str, act: Act, ok: bool, words: str, now: float) -> list[Deed]:
        """A command has ended, and for STOP: the service is gone (ok) or not."""
        entry = self._entry(name)
        if entry is None or not entry.busy:
            return []
        entry.busy = False
        deeds: list[Deed] = []
        if act is Act.STOP:
            self._stopped(entry, ok, words, now, deeds)
        elif entry.cancelled or not self._wanted(entry):
            entry.cancelled = False  # it will be stopped in its turn
        elif ok and entry.service.watch is None:
            self._enter(entry, Phase.RUNNING, "started; nothing checks it", now)
            deeds.append(self._say("notice", f"{name} was started; nothing checks it"))
        elif ok:
            entry.reason = "started, not checked yet"
        else:
            self._fail(entry, f"start_cmd {words}", now, deeds)
        return deeds + self.tick(now)

    def checked(
        self, name: str, good: bool, words: str, now: float, down: bool = False
    ) -> list[Deed]:
        """A check of our own service. down: it has failed often enough to count."""
        entry = self._entry(name)
        if entry is None or entry.busy or entry.phase not in (Phase.STARTING, Phase.RUNNING):
            return []
        deeds: list[Deed] = []
        entry.checked = words
        if good and entry.phase is Phase.STARTING:
            self._enter(entry, Phase.RUNNING, words, now)
            deeds.append(self._say("notice", f"{name} runs here: {words}"))
        elif good:
            entry.reason = words
        elif down and entry.phase is Phase.RUNNING and not entry.mend:
            self._fail(entry, words, now, deeds)
        return deeds + self.tick(now)

    def complain(self, words: str, now: float) -> list[Deed]:
        """As a standby: say what is wrong with the partner's services; empty when they are well."""
        if words == self.complaint or (words and self.role_now.holding):
            return []
        self.complaint = words
        text = (
            f"asks the partner to hand over: {words}"
            if words
            else "the partner's services are well"
        )
        return [self._say("warning" if words else "notice", text)]

    def tick(self, now: float) -> list[Deed]:
        """Do what is due."""
        deeds: list[Deed] = []
        self.entries = [e for e in self.entries if not (e.gone and e.phase is Phase.STOPPED)]
        if not self.known:
            return deeds
        for entry in self.entries:
            late = entry.phase is Phase.STARTING and not entry.busy and now >= entry.deadline
            if late and not entry.mend and self._wanted(entry):
                why = f"no check succeeded within {entry.service.start_timeout:g} s of its start"
                self._fail(entry, f"{why}: {entry.checked or 'none was made'}", now, deeds)
        self._consider_moving(now, deeds)
        self._command(now, deeds)
        return deeds

    def next_at(self, now: float) -> float:
        """When `tick` is due at the latest."""
        times = [now + 1.0]
        for entry in self.entries:
            if entry.phase is Phase.STARTING and not entry.busy:
                times.append(entry.deadline)
            if entry.retry_at > now:
                times.append(entry.retry_at)
        return max(now, min(times))

    # -- what others are told --------------------------------------------------------------------

    def word(self, now: float) -> Word:
        """Give the news for the partner."""
        wanted = self.role_now.holding and not self.stopping and not self.moving
        mending = wanted and any(
            not entry.failed and (entry.mend or entry.phase is not Phase.RUNNING)
            for entry in self.entries
        )
        return Word(
            running=any(entry.phase is not Phase.STOPPED for entry in self.entries),
            mending=mending,
            weak=now < self._spared_until,
            asks=bool(self.complaint) and not self.role_now.holding,
        )

    @property
    def released(self) -> str:
        """Why the addresses are to go to the partner now; empty while they are not."""
        if not self.moving or any(e.phase is not Phase.STOPPED for e in self.entries):
            return ""
        return self.moving

    @property
    def all_stopped(self) -> bool:
        """Whether nothing runs here."""
        return all(entry.phase is Phase.STOPPED for entry in self.entries)

    def problems(self) -> list[str]:
        """Say in one sentence each what an operator must look at now."""
        told = []
        for entry in self.entries:
            if entry.phase is Phase.STUCK:
                told.append(
                    f"failover service {entry.service} could not be stopped here ({entry.reason});"
                    f" it will not be started anywhere else before it is: stop it by hand"
                )
            elif entry.failed:
                told.append(f"failover service {entry.service} failed here: {entry.reason}")
        if self.waits_for and self.role_now.holding:
            told.append(f"failover services are not started: {self.waits_for}")
        if self.complaint:
            told.append(f"the partner's services: {self.complaint}")
        return told

    # -- decisions -----------------------------------------------------------------------------

    @property
    def _all(self) -> str:
        return f"all services of group {self.group}" if self.group else "all services"

    def _wanted(self, entry: Entry) -> bool:
        holding = self.role_now.holding and not self.stopping and not self.moving
        return holding and not entry.gone

    def _blocked(self) -> str:
        """Say why nothing may be started, though we hold the addresses; empty where it may."""
        role = self.role_now
        if not role.partnered or role.partner is None:
            return ""
        if role.word is None:
            return "the partner is heard and does not say whether services run there"
        return "the partner has not stopped its services yet" if role.word.running else ""

    def _unable(self, *, weak: bool = True) -> str:
        """Say why the partner cannot have the services now; empty where it can.

        weak: whether it counts that they failed there lately.
        """
        role = self.role_now
        if not role.partnered:
            return "there is no partner"
        if role.partner is None:
            return "the partner is not heard"
        if role.partner != "standby":
            return f"the partner is {role.partner}"
        if role.word is None or role.word.running:
            return "the partner has not stopped its own"
        return "they failed there as well a short time ago" if weak and role.word.weak else ""

    def _consider_moving(self, now: float, deeds: list[Deed]) -> None:
        if self.released and self.asked and (unable := self._unable(weak=False)):
            # Nobody is there any more who could have them; better here than nowhere.
            self.moving = ""
            deeds.append(self._say("err", f"{self._all} stay here after all: {unable}"))
        if not self.role_now.holding or self.stopping or self.moving or self._unable():
            return
        if any(entry.phase is Phase.STUCK for entry in self.entries):
            return
        failed = next((e for e in self.entries if e.failed and e.service.critical), None)
        word = self.role_now.word
        if failed is not None:
            why = f"{failed.service} failed here: {failed.reason}"
        elif word is not None and word.asks and self._heeds(now):
            why = "the partner finds the services here out of order"
            self._heed_again_at = now + HEED_AGAIN
        else:
            return
        self.moving, self.asked = why, False
        longest = max(entry.service.restart_interval for entry in self.entries)
        self._spared_until = now + longest
        deeds.append(self._say("err", f"{why}; {self._all} are stopped and go to the partner"))

    def _heeds(self, now: float) -> bool:
        return now >= self._heed_again_at and not self.word(now).mending

    def _command(self, now: float, deeds: list[Deed]) -> None:
        """Begin the next command, if one is due and none is under way."""
        busy = next((entry for entry in self.entries if entry.busy), None)
        if busy is not None:
            if busy.phase is Phase.STARTING and not self._wanted(busy) and not busy.cancelled:
                busy.cancelled = True
                deeds.append(Deed(Act.CANCEL, busy.service))
            return
        for entry in reversed(self.entries):
            if self._to_stop(entry, now):
                self._begin(entry, Phase.STOPPING, now)
                deeds.append(Deed(Act.STOP, entry.service))
                return
        idle = [e for e in self.entries if e.phase is Phase.STOPPED and self._wanted(e)]
        self.waits_for = self._blocked() if idle else ""
        if self.waits_for:
            return
        for entry in idle:
            if now >= entry.retry_at:
                self._begin(entry, Phase.STARTING, now)
                entry.deadline = now + entry.service.start_timeout
                deeds.append(Deed(Act.START, entry.service))
                return

    def _to_stop(self, entry: Entry, now: float) -> bool:
        if entry.phase is Phase.UNKNOWN:
            return True
        if entry.phase is Phase.STUCK:
            return now >= entry.retry_at
        if entry.phase not in (Phase.STARTING, Phase.RUNNING):
            return False
        return not self._wanted(entry) or (entry.mend and now >= entry.retry_at)

    def _begin(self, entry: Entry, phase: Phase, now: float) -> None:
        entry.busy, entry.checked = True, ""
        entry.ran = entry.phase in (Phase.RUNNING, Phase.STUCK)
        self._enter(entry, phase, entry.reason, now)

    def _enter(self, entry: Entry, phase: Phase, reason: str, now: float) -> None:
        entry.phase, entry.reason, entry.since = phase, reason, now
        if phase is Phase.RUNNING:
            entry.failed = False

    def _stopped(self, entry: Entry, ok: bool, words: str, now: float, deeds: list[Deed]) -> None:
        if ok:
            self._enter(entry, Phase.STOPPED, entry.reason if entry.mend else words, now)
            entry.mend, entry.retry_at = False, 0.0
            deeds.append(self._say("info", f"{entry.service} is stopped here: {words}"))
            return
        self._enter(entry, Phase.STUCK, words, now)
        entry.retry_at = now + entry.service.restart_interval
        text = f"{entry.service} could not be stopped: {words}"
        if self.moving:
            self.moving = ""
            for other in self.entries:
                if other.failed:
                    other.retry_at = now  # it stays, so it is tried here
            text += "; nothing goes to the partner before it is"
        elif not self.role_now.holding:
            text += "; the partner starts nothing before it is"
        deeds.append(self._say("crit", text))

    def _fail(self, entry: Entry, why: str, now: float, deeds: list[Deed]) -> None:
        rules = entry.service
        entry.recent = [at for at in entry.recent if now - at < rules.restart_interval]
        entry.mend, entry.reason, entry.retry_at = True, why, now
        if len(entry.recent) < rules.max_restarts:
            entry.recent.append(now)
            entry.restarts += 1
            count = f"{len(entry.recent)} of {rules.max_restarts}"
            text = f"{rules} failed: {why}; it is started again here ({count})"
            deeds.append(self._say("warning", text))
            return
        entry.failed = True
        entry.retry_at = now + rules.restart_interval
        unable = self._unable() if rules.critical else "it is not critical"
        if unable:
            entry.restarts += 1
            again = f"it is started again here in {rules.restart_interval:g} s"
            text = f"{rules} failed: {why}; it does not move ({unable}); {again}"
            deeds.append(self._say("err", text))

    def _entry(self, name: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.service.name == name), None)

    @staticmethod
    def _say(level: str, text: str) -> Deed:
        return Deed(level=level, text=text)
