# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the forms do to the text of lvs.cf: edits as plain data, and how they are made. Pure.

An edit changes the lines it is about and no other; comments, oddities and what the page does not
know stay. What cannot be read as its type never gets into the text.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import NamedTuple

from piranha.core.lvs_cf import directives as d
from piranha.core.lvs_cf.config import MASK_OF, Section, SectionReader
from piranha.core.lvs_cf.document import (
    ASSIGNMENT,
    BLANK,
    CLOSE,
    Block,
    Document,
    Line,
    header,
    parse,
)
from piranha.core.lvs_cf.edit import bring_section, insert_block, take_block
from piranha.core.lvs_cf.lexer import cut, quoted
from piranha.core.lvs_cf.row import Directive
from piranha.core.lvs_cf.values import BadValue, read_value

TEXTS = (d.TEXT, d.QUOTED, d.ESCAPED, d.PATH)
"""Types whose value is one text, blanks and all."""

LONGEST_NAME = 100
LONGEST_VALUE = 4096
_KEYWORD = re.compile(r"[ \t]*(?:virtual|failover|server)")


class Where(NamedTuple):
    """A block by its names; `nth` counts those of one name from 1. All empty: the top level."""

    kind: str = d.GLOBAL
    name: str = ""
    nth: int = 1
    server: str = ""
    server_nth: int = 1

    @property
    def inner(self) -> str:
        """The kind of the block itself: server where a server of a block is meant."""
        return d.SERVER if self.server else self.kind

    def told(self) -> str:
        """Say it as people do."""
        if self.kind == d.GLOBAL:
            return "global settings"
        around = f"{self.kind} {self.name}" + (f" ({self.nth})" if self.nth > 1 else "")
        return f"{around}: server {self.server}" if self.server else around


class Fault(NamedTuple):
    """Why an edit cannot be made: the field it is about (or none), and one sentence."""

    field: str
    sentence: str


@dataclass(frozen=True)
class Set:
    """Fields of a form: directive and text. An empty text takes the directive away."""

    where: Where
    values: tuple[tuple[str, str], ...]

    def told(self) -> str:
        """Say what it does."""
        return f"{self.where.told()}: {', '.join(key for key, _text in self.values)}"


@dataclass(frozen=True)
class Add:
    """A new, empty block: virtual and failover at the top level, server inside `where`."""

    where: Where
    kind: str
    name: str

    def told(self) -> str:
        """Say what it does."""
        return f"add {self.kind} {self.name}"


@dataclass(frozen=True)
class Copy:
    """A copy of a block, right behind it, under another name and out of service."""

    where: Where
    name: str

    def told(self) -> str:
        """Say what it does."""
        return f"copy {self.where.told()} as {self.name}"


@dataclass(frozen=True)
class Delete:
    """A block and all that is in it goes."""

    where: Where

    def told(self) -> str:
        """Say what it does."""
        return f"delete {self.where.told()}"


@dataclass(frozen=True)
class Rename:
    """A block gets another name."""

    where: Where
    name: str

    def told(self) -> str:
        """Say what it does."""
        return f"rename {self.where.told()} to {self.name}"


@dataclass(frozen=True)
class Replace:
    """The whole text, as it was typed."""

    text: str

    def told(self) -> str:
        """Say what it does."""
        return "the whole file"


Edit = Set | Add | Copy | Delete | Rename | Replace


def apply(text: str, edits: list[Edit]) -> tuple[str, list[Fault]]:
    """Give the text with the edits made, and why some could not be; those change nothing."""
    faults: list[Fault] = []
    document: Document | None = None
    for edit in edits:
        if isinstance(edit, Replace):
            text, document = edit.text, None
            continue
        if document is None:
            document = parse(text)
        faults += _make(document, edit)
        text = document.text()
    return text, faults


def find(document: Document, where: Where) -> tuple[Block, Block] | None:
    """Give the block that is meant and the one around it; None if it is not there."""
    if where.kind == d.GLOBAL:
        return document.root, document.root
    outer = _nth(document.root, where.kind, where.name, where.nth)
    if outer is None or not where.server:
        return None if outer is None else (outer, document.root)
    inner = _nth(outer, d.SERVER, where.server, where.server_nth)
    return None if inner is None else (inner, outer)


def shown(block: Block | None, row: Directive) -> str:
    """Give what a form shows of a directive: the value as it is written, without quotes."""
    line = block.find(row.name) if block is not None else None
    if line is None:
        return ""
    if row.kind in TEXTS and len(line.args) == 1:
        return line.args[0]
    tokens = line.values().tokens
    written = line.raw[tokens[0].start : tokens[-1].end] if tokens else ""
    if row.kind == d.LIST and written.startswith("[") and written.endswith("]"):
        return written[1:-1].strip()
    return tokens[0].text if len(tokens) == 1 else written


def words_of(row: Directive, text: str) -> tuple[str, ...]:
    """Give the words that a form's text stands for behind the directive's `=`."""
    text = text.strip()
    if row.kind in TEXTS:
        return (text,)
    if row.kind == d.LIST:
        bare = text.removeprefix("[").removesuffix("]").strip()
        listed = tuple(token.text for token in cut(bare, 0).tokens)
        return ("[", *listed, "]") if row.item == d.TEXT else listed or ("",)
    return tuple(text.split()) or ("",)


def judge(row: Directive, text: str) -> str | None:
    """Say in one sentence why a text is no value of the directive; None if it is one, or empty."""
    if not text.strip():
        return None
    if len(text) > LONGEST_VALUE:
        return f"`{row.name}` is longer than {LONGEST_VALUE} characters"
    if any(sign in text for sign in "\r\n\0"):
        return f"`{row.name}` must be one line"
    try:
        words = words_of(row, text)
        read_value(row, words)
        for word in words if row.kind in (*TEXTS, d.LIST) else ():
            quoted(word)
    except BadValue as bad:
        return f"{bad.message}; {bad.remedy}" if bad.remedy else bad.message
    except ValueError:
        return f"`{row.name}` has both kinds of quotes, which no line can hold; leave one out"
    return None


def _nth(parent: Block, kind: str, name: str, nth: int) -> Block | None:
    same = [block for block in parent.blocks(kind) if block.name == name]
    return same[nth - 1] if 0 < nth <= len(same) else None


def _make(document: Document, edit: Set | Add | Copy | Delete | Rename) -> list[Fault]:
    found = find(document, edit.where)
    if found is None:
        return [Fault("", f"{edit.where.told()} is not in the file any more")]
    block, parent = found
    if isinstance(edit, Set):
        return _set(document, block, edit)
    if isinstance(edit, Delete):
        take_block(document, parent, block)
        return []
    fault = _name_fault(edit.name)
    if fault is not None:
        return [Fault("name", fault)]
    if isinstance(edit, Add):
        taken = _nth(block, edit.kind, edit.name, 1)
        if taken is None:
            insert_block(document, block, edit.kind, edit.name)
            return []
    else:
        taken = _nth(parent, block.kind, edit.name, 1)
        if taken is None and isinstance(edit, Rename):
            _rename(block, edit.name)
            return []
        if taken is None:
            _copy(document, parent, block, edit.name)
            return []
    return [Fault("name", f"there is a {taken.kind} {edit.name} already; choose another name")]


def _name_fault(name: str) -> str | None:
    if not name.strip():
        return "a name is needed"
    if len(name) > LONGEST_NAME or not name.isprintable() or name != name.strip():
        return f"a name is one line of at most {LONGEST_NAME} characters, no blank at its ends"
    try:
        header("", d.VIRTUAL, name)
    except ValueError:
        return "a name cannot have both kinds of quotes"
    return None


def _rename(block: Block, name: str) -> None:
    line = block.open
    match = _KEYWORD.match(line.raw) if line is not None else None
    if line is None or match is None:
        return
    word = header("", block.kind, name).split(" ", 1)[1].removesuffix(" {")
    tokens = cut(line.raw, match.end()).tokens
    old = tokens[0]
    glued = not old.quote and old.text.endswith("{") and len(old.text) > 1
    end = old.end - 1 if glued else old.end
    line.raw = line.raw[: old.start] + word + (" " if glued else "") + line.raw[end:]
    line.args = (name,)
    block.name = name


def _copy(document: Document, parent: Block, block: Block, name: str) -> None:
    made = _twin(block)
    _rename(made, name)
    if made.open is not None:
        made.open.end = made.open.end or document.line_end()
    for line in made.lines():
        line.end = line.end or document.line_end()
    if made.close is None:  # the end of the file closed it
        outer = (
            made.open.raw[: len(made.open.raw) - len(made.open.raw.lstrip())] if made.open else ""
        )
        made.close = Line(outer + "}", document.line_end(), 0, CLOSE, "", ())
    place = insert_block(document, parent, block.kind, name)
    items = parent.items
    items[next(at for at, item in enumerate(items) if item is place)] = made
    if made.find("active") is not None:
        document.set(made, "active", "0")


def _twin(block: Block) -> Block:
    made = Block(block.kind, block.name, copy.copy(block.open))
    made.items = [
        _twin(item) if isinstance(item, Block) else copy.copy(item) for item in block.items
    ]
    made.close = copy.copy(block.close)
    return made


def _set(document: Document, block: Block, edit: Set) -> list[Fault]:
    table = d.TABLES[block.kind]
    present = SectionReader().section(block, table)
    wanted = Section(table, dict(present.written))
    faults = []
    gone = []
    for key, text in edit.values:
        row = table.rows.get(key)
        if row is None:
            faults.append(Fault(key, f"there is no directive `{key}` in a {block.kind} block"))
        elif clean(text) != clean(shown(block, row)):
            why = judge(row, text)
            if why is not None:
                faults.append(Fault(key, why))
            elif not text.strip():
                gone.append(key)
            else:
                _want(wanted, block, row, text)
    if faults:
        return faults
    for key in gone:
        _drop(wanted, block, key)
    for key in (*gone, *(key for key in present.written if key not in wanted.written)):
        _keep_comment(block, key)
        if key not in present.written:
            document.remove(block, key)  # a line that could not be read
    bring_section(document, block, present, wanted)
    return []


def _keep_comment(block: Block, key: str) -> None:
    """Leave the comment behind a value where it is when the directive itself goes."""
    for item in block.items:
        if isinstance(item, Line) and item.key == key and item.kind == ASSIGNMENT:
            comment = item.values().comment
            if comment >= 0:
                indent = item.raw[: len(item.raw) - len(item.raw.lstrip())]
                item.raw = indent + item.raw[comment:]
                item.kind, item.key, item.args = BLANK, "", ()


def clean(text: str) -> str:
    """Give a text as a page shows it: bytes that are no UTF-8 cannot be shown."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _want(wanted: Section, block: Block, row: Directive, text: str) -> None:
    read = read_value(row, words_of(row, text))
    mask = MASK_OF.get(row.name)
    if mask is not None and read.prefix is not None:
        wanted.written[mask] = read.prefix
    elif mask is not None and block.find(mask) is None:
        wanted.written.pop(mask, None)  # it stood behind the address, and does not any more
    if read.value is None:
        wanted.written.pop(row.name, None)
    else:
        wanted.written[row.name] = read.value


def _drop(wanted: Section, block: Block, key: str) -> None:
    wanted.written.pop(key, None)
    mask = MASK_OF.get(key)
    if mask is not None and block.find(mask) is None:
        wanted.written.pop(mask, None)
