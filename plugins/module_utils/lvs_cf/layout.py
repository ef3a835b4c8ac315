# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A document in even layout: indentation, spacing and line ends; comments and order stay.

Unlike config.write() this keeps every line and every value as it is written.
"""

from __future__ import annotations

from collections.abc import Iterator

from .document import ASSIGNMENT, BLANK, CLOSE, INDENT, Block, Document, Line, header
from .lexer import BLANKS, CLOSING_BRACE, cut


def tidy(document: Document) -> str:
    """The document's text in even layout, without trailing blanks and repeated blank lines.

    A block that the file's end closes gets its brace. Lines that cannot be read stay as they are.
    """
    lines = list(_block(document.root, ""))
    kept: list[str] = []
    for line in lines:
        if line or (kept and kept[-1]):
            kept.append(line)
    while kept and not kept[-1]:
        kept.pop()
    return "".join(f"{line}\n" for line in kept)


def _block(block: Block, indent: str) -> Iterator[str]:
    for item in block.items:
        if isinstance(item, Line):
            yield _line(item, indent)
            continue
        yield _opening(item, indent)
        yield from _block(item, indent + INDENT)
        yield _closing(item.close, indent)


def _line(line: Line, indent: str) -> str:
    bare = line.raw.strip(BLANKS)
    if line.kind == BLANK:
        return f"{indent}{bare}" if bare else ""
    if line.kind != ASSIGNMENT:
        return line.raw
    values = line.values()
    words = " ".join(line.raw[token.start : token.end] for token in values.tokens)
    return _with_comment(f"{indent}{line.key} = {words}", line.raw, values.comment)


def _opening(block: Block, indent: str) -> str:
    line = block.open
    if line is None:
        return ""
    bare = line.raw.lstrip(BLANKS)
    if not bare.startswith(block.kind):  # a misspelt keyword
        return line.raw
    try:
        text = header(indent, block.kind, block.name)
    except ValueError:  # a name that only a broken file can have
        return line.raw
    start = len(line.raw) - len(bare) + len(block.kind)
    return _with_comment(text, line.raw, cut(line.raw, start).comment)


def _closing(line: Line | None, indent: str) -> str:
    if line is None or line.kind != CLOSE:
        return indent + "}"
    match = CLOSING_BRACE.match(line.raw)
    rest = line.raw[match.end() :].strip(BLANKS) if match else ""
    return f"{indent}}} {rest}" if rest else indent + "}"


def _with_comment(text: str, raw: str, comment: int) -> str:
    return f"{text}  {raw[comment:].rstrip(BLANKS)}" if comment >= 0 else text
