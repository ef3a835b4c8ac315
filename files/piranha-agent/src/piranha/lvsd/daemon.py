# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""lvsd: keeps the kernel's IPVS table equal to lvs.cf and to the health of the real servers.

A thin shell: it owns the clock, the checks and the link to pulse, and hands everything to the
pure parts (layout, health, desired, words). The table is adopted at start and left as it is at
the end, however the end comes: the kernel goes on forwarding without lvsd.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from piranha.control.link import Link
from piranha.core.ipvs.errors import IpvsError
from piranha.core.ipvs.kernel import Kernel
from piranha.nanny.engine import Engine
from piranha.nanny.outcome import Result
from piranha.nanny.spec import Watch

from . import source, words
from .desired import NO_OVERRIDES, desired
from .health import Change, Health
from .layout import Layout, LayoutError
from .owned import Owned
from .reconcile import Reconciler, Step

TICK = 1.0
"""Seconds between two signs of life, each with a snapshot."""

LOOK = 5.0
"""Seconds between two looks at the kernel's table, and between two attempts after a failure."""

SNAPSHOT_GAP = 0.1
"""Seconds at least between two snapshots, however much changes."""


class Reporter(Protocol):
    """Where lvsd tells what it does; must not block."""

    def tick(self, now: float) -> None:
        """A sign of life at monotonic time `now`."""

    def state(self, state: dict[str, Any]) -> None:
        """A whole snapshot."""

    def event(self, event: words.Event) -> None:
        """Something an operator wants to know."""


class Daemon:
    """lvsd without its link: reads the file, runs the checks, keeps the table."""

    def __init__(self, config: Path, reconciler: Reconciler, reporter: Reporter) -> None:
        """Nothing happens before `start`."""
        self._config = config
        self._reconciler = reconciler
        self._reporter = reporter
        self._layout: Layout | None = None
        self._health = Health()
        self._engine = Engine(self._on_result)
        self._changes: list[Change] = []
        self._config_error: list[str] = []
        self._table_error: str | None = None
        self._drifts = 0
        self._timers: dict[str, asyncio.TimerHandle | asyncio.Handle] = {}
        self._told_at = float("-inf")

    def start(self) -> None:
        """Read the configuration, adopt the table and begin to check."""
        self._load()
        self._look()
        self._tick()

    async def stop(self) -> None:
        """End the checks; the table stays."""
        for timer in self._timers.values():
            timer.cancel()
        await self._engine.stop()

    def reload(self) -> list[str]:
        """Read the configuration again; gives what is wrong, in which case nothing changes."""
        problems = self._load()
        if not problems:
            self._reconcile()
            self._tell_state()
        return problems

    # -- configuration ------------------------------------------------------------------------

    def _load(self) -> list[str]:
        try:
            new = source.load(self._config)
        except LayoutError as error:
            if error.sentences != self._config_error:
                self._config_error = error.sentences
                self._tell_refusal(error.sentences)
            return error.sentences
        self._config_error = []
        before, self._layout = self._layout, new
        self._health.configure(new, self._now())
        self._engine.watch(self._health.watches)
        servers = sum(1 for _unused in new.servers())
        verb = "starts" if before is None else "has a new configuration"
        parts = f"{words.count(len(new.virtual), 'virtual service')}, "
        parts += words.count(servers, "real server")
        self._reporter.event(words.event("info", f"lvsd {verb}: {parts}"))
        return []

    def _tell_refusal(self, sentences: list[str]) -> None:
        stays = "the running configuration stays" if self._layout else "the table stays as it is"
        for sentence in sentences:
            self._reporter.event(words.event("err", sentence))
        self._reporter.event(words.event("err", f"the configuration cannot be used; {stays}"))

    # -- health ---------------------------------------------------------------------------------

    def _on_result(self, watch: Watch, result: Result) -> None:
        changes = self._health.record(watch, result)
        if changes:
            self._changes += changes
            # Once for all results of this turn of the loop.
            self._at("reconcile", 0, self._reconcile)

    # -- the table --------------------------------------------------------------------------------

    def _look(self) -> None:
        """See that the table is as it shall be; what could not be done before is tried again."""
        if self._layout is None and self._timers:
            self._load()
        self._reconcile()
        self._at("look", LOOK, self._look)

    def _reconcile(self) -> None:
        if self._layout is None:
            return
        step = self._step(self._layout)
        if step.drift:
            self._drifts += 1
            self._reporter.event(words.drift_event(step.drift))
        changes, self._changes = self._changes, []
        for change in changes:
            written = not step.errors
            told = words.change_event(change, self._health.verdicts, written=written)
            self._reporter.event(told)
        self._tell_errors(step)
        if changes or step.done or step.drift:
            self._tell_state_soon()

    def _step(self, layout: Layout) -> Step:
        try:
            actual = self._reconciler.read()
        except IpvsError as error:
            return Step(errors=(str(error),))
        self._health.adopt(layout, actual, self._now())
        return self._reconciler.step(desired(layout, self._health.verdicts), actual)

    def _tell_errors(self, step: Step) -> None:
        error = " ".join(step.errors) or None
        if error == self._table_error:
            return
        self._table_error = error
        if error is None:
            self._reporter.event(words.event("notice", "the table is as it shall be again"))
        for sentence in step.errors:
            again = f"trying again every {LOOK:g} s"
            self._reporter.event(words.event("err", f"{sentence.removesuffix('.')}; {again}"))
        self._tell_state_soon()

    # -- telling ------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._reporter.tick(self._now())
        self._tell_state()
        self._at("tick", TICK, self._tick)

    def _tell_state_soon(self) -> None:
        self._at("state", max(0.0, self._told_at + SNAPSHOT_GAP - self._now()), self._tell_state)

    def _tell_state(self) -> None:
        self._told_at = self._now()
        layout = self._layout or Layout()
        clock = (self._told_at, time.time())
        self._reporter.state(
            {
                "virtual": words.snapshot(layout, self._health.verdicts, clock, NO_OVERRIDES),
                "table": {
                    "ok": self._table_error is None,
                    "error": self._table_error,
                    "drifts": self._drifts,
                },
                "config": {
                    "ok": not self._config_error,
                    "error": "; ".join(self._config_error) or None,
                },
                "problems": [*self._config_error, *filter(None, [self._table_error])],
                "checks": len(list(self._health.watches)),
            }
        )

    # -- time -----------------------------------------------------------------------------------

    def _at(self, name: str, delay: float, call: Callable[[], None]) -> None:
        """Call once after `delay` seconds; an earlier appointment of that name is replaced."""
        previous = self._timers.get(name)
        if previous is not None:
            previous.cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(delay, call)

    @staticmethod
    def _now() -> float:
        return time.monotonic()


class LinkReporter:
    """Tells pulse, and hears its requests."""

    def __init__(self, link: Link, ended: asyncio.Event) -> None:
        """`ended` is set when pulse has gone or wants us to stop."""
        self._link = link
        self._ended = ended
        self._writing = False
        self.reload: Callable[[], list[str]] = lambda: ["lvsd is not ready"]
        asyncio.get_running_loop().add_reader(link.fileno(), self._hear)

    def tick(self, now: float) -> None:
        """See Reporter."""
        self._send({"tick": now})

    def state(self, state: dict[str, Any]) -> None:
        """See Reporter."""
        self._send({"state": state})

    def event(self, event: words.Event) -> None:
        """See Reporter."""
        self._send({"event": event})

    def _send(self, message: dict[str, Any]) -> None:
        self._link.send(message)
        self._write_later()

    def _write_later(self) -> None:
        if self._link.closed:
            self._end()
        elif self._link.wants_write and not self._writing:
            self._writing = True
            asyncio.get_running_loop().add_writer(self._link.fileno(), self._flush)

    def _flush(self) -> None:
        if self._link.flush() or self._link.closed:
            self._writing = False
            asyncio.get_running_loop().remove_writer(self._link.fileno())
        if self._link.closed:
            self._end()

    def _hear(self) -> None:
        for message in self._link.receive():
            if "ask" in message:
                self._answer(message["ask"], message.get("do"))
        if self._link.closed:
            self._end()

    def _answer(self, number: object, do: object) -> None:
        if do == "stop":
            self._send({"answer": number, "ok": True, "result": {}})
            self._ended.set()
        elif do == "reload":
            problems = self.reload()
            if problems:
                error = "; ".join(problems)
                self._send({"answer": number, "ok": False, "error": error})
            else:
                self._send({"answer": number, "ok": True, "result": {}})
        else:
            error = f"lvsd does not know the request {do!r}; it knows reload and stop"
            self._send({"answer": number, "ok": False, "error": error})

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._link.fileno())
        self._ended.set()


def run(link_socket: socket.socket, config_path: Path, run_dir: Path) -> int:
    """Run lvsd as a child of pulse until pulse has gone or says stop; gives the exit status.

    link_socket: our end of the link. config_path: the configuration in force. run_dir: the
    agent's folder below /run.
    """
    _many_files()
    return asyncio.run(_serve(link_socket, Path(config_path), Path(run_dir)))


async def _serve(link_socket: socket.socket, config: Path, run_dir: Path) -> int:
    ended = asyncio.Event()
    failures: list[BaseException] = []

    def fail(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # A mistake of ours. The table stays and pulse starts us again, which cures more than
        # going on with half of our work undone.
        failures.append(context.get("exception") or RuntimeError(context["message"]))
        ended.set()

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(fail)
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGTERM, ended.set)
    reporter = LinkReporter(Link(link_socket), ended)
    with Kernel() as kernel:
        daemon = Daemon(config, Reconciler(kernel, Owned(run_dir)), reporter)
        reporter.reload = daemon.reload
        daemon.start()
        await ended.wait()
        await daemon.stop()
    for failure in failures:
        raise failure
    return 0


def _many_files() -> None:
    """Every check under way needs a descriptor; take as many as this process may have."""
    _unused, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
