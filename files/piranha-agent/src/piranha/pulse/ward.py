# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""One child of pulse: its process, what it said last, the requests it has not answered yet.

It starts, hears, asks and kills; when to do so is decided in supervision.py and supervisor.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from piranha.control.link import Link
from piranha.pulse import supervision, warm
from piranha.pulse.supervision import Policy

PORTIONS = 8
"""Readings of a link at once: more than its buffer holds, so that all that a dead child has said is
heard, and an end where a living one goes on talking while it is heard."""

ChildRun = Callable[[socket.socket, Path, Path], int | None]


class Owner(Protocol):
    """Who is told what a child said and did: the supervisor."""

    def tell(self, level: str, text: str) -> None:
        """Something that pulse itself has to say."""

    def child_event(self, name: str, raw: object) -> None:
        """An event that the child sent."""

    def child_state(self) -> None:
        """A child has sent a snapshot."""


class Understudy:
    """A process that has rehearsed and waits for its cue.

    rehearse: what it does first, given its link. entry: what it does when told.
    """

    def __init__(self, name: str, rehearse: Callable[[Link], object], entry: warm.Entry) -> None:
        self._name, self._rehearse, self._entry = name, rehearse, entry
        self._process: warm.Process | None = None
        self.ready = False

    def prepare(self) -> None:
        """Have one, if there is none; where none can be made, the next attempt may do better."""
        if self._process is None:
            with contextlib.suppress(OSError):
                self._process = warm.understudy(self._name, self._rehearse, self._entry)

    def look(self) -> None:
        """See whether it is ready, or has gone."""
        if self._process is None:
            return
        self.ready |= any("ready" in message for message in self._process.link.receive())
        if self._process.poll() is not None:
            self._process.link.close()
            self._process, self.ready = None, False

    def step_in(self) -> warm.Process | None:
        """Give its process, which has begun to act; None if there is none that is ready."""
        self.look()
        if not self.ready or self._process is None or not self._process.act():
            self.dismiss()
            return None
        process, self._process, self.ready = self._process, None, False
        return process

    def dismiss(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.link.close()
        self._process, self.ready = None, False


class Understudies:
    """Several for one part: another is there when one has just stepped in and must not fail."""

    def __init__(self, several: list[Understudy]) -> None:
        self._several = several

    @property
    def ready(self) -> bool:
        """Whether all are."""
        return all(one.ready for one in self._several)

    def prepare(self) -> None:
        """Have all of them, one after the other: rehearsing takes the processor from the others."""
        unready = next((one for one in self._several if not one.ready), None)
        if unready is not None:
            unready.prepare()

    def look(self) -> None:
        """See who is ready, and who has gone."""
        for one in self._several:
            one.look()

    def step_in(self) -> warm.Process | None:
        """Give the process of the first that is ready, which has begun to act; None without any."""
        self.look()
        ready = (one for one in self._several if one.ready)
        return next((process for one in ready if (process := one.step_in()) is not None), None)

    def dismiss(self) -> None:
        """End them."""
        for one in self._several:
            one.dismiss()


class Ward:
    """One child, whichever process it has at the moment.

    run: what its process does, given its end of the link, the configuration and the run folder.
    """

    def __init__(
        self, policy: Policy, run: ChildRun, config: Path, run_dir: Path, owner: Owner
    ) -> None:
        self.policy = policy
        self.child = supervision.Child(self._now())
        self.process: warm.Process | None = None
        self.state: dict[str, Any] | None = None
        self.state_at = 0.0
        self.last_status: int | None = None
        self.understudy: Understudies | None = None
        """Who steps in when its process ends; the supervisor gives it one where that matters."""
        self._entry = functools.partial(run_child, run, config, run_dir)
        self._owner = owner
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._next_id = 0

    @property
    def name(self) -> str:
        """Its name, for people."""
        return self.policy.name

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return max(0, self.child.starts - 1)

    def start(self) -> None:
        """Start a process; where none can be made, that counts as one that ended."""
        now = self._now()
        self.child = supervision.started(self.child, now)
        try:
            self.process = self._step_in() or self._spawn()
        except OSError as problem:
            self._owner.tell(
                "crit", f"{self.name} cannot be started: {problem.strerror}; trying again"
            )
            self.child = supervision.ended(self.child, self.policy, now)
            return
        asyncio.get_running_loop().add_reader(self.process.link.fileno(), self.hear)
        if self.restarts:
            times = "once" if self.restarts == 1 else f"{self.restarts} times"
            self._owner.tell("notice", f"{self.name} was started again ({times} so far)")

    def _step_in(self) -> warm.Process | None:
        return self.understudy.step_in() if self.understudy is not None else None

    def _spawn(self) -> warm.Process:
        return warm.spawn(self.name, self._entry, urgent=self.policy.resigns)

    def hear(self) -> None:
        """Take in what it has said, PORTIONS at most; never blocks."""
        if self.process is None:
            return
        link = self.process.link
        portions = PORTIONS
        while portions and not link.closed and (messages := link.receive()):
            portions -= 1
            for message in messages:
                self._take(message)
        for fault in link.faults:
            self._owner.tell("warning", f"{self.name}: {fault}")
        link.faults.clear()
        if link.closed:
            asyncio.get_running_loop().remove_reader(link.fileno())

    def bury(self) -> int | None:
        """Give the exit status of its process if that has ended since the last look."""
        if self.process is None or (status := self.process.poll()) is None:
            return None
        self.hear()
        self._forget()
        self.last_status = status
        self.child = supervision.ended(self.child, self.policy, self._now())
        return status

    def kill(self) -> None:
        """End its process at once."""
        if self.process is not None:
            self.process.kill()
            self._forget()

    async def ask(self, do: str, limit: float) -> str | None:
        """Ask it to do something; gives its refusal as a sentence, or None when it did it.

        limit: seconds to wait for the answer.
        """
        answer = await self.request(do, limit)
        if answer.get("ok") is True:
            return None
        return f"{self.name}: {answer.get('error', 'refused without a reason')}"

    async def request(
        self, do: str, limit: float, arguments: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Ask it something; gives its answer: `ok` with `result`, or not, with `error`.

        limit: seconds to wait for the answer. arguments: what the request says besides.
        """
        if self.process is None:
            return {"ok": False, "error": "it is not running"}
        self._next_id += 1
        number = self._next_id
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._asked[number] = future
        try:
            if not self.process.link.send({"ask": number, "do": do, "with": arguments or {}}):
                return {"ok": False, "error": "it does not take requests"}
            return await asyncio.wait_for(future, limit)
        except TimeoutError:
            return {"ok": False, "error": f"it did not answer within {limit:g} s"}
        finally:
            self._asked.pop(number, None)

    def _take(self, message: dict[str, Any]) -> None:
        now = self._now()
        tick = message.get("tick")
        if isinstance(tick, int | float) and not isinstance(tick, bool):
            # When it was said counts, not when we came to hear it.
            self.child = supervision.ticked(self.child, min(float(tick), now))
        state = message.get("state")
        if isinstance(state, dict):
            self.state, self.state_at = state, now
            self._owner.child_state()
        if "event" in message:
            self._owner.child_event(self.name, message["event"])
        number = message.get("answer")
        waiting = self._asked.get(number) if isinstance(number, int) else None
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    def _forget(self) -> None:
        if self.process is None:
            return
        link, self.process = self.process.link, None
        if link.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(link.fileno())
        link.close()
        for waiting in self._asked.values():
            if not waiting.done():
                waiting.set_result({"ok": False, "error": "it ended meanwhile"})

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def run_child(run: ChildRun, config: Path, run_dir: Path, sock: socket.socket) -> int | None:
    """Run a child's code; its link comes last, so that the rest can be bound beforehand."""
    return run(sock, config, run_dir)
