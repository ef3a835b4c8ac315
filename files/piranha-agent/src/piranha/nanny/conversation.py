# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is common to all conversations with a server: bytes in, bytes or an outcome out.

Pure: no socket, no clock. Whoever holds the socket calls `begin` once, `feed` for what arrives,
and `closed` or `late` at the end of the stream or of time. What a conversation keeps is bounded.
"""

from __future__ import annotations

from .answer import Answer
from .outcome import Outcome, bad, duration, good, shown
from .spec import Expectation

Step = bytes | Outcome
"""Bytes to send (none: go on listening), or the end."""

ANSWER_LIMIT = 16 * 1024
"""Bytes of an answer that a conversation keeps unless it says otherwise."""


class Conversation:
    """One exchange with a server. `awaited` names what is expected next, for messages."""

    awaited = "answer"
    limit = ANSWER_LIMIT

    def __init__(self) -> None:
        """Nothing has been said yet."""
        self.data = b""
        self.goodbye = b""
        """Sent when a good outcome ends the conversation; nobody waits for what follows."""

    def begin(self) -> Step:
        """Give what is said first, now that the connection is there."""
        return b""

    def sent(self) -> Outcome | None:
        """Everything has been sent; an outcome where nothing is waited for."""
        return None

    def room(self) -> int:
        """How many bytes may be fed at once; at least 1."""
        return max(1, self.limit - len(self.data))

    def feed(self, piece: bytes) -> Step:
        """Take what has arrived (never empty in a stream; one datagram otherwise)."""
        self.data += piece
        said = b""
        while (step := self.advance()) is not None:
            if isinstance(step, Outcome):
                return step
            said += step
            if not self.data:
                return said
        if len(self.data) >= self.limit:
            return bad(f"no end of the {self.awaited} in its first {self.limit} bytes")
        return said

    def advance(self) -> Step | None:
        """Look at `data`; None while more is needed.

        Every kind has either this or a `feed` of its own, so neither can be made abstract.
        """
        raise NotImplementedError

    def closed(self) -> Outcome:
        """The server has ended the stream."""
        if not self.data:
            article = "an" if self.awaited[0] in "aeiou" else "a"
            return bad(f"closed the connection without {article} {self.awaited}")
        return bad(f"closed the connection after {shown(self.data)}, half of the {self.awaited}")

    def late(self, limit: float) -> Outcome:
        """Time is up (`limit` seconds)."""
        if not self.data:
            return bad(f"connected, but no {self.awaited} within {duration(limit)}")
        begun = shown(self.data)
        return bad(f"{self.awaited} {begun} was not completed within {duration(limit)}")

    def line(self) -> bytes | None:
        """Take a line off `data`, without its end; None while it is not complete."""
        text, end, rest = self.data.partition(b"\n")
        if not end:
            return None
        self.data = rest
        return text.removesuffix(b"\r")


class SendExpect(Conversation):
    """The original's check: perhaps send, perhaps compare what comes."""

    def __init__(self, send: bytes, expect: Expectation | None) -> None:
        """`expect` None: being connected, and having sent, is enough."""
        super().__init__()
        self._send = send
        self._answer = Answer(expect) if expect is not None else None

    def begin(self) -> Step:
        """See Conversation."""
        return self._send

    def sent(self) -> Outcome | None:
        """See Conversation."""
        if self._answer is None:
            return good("connected, request sent" if self._send else "connected")
        return None

    def room(self) -> int:
        """See Conversation."""
        return self._answer.room() if self._answer else 1

    def feed(self, piece: bytes) -> Step:
        """See Conversation."""
        if self._answer is None:
            return b""
        self.data = b"."  # something came; what it was, the answer keeps
        return self._answer.feed(piece[: self._answer.room()]) or b""

    def closed(self) -> Outcome:
        """See Conversation."""
        if self._answer is None:
            return bad("the server closed the connection before everything was sent")
        return self._answer.closed()

    def late(self, limit: float) -> Outcome:
        """See Conversation."""
        if self._answer is None:
            return bad(f"connected, but the request was not taken within {duration(limit)}")
        return self._answer.late(limit)
