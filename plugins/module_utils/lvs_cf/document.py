# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of an lvs.cf as a tree of lines: parsed without loss, edited line by line.

Document.text() gives back what was parsed, character for character, valid or not; an edit
changes its own lines only. What a directive means is not known here; config.py reads that.
A reader that meets a mistake notes a finding and goes on, so that one run shows all of them.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import Union

from .directives import FAILOVER, GLOBAL, SERVER, TABLES, VIRTUAL
from .findings import Finding, Place, did_you_mean, finding, nearest
from .lexer import BLANKS, CLOSING_BRACE, STATEMENT, Token, Values, cut, quoted

BLANK, ASSIGNMENT, OPEN, CLOSE, BAD = range(5)
KINDS = (VIRTUAL, FAILOVER, SERVER)
UNKNOWN = "unknown"  # kind of a block whose keyword is not one of ours

_BYTE_ORDER_MARK = "\ufeff"
_LINE_ENDS = re.compile(r"(\r\n|\r|\n)")
_FIRST_WORD = re.compile(r"[ \t]*([^ \t={}#]+)")
# The most frequent forms of a line, told apart in one step by the last group that matched: one
# plain value and nothing behind it, a block header (a name may begin with a #), a brace, nothing.
_FREQUENT = re.compile(
    r"""[ \t]*(?:([a-z][a-z0-9_]*)[ \t]*=[ \t]*([^ \t"'#\[]+)
    |(virtual|failover|server)[ \t]+([^ \t={}"']+)[ \t]+\{
    |(\}))?[ \t]*$""".replace("\n    ", "")
)
_VALUE, _HEADER, _BRACE = 2, 4, 5
_BARE_NAME = re.compile(r"[^ \t={}\"'#\r\n\0]+")
_NUL = re.compile("\x00")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
INDENT = "    "


class Line:
    """One line: its text, its end (`\\n`, `\\r\\n`, `\\r` or nothing) and what it was read as.

    `key` is the directive of an assignment or the kind of a block that opens here, `args` the
    values or the block's name. `number` counts from 1 and is 0 in lines added by an edit.
    """

    __slots__ = ("args", "end", "key", "kind", "number", "raw")

    def __init__(
        self, raw: str, end: str, number: int, kind: int, key: str, args: tuple[str, ...]
    ) -> None:
        self.raw = raw
        self.end = end
        self.number = number
        self.kind = kind
        self.key = key
        self.args = args

    def values(self) -> Values:
        """The values of an assignment once more, with their places in the line."""
        match = STATEMENT.match(self.raw)
        return cut(self.raw, match.end() if match else 0)

    def place(self, index: int = -1) -> Place:
        """Where the key stands (index -1) or the value with this index."""
        if self.kind == ASSIGNMENT and index >= 0:
            tokens = self.values().tokens
            if index < len(tokens):
                token = tokens[index]
                return Place(self.number, token.start + 1, token.end - token.start)
        match = _FIRST_WORD.match(self.raw)
        if match:
            return Place(self.number, match.start(1) + 1, match.end(1) - match.start(1))
        return Place(self.number, 1, max(1, len(self.raw)))


class Block:
    """A block, or the whole file (kind `global`): its lines and inner blocks in their order."""

    __slots__ = ("close", "items", "kind", "name", "open")

    def __init__(self, kind: str, name: str, opening: Line | None) -> None:
        self.kind = kind
        self.name = name
        self.open = opening
        self.items: list[Item] = []
        self.close: Line | None = None

    def blocks(self, kind: str) -> list[Block]:
        """The blocks of one kind directly inside this one."""
        return [item for item in self.items if isinstance(item, Block) and item.kind == kind]

    def block(self, kind: str, name: str) -> Block | None:
        """The first block of that kind and name directly inside this one."""
        return next((block for block in self.blocks(kind) if block.name == name), None)

    def find(self, key: str) -> Line | None:
        """The assignment that counts, which is the last one of that key."""
        for item in reversed(self.items):
            if isinstance(item, Line) and item.key == key and item.kind == ASSIGNMENT:
                return item
        return None

    def locate(self, key: str, index: int = -1) -> Place:
        """Where a finding about a key points to: its line, or the block's header without it."""
        line = self.find(key) if key else None
        if line is not None:
            return line.place(index)
        return self.open.place() if self.open is not None else Place()

    def lines(self) -> Iterator[Line]:
        """Every line of the block in its order, those of inner blocks included."""
        if self.open is not None:
            yield self.open
        for item in self.items:
            if isinstance(item, Line):
                yield item
            else:
                yield from item.lines()
        if self.close is not None:
            yield self.close


Item = Union[Line, Block]


class Document:
    """A parsed text and what the parser found wrong with its form."""

    __slots__ = ("findings", "mark", "root")

    def __init__(self) -> None:
        self.root = Block(GLOBAL, "", None)
        self.findings: list[Finding] = []
        self.mark = ""  # a byte-order mark, if the text began with one

    def text(self) -> str:
        """The whole text; unchanged since parse() except where it was edited."""
        parts = [self.mark]
        for line in self.root.lines():
            if line.end == "\n" and not line.raw and parts[-1] == "\r":
                # Two lines that an edit brought together; their ends would read as one \r\n.
                parts.append("\n")
            parts.append(line.raw)
            parts.append(line.end)
        return "".join(parts)

    def line_end(self) -> str:
        """The line end in use, which is that of the first line."""
        first = next(self.root.lines(), None)
        return first.end if first is not None and first.end else "\n"

    def set(self, block: Block, key: str, value: str) -> None:
        """Set a directive to a value written as it stands in the file (quotes included).

        Changes the value in its line if there is one (spacing and comment stay), else adds a
        line behind the block's last assignment, indented as that one is. ValueError where the
        value cannot stand in one line.
        """
        if any(sign in value for sign in "\r\n\0") or not value.strip(BLANKS):
            raise ValueError(f"{value!r} cannot stand behind `{key} =`")
        line = block.find(key)
        if line is None:
            self._add(block, f"{self._indent(block)}{key} = {value}", key)
            return
        tokens = line.values().tokens
        start, end = tokens[0].start, tokens[-1].end
        line.raw = line.raw[:start] + value + line.raw[end:]
        line.args = tuple(token.text for token in line.values().tokens)

    def remove(self, block: Block, key: str) -> bool:
        """Remove every assignment of a key from a block; tells whether there was one."""
        before = len(block.items)
        block.items = [
            item
            for item in block.items
            if not (isinstance(item, Line) and item.kind == ASSIGNMENT and item.key == key)
        ]
        return len(block.items) != before

    def add_block(self, parent: Block, kind: str, name: str) -> Block:
        """Add an empty block at the end of another one (the root for all but servers)."""
        outer = self._indent(parent)
        end = self.line_end()
        self._end_last_line()
        block = Block(kind, name, Line(header(outer, kind, name), end, 0, OPEN, kind, (name,)))
        block.close = Line(outer + "}", end, 0, CLOSE, "", ())
        if parent.items:
            parent.items.append(Line("", end, 0, BLANK, "", ()))
        parent.items.append(block)
        return block

    def remove_block(self, parent: Block, block: Block) -> None:
        """Remove a block with all that stands in it; the lines around it stay."""
        parent.items.remove(block)

    def _add(self, block: Block, raw: str, key: str) -> None:
        match = STATEMENT.match(raw)
        args = tuple(token.text for token in cut(raw, match.end() if match else 0).tokens)
        self._end_last_line()
        line = Line(raw, self.line_end(), 0, ASSIGNMENT, key, args)
        position = 0
        first_block = len(block.items)
        for index, item in enumerate(block.items):
            if isinstance(item, Block):
                first_block = min(first_block, index)
            elif item.kind == ASSIGNMENT:
                position = index + 1
        block.items.insert(position or first_block, line)

    def _end_last_line(self) -> None:
        """Give the last line an end, since something may come to stand behind it."""
        for last in deque(self.root.lines(), maxlen=1):
            last.end = last.end or self.line_end()

    def _indent(self, block: Block) -> str:
        """The indentation of what stands in a block, taken from what is there."""
        for item in block.items:
            line = item if isinstance(item, Line) else item.open
            if line is not None and line.kind in (ASSIGNMENT, OPEN):
                return _leading(line.raw)
        return _leading(block.open.raw) + INDENT if block.open is not None else ""


def header(indent: str, kind: str, name: str) -> str:
    """The line that opens a block. ValueError for a name that cannot be written."""
    word = name if _BARE_NAME.fullmatch(name) else quoted(name, always=True)
    return f"{indent}{kind} {word} {{"


def _leading(raw: str) -> str:
    return raw[: len(raw) - len(raw.lstrip(BLANKS))]


def parse(text: str) -> Document:
    """Read a text into a document. Never fails; what is wrong stands in its findings."""
    return _Parser(text).run()


class _Parser:
    """One run over the lines, with the stack of blocks that are open."""

    def __init__(self, text: str) -> None:
        self.document = Document()
        if text.startswith(_BYTE_ORDER_MARK):
            self.document.mark = _BYTE_ORDER_MARK
            text = text[1:]
        self.text = text
        self.stack = [self.document.root]
        self.wants_brace = False  # the header just read had no brace

    def run(self) -> Document:
        frequent = _FREQUENT.match
        stack = self.stack
        for number, (raw, end) in enumerate(_split(self.text), 1):
            match = frequent(raw)
            form = match.lastindex if match else 0
            if match and form == _VALUE:  # most lines of a large file
                key, value = match.group(1, 2)
                stack[-1].items.append(Line(raw, end, number, ASSIGNMENT, key, (value,)))
            elif match and form == _HEADER:
                self.wants_brace = False
                self._enter(Line(raw, end, number, OPEN, "", ()), *match.group(3, 4))
            elif form == _BRACE and len(stack) > 1:
                self.wants_brace = False
                stack.pop().close = Line(raw, end, number, CLOSE, "", ())
            else:
                self._line(raw, end, number)
        if len(self.stack) > 1:
            self._not_closed_at_end()
        if _CONTROL.search(self.text):
            self._control_characters()
        return self.document

    def _line(self, raw: str, end: str, number: int) -> None:
        line = Line(raw, end, number, BLANK, "", ())
        bare = raw.strip(BLANKS)
        if not bare or bare[0] == "#":
            self.stack[-1].items.append(line)
            return
        if self.wants_brace:
            self.wants_brace = False
            if bare == "{":  # the header's finding has said it already
                self.stack[-1].items.append(line)
                return
        if bare[0] == "}":
            self._close(line)
        elif STATEMENT.match(raw):
            self._assignment(line)
        else:
            self._header_or_bad(line)

    def _assignment(self, line: Line) -> None:
        match = STATEMENT.match(line.raw)
        key, position = (match.group(1), match.end()) if match else ("", 0)
        line.kind = BAD
        self.stack[-1].items.append(line)
        values = cut(line.raw, position)
        if values.unclosed >= 0:
            place = Place(line.number, values.unclosed + 1, len(line.raw) - values.unclosed)
            self._note(
                "E106", place, "the quote is not closed", "end the value with the same quote"
            )
        elif not values.tokens:
            message = f"`{key}` has no value"
            self._note("E108", line.place(), message, "write it behind the `=`, or remove the line")
        else:
            line.kind = ASSIGNMENT
            line.key = key
            line.args = tuple(token.text for token in values.tokens)

    def _close(self, line: Line) -> None:
        match = CLOSING_BRACE.match(line.raw)
        column = match.end() if match else 1
        rest = line.raw[column:].strip(BLANKS)
        if len(self.stack) == 1:
            line.kind = BAD
            self.stack[-1].items.append(line)
            remedy = "remove it, or add the block header that is missing above"
            self._note("E103", Place(line.number, column, 1), "unexpected `}`", remedy)
            return
        line.kind = CLOSE
        self.stack.pop().close = line
        if rest and rest[0] != "#":
            start = line.raw.index(rest, column)
            place = Place(line.number, start + 1, len(rest))
            self._note("W102", place, f"`{rest}` behind `}}` is ignored", "put it on its own line")

    def _header_or_bad(self, line: Line) -> None:
        match = _FIRST_WORD.match(line.raw)
        word = match.group(1) if match else ""
        values = cut(line.raw, match.end() if match else 0)
        if word in KINDS:
            self._open(line, word, word, values)
        elif values.tokens and values.tokens[-1].text.endswith("{") and word:
            message = f"unknown kind of block `{word}`"
            remedy = did_you_mean(word, KINDS) or "there are virtual, failover and server"
            self._note("E105", line.place(), message, remedy)
            self._open(line, nearest(word, KINDS) or UNKNOWN, word, values)
        else:
            self._bad(line, word)

    def _bad(self, line: Line, word: str) -> None:
        line.kind = BAD
        self.stack[-1].items.append(line)
        rows = TABLES.get(self.stack[-1].kind, TABLES[GLOBAL]).rows
        if word in rows:
            message, remedy = f"`=` expected behind `{word}`", f"write `{word} = VALUE`"
        else:
            message = "neither a directive, a block, a comment nor an empty line"
            remedy = did_you_mean(word, (*rows, *KINDS)) or "put `#` in front if it is a comment"
        self._note("E101", line.place(), message, remedy)

    def _open(self, line: Line, kind: str, word: str, values: Values) -> None:
        name, brace, rest = _name_and_brace(values.tokens)
        self._enter(line, kind, name)
        example = f"write `{word} NAME {{`"
        if values.unclosed >= 0:
            place = Place(line.number, values.unclosed + 1, len(line.raw) - values.unclosed)
            self._note("E106", place, "the quote is not closed", example)
        elif not name and (not values.tokens or not values.tokens[0].quote):
            self._note("E104", line.place(), f"the {word} block has no name", example)
            self.wants_brace = not brace
        elif not brace:
            message = f"`{{` is missing behind `{word} {name}`"
            self._note("E102", line.place(), message, f"write `{word} {name} {{` on one line")
            self.wants_brace = not rest
        elif rest:
            place = Place(line.number, rest[0].start + 1, rest[-1].end - rest[0].start)
            self._note("E104", place, "unexpected text behind `{`", "begin a new line there")
            if rest[-1].text.endswith("}"):
                self.stack.pop()

    def _enter(self, line: Line, kind: str, name: str) -> None:
        self._close_forgotten(line, kind)
        line.kind, line.key, line.args = OPEN, kind, (name,)
        block = Block(kind, name, line)
        self.stack[-1].items.append(block)
        self.stack.append(block)

    def _close_forgotten(self, line: Line, kind: str) -> None:
        """A block that cannot stand in the open one shows that a brace was forgotten."""
        allowed = (VIRTUAL, FAILOVER, UNKNOWN) if kind == SERVER else (GLOBAL,)
        if kind == UNKNOWN or self.stack[-1].kind in allowed:
            return
        if kind == SERVER and len(self.stack) == 1:
            message = "a server block must stand inside a virtual or failover block"
            self._note("E102", line.place(), message, "is a `}` too early above?")
            return
        inner = self.stack[-1]
        while len(self.stack) > 1 and self.stack[-1].kind not in allowed:
            self.stack.pop()
        since = inner.open.number if inner.open is not None else 0
        message = f"`}}` is missing in front of this block: `{inner.kind} {inner.name}`"
        message += f" of line {since} is still open"
        self._note("E102", line.place(), message, "close it with a line `}` above")

    def _not_closed_at_end(self) -> None:
        inner = self.stack[-1]
        place = inner.open.place() if inner.open is not None else Place()
        message = f"the block `{inner.kind} {inner.name}` is not closed until the end of the file"
        self._note("W101", place, message, "add the missing `}`")

    def _control_characters(self) -> None:
        for line in self.document.root.lines():
            # In a comment only a NUL does harm: at one the original ended the file without a word.
            match = (_NUL if line.kind == BLANK else _CONTROL).search(line.raw)
            if match:
                place = Place(line.number, match.start() + 1, 1)
                message = f"the control character {match.group()!r} must not be in the file"
                self._note("E109", place, message, "remove it")

    def _note(self, code: str, place: Place, message: str, remedy: str) -> None:
        self.document.findings.append(finding(code, place, message, remedy))


def _name_and_brace(tokens: tuple[Token, ...]) -> tuple[str, bool, tuple[Token, ...]]:
    """Name, whether the brace stands behind it, and what stands behind that."""
    if not tokens:
        return "", False, ()
    first = tokens[0]
    if not first.quote and first.text == "{":
        return "", True, tokens[1:]
    if not first.quote and first.text.endswith("{"):  # virtual name{
        return first.text[:-1], True, tokens[1:]
    if len(tokens) > 1 and tokens[1].text == "{" and not tokens[1].quote:
        return first.text, True, tokens[2:]
    return first.text, False, tokens[1:]


def _split(text: str) -> Iterator[tuple[str, str]]:
    """Lines and their ends. A text without a final line end has a last line without one."""
    if "\r" not in text:
        parts = text.split("\n")
        last = parts.pop()
        for part in parts:
            yield part, "\n"
    else:
        pieces = _LINE_ENDS.split(text)
        last = pieces.pop()
        yield from zip(pieces[::2], pieces[1::2])
    if last:
        yield last, ""
