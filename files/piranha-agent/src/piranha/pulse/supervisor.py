# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""pulse: starts heart and lvsd, keeps them running, resigns for a heart that fell silent.

The shell around supervision.py: clock, signals, requests (processes: ward.py, warm.py). It opens
no netlink socket, has no thread, and does nothing that could keep it from hearing the heart.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import importlib
import os
import signal
import socket
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from piranha import __version__
from piranha.commands.runner import choose
from piranha.control.link import Link
from piranha.control.protocol import Request, event_of
from piranha.control.server import ControlServer, Refusal
from piranha.fos.record import may_run
from piranha.pulse import settings, supervision, warm
from piranha.pulse.answers import ANSWER_LIMIT, FOS, HEART, LVSD, Answers
from piranha.pulse.errands import Errands
from piranha.pulse.hooks import NO_COMMANDS, Commands, fallen
from piranha.pulse.journal import Log, Notify, say
from piranha.pulse.names import CONFIG_IN_FORCE, LOCK, SOCKET
from piranha.pulse.pairing import Pairing
from piranha.pulse.supervision import Do, Policy
from piranha.pulse.ward import ChildRun, Understudies, Understudy, Ward, run_child

WORKER_SILENCE = 60.0
"""Seconds without a tick after which lvsd or fos hangs; programming a huge table takes a few."""

RESIGN_LIMIT = 5.0
STOP_LIMIT = {HEART: 3.0, LVSD: 3.0, FOS: 3.0}
READY_LIMIT = 10.0
NEXT_HEARTS = 2
"""Hearts that wait: one alone, a second death before the next has rehearsed (2 s in user-mode
Linux) costs a cold fork, 0.2 to 0.5 s there, and once in three trials the addresses."""
SETTLED = 1.0
"""Seconds that a heart has lived before its understudy is prepared."""

STOP_AGAIN = 5.0
"""Seconds between two attempts to stop failover services that did not stop."""

CLOCK = 1.0
"""Seconds between two looks at the children when nothing else is due."""

Resign = Callable[[Path, Path], object]
Rehearse = Callable[[Path, Link], object]


@dataclass(frozen=True)
class Jobs:
    """The code that children run, imported before the first fork so that they start warm.

    prepare: what pulse does for them before it forks them, given the configuration in force.
    forced: a heart that takes the addresses at once.
    """

    heart: ChildRun
    lvsd: ChildRun
    resign: Resign
    rehearse: Rehearse
    fos: ChildRun
    prepare: tuple[Callable[[Path], object], ...] = ()
    forced: ChildRun | None = None

    @classmethod
    def warm(cls) -> Jobs:
        """Import everything that children need."""
        heart = importlib.import_module("piranha.pulse.heart").run
        return cls(
            heart=heart,
            forced=functools.partial(heart, force=True),
            lvsd=importlib.import_module("piranha.lvsd.child").run,
            resign=importlib.import_module("piranha.pulse.resign").resign,
            rehearse=importlib.import_module("piranha.pulse.rehearsal").rehearse,
            fos=importlib.import_module("piranha.fos.daemon").run,
            prepare=tuple(
                importlib.import_module(name).prepare
                for name in ("piranha.pulse.reading", "piranha.lvsd.child")
            ),
        )


class Supervisor:
    """One router's pulse.

    config_path: the file of the operator; run_dir: our folder in /run; log, notify: where to tell.
    force: the first heart takes the addresses at once.
    """

    def __init__(
        self,
        config_path: Path,
        run_dir: Path,
        jobs: Jobs,
        log: Log,
        notify: Notify,
        force: bool = False,
    ) -> None:
        self._config_path, self._run_dir = config_path, run_dir
        self._in_force = run_dir / CONFIG_IN_FORCE
        self._jobs, self._log, self._notify = jobs, log, notify
        self._force = force
        self._settings: settings.Settings | None = None
        self._wards: dict[str, Ward] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._stopping = False
        self._ready = False
        self._status_at_end = 0
        self._ended = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._resigned = 0
        self._health: tuple[int, int, int] | None = None
        self._worker = LVSD
        self._pairing: Pairing | None = None
        self._errands = Errands(str(config_path), choose(), self._commands, self.tell)
        self._forced = asyncio.Event()
        rehearse = functools.partial(jobs.rehearse, self._in_force)
        live = functools.partial(run_child, jobs.heart, self._in_force, run_dir)
        self._resign_work = functools.partial(jobs.resign, self._in_force, run_dir)
        self._resigning = functools.partial(warm.in_link, self._resign_work)
        # Hearts may die faster than they rehearse: a second one waits, and one that resigns.
        hearts = [Understudy(HEART, rehearse, live) for _unused in range(NEXT_HEARTS)]
        self._next_heart = Understudies(hearts)
        self._next_resign = Understudy("resign", rehearse, self._resigning)
        self._tasks: set[asyncio.Task[None]] = set()
        handlers = Answers(config_path, self._wards, self._facts).handlers()
        self.server = ControlServer(run_dir / SOCKET, {**handlers, "reload": self._reload_asked})

    async def run(self, first: settings.Settings) -> int:
        """Run until a signal ends it; gives the exit status."""
        loop = asyncio.get_running_loop()
        self._settings = first
        settings.put_in_force(first, self._in_force)
        for prepare in self._jobs.prepare:
            prepare(self._in_force)
        for warning in first.warnings:
            self.tell("warning", warning)
        await self.server.start()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._task, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._task, self._reload_signalled)
        loop.add_signal_handler(signal.SIGCHLD, self._look)
        self._worker = FOS if first.service == "fos" else LVSD
        work = self._jobs.fos if self._worker == FOS else self._jobs.lvsd
        for name, run in ((HEART, self._run_heart), (self._worker, work)):
            policy = self._policy(name, first)
            self._wards[name] = Ward(policy, run, self._in_force, self._run_dir, self)
        if self._worker == FOS:
            self._pairing = Pairing(self._wards[HEART], self._wards[FOS], self._task)
        self._wards[HEART].understudy = self._next_heart
        self.tell("info", f"pulse {__version__} started with {self._config_path}")
        self._look()
        loop.call_later(READY_LIMIT, self._now_ready)
        self._feed_watchdog()
        await self._ended.wait()
        self.server.stop()
        return self._status_at_end

    # -- children ---------------------------------------------------------------------------

    def _run_heart(self, sock: socket.socket, config: Path, run_dir: Path) -> int | None:
        """Be the heart, in its process; one that is started again is not forced to anything."""
        first = self._force and self._wards[HEART].child.starts == 1
        run = self._jobs.forced if first else None
        return (run or self._jobs.heart)(sock, config, run_dir)

    @staticmethod
    def _policy(name: str, current: settings.Settings) -> Policy:
        if name == HEART:
            return Policy.of_heart(current.deadtime)
        return Policy(name, WORKER_SILENCE, None)

    def _look(self) -> None:
        """See who ended, decide, act, and set the clock for the next look."""
        loop = asyncio.get_running_loop()
        self._care_for_understudies()
        for ward in self._wards.values():
            ward.hear()  # what was said before now counts before anybody is given up
            status = ward.bury()
            if self._stopping:
                continue
            if status is not None:
                self.tell("err", f"{ward.name} {warm.describe(status)}")
                if status == warm.CANNOT_RUN and ward.name == HEART and not self._ready:
                    # It has said why. Whoever starts the service must see that it failed;
                    # systemd tries again, since an address may come late at boot.
                    self._status_at_end = warm.CANNOT_RUN
                    self._task(self._stop)
                    return
            self._decide(ward)
        if self._timer is not None:
            self._timer.cancel()
        due = [supervision.wake_at(w.child, w.policy) for w in self._wards.values()]
        now = loop.time()
        wake = min([now + CLOCK, *(d for d in due if d is not None)])
        self._timer = loop.call_at(max(wake, now + 0.001), self._look)

    def _decide(self, ward: Ward) -> None:
        now = asyncio.get_running_loop().time()
        before = ward.child
        ward.child, actions = supervision.step(before, ward.policy, now)
        if Do.KILL in actions:
            heard = before.heard if before.heard is not None else before.started
            self.tell("err", f"{ward.name} has not ticked for {now - heard:.2f} s; ending it")
            ward.kill()
        if Do.RESIGN in actions:
            self._resign("its heart fell silent")
        if Do.START in actions:
            ward.start()

    def _care_for_understudies(self) -> None:
        """Have both ready, but not while this router is just beginning: the heart, or lvsd, which
        has a large table to read.
        """
        heart = self._wards[HEART].child
        for understudy in (self._next_heart, self._next_resign):
            understudy.look()
            settled = asyncio.get_running_loop().time() - heart.started > SETTLED
            calm = heart.running and heart.heard is not None and settled and self._ready
            if calm and not self._stopping:
                understudy.prepare()

    def child_event(self, name: str, raw: object) -> None:
        """Log and stream what a child has to tell."""
        self._publish(event_of(name, raw, time.time()))

    def child_state(self) -> None:
        """A snapshot came; once all children have sent one, this router is up."""
        if (heart := self._wards[HEART].state) is not None:
            self._errands.see(heart)
        if self._pairing is not None:
            self._pairing.look()
        if LVSD in self._wards:
            self._tell_health(self._wards[LVSD].state)
        if all(ward.state is not None for ward in self._wards.values()):
            self._now_ready()

    def _tell_health(self, lvsd: dict[str, Any] | None) -> None:
        """Let the heart know how many virtual services can be served here, when that changes."""
        if lvsd is None or self._wards[HEART].state is None:
            return
        services, without = lvsd.get("services"), lvsd.get("without_server")
        if not isinstance(services, int) or not isinstance(without, list):
            return
        health = (services - len(without), services, self._wards[HEART].child.starts)
        if health == self._health:
            return
        self._health = health
        heart, said = self._wards[HEART], {"able": health[0], "of": services}
        self._task(lambda: heart.request("facts", ANSWER_LIMIT, said))

    def _resign(self, why: str) -> None:
        """Release this router's addresses and say goodbye, in the heart's place."""
        self._resigned += 1
        self.tell("crit", f"this router resigns: {why}")
        try:
            process = self._next_resign.step_in() or warm.spawn("resign", self._resigning, True)
            problem = warm.outcome(process, RESIGN_LIMIT)
        except OSError:
            # No process can be made: better to risk pulse than to keep addresses without a heart.
            problem = _in_place(self._resign_work)
        if problem is not None:
            self.tell("crit", f"resigning failed: {problem}; addresses may still be here")
        heart = self._wards[HEART]
        if problem is not None:
            now = asyncio.get_running_loop().time()
            heart.child = supervision.unresigned(heart.child, heart.policy, now)
        self._errands.see(fallen(heart.state or {}, why))
        if self._pairing is not None:
            self._pairing.resigned()

    # -- reload -------------------------------------------------------------------------------

    async def _reload(self) -> None:
        """Put the operator's file in force; Refusal, with nothing changed, when it is not good."""
        async with self._reloading:
            if self._stopping or self._settings is None:
                raise Refusal("pulse is stopping")
            self._notify.reloading()
            try:
                await self._put_in_force(self._settings)
            finally:
                self._notify.send(READY=1)

    async def _put_in_force(self, old: settings.Settings) -> None:
        try:
            new = settings.load(self._config_path)
        except settings.ConfigError as why:
            for sentence in str(why).splitlines():
                self.tell("err", sentence)
            self.tell("err", "the configuration was not reloaded; the one before stays in force")
            raise Refusal(str(why)) from None
        if new.service != old.service:
            sentence = (
                f"service = {new.service} cannot replace service = {old.service} while pulse runs;"
                " restart the service"
            )
            self.tell("err", sentence)
            raise Refusal(sentence)
        settings.put_in_force(new, self._in_force)
        # A child that happens not to run reads the new file when it starts.
        running = [ward for ward in self._wards.values() if ward.process is not None]
        # fos first, and the heart only if it agrees: it may refuse for where services run now, and
        # a heart that has dissolved a group of the partner could not have it back as it was.
        running.sort(key=lambda ward: ward.name != FOS)
        asked: list[Ward] = []
        refusals: list[str] = []
        for ward in running:
            if not refusals or ward.name != HEART:
                asked.append(ward)
                refusals += [r for r in [await ward.ask("reload", ANSWER_LIMIT)] if r]
        if refusals:
            settings.put_in_force(old, self._in_force)
            for ward in asked:
                await ward.ask("reload", ANSWER_LIMIT)
            for sentence in refusals:
                self.tell("err", sentence)
            self.tell("err", "the configuration was not reloaded; the one before stays in force")
            raise Refusal("; ".join(refusals))
        self._settings = new
        for name, ward in self._wards.items():
            ward.policy = self._policy(name, new)
        self._look()  # a heart that hangs may have to be given up sooner now
        for warning in new.warnings:
            self.tell("warning", warning)
        self.tell("notice", f"{self._config_path} was reloaded")

    async def _reload_signalled(self) -> None:
        try:
            await self._reload()
        except Refusal:
            return  # told already

    # -- the end ------------------------------------------------------------------------------

    async def _stop(self) -> None:
        """Hand over, then end: heart first, so that the partner serves before anything stops."""
        if self._stopping:
            self._forced.set()
            return
        self._stopping = True
        self._notify.send(STOPPING=1)
        self.tell("info", "pulse is stopping")
        self._next_heart.dismiss()
        if FOS in self._wards and not await self._stop_services():
            self._wards[HEART].kill()
            self._resign("it stops, though failover services may still run here")
        elif self._wards[HEART].process is None:
            self._resign("it stops, and no heart runs that could let go of its addresses")
        elif not await self._stop_child(HEART):
            self._resign("its heart did not stop properly")
        self._next_resign.dismiss()
        await self._stop_child(self._worker)
        await self._errands.finish(STOP_LIMIT[self._worker])
        self.tell("info", "pulse has stopped")
        self._ended.set()

    async def _stop_services(self) -> bool:
        """Stop the failover services while the addresses are still here; False where they may run.

        Nothing is let go of before they have stopped, since the partner would start them. Whoever
        wants to end pulse all the same asks a second time.
        """
        ward = self._wards[FOS]
        limit = self._settings.stop_limit if self._settings else 0.0
        told = False
        while not self._forced.is_set():
            if ward.process is None:
                return not may_run(self._run_dir)
            # The service manager is not to lose patience before the services do.
            self._notify.send(EXTEND_TIMEOUT_USEC=int((limit + STOP_AGAIN + 10) * 1e6))
            refusal = await ward.ask("stop", limit)
            if refusal is None:
                return True
            self._look()
            if not told:
                told = True
                self.tell("crit", f"pulse does not stop yet, and keeps the addresses: {refusal}")
                self.tell("crit", "stop it by hand, or ask pulse once more to stop (a second TERM)")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._forced.wait(), STOP_AGAIN)
        return False

    async def _stop_child(self, name: str) -> bool:
        """Ask a child to stop and wait; True when it said that all is done and ended with 0."""
        ward = self._wards[name]
        limit = STOP_LIMIT[name]
        end = asyncio.get_running_loop().time() + limit
        refusal = await ward.ask("stop", limit)
        while ward.process is not None and asyncio.get_running_loop().time() < end:
            self._look()
            await asyncio.sleep(0.005)
        if ward.process is not None:
            self.tell("err", f"{name} did not end within {limit:g} s; ending it")
            ward.kill()
            return False
        return ward.last_status == 0 and refusal is None

    # -- telling ------------------------------------------------------------------------------

    def tell(self, level: str, text: str) -> None:
        """Log and stream what pulse itself has to tell."""
        self._publish(event_of("pulse", {"level": level, "text": text}, time.time()))

    def _publish(self, event: dict[str, Any]) -> None:
        source = "" if event["from"] == "pulse" else f"{event['from']}: "
        self._log.write(event["level"], source + event["text"])
        if event["level"] != "debug":
            self.server.publish(event)

    def _now_ready(self) -> None:
        if not self._ready:
            self._ready = True
            self._notify.send(READY=1, STATUS=f"piranha {__version__}, {self._config_path}")

    def _feed_watchdog(self) -> None:
        if self._notify.watchdog is not None:
            self._notify.send(WATCHDOG=1)
            asyncio.get_running_loop().call_later(self._notify.watchdog / 3, self._feed_watchdog)

    # -- requests -----------------------------------------------------------------------------

    def _commands(self) -> Commands:
        return self._settings.commands if self._settings else NO_COMMANDS

    def _facts(self) -> dict[str, Any]:
        return {
            "understudies": self._next_heart.ready and self._next_resign.ready,
            "resigned": self._resigned,
            "stopping": self._stopping,
        }

    async def _reload_asked(self, request: Request) -> dict[str, Any]:
        await self._reload()
        return {"warnings": list(self._settings.warnings) if self._settings else []}

    def _task(self, work: Callable[[], Any]) -> None:
        task = asyncio.get_running_loop().create_task(work())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _in_place(work: Callable[[], object]) -> str | None:
    try:
        work()
    except Exception as problem:  # noqa: BLE001 - whatever it is, pulse must go on
        return str(problem) or type(problem).__name__
    return None


def run(config_path: Path, run_dir: Path, jobs: Jobs | None = None, force: bool = False) -> int:
    """Run pulse in the foreground; gives the exit status. force: take the addresses at once.

    0: stopped. 1: the configuration is bad, or it runs already. 78: the heart cannot run with it
    on this machine, as it is now. One sentence on stderr says why.
    """
    try:
        first = settings.load(config_path)
        run_dir.mkdir(mode=0o755, exist_ok=True)
        lock = _lock(run_dir)
    except settings.ConfigError as why:
        say(str(why))
        return 1
    except OSError as problem:
        say(f"{run_dir}: {problem.strerror}; pulse needs this folder, or another with --run-dir")
        return 1
    if lock is None:
        say(f"pulse is running already with {run_dir}; see piranha status")
        return 1
    try:
        warm.raise_priority()
        supervisor = Supervisor(
            config_path.absolute(), run_dir.absolute(), jobs or Jobs.warm(), Log(), Notify(), force
        )
        return asyncio.run(supervisor.run(first))
    except Exception as problem:  # noqa: BLE001 - whoever restarts us wants a reason in one line
        log = Log()
        log.write("crit", f"pulse failed: {type(problem).__name__}: {problem}")
        for line in traceback.format_exception(problem):
            log.write("debug", line)
        return warm.FAILED
    finally:
        os.close(lock)


def _lock(run_dir: Path) -> int | None:
    """Take the lock that only one pulse for each run folder can have; None if it is taken."""
    descriptor = os.open(run_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
