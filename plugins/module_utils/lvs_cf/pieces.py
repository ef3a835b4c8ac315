# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a text again where most of it is as it was: only blocks whose text changed are read.

Reader.load() means the same as api.load(), with the same findings, and gives no document. It cuts
the text behind each line that is nothing but a closing brace, and remembers what each piece meant.
Where a piece does not stand for itself (a mistake in its form, a comment that silences findings,
foreign line ends) the whole text is read by api.load(): a mistake is rare, and then costs as much
as ever. The rules between directives (check.py) are cheap and always looked at whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from . import api
from .check import check
from .config import Config, Failover, Section, SectionReader, Virtual, derive_block, derive_globals
from .data import block_digest, digest
from .directives import FAILOVER, GLOBAL, GLOBAL_TABLE, SERVER, VIRTUAL
from .document import ASSIGNMENT, Block, Line, parse
from .findings import ERROR, Finding, Place, in_order
from .silence import MARKER

_END = re.compile(r"^\}[ \t]*\n", re.MULTILINE)
_FIRST_BLOCK = re.compile(r"^(?:virtual|failover)[ \t]", re.MULTILINE)
_WHOLE_ONLY = ("\r", "\ufeff", MARKER)


class Reading(NamedTuple):
    """What a text means, and everything that is to be said about it, in its order."""

    config: Config
    findings: list[Finding]
    name: str

    @property
    def errors(self) -> list[Finding]:
        """The findings that forbid using the configuration."""
        return [found for found in self.findings if found.severity == ERROR]


class _Piece:
    """A part of the text that stands for itself, and the blocks in it."""

    __slots__ = ("blocks", "lines", "start", "text", "told")

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = text.count("\n")
        self.start = 0  # lines in front of it, which another piece may change
        self.blocks: list[Virtual] = []
        self.told: str | None = None  # the digest of its only block


class _Origin:
    """Where a section of a piece came from; the piece is parsed again if somebody asks."""

    __slots__ = ("path", "piece", "places")

    def __init__(self, piece: _Piece, path: tuple[int, ...]) -> None:
        self.piece = piece
        self.path = path
        self.places: dict[tuple[str, int], Place] | None = None  # there are thousands of these

    def locate(self, key: str, index: int = -1) -> Place:
        """The place of a directive, of one of its values, or of the section."""
        if self.places is None:
            self.places = {}
        place = self.places.get((key, index))
        if place is None:
            place = self.places[key, index] = self._block().locate(key, index)
        return place._replace(line=place.line + self.piece.start)

    def _block(self) -> Block:
        block = _parsed(self.piece.text)
        for number in self.path:
            block = _inner(block)[number]
        return block


@lru_cache(maxsize=1)
def _parsed(text: str) -> Block:
    """The last piece that was asked for: who asks once often asks for each server of a block."""
    return parse(text).root


def _inner(block: Block) -> list[Block]:
    return [item for item in block.items if isinstance(item, Block)]


class Reader:
    """Remembers the pieces of the last text that could be cut; nobody may change what it gives."""

    def __init__(self) -> None:
        """Nothing is known yet: the first text is read whole."""
        self._known: dict[str, _Piece] = {}
        self._network: object = None
        self._last: tuple[str, Reading] | None = None

    def load(self, text: str, name: str = "lvs.cf") -> Reading:
        """Read and check a text; see api.load. Blocks whose text is known are the same objects.

        The very text that was read last costs nothing.
        """
        if self._last is not None and self._last[0] == text:
            return self._last[1]._replace(name=name)
        reading = self._load(text, name)
        self._last = (text, reading)
        return reading

    def _load(self, text: str, name: str) -> Reading:
        with api.collector_at_rest():
            if not any(sign in text for sign in _WHOLE_ONLY):
                whole = _Run(self._known, self._network).load(text)
                if whole is not None:
                    self._known, self._network = whole.pieces, whole.network
                    return Reading(whole.config, in_order(whole.findings), name)
        loaded = api.load(text, name)
        return Reading(loaded.config, loaded.findings, name)

    def digest(self, reading: Reading) -> str:
        """The digest of a reading, as data.digest() gives it."""
        known = {id(piece.blocks[0]): piece for piece in self._known.values() if piece.blocks}

        def told(block: Virtual) -> str:
            piece = known.get(id(block))
            if piece is None or len(piece.blocks) > 1:
                return block_digest(block)
            if piece.told is None:
                piece.told = block_digest(block)
            return piece.told

        return digest(reading.config, digest_of=told)


class _Whole(NamedTuple):
    config: Config
    findings: list[Finding]
    pieces: dict[str, _Piece]
    network: object


class _Run:
    """One reading: what is known comes in, what will be known goes out."""

    def __init__(self, known: dict[str, _Piece], network: object) -> None:
        self.known = known
        self.network = network
        self.pieces: dict[str, _Piece] = {}
        self.reader = SectionReader()
        self.findings: list[Finding] = []

    def load(self, text: str) -> _Whole | None:
        """Read it; None where the text must be read whole."""
        start = 0
        top = Block(GLOBAL, "", None)
        blocks: list[tuple[Virtual, bool]] = []
        for part in _cut(text):
            piece = self.known.get(part)
            if piece is not None and part not in self.pieces:
                piece.start = start
                self.pieces[part] = piece
                blocks.extend((block, True) for block in piece.blocks)
            else:
                piece = self.piece(part, start, top)
                if piece is None:
                    return None
                blocks.extend((block, False) for block in piece.blocks)
            start += piece.lines
        config = Config(self.section(top))
        derive_globals(config)
        network = config.globals["network"]
        if network != self.network and any(known for _block, known in blocks):
            # What blocks mean follows from it, and whoever has them may still need what they meant.
            return _Run({}, None).load(text)
        for block, known in blocks:
            if isinstance(block, Failover):
                config.failover.append(block)
            else:
                config.virtual.append(block)
            if not known:
                derive_block(block, network)
        self.findings += check(config)
        return _Whole(config, self.findings, self.pieces, network)

    def piece(self, text: str, start: int, top: Block) -> _Piece | None:
        """Read a piece that is new; None where it does not stand for itself."""
        document = parse(text)
        if document.findings:
            return None
        piece = _Piece(text)
        piece.start = start
        has_globals = False
        for item in document.root.items:
            if isinstance(item, Line):
                has_globals = has_globals or item.kind == ASSIGNMENT
                item.number += start
                top.items.append(item)
        before = len(self.reader.findings)
        for number, block in enumerate(_inner(document.root)):
            if block.kind not in (VIRTUAL, FAILOVER):
                return None
            piece.blocks.append(self.block(piece, number, block))
        found = self.reader.findings[before:]
        del self.reader.findings[before:]
        self.findings += [one._replace(line=one.line + start) if one.line else one for one in found]
        if not found and not has_globals and text not in self.pieces:
            self.pieces[text] = piece
        return piece

    def section(self, top: Block) -> Section:
        section = self.reader.section(top, GLOBAL_TABLE)
        self.findings += self.reader.findings
        return section

    def block(self, piece: _Piece, number: int, block: Block) -> Virtual:
        name, settings, servers = self.reader.block(block)
        settings.origin = _Origin(piece, (number,))
        places = [place for place, item in enumerate(_inner(block)) if item.kind == SERVER]
        for place, server in zip(places, servers):
            server.settings.origin = _Origin(piece, (number, place))
        kind = Failover if block.kind == FAILOVER else Virtual
        return kind(name, settings, servers)


def _cut(text: str) -> Iterator[str]:
    """Cut the text behind closing braces at the beginning of a line, and before the first block."""
    first = _FIRST_BLOCK.search(text)
    position = first.start() if first else 0
    if position:
        yield text[:position]
    for match in _END.finditer(text, position):
        yield text[position : match.end()]
        position = match.end()
    if position < len(text):
        yield text[position:]
