# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of the load of one real server, and what share of its weight follows. Pure.

An answer moves the share (formula.py). A question that fails changes nothing for PATIENCE
intervals; then the server has its whole weight again, since nobody knows better. It is never
taken out: a load that cannot be asked for says nothing about the service.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .formula import WHOLE, next_share
from .question import Question

PATIENCE = 3


@dataclass(frozen=True)
class Answer:
    """A load, and the number of processors it is for."""

    load: float
    processors: int


@dataclass(frozen=True)
class Judgement:
    """share: percent of the weight. at: monotonic seconds of the last answer.

    problem: why there is none at the moment. told: whether that has become an operator's business.
    """

    share: int = WHOLE
    answer: Answer | None = None
    at: float | None = None
    problem: str | None = None
    told: bool = False


def answered(before: Judgement, answer: Answer, now: float) -> Judgement:
    """Give the judgement after an answer."""
    share = next_share(before.share, answer.load, answer.processors)
    return Judgement(share, answer, now)


def failed(before: Judgement, why: str, question: Question, now: float) -> Judgement:
    """Give the judgement after a question without an answer."""
    after = replace(before, problem=why)
    if before.at is not None and now - before.at <= PATIENCE * question.interval + question.limit:
        return after
    return replace(after, share=WHOLE, answer=None, told=True)
