# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts questions about load again and again, each at an interval of its own.

A thin shell: programs are run without any right, killed with their group when their time is up
(see nanny/program.py), and no more than AT_ONCE at a time. What follows is judgement.py's.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable

from piranha.nanny.outcome import Outcome, shown
from piranha.nanny.program import Ended, complaint, execute

from .answers import read_load, read_processors
from .judgement import Answer
from .question import Question

AT_ONCE = 16
COUNT_AGAIN = 3600.0
"""Seconds after which the number of processors is asked for again."""

OnAnswer = Callable[[Question, Answer | str], None]
"""Told of every answer, or why there is none."""


class _Counted:
    """How many processors a server said that it has, and when."""

    number: int | None = None
    at = float("-inf")


async def ask(question: Question, counted: _Counted) -> Answer | str:
    """Put one question; gives the answer, or why there is none."""
    output = await _output(question.command, question.limit)
    if isinstance(output, str):
        return output
    load = read_load(output)
    if load is None:
        return f"{question.command[0]} told no load: {shown(output)}"
    if question.count is None:
        return Answer(load, question.processors or 1)
    now = asyncio.get_running_loop().time()
    if counted.number is None or now - counted.at > COUNT_AGAIN:
        told = await _output(question.count, question.limit)
        if isinstance(told, str):
            return told
        counted.number, counted.at = read_processors(told), now
        if counted.number is None:
            return f"nproc told no number of processors: {shown(told)}; set load_processors"
    return Answer(load, counted.number)


async def _output(command: tuple[str, ...], limit: float) -> bytes | str:
    ended = await execute(command, limit)
    if isinstance(ended, Outcome):
        return ended.words.replace("the program", command[0], 1)
    return ended.output if ended.status == 0 else _failure(command, ended)


def _failure(command: tuple[str, ...], ended: Ended) -> str:
    said = f" and said {shown(ended.output)}" if ended.output else ""
    said += complaint(ended.errors)
    return f"{command[0]} ended with status {ended.status}{said}; try: {' '.join(command)}"


class Asker:
    """Keeps what is asked equal to a set of questions."""

    def __init__(self, on_answer: OnAnswer) -> None:
        """`on_answer` is called in the event loop."""
        self._on_answer = on_answer
        self._running: dict[Question, asyncio.Task[None]] = {}
        self._few = asyncio.Semaphore(AT_ONCE)

    def want(self, questions: Iterable[Question]) -> None:
        """Begin with what is new, end what is gone, leave the rest undisturbed."""
        wanted = set(questions)
        for gone in self._running.keys() - wanted:
            self._running.pop(gone).cancel()
        for new in wanted - self._running.keys():
            self._running[new] = asyncio.get_running_loop().create_task(self._repeat(new))

    async def stop(self) -> None:
        """End all, and wait until no program is left."""
        ending = list(self._running.values())
        self._running.clear()
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    async def _repeat(self, question: Question) -> None:
        counted = _Counted()
        # Spread, so that a thousand of them do not come at once.
        await asyncio.sleep(random.uniform(0, question.interval / 4))  # noqa: S311 - no secret
        while True:
            async with self._few:
                answer = await ask(question, counted)
            self._on_answer(question, answer)
            await asyncio.sleep(question.interval)
