# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Edit a document until it means a given configuration, and change no line beyond that.

A line whose value already means what is wanted stays as it is written. What is added follows
the file: its indentation, the blanks around `=`, the blank lines between blocks, its line ends.
Comments, unknown directives and unreadable lines stay. What the configuration should be is
decided elsewhere (merge.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Union

from . import directives as d
from .config import MASK_OF, Config, Section, Server, Virtual, read
from .directives import FAILOVER, SERVER, TABLES, VIRTUAL, Directive
from .document import ASSIGNMENT, BLANK, CLOSE, INDENT, OPEN, Block, Document, Line, header
from .lexer import BLANKS, cut
from .values import AddressDevice, Value, is_ipv6, write_value

_EQUALS = re.compile(r"([ \t]*)([^ \t=#{}\"']+)([ \t]*)=([ \t]*)")
_OWNER = {mask: address for address, mask in MASK_OF.items()}
_MOST_BLANK_LINES = 2  # between blocks; more is a page break, not a habit

Named = Union[Virtual, Server]


class _Spacing(NamedTuple):
    """The blanks around `=`; with a column, the `=` of a block stand below each other."""

    before: str
    after: str
    column: int | None


def bring(document: Document, wanted: Config) -> None:
    """Edit the document in place until it reads as `wanted`; derived values do not matter.

    Blocks are known by their names (the second of a name is the second there), and come into
    the order wanted. ValueError for a name or text that no line can hold; from_data() refuses
    those.
    """
    present, _findings = read(document)
    editor = _Editor(document)
    editor.section(document.root, present.globals, wanted.globals)
    editor.blocks(document.root, VIRTUAL, present.virtual, wanted.virtual)
    editor.blocks(document.root, FAILOVER, present.failover, wanted.failover)
    editor.finish()


def bring_section(document: Document, block: Block, present: Section, wanted: Section) -> None:
    """bring() for the directives of one block alone, where it is known what else stays."""
    editor = _Editor(document)
    editor.section(block, present, wanted)
    editor.finish()


def insert_block(document: Document, parent: Block, kind: str, name: str) -> Block:
    """Add an empty block behind the last one of its kind, set apart as the others are."""
    editor = _Editor(document)
    before = parent.blocks(kind)
    gap = editor.gap(parent, kind)
    made = editor.add_block(parent, kind, name, before[-1] if before else None, gap)
    editor.finish()
    return made


def take_block(document: Document, parent: Block, block: Block) -> None:
    """Remove a block and the blank lines that set it apart; comments around it stay."""
    _Editor(document).remove_block(parent, block)


class _Editor:
    """One run over one document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.end = document.line_end()
        self.closed = False
        self.habits: dict[str, _Spacing] = {}
        self.steps: dict[str, str] = {}  # kind of block -> what its contents are indented by

    def finish(self) -> None:
        """Give an end to a line that had none since it was the last one, and is not any more."""
        lines = list(self.document.root.lines())
        for line in lines[:-1]:
            line.end = line.end or self.end

    # -- directives

    def section(self, block: Block, present: Section, wanted: Section) -> None:
        """Bring the directives of one block to the values wanted."""
        done = self.prefixes(block, present, wanted)
        for key in present.written:
            if key not in wanted.written and key not in done:
                self.document.remove(block, key)
        for key, row in wanted.table.rows.items():
            if key in done or key not in wanted.written:
                continue
            value = wanted.written[key]
            # A mask that a prefix length set has no line, and goes with its address.
            stands = key in present.written and block.find(key) is not None
            if not stands or present.written[key] != value:
                self.set(block, row, value, wanted)

    def prefixes(self, block: Block, present: Section, wanted: Section) -> set[str]:
        """Addresses written with a prefix length, which sets the mask; gives the keys done."""
        done: set[str] = set()
        for key, mask in MASK_OF.items():
            line = block.find(key) if key in present.written else None
            if line is None or "/" not in line.args[0] or key not in wanted.written:
                continue
            before = (present.written[key], present.written.get(mask))
            address, prefix = wanted.written[key], wanted.written.get(mask)
            own_line = block.find(mask) is not None
            if before != (address, prefix):
                words = write_value(present.table.rows[key], address)
                if isinstance(prefix, int) and not own_line:
                    text, blank, device = words.partition(" ")
                    words = f"{text}/{prefix}{blank}{device}"
                self.document.set(block, key, words)
            done.add(key)
            if not own_line:
                done.add(mask)
        return done

    def set(self, block: Block, row: Directive, value: Value, section: Section) -> None:
        """Write one directive: into its line if there is one, else into a line of its own."""
        if value is None:
            return
        line = block.find(row.name)
        words = write_value(row, value, _is_ipv6_mask(row, section))
        if line is None:
            self.add(block, row.name, words)
            return
        old = line.values().tokens
        if len(old) == 1 and row.kind == d.MASK and old[0].text.startswith("/"):
            words = f"/{value}"
        elif len(old) == 1 and old[0].quote and isinstance(value, (str, int)):
            text = value if isinstance(value, str) else words
            same = f"{old[0].quote}{text}{old[0].quote}"
            read = cut(same, 0).tokens
            if len(read) == 1 and read[0].text == text:  # else the text has such a quote in it
                self.document.set(block, row.name, same)
                return
        self.document.set(block, row.name, words)

    def add(self, block: Block, key: str, words: str) -> None:
        """Add an assignment behind the block's last one, in front of its inner blocks."""
        indent = self.inner_indent(block)
        spacing = self.spacing(block)
        before = spacing.before
        if spacing.column is not None:
            before = " " * max(len(before), spacing.column - len(indent) - len(key))
        raw = f"{indent}{key}{before}={spacing.after}{words}"
        values = cut(raw, len(indent) + len(key) + len(before) + 1)
        args = tuple(token.text for token in values.tokens)
        line = Line(raw, self.end, 0, ASSIGNMENT, key, args)
        position = None
        for index, item in enumerate(block.items):
            if isinstance(item, Block):
                break
            if item.kind == ASSIGNMENT:
                position = index + 1
        if position is not None:
            block.items.insert(position, line)
            return
        first = next((item for item in block.items if isinstance(item, Block)), None)
        if first is not None:
            start = _unit(block, first)[0]
            block.items[start:start] = [line, self.blank()]
            return
        end = _end_of_text(block)
        above = [self.blank()] if end and block.open is None else []
        block.items[end:end] = [*above, line]

    # -- blocks

    def blocks(
        self, parent: Block, kind: str, present: Sequence[Named], wanted: Sequence[Named]
    ) -> None:
        """Bring the blocks of one kind inside a parent to those wanted, in their order."""
        waiting: dict[str, list[tuple[Block, Named]]] = {}
        for block, meaning in zip(parent.blocks(kind), present):
            waiting.setdefault(meaning.name, []).append((block, meaning))
        pairs: list[tuple[Named, Block | None, Named | None]] = []
        for target in wanted:
            same = waiting.get(target.name)
            block_of, meaning_of = same.pop(0) if same else (None, None)
            pairs.append((target, block_of, meaning_of))
        gap = self.gap(parent, kind) if wanted else 0  # as it is before blocks go
        for left in waiting.values():
            for block, _meaning in left:
                self.remove_block(parent, block)
        self.reorder(parent, kind, [block for _target, block, _meaning in pairs if block])
        previous: Block | None = None
        for target, found, there in pairs:
            previous = found or self.add_block(parent, kind, target.name, previous, gap)
            self.contents(previous, kind, there, target)

    def contents(self, block: Block, kind: str, present: Named | None, wanted: Named) -> None:
        """Bring what stands in one block to what is wanted."""
        settings = present.settings if present else Section(TABLES[kind])
        self.section(block, settings, wanted.settings)
        if isinstance(wanted, Virtual):
            servers = present.servers if isinstance(present, Virtual) else []
            self.blocks(block, SERVER, servers, wanted.servers)

    def remove_block(self, parent: Block, block: Block) -> None:
        """Remove a block and the blank lines that set it apart; comments around it stay."""
        items = parent.items
        stop = next(at for at, item in enumerate(items) if item is block) + 1
        start = stop - 1
        if stop == len(items) or _is_empty(items[stop]):
            while start > 0 and _is_empty(items[start - 1]):
                start -= 1
        while start == 0 and stop < len(items) and _is_empty(items[stop]):
            stop += 1
        del items[start:stop]

    def reorder(self, parent: Block, kind: str, wanted: list[Block]) -> None:
        """Put blocks into another order; each takes the comment right above it along."""
        present = parent.blocks(kind)
        if all(block is other for block, other in zip(present, wanted)):
            return
        self.close_all()
        units = {id(block): _unit(parent, block) for block in present}
        slots = [units[id(block)] for block in present]
        pieces = [parent.items[slice(*units[id(block)])] for block in wanted]
        for (start, stop), piece in reversed(list(zip(slots, pieces))):
            parent.items[start:stop] = piece

    def add_block(
        self, parent: Block, kind: str, name: str, previous: Block | None, gap: int
    ) -> Block:
        """Add an empty block behind the previous one of its kind, or in front of the first."""
        self.close_all()
        outer = self.block_indent(parent, kind)
        opening = Line(header(outer, kind, name), self.end, 0, OPEN, kind, (name,))
        block = Block(kind, name, opening)
        block.close = Line(outer + "}", self.end, 0, CLOSE, "", ())
        first = next(iter(parent.blocks(kind)), None)
        if previous is None and first is not None:
            start = _unit(parent, first)[0]
            parent.items[start:start] = [block, *(self.blank() for _line in range(gap))]
            return block
        position = _end_of_text(parent) if previous is None else _unit(parent, previous)[1]
        if position == 0:
            gap = 0
        parent.items[position:position] = [*(self.blank() for _line in range(gap)), block]
        return block

    def close_all(self) -> None:
        """Give closing braces to blocks that the end of the file closed."""
        if not self.closed:
            self.closed = True
            self.close(self.document.root)

    def close(self, parent: Block) -> None:
        for item in parent.items:
            if isinstance(item, Block):
                self.close(item)
                if item.close is None:
                    outer = _leading(item.open.raw) if item.open else ""
                    item.close = Line(outer + "}", self.end, 0, CLOSE, "", ())

    # -- the file's habits

    def blank(self) -> Line:
        return Line("", self.end, 0, BLANK, "", ())

    def everywhere(self, kind: str) -> Iterator[tuple[Block, Block]]:
        """Every block of a kind, each behind its parent."""
        root = self.document.root
        parents = root.blocks(VIRTUAL) + root.blocks(FAILOVER) if kind == SERVER else [root]
        for parent in parents:
            for block in parent.blocks(kind):
                yield parent, block

    def inner_indent(self, block: Block) -> str:
        """The indentation of what stands in a block: as there, or as in others, or usual."""
        if block.open is None:
            first = next((item for item in block.items if _is_assignment(item)), None)
            return _leading(first.raw) if isinstance(first, Line) else ""
        found = _inner(block)
        if found is not None:
            return found
        outer = _leading(block.open.raw)
        if block.kind not in self.steps:
            self.steps[block.kind] = self.step(block.kind)
        return outer + self.steps[block.kind]

    def step(self, wanted: str) -> str:
        """What the contents of blocks of a kind, or of any, are indented by beyond their header."""
        for kind in (wanted, VIRTUAL, FAILOVER, SERVER):
            for _parent, other in self.everywhere(kind):
                inner = _inner(other)
                around = _leading(other.open.raw) if other.open else ""
                if inner is not None and inner.startswith(around):
                    return inner[len(around) :]
        return INDENT

    def block_indent(self, parent: Block, kind: str) -> str:
        """The indentation of a new block's header."""
        for sibling in reversed(parent.blocks(kind)):
            if sibling.open is not None:
                return _leading(sibling.open.raw)
        return self.inner_indent(parent) if parent.open is not None else ""

    def gap(self, parent: Block, kind: str) -> int:
        """How many blank lines stand in front of a block of this kind, here or elsewhere."""
        for block in reversed(parent.blocks(kind)[1:]):
            return _blank_lines_above(parent, block)
        for around, block in self.everywhere(kind):
            count = _blank_lines_above(around, block)
            if count or kind == SERVER:  # a file may well begin with a virtual server
                return count
        return 1

    def spacing(self, block: Block) -> _Spacing:
        """The blanks around `=` in this block, or in others of its kind, or anywhere."""
        found = _spacing(block.items)
        if found is not None:
            return found
        if block.kind not in self.habits:
            others = [
                item for _parent, other in self.everywhere(block.kind) for item in other.items
            ]
            found = _spacing(others) or _spacing(self.document.root.lines())
            self.habits[block.kind] = found or _Spacing(" ", " ", None)
        return self.habits[block.kind]


def _spacing(items: Iterable[object]) -> _Spacing | None:
    matches = []
    for item in items:
        match = _EQUALS.match(item.raw) if isinstance(item, Line) else None
        if match and _is_assignment(item):
            matches.append(match)
    if not matches:
        return None
    before, after = matches[-1].group(3, 4)
    column, _count = Counter(match.end(3) for match in matches).most_common(1)[0]
    aligned = [match for match in matches if match.end(3) == column]
    lengths = {len(match.group(2)) for match in aligned}
    if len(lengths) > 1 and len(aligned) * 2 > len(matches):
        return _Spacing(min(match.group(3) for match in aligned), after, column)
    return _Spacing(before, after, None)


def _is_assignment(item: object) -> bool:
    return isinstance(item, Line) and item.kind == ASSIGNMENT


def _is_empty(item: object) -> bool:
    return isinstance(item, Line) and item.kind == BLANK and not item.raw.strip(BLANKS)


def _is_comment(item: object) -> bool:
    return isinstance(item, Line) and item.kind == BLANK and bool(item.raw.strip(BLANKS))


def _leading(raw: str) -> str:
    return raw[: len(raw) - len(raw.lstrip(BLANKS))]


def _inner(block: Block) -> str | None:
    """The indentation of the first thing in a block; None in an empty one."""
    for item in block.items:
        line = item if isinstance(item, Line) else item.open
        if line is not None and line.kind in (ASSIGNMENT, OPEN):
            return _leading(line.raw)
    return None


def _unit(parent: Block, block: Block) -> tuple[int, int]:
    """Where a block stands in its parent, the comment right above it included."""
    index = next(at for at, item in enumerate(parent.items) if item is block)
    start = index
    while start > 0 and _is_comment(parent.items[start - 1]):
        start -= 1
    return start, index + 1


def _blank_lines_above(parent: Block, block: Block) -> int:
    """How many empty lines set a block and its comment apart; not more than are a habit."""
    start = _unit(parent, block)[0]
    count = 0
    while count < min(start, _MOST_BLANK_LINES) and _is_empty(parent.items[start - count - 1]):
        count += 1
    return count


def _end_of_text(block: Block) -> int:
    """The position behind the last thing in a block that is no empty line."""
    position = len(block.items)
    while position > 0 and _is_empty(block.items[position - 1]):
        position -= 1
    return position


def _is_ipv6_mask(row: Directive, section: Section) -> bool:
    if row.kind != d.MASK:
        return False
    address = section.written.get(_OWNER.get(row.name, "address"))
    return isinstance(address, AddressDevice) and is_ipv6(address.address)
