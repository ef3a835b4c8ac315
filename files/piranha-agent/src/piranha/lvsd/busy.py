# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which real servers are how busy: questions of a layout, judgements, and what is told of them.

Joins piranha/load and the layout; holds state and touches nothing outside.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from piranha.load.formula import WHOLE
from piranha.load.judgement import Answer, Judgement, answered, failed
from piranha.load.question import Question

from . import words
from .layout import Layout, RealServer, ServerId

UNKNOWN = Judgement()


class Busy:
    """The judgement on every real server that is asked for its load."""

    def __init__(self) -> None:
        """Nobody is asked yet."""
        self._asked: dict[Question, list[RealServer]] = {}
        self._judged: dict[Question, Judgement] = {}

    @property
    def questions(self) -> Collection[Question]:
        """All that is to be asked."""
        return self._asked.keys()

    def configure(self, layout: Layout) -> dict[ServerId, int]:
        """Take another layout; gives the shares of servers that have been asked, or were."""
        before, self._asked = self._asked, {}
        for _virtual, server in layout.servers():
            if server.load is not None:
                self._asked.setdefault(server.load, []).append(server)
        self._judged = {one: self._judged[one] for one in self._asked if one in self._judged}
        shares = {server.id: WHOLE for servers in before.values() for server in servers}
        for question, judged in self._judged.items():
            shares.update((server.id, judged.share) for server in self._asked[question])
        return shares

    def record(
        self, question: Question, answer: Answer | str, now: float
    ) -> tuple[Mapping[ServerId, int], list[words.Event]]:
        """Count an answer, or why there is none; gives new shares, and what to tell."""
        servers = self._asked.get(question, [])
        before = self._judged.get(question, UNKNOWN)
        if isinstance(answer, str):
            after = failed(before, answer, question, now)
        else:
            after = answered(before, answer, now)
        self._judged[question] = after
        told = self._news(servers, before, after)
        if after.share == before.share:
            return MappingProxyType({}), told
        return {server.id: after.share for server in servers}, told

    @staticmethod
    def _news(
        servers: Iterable[RealServer], before: Judgement, after: Judgement
    ) -> list[words.Event]:
        addresses = dict.fromkeys(server.id.server.address for server in servers)
        who = f"the load of real server {', '.join(addresses)}"
        if after.told and not before.told:
            text = f"{who} is unknown: {after.problem}; it has its configured weight"
            return [words.event("warning", text)]
        if before.told and not after.told:
            return [words.event("notice", f"{who} is known again")]
        return []

    def shown(self, server: RealServer, offset: float) -> dict[str, Any] | None:
        """Give what status shows of one server's load; None where nobody asks for it."""
        if server.load is None:
            return None
        judged = self._judged.get(server.load, UNKNOWN)
        return {
            "average": judged.answer.load if judged.answer else None,
            "processors": judged.answer.processors if judged.answer else None,
            "share": judged.share,
            "at": round(judged.at + offset, 3) if judged.at is not None else None,
            "problem": judged.problem,
        }
