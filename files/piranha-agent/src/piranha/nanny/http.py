# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""An HTTP/1.1 request and what is to be said about its answer. Pure, as every conversation."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from piranha.core.lvs_cf.ere import Ere, Search, TooCostly

from . import conversation
from .conversation import Conversation, Step
from .outcome import Outcome, bad, duration, good, shown
from .spec import Wanted

BODY_LIMIT = 256 * 1024
"""Bytes of a body that are searched."""
_PIECE = 16 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: ([^\r\n]*))?")
_LENGTH = re.compile(rb"(?i)\r?\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*(?=\r?\n|$)")
_CHUNKED = re.compile(rb"(?i)\r?\ntransfer-encoding:[^\r\n]*chunked[ \t]*(?=\r?\n|$)")
_END = re.compile(rb"\r?\n\r?\n")
_CHUNK = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?", re.DOTALL)
_CHUNK_LINE = 256
_SUCCESS_FROM = 200


class Chunks:
    """Takes a chunked body apart; ValueError where it is none."""

    def __init__(self) -> None:
        """Nothing has come."""
        self._head = b""
        self._left = 0
        self._first = True
        self.ended = False

    def feed(self, piece: bytes) -> bytes:
        """Give the body's bytes in what has arrived."""
        body = []
        while piece and not self.ended:
            if self._left:
                body.append(piece[: self._left])
                piece = piece[self._left :]
                self._left -= len(body[-1])
                continue
            text, end, rest = piece.partition(b"\n")
            self._head += text + end
            if len(self._head) > _CHUNK_LINE:
                raise ValueError("its chunks have no size")
            piece = rest
            if end:
                self._line(self._head.strip(b"\r\n"))
                self._head = b""
        return b"".join(body)

    def _line(self, line: bytes) -> None:
        if not line and not self._first:
            return  # the line end behind a chunk
        match = _CHUNK.fullmatch(line)
        if match is None:
            raise ValueError("its chunks have no size")
        self._first = False
        self._left = int(match.group(1), 16)
        self.ended = self._left == 0


class Http(Conversation):
    """One request; good if status and body are as wanted."""

    awaited = "answer"
    limit = conversation.ANSWER_LIMIT

    def __init__(self, wanted: Wanted) -> None:
        """`wanted`: what to ask for, and what to find."""
        super().__init__()
        self._wanted = wanted
        self._status = ""
        self._body: Callable[[bytes], bool] | None = None
        self._chunks: Chunks | None = None
        self._left: int | None = None
        self._seen = 0

    def begin(self) -> Step:
        """See Conversation."""
        return request(self._wanted)

    def room(self) -> int:
        """See Conversation."""
        return _PIECE if self._body else super().room()

    def feed(self, piece: bytes) -> Step:
        """See Conversation."""
        return self._more(piece) if self._body else super().feed(piece)

    def closed(self) -> Outcome:
        """See Conversation."""
        if not self._body:
            return super().closed()
        if self._left or self._chunks:
            return bad(f"{self._status}, but the connection was closed within the body")
        return self._missing("the body")

    def late(self, limit: float) -> Outcome:
        """See Conversation."""
        if not self._body:
            return super().late(limit)
        return bad(f"{self._status}, but the body was not completed within {duration(limit)}")

    def advance(self) -> Step | None:
        """See Conversation."""
        if not b"HTTP/1.".startswith(self.data[:7]):
            return bad(f"answered {shown(self.data)}, which is not HTTP/1")
        end = _END.search(self.data)
        if end is None:
            return None
        head, body = self.data[: end.start()], self.data[end.end() :]
        first = head.partition(b"\n")[0].removesuffix(b"\r")
        match = _STATUS.fullmatch(first)
        if match is None:
            return bad(f"answered {shown(first)}, which has no status code")
        status = int(match.group(1))
        if status < _SUCCESS_FROM and status != 101:  # noqa: PLR2004 - 101 is final
            self.data = body
            return self.advance() if body else None
        self._status = f"HTTP {status} {words(match.group(2) or b'')}".rstrip()
        if not any(low <= status <= high for low, high in self._wanted.status):
            return bad(f"{self._status}, expected {ranges(self._wanted.status)}")
        if not (self._wanted.body or self._wanted.body_regex):
            return good(self._status)
        self._begin_body(head)
        return self._more(body)

    def _begin_body(self, head: bytes) -> None:
        self.data = b""
        length = _LENGTH.search(head)
        self._chunks = Chunks() if _CHUNKED.search(head) else None
        self._left = int(length.group(1)) if length and not self._chunks else None
        self._body = _finder(self._wanted)

    def _more(self, piece: bytes) -> Step:
        assert self._body is not None  # noqa: S101 - for the type checker
        try:
            body = self._chunks.feed(piece) if self._chunks else piece
            if self._left is not None:
                body = body[: self._left]
                self._left -= len(body)
            self._seen += len(body)
            if self._body(body):
                return good(f"{self._status}, the body is as expected")
        except ValueError as error:
            return bad(f"{self._status}, but the body cannot be read: {error}")
        except TooCostly:
            return bad(f"{self._status}, but this body is too costly for check_body_regex")
        if self._left == 0 or (self._chunks and self._chunks.ended):
            return self._missing("the body")
        if self._seen >= BODY_LIMIT:
            return self._missing(f"the first {BODY_LIMIT} bytes of the body")
        return b""

    def _missing(self, where: str) -> Outcome:
        wanted = self._wanted
        if wanted.body and wanted.body_regex:
            what = f"{shown(wanted.body)} and a match of {shown(wanted.body_regex)} are not in"
        elif wanted.body:
            what = f"{shown(wanted.body)} is not in"
        else:
            what = f"nothing matches {shown(wanted.body_regex)} in"
        return bad(f"{self._status}, but {what} {where}")


def request(wanted: Wanted) -> bytes:
    """The request as bytes."""
    headers = {"host": ("Host", wanted.host)}
    headers["user-agent"] = ("User-Agent", "piranha-nanny")
    headers["accept"] = ("Accept", "*/*")
    headers |= {name.lower(): (name, value) for name, value in wanted.headers}
    headers["connection"] = ("Connection", "close")
    lines = [f"{wanted.method} {wanted.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.values()]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")


def ranges(status: tuple[tuple[int, int], ...]) -> str:
    """`200,300-399`."""
    return ",".join(f"{low}" if low == high else f"{low}-{high}" for low, high in status)


def words(reason: bytes) -> str:
    """A short text of the server's, without what could confuse a terminal."""
    return shown(reason)[1:-1]


def _finder(wanted: Wanted) -> Callable[[bytes], bool]:
    """Give a function that takes a body piece by piece and tells whether all has been found."""
    text, rest = wanted.body, b""
    search = Search(expression(wanted.body_regex)) if wanted.body_regex else None
    found_text, found_match = not text, search is None

    def find(piece: bytes) -> bool:
        nonlocal rest, found_text, found_match
        if not found_text:
            rest += piece
            found_text = text in rest
            rest = rest[len(rest) - len(text) + 1 :] if len(rest) >= len(text) else rest
        if not found_match and search is not None:
            found_match = search.feed(piece)
        return found_text and found_match

    return find


@lru_cache(maxsize=64)
def expression(pattern: bytes) -> Ere:
    """Compile an expression once; EreError where it is none."""
    return Ere(pattern)
