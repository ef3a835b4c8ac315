# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""fos: runs the failover services on the router that has the virtual addresses, and nowhere else.

A thin shell around board.py: clock, commands, checks, the link to pulse, fos.json. What it has
started goes on without it, however its end comes; the next fos adopts it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from piranha.commands.runner import Runner, choose
from piranha.control.link import Link
from piranha.lvsd.orders import Refused
from piranha.lvsd.reporter import LinkReporter
from piranha.lvsd.words import event
from piranha.nanny.engine import Engine
from piranha.nanny.outcome import Result
from piranha.nanny.spec import Watch
from piranha.pulse.errands import PLAIN
from piranha.pulse.word import from_json

from . import gateway, hands, record, source
from .board import Act, Board, Deed, Entry, Phase, Role
from .settings import Service
from .snapshot import snapshot
from .suspicion import Next, Suspicion
from .watching import Verdicts, watched

TICK = 0.5
"""Seconds between two looks at what is due, and two signs of life."""

TOLD = 1.0
"""Seconds between two snapshots when nothing changes."""


class FosReporter(LinkReporter):
    """fos' end of the link: one of its answers, to `stop`, takes as long as the services do."""

    stop: Callable[[object], None]

    def _answer(self, number: object, do: object, arguments: object) -> None:
        if do == "stop":
            self.stop(number)
        else:
            super()._answer(number, do, arguments)

    def answer(self, number: object, error: str | None) -> None:
        """Answer a request that took its time: done, or why not."""
        done = {"ok": True, "result": {}} if error is None else {"ok": False, "error": error}
        self._send({"answer": number, **done})


class Daemon:
    """fos without its process. runner: how commands are run."""

    def __init__(
        self,
        config: Path,
        run_dir: Path,
        reporter: FosReporter,
        runner: Runner,
        ended: asyncio.Event,
    ) -> None:
        self._config, self._run_dir = config, run_dir
        self._reporter, self._runner, self._ended = reporter, runner, ended
        self._source = source.load(config)
        self._board = Board(self._source.services, self._now())
        self._wall = time.time() - self._now()
        self._verdicts = Verdicts()
        self._engine = Engine(self._result)
        self._commands: dict[str, asyncio.Task[None]] = {}
        self._listened: set[str] = set()
        """Services that were seen on their ports."""
        self._tests: set[asyncio.Task[None]] = set()
        self._suspicion = Suspicion()
        self._watching: tuple[tuple[Service, ...], bool] = ((), False)
        self._noted: object = None
        self._told: object = None
        self._told_at = 0.0
        self._stop_asked: object = None

    # -- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Find again what an earlier fos has started; begin to look at what is due."""
        if not self._runner.certain:
            self._event("warning", PLAIN)
        self._adopt()
        self._reporter.requests = {
            "role": self._role,
            "reload": self._reload,
            "move": self._move,
        }
        self._reporter.stop = self._stop
        self._turn()

    async def stop(self) -> None:
        """End the checks; services and commands under way are left alone."""
        await self._engine.stop()

    def _adopt(self) -> None:
        known = {entry.service.name for entry in self._board.entries}
        found = record.read(self._run_dir)
        for one in found:
            if one.service.name not in known and one.phase is not Phase.STOPPED:
                gone = Entry(one.service, one.phase, one.since - self._wall, gone=True)
                self._board.entries.insert(0, gone)
            words = "was started before fos was" if one.phase is Phase.RUNNING else one.phase.value
            since = one.since - self._wall
            self._board.adopt(one.service.name, one.phase, since, one.restarts, words)
        adopted = [one.service.name for one in found if one.phase is Phase.RUNNING]
        if adopted:
            self._event("notice", f"adopts failover services: {', '.join(adopted)}")

    def _turn(self) -> None:
        now = self._now()
        self._reporter.tick(time.monotonic())
        self._carry(self._board.tick(now))
        wait = min(TICK, max(0.01, self._board.next_at(now) - now))
        asyncio.get_running_loop().call_later(wait, self._turn)

    # -- requests --------------------------------------------------------------------------------

    def _role(self, said: dict[str, Any]) -> dict[str, Any]:
        partner = said.get("partner")
        role = Role(
            holding=said.get("holding") is True,
            partnered=said.get("partnered") is True,
            partner=partner if isinstance(partner, str) and partner != "down" else None,
            word=from_json(said.get("word")),
        )
        self._carry(self._board.role(role, self._now()))
        return {}

    def _move(self, said: dict[str, Any]) -> dict[str, Any]:
        refusal, deeds = self._board.move(str(said.get("why") or "asked to"), self._now())
        if refusal:
            raise Refused(refusal)
        self._carry(deeds)
        return {}

    def _reload(self, said: dict[str, Any]) -> dict[str, Any]:
        try:
            self._source = source.load(self._config)
        except source.SourceError as why:
            raise Refused(str(why)) from None
        self._carry(self._board.reload(self._source.services, self._now()))
        return {}

    def _stop(self, number: object) -> None:
        self._stop_asked = number
        self._carry(self._board.stop(self._now()))

    def _look_whether_stopped(self) -> None:
        if self._stop_asked is None or any(entry.busy for entry in self._board.entries):
            return
        if self._board.all_stopped or not self._board.known:
            self._reporter.answer(self._stop_asked, None)
            self._ended.set()
        elif all(e.phase in (Phase.STOPPED, Phase.STUCK) for e in self._board.entries):
            self._reporter.answer(self._stop_asked, "; ".join(self._board.problems()))
        else:
            return
        self._stop_asked = None

    # -- deeds -----------------------------------------------------------------------------------

    def _carry(self, deeds: list[Deed]) -> None:
        """Do what is to be done, and let file, checks and pulse know what has changed."""
        self._note()
        for deed in deeds:
            if deed.text:
                self._event(deed.level, deed.text)
            if deed.service is None:
                continue
            if deed.act is Act.CANCEL:
                self._commands[deed.service.name].cancel()
            elif deed.act is not None:
                work = asyncio.get_running_loop().create_task(self._command(deed.act, deed.service))
                self._commands[deed.service.name] = work
        self._watch()
        self._tell()
        self._look_whether_stopped()

    async def _command(self, act: Act, service: Service) -> None:
        entry = next(e for e in self._board.entries if e.service.name == service.name)
        state = "active" if self._board.role_now.holding else "standby"
        ok, words = False, "was cancelled"
        with contextlib.suppress(asyncio.CancelledError):
            if act is Act.START:
                result = await hands.start(self._runner, service)
            else:
                result = await hands.stop(
                    self._runner,
                    service,
                    state,
                    ran=entry.ran,
                    listened=service.name in self._listened,
                )
            ok, words = result.ok, f"{result.words} ({result.seconds:.2f} s)"
        self._carry(self._board.done(service.name, act, ok, words, self._now()))

    def _note(self) -> None:
        """Write down what runs here, before anything is done about it."""
        entries = self._board.entries
        what = [(e.service.name, e.service.stop, e.phase, e.restarts) for e in entries]
        if what == self._noted:
            return
        try:
            record.write(self._run_dir, entries, self._wall)
            self._noted = what
        except OSError as error:
            path = self._run_dir / record.FILE
            self._event("err", f"{path}: cannot be written ({error.strerror}); see what fills it")

    # -- checks ----------------------------------------------------------------------------------

    def _watch(self) -> None:
        role = self._board.role_now
        wanted = (tuple(watched(self._board.entries, role)), role.holding)
        if wanted == self._watching:
            return
        if wanted[1] != self._watching[1]:
            self._verdicts, self._suspicion = Verdicts(), Suspicion()
        self._watching = wanted
        self._engine.watch(self._verdicts.watch(wanted[0], self._now(), patient=not wanted[1]))
        if not wanted[0]:
            self._events(self._board.complain("", self._now()))

    def _result(self, watch: Watch, result: Result) -> bool:
        for seen in self._verdicts.take(watch, result):
            name, now = seen.service.name, self._now()
            if self._board.role_now.holding:
                if seen.good and name not in self._listened and hands.listens(seen.service):
                    self._listened.add(name)
                self._carry(self._board.checked(name, seen.good, seen.words, now, down=seen.down))
            elif seen.good:
                self._suspicion.well()
                if self._board.complaint.startswith(f"{name}: "):
                    self._events(self._board.complain("", now))
                    self._tell()
            elif seen.down and not self._board.complaint:
                self._suspect(name, seen.words, result.at)
        starting = any(e.phase is Phase.STARTING for e in self._board.entries)
        return starting or self._verdicts.changing(watch)

    def _suspect(self, name: str, words: str, began: float) -> None:
        match self._suspicion.failed(began, self._now()):
            case Next.TEST:
                test = asyncio.get_running_loop().create_task(self._test(name, words))
                self._tests.add(test)
                test.add_done_callback(self._tests.discard)
            case Next.COMPLAIN:
                complaint = f"{name}: {words} ({self._suspicion.found})"
                self._events(self._board.complain(complaint, self._now()))
                self._tell()

    async def _test(self, name: str, words: str) -> None:
        """See whether it is our own network that does not work."""
        works, found = await gateway.reachable()
        known = self._suspicion.blamed
        self._suspicion.tested(works, found, self._now())
        if works or known:
            return
        text = f"{name} of the partner is not reached ({words}), but neither is the {found}"
        self._event("err", f"{text}: this router's own network seems to be at fault")

    # -- telling ---------------------------------------------------------------------------------

    def _events(self, deeds: list[Deed]) -> None:
        for deed in deeds:
            self._event(deed.level, deed.text)

    def _event(self, level: str, text: str) -> None:
        self._reporter.event(event(level, text))

    def _tell(self) -> None:
        now = self._now()
        state = snapshot(self._board, self._wall, now)
        state["runner"], state["config"] = self._runner.name, {"digest": self._source.digest}
        if state == self._told and now - self._told_at < TOLD:
            return
        self._told, self._told_at = state, now
        self._reporter.state(state)

    @staticmethod
    def _now() -> float:
        return time.monotonic()


def run(link_socket: socket.socket, config_path: Path, run_dir: Path) -> int:
    """Run fos as a child of pulse until pulse has gone or everything is stopped; gives the status.

    link_socket: our end of the link. config_path: the configuration in force. run_dir: the
    agent's folder below /run.
    """
    return asyncio.run(_serve(link_socket, Path(config_path), Path(run_dir), choose()))


async def _serve(link_socket: socket.socket, config: Path, run_dir: Path, runner: Runner) -> int:
    ended = asyncio.Event()
    failures: list[BaseException] = []

    def fail(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # A mistake of ours: pulse starts us again, and the services go on meanwhile.
        failures.append(context.get("exception") or RuntimeError(context["message"]))
        ended.set()

    asyncio.get_running_loop().set_exception_handler(fail)
    link = Link(link_socket)
    reporter = FosReporter(link, ended)
    try:
        daemon = Daemon(config, run_dir, reporter, runner, ended)
    except source.SourceError as why:
        reporter.event(event("crit", str(why)))
        return 78
    daemon.start()
    await ended.wait()
    await daemon.stop()
    for failure in failures:
        raise failure
    return 0
