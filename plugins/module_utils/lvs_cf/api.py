# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The front door of the library: text or data in, configuration and findings out.

Reads and writes no file; callers bring the bytes.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from .check import check
from .classic import line_ends, refusals
from .config import Config, read, write
from .data import Built, digest, from_data, to_data
from .directives import CLASSIC, EXTENDED
from .document import Document, parse
from .findings import ERROR, Finding, in_order, of_host
from .silence import MARKER, heed

__all__ = [
    "CLASSIC",
    "EXTENDED",
    "Built",
    "Loaded",
    "decode",
    "digest",
    "encode",
    "from_data",
    "load",
    "to_data",
    "write",
]


class Loaded(NamedTuple):
    """A text, what it means, and everything that is to be said about it, in its order."""

    document: Document
    config: Config
    findings: list[Finding]
    name: str

    @property
    def errors(self) -> list[Finding]:
        """The findings that forbid using the configuration."""
        return [found for found in self.findings if found.severity == ERROR]

    def report(self) -> list[str]:
        """The findings, one line each."""
        return [found.format(self.name) for found in self.findings]


def load(text: str, name: str = "lvs.cf", dialect: str = EXTENDED) -> Loaded:
    """Parse, read and check a text. Never fails; what is wrong stands in the findings.

    `dialect` is `extended` or `classic`; classic means the same and adds an error for each line
    that Piranha 0.8.6 refused, unless the line has one already.
    """
    if dialect not in (CLASSIC, EXTENDED):
        raise ValueError(f"{dialect!r} is no dialect of lvs.cf; there are classic and extended")
    with collector_at_rest():
        document = parse(text)
        config, findings = read(document)
        everything = document.findings + findings + check(config)
    if "\r" in text:
        everything += line_ends(document, dialect)
    if dialect == CLASSIC:
        named = {found.line for found in everything if found.severity == ERROR}
        everything += [found for found in refusals(document) if found.line not in named]
    if MARKER in text:
        everything = heed(document, everything, lambda code: not of_host(code))
    return Loaded(document, config, in_order(everything), name)


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Keep Python's cyclic collector from running meanwhile.

    Everything that is made is kept, so it would find nothing; and as it looks at all that is there
    again and again, a large file would cost more than its share: 4,000 virtual servers with 16
    servers each took twice as long, 1,000 a third longer.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def decode(data: bytes) -> str:
    """The text of a file's bytes. Bytes that are not UTF-8 survive and encode() restores them."""
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """The way back from decode()."""
    return text.encode("utf-8", "surrogateescape")
