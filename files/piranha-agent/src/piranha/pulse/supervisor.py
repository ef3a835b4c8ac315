# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""pulse: starts heart and lvsd, keeps them running, resigns for a heart that fell silent.

The shell around supervision.py: processes, clock, signals. It opens no netlink socket, has no
thread, and does nothing that could keep it from hearing the heart's ticks.
"""

from __future__ import annotations

import asyncio
import fcntl
import functools
import importlib
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from piranha import __version__
from piranha.control.protocol import Request, event_of
from piranha.control.server import ControlServer, Refusal
from piranha.pulse import settings, supervision, warm
from piranha.pulse.journal import Log, Notify, say
from piranha.pulse.names import CONFIG_IN_FORCE, LOCK, SOCKET
from piranha.pulse.supervision import Do, Policy

HEART, LVSD = "heart", "lvsd"

FIRST_TICK = 10.0
"""Seconds that the very first tick may take: a cold machine, a slow disk."""

LVSD_SILENCE = 60.0
"""Seconds without a tick after which lvsd hangs; programming a huge table takes a few."""

RESIGN_LIMIT = 2.0
ANSWER_LIMIT = 10.0
STOP_LIMIT = {HEART: 3.0, LVSD: 3.0}
READY_LIMIT = 10.0
CLOCK = 1.0
"""Seconds between two looks at the children when nothing else is due."""

ChildRun = Callable[[socket.socket, Path, Path], int | None]
Resign = Callable[[Path, Path], object]


@dataclass(frozen=True)
class Jobs:
    """The code that children run, imported before the first fork so that they start warm."""

    heart: ChildRun
    lvsd: ChildRun
    resign: Resign

    @classmethod
    def warm(cls) -> Jobs:
        """Import everything that children need."""
        return cls(
            heart=importlib.import_module("piranha.pulse.heart").run,
            lvsd=importlib.import_module("piranha.lvsd.daemon").run,
            resign=importlib.import_module("piranha.pulse.resign").resign,
        )


@dataclass
class Ward:
    """One child: what is decided of it, and its process while it has one."""

    policy: Policy
    run: ChildRun
    child: supervision.Child
    process: warm.Process | None = None
    state: dict[str, Any] | None = None
    state_at: float = 0.0
    asked: dict[int, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)
    last_status: int | None = None


class Supervisor:
    """One router's pulse.

    config_path: the file of the operator; run_dir: our folder in /run; log, notify: where to tell.
    """

    def __init__(
        self, config_path: Path, run_dir: Path, jobs: Jobs, log: Log, notify: Notify
    ) -> None:
        self._config_path, self._run_dir = config_path, run_dir
        self._in_force = run_dir / CONFIG_IN_FORCE
        self._jobs, self._log, self._notify = jobs, log, notify
        self._settings: settings.Settings | None = None
        self._wards: dict[str, Ward] = {}
        self._next_id = 0
        self._timer: asyncio.TimerHandle | None = None
        self._stopping = False
        self._ready = False
        self._ended = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._begin = time.monotonic()
        self._resigned = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.server = ControlServer(
            run_dir / SOCKET,
            {"status": self._status, "reload": self._reload_asked, "version": self._version},
        )

    async def run(self, first: settings.Settings) -> int:
        """Run until a signal ends it; gives the exit status."""
        loop = asyncio.get_running_loop()
        self._settings = first
        settings.put_in_force(first, self._in_force)
        for warning in first.warnings:
            self._tell("warning", warning)
        await self.server.start()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._task, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._task, self._reload_signalled)
        loop.add_signal_handler(signal.SIGCHLD, self._look)
        now = loop.time()
        for name, run in ((HEART, self._jobs.heart), (LVSD, self._jobs.lvsd)):
            self._wards[name] = Ward(self._policy(name, first), run, supervision.Child(now))
        self._tell("info", f"pulse {__version__} started with {self._config_path}")
        self._look()
        loop.call_later(READY_LIMIT, self._now_ready)
        self._feed_watchdog()
        await self._ended.wait()
        self.server.stop()
        return 0

    # -- children ---------------------------------------------------------------------------

    @staticmethod
    def _policy(name: str, current: settings.Settings) -> Policy:
        if name == HEART:
            return Policy(name, current.deadtime / 2, FIRST_TICK, resigns=True)
        return Policy(name, LVSD_SILENCE, None)

    def _look(self) -> None:
        """See who ended, decide, act, and set the clock for the next look."""
        loop = asyncio.get_running_loop()
        for ward in self._wards.values():
            self._hear(ward)  # what was said before now counts before anybody is given up
            self._bury(ward)
            if not self._stopping:
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
        ward.child, actions = supervision.step(ward.child, ward.policy, now)
        if Do.KILL in actions:
            heard = before.heard if before.heard is not None else before.started
            self._tell(
                "err", f"{ward.policy.name} has not ticked for {now - heard:.2f} s; ending it"
            )
            self._kill(ward)
        if Do.RESIGN in actions:
            self._resign("its heart fell silent")
        if Do.START in actions:
            self._start(ward)

    def _start(self, ward: Ward) -> None:
        now = asyncio.get_running_loop().time()
        name = ward.policy.name
        run = functools.partial(_run_child, ward.run, self._in_force, self._run_dir)
        try:
            ward.process = warm.spawn(name, run)
        except OSError as problem:
            self._tell("crit", f"{name} cannot be started: {problem.strerror}; trying again")
            ward.child = supervision.ended(supervision.started(ward.child, now), ward.policy, now)
            return
        ward.child = supervision.started(ward.child, now)
        loop = asyncio.get_running_loop()
        loop.add_reader(ward.process.link.fileno(), self._hear, ward)
        if ward.child.starts > 1:
            self._tell("notice", f"{name} was started again ({ward.child.starts - 1} times so far)")

    def _hear(self, ward: Ward) -> None:
        """Take in all that the child has said."""
        if ward.process is None:
            return
        link = ward.process.link
        while not link.closed and (messages := link.receive()):
            for message in messages:
                self._take(ward, message)
        for fault in link.faults:
            self._tell("warning", f"{ward.policy.name}: {fault}")
        link.faults.clear()
        if link.closed:
            asyncio.get_running_loop().remove_reader(link.fileno())

    def _take(self, ward: Ward, message: dict[str, Any]) -> None:
        now = asyncio.get_running_loop().time()
        tick = message.get("tick")
        if isinstance(tick, int | float) and not isinstance(tick, bool):
            ward.child = supervision.ticked(ward.child, min(float(tick), now))
        state = message.get("state")
        if isinstance(state, dict):
            ward.state, ward.state_at = state, now
        if "event" in message:
            self._publish(event_of(ward.policy.name, message["event"], time.time()))
        waiting = ward.asked.pop(message.get("answer", -1), None)
        if waiting is not None and not waiting.done():
            waiting.set_result(message)
        if not self._ready and all(w.state is not None for w in self._wards.values()):
            self._now_ready()

    def _bury(self, ward: Ward) -> None:
        """Notice that the child's process has ended."""
        if ward.process is None or (status := ward.process.poll()) is None:
            return
        self._hear(ward)
        self._forget(ward)
        ward.last_status = status
        ward.child = supervision.ended(ward.child, ward.policy, asyncio.get_running_loop().time())
        if not self._stopping:
            self._tell("err", f"{ward.policy.name} {warm.describe(status)}")

    def _kill(self, ward: Ward) -> None:
        if ward.process is not None:
            ward.process.kill()
            self._forget(ward)

    def _forget(self, ward: Ward) -> None:
        if ward.process is None:
            return
        link, ward.process = ward.process.link, None
        if link.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(link.fileno())
        link.close()
        for waiting in ward.asked.values():
            if not waiting.done():
                waiting.set_result({"ok": False, "error": f"{ward.policy.name} ended meanwhile"})
        ward.asked.clear()

    def _resign(self, why: str) -> None:
        """Release this router's addresses and say goodbye, in the heart's place."""
        self._resigned += 1
        self._tell("crit", f"this router resigns: {why}")
        work = functools.partial(self._jobs.resign, self._in_force, self._run_dir)
        try:
            problem = warm.run_apart("resign", work, RESIGN_LIMIT)
        except OSError:
            # No process can be made: better to risk pulse than to keep addresses without a heart.
            problem = _in_place(work)
        if problem is not None:
            self._tell("crit", f"resigning failed: {problem}; addresses may still be here")

    # -- asking children ----------------------------------------------------------------------

    async def _ask(self, name: str, do: str, limit: float = ANSWER_LIMIT) -> str | None:
        """Ask one child; give its refusal as a sentence, or None when it did it."""
        ward = self._wards[name]
        if ward.process is None:
            return f"{name} is not running"
        self._next_id += 1
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        ward.asked[self._next_id] = future
        if not ward.process.link.send({"ask": self._next_id, "do": do}):
            return f"{name} does not take requests"
        try:
            answer = await asyncio.wait_for(future, limit)
        except TimeoutError:
            return f"{name} did not answer within {limit:g} s"
        if answer.get("ok") is True:
            return None
        return f"{name}: {answer.get('error', 'refused without a reason')}"

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
                self._tell("err", sentence)
            self._tell("err", "the configuration was not reloaded; the one before stays in force")
            raise Refusal(str(why)) from None
        settings.put_in_force(new, self._in_force)
        refusals = [r for r in [await self._ask(n, "reload") for n in self._wards] if r]
        # A child that happens not to run reads the new file when it starts.
        refusals = [r for r in refusals if not r.endswith("is not running")]
        if refusals:
            settings.put_in_force(old, self._in_force)
            for name in self._wards:
                await self._ask(name, "reload")
            for sentence in refusals:
                self._tell("err", sentence)
            self._tell("err", "the configuration was not reloaded; the one before stays in force")
            raise Refusal("; ".join(refusals))
        self._settings = new
        for name, ward in self._wards.items():
            ward.policy = self._policy(name, new)
        for warning in new.warnings:
            self._tell("warning", warning)
        self._tell("notice", f"{self._config_path} was reloaded")

    async def _reload_signalled(self) -> None:
        try:
            await self._reload()
        except Refusal:
            return  # told already

    # -- the end ------------------------------------------------------------------------------

    async def _stop(self) -> None:
        """Hand over, then end: heart first, so that the partner serves before anything stops."""
        if self._stopping:
            return
        self._stopping = True
        self._notify.send(STOPPING=1)
        self._tell("info", "pulse is stopping")
        if not await self._stop_child(HEART):
            self._resign("its heart did not stop properly")
        await self._stop_child(LVSD)
        self._tell("info", "pulse has stopped")
        self._ended.set()

    async def _stop_child(self, name: str) -> bool:
        """Ask a child to stop and wait; True when it said that all is done and ended with 0."""
        ward = self._wards[name]
        limit = STOP_LIMIT[name]
        end = asyncio.get_running_loop().time() + limit
        refusal = await self._ask(name, "stop", limit)
        while ward.process is not None and asyncio.get_running_loop().time() < end:
            self._look()
            await asyncio.sleep(0.005)
        if ward.process is not None:
            self._tell("err", f"{name} did not end within {limit:g} s; ending it")
            self._kill(ward)
            return False
        # It may have ended so fast that its answer came with its end.
        return ward.last_status == 0 and (refusal is None or "ended meanwhile" in refusal)

    # -- telling ------------------------------------------------------------------------------

    def _tell(self, level: str, text: str) -> None:
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

    async def _status(self, request: Request) -> dict[str, Any]:
        now = asyncio.get_running_loop().time()
        wards = self._wards.items()
        return {
            "host": socket.gethostname(),
            "version": __version__,
            **{name: ward.state for name, ward in wards},
            "ages": {
                name: None if ward.state is None else round(now - ward.state_at, 3)
                for name, ward in wards
            },
            "pulse": {
                "uptime": round(time.monotonic() - self._begin, 3),
                "config": str(self._config_path),
                "restarts": {name: max(0, ward.child.starts - 1) for name, ward in wards},
                "running": {name: ward.process is not None for name, ward in wards},
                "pids": {name: ward.process and ward.process.pid for name, ward in wards},
                "resigned": self._resigned,
                "stopping": self._stopping,
            },
        }

    async def _reload_asked(self, request: Request) -> dict[str, Any]:
        await self._reload()
        return {"warnings": list(self._settings.warnings) if self._settings else []}

    async def _version(self, request: Request) -> dict[str, Any]:
        return {"version": __version__}

    def _task(self, work: Callable[[], Any]) -> None:
        task = asyncio.get_running_loop().create_task(work())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _run_child(run: ChildRun, config: Path, run_dir: Path, sock: socket.socket) -> int | None:
    return run(sock, config, run_dir)


def _in_place(work: Callable[[], object]) -> str | None:
    try:
        work()
    except Exception as problem:  # noqa: BLE001 - whatever it is, pulse must go on
        return str(problem) or type(problem).__name__
    return None


def run(config_path: Path, run_dir: Path, jobs: Jobs | None = None) -> int:
    """Run pulse in the foreground; gives the exit status: 0 stopped, 1 it cannot run.

    One sentence on stderr says why it cannot.
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
        supervisor = Supervisor(
            config_path.absolute(), run_dir.absolute(), jobs or Jobs.warm(), Log(), Notify()
        )
        return asyncio.run(supervisor.run(first))
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
