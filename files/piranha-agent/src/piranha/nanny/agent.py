# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A port that tells in one line how its server is: HAProxy's agent check. Pure.

Words: `up`, `ready`; `down`, `failed`, `fail`, `stopped`, `maint`, each with a reason behind `#`;
`drain`; and a share of the configured weight, `75%`. What HAProxy knows beyond that (`maxconn:`)
is read over. Each answer is complete in itself: without a share the weight is the configured one.
"""

from __future__ import annotations

import re

from .conversation import Conversation, Step
from .outcome import Outcome, bad, good, shown

_SHARE = re.compile(r"([0-9]{1,3})%")
_DOWN = frozenset({"down", "failed", "fail", "stopped", "maint"})
_UP = frozenset({"up", "ready"})
MOST = 256
"""Percent; more than twice and a half the configured weight is taken for a mistake, as HAProxy."""


class AgentCheck(Conversation):
    """Perhaps send, then read a line."""

    awaited = "answer"
    limit = 1024

    def __init__(self, send: bytes) -> None:
        """`send`: said first; may be empty."""
        super().__init__()
        self._send = send

    def begin(self) -> Step:
        """See Conversation."""
        return self._send

    def advance(self) -> Step | None:
        """See Conversation."""
        line = self.line()
        return None if line is None else judge(line)

    def closed(self) -> Outcome:
        """See Conversation: the end of the stream ends a line, too."""
        return judge(self.data) if self.data else super().closed()


def judge(line: bytes) -> Outcome:
    """Say what an agent's line means."""
    text = line.decode("ascii", "replace")
    said, _mark, reason = text.partition("#")
    share: int | None = None
    down = known = False
    for word in re.split(r"[ \t,\r]+", said.strip().lower()):
        match = _SHARE.fullmatch(word)
        if match and int(match.group(1)) <= MOST:
            share = int(match.group(1)) if share != 0 else 0
        elif word == "drain":
            share = 0
        elif word in _DOWN:
            down = True
        elif word not in _UP and not word.startswith("maxconn:"):
            return bad(f"the agent said {shown(line)}, which has no meaning")
        known = True
    if not known:
        return bad(f"the agent said {shown(line)}, which has no meaning")
    about = f": {shown(reason.strip().encode())[1:-1]}" if reason.strip() else ""
    told = f"the agent said {shown(said.strip().encode())[1:-1]}{about}"
    return bad(told) if down else good(told)._replace(share=share)
