# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""POSIX extended regular expressions that no answer can make slow.

The original compared with regcomp(3) and regexec(3), so its files mean that dialect. Those may
take seconds for an answer made for it, and gigabytes for a pattern made for it; so may Python's
`re`. Here an expression becomes an automaton that looks at each byte once, as it arrives, and
both its size and its work are bounded. Left out is what an automaton cannot do (back-references)
and what only GNU knows about words (`\\b`, `\\<`); such an expression is refused with a reason.
Works on bytes; `.` is any byte but NUL, as in the C library.
"""

from __future__ import annotations

from typing import NamedTuple, Union

SIZE_LIMIT = 2000
"""Nodes of an automaton; `(a{100}){100}` is refused."""
DEPTH_LIMIT = 50
WORK_LIMIT = 200_000
"""Nodes that one search may visit while it meets new states: some 60 ms."""
STATES_KEPT = 200
_REPEAT_MOST = 0x7FFF  # RE_DUP_MAX

_ALL = (1 << 256) - 1


def _mask(characters: bytes) -> int:
    bits = 0
    for byte in characters:
        bits |= 1 << byte
    return bits


_LOWER, _UPPER = b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS = b"0123456789"
_GRAPH = bytes(range(0x21, 0x7F))
_CLASSES = {
    b"alpha": _LOWER + _UPPER,
    b"digit": _DIGITS,
    b"alnum": _LOWER + _UPPER + _DIGITS,
    b"upper": _UPPER,
    b"lower": _LOWER,
    b"space": b" \t\n\r\f\v",
    b"blank": b" \t",
    b"punct": bytes(set(_GRAPH) - set(_LOWER + _UPPER + _DIGITS)),
    b"print": b" " + _GRAPH,
    b"graph": _GRAPH,
    b"cntrl": bytes([*range(0x20), 0x7F]),
    b"xdigit": _DIGITS + b"abcdefABCDEF",
}
_WORD = _mask(_LOWER + _UPPER + _DIGITS + b"_")
_SPACE = _mask(_CLASSES[b"space"])
_ESCAPED = {ord("w"): _WORD, ord("W"): _ALL & ~_WORD, ord("s"): _SPACE, ord("S"): _ALL & ~_SPACE}
_REFUSED = b"bB<>`'123456789"
_DOT = _ALL & ~1
_ASCII_END = 0x7F
_REPEATS = frozenset(b"*+?{")
_DIGIT_SET = frozenset(_DIGITS)
_NAMED = frozenset(b":.=")


# Kinds of nodes that read no byte; below 0, so that none is a mask.
_BOTH, _BEGIN, _END, _MATCH = -1, -2, -3, -4


class EreError(ValueError):
    """The expression cannot be used; the text says why."""


class TooCostly(Exception):
    """A search would take longer than a check may cost."""


class _Set(NamedTuple):
    """One byte out of a set, as a mask of 256 bits."""

    mask: int


class _Anchor(NamedTuple):
    """Begin (`^`) or end of the data."""

    end: bool


class _Repeat(NamedTuple):
    """A part, at least `low` and at most `high` times; None is without end."""

    part: object
    low: int
    high: int | None


class _Sequence(NamedTuple):
    """Parts one behind the other; none match the empty text."""

    parts: tuple[object, ...]


class _Either(NamedTuple):
    """One of several."""

    parts: tuple[object, ...]


_Part = Union[_Set, _Anchor, _Repeat, _Sequence, _Either]


class _Parser:
    """Reads one expression, recursively descending."""

    def __init__(self, pattern: bytes) -> None:
        self.pattern = pattern
        self.at = 0
        self.depth = 0

    def whole(self) -> _Part:
        return self.either()

    def peek(self) -> int:
        return self.pattern[self.at] if self.at < len(self.pattern) else -1

    def take(self, reason: str) -> int:
        if self.at >= len(self.pattern):
            raise EreError(reason)
        self.at += 1
        return self.pattern[self.at - 1]

    def either(self) -> _Part:
        parts: list[object] = [self.sequence()]
        while self.peek() == ord("|"):
            self.at += 1
            parts.append(self.sequence())
        return _Either(tuple(parts))

    def sequence(self) -> _Part:
        parts: list[object] = []
        while self.peek() not in (-1, ord("|")):
            if self.peek() == ord(")") and self.depth:
                break
            part = self.atom()
            while self.peek() in _REPEATS:
                if isinstance(part, _Anchor):
                    raise EreError("an anchor cannot be repeated")
                part = self.repeated(part)
            parts.append(part)
        return _Sequence(tuple(parts))

    def atom(self) -> _Part:
        byte = self.take("")
        if byte == ord("("):
            return self.group()
        if byte == ord("["):
            return _Set(self.bracket())
        if byte == ord("."):
            return _Set(_DOT)
        if byte in b"^$":
            return _Anchor(byte == ord("$"))
        if byte in _REPEATS:
            raise EreError(f"there is nothing that `{chr(byte)}` could repeat")
        if byte == ord("\\"):
            byte = self.take("a backslash stands at its end")
            if byte in _REFUSED:
                raise EreError(f"`\\{chr(byte)}` is not supported")
            if byte in _ESCAPED:
                return _Set(_ESCAPED[byte])
        return _Set(1 << byte)

    def group(self) -> _Part:
        self.depth += 1
        if self.depth > DEPTH_LIMIT:
            raise EreError(f"more than {DEPTH_LIMIT} parentheses stand in each other")
        part = self.either()
        if self.take("a `(` is not closed") != ord(")"):
            raise EreError("a `(` is not closed")
        self.depth -= 1
        return part

    def repeated(self, part: _Part) -> _Part:
        byte = self.take("")
        if byte != ord("{"):
            return _Repeat(
                part, *{ord("*"): (0, None), ord("+"): (1, None), ord("?"): (0, 1)}[byte]
            )
        low = self.number()
        high = low
        if self.peek() == ord(","):
            self.at += 1
            high = self.number()
            if low is None and high is None:
                low = 0
        elif low is None:
            raise EreError("a `{` is not followed by a number")
        if self.take("a `{` is not closed") != ord("}"):
            raise EreError("a `{` holds something else than one or two numbers")
        low = low or 0
        if (high is not None and high < low) or max(low, high or 0) > _REPEAT_MOST:
            raise EreError("the numbers in `{}` cannot be used")
        return _Repeat(part, low, high)

    def number(self) -> int | None:
        begin = self.at
        while self.peek() in _DIGIT_SET:
            self.at += 1
        digits = self.pattern[begin : self.at]
        if len(digits) > len(str(_REPEAT_MOST)):
            raise EreError("the numbers in `{}` cannot be used")
        return int(digits) if digits else None

    def bracket(self) -> int:
        """Read a bracket expression behind its `[`."""
        negated = self.peek() == ord("^")
        self.at += negated
        mask, first = 0, True
        while True:
            if not first and self.peek() == ord("]"):
                self.at += 1
                return _ALL & ~mask if negated else mask
            first = False
            low = self.member()
            if isinstance(low, bytes):
                mask |= _mask(low)
                continue
            high = low
            if self.peek() == ord("-") and self.pattern[self.at + 1 : self.at + 2] not in (
                b"]",
                b"",
            ):
                self.at += 1
                end = self.member()
                if isinstance(end, bytes) or end < low:
                    raise EreError("a range in `[]` ends before it begins")
                high = end
            mask |= _mask(bytes(range(low, high + 1)))

    def member(self) -> int | bytes:
        """One byte of a bracket expression, or all bytes of a class."""
        byte = self.take("a `[` is not closed")
        kind = self.peek()
        if byte > _ASCII_END:
            raise EreError("characters beyond ASCII are not supported in `[]`")
        if byte != ord("[") or kind not in _NAMED:
            return byte
        end = self.pattern.find(bytes([kind]) + b"]", self.at + 1)
        if end < 0:
            raise EreError("a `[` is not closed")
        name = self.pattern[self.at + 1 : end]
        self.at = end + 2
        if kind == ord(":"):
            if name not in _CLASSES:
                raise EreError(f"there is no class [:{name.decode('ascii', 'replace')}:]")
            return _CLASSES[name]
        if len(name) != 1:
            raise EreError("only single characters are supported in `[. .]` and `[= =]`")
        return name if kind == ord("=") else name[0]


class _State:
    """What is known of the places an automaton may be in at once."""

    __slots__ = ("final", "final_at_end", "following", "nodes")

    def __init__(self, nodes: frozenset[int], final: bool, final_at_end: bool) -> None:
        self.nodes = nodes
        self.final = final
        self.final_at_end = final_at_end
        self.following: dict[int, _State] = {}


class Ere:
    """A compiled expression; EreError where it cannot be used."""

    def __init__(self, pattern: bytes) -> None:
        # Node 0 is the match. Others: (mask, next) reads a byte, (kind, next, ...) reads none.
        self._nodes: list[tuple[int, ...]] = [(_MATCH,)]
        self._start = self._add(_Parser(pattern).whole(), 0)
        self._states: dict[tuple[frozenset[int], bool, bool], _State] = {}
        self._again = self._closure([self._start], beginning=False)
        self.beginning = self._closure([self._start], beginning=True)

    def search(self, data: bytes) -> bool:
        """Whether the expression matches anywhere in the data; TooCostly if that takes too long."""
        return Search(self).feed(data)

    def step(self, state: _State, byte: int) -> tuple[_State, int]:
        """The state behind one more byte that this state has not met before; nodes visited."""
        nodes, bit = self._nodes, 1 << byte
        targets = [nodes[node][1] for node in state.nodes if nodes[node][0] & bit]
        following = self._closure([*targets, self._start], beginning=False)
        state.following[byte] = following
        return following, len(state.nodes) + len(following.nodes) + 1

    def _node(self, *node: int) -> int:
        if len(self._nodes) >= SIZE_LIMIT:
            raise EreError("it is too large; repeat less often")
        self._nodes.append(node)
        return len(self._nodes) - 1

    def _add(self, part: object, then: int) -> int:
        """Add the nodes of a part that goes on at `then`; gives where it begins."""
        if isinstance(part, _Set):
            return self._node(part.mask, then)
        if isinstance(part, _Anchor):
            return self._node(_END if part.end else _BEGIN, then)
        if isinstance(part, _Sequence):
            for each in reversed(part.parts):
                then = self._add(each, then)
            return then
        if isinstance(part, _Either):
            begin = self._add(part.parts[-1], then)
            for each in reversed(part.parts[:-1]):
                begin = self._node(_BOTH, self._add(each, then), begin)
            return begin
        if not isinstance(part, _Repeat):
            raise TypeError("no part of an expression")
        if part.high is None:
            loop = self._node(_BOTH, then, then)
            self._nodes[loop] = (_BOTH, self._add(part.part, loop), then)
            then = loop
        else:
            end = then
            for _unused in range(part.high - part.low):
                then = self._node(_BOTH, self._add(part.part, then), end)
        for _unused in range(part.low):
            then = self._add(part.part, then)
        return then

    def _closure(self, begin: list[int], beginning: bool) -> _State:
        final, seen = self._reach(begin, beginning, at_end=False)
        final_at_end = final or self._reach(begin, beginning, at_end=True)[0]
        reading = frozenset(node for node in seen if self._nodes[node][0] >= 0)
        key = (reading, final, final_at_end)
        state = self._states.get(key)
        if state is None:
            if len(self._states) >= STATES_KEPT:
                for old in self._states.values():
                    old.following.clear()
                self._states.clear()
            state = self._states[key] = _State(*key)
        return state

    def _reach(self, begin: list[int], beginning: bool, at_end: bool) -> tuple[bool, list[int]]:
        """The nodes reached without reading a byte, and whether the match is among them."""
        open_kinds = {_BOTH, _BEGIN if beginning else _BOTH, _END if at_end else _BOTH}
        seen = set(begin)
        waiting = list(seen)
        for node in waiting:
            kind, *targets = self._nodes[node]
            if kind not in open_kinds:
                continue
            for target in targets:
                if target not in seen:
                    seen.add(target)
                    waiting.append(target)
        return 0 in seen, waiting


class Search:
    """A search in data that arrives in pieces. No byte is looked at twice."""

    def __init__(self, expression: Ere) -> None:
        self._expression = expression
        self._state = expression.beginning
        self._work = 0

    def feed(self, piece: bytes) -> bool:
        """Whether it matches in what has arrived until now; once True, feed no more."""
        state = self._state
        if state.final:
            return True
        for byte in piece:
            following = state.following.get(byte)
            if following is None:
                following, work = self._expression.step(state, byte)
                self._work += work
                if self._work > WORK_LIMIT:
                    raise TooCostly
            state = following
            if state.final:
                break
        self._state = state
        return state.final or state.final_at_end
