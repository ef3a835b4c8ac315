# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of what the web page changed: who, when, why, and the text before; a folder of files.

NUMBER.json is an entry, NUMBER.cf the text before that change. Bounded in number; the oldest go.
Nothing in it is ever run or read by anything but the editor, and only root may look at it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from piranha.core.lvs_cf.api import decode
from piranha.files import replace
from piranha.gui.protocol import Entry

KEPT = 100
"""Entries; a file of 1,000 services of 16 servers takes 1.5 MB each time."""

DIFFERENCES = 50
"""Sentences of the difference that an entry keeps."""


class NoEntry(Exception):
    """There is no such entry; the text is one sentence."""


class History:
    """The entries in `folder`, which must be there; at most `kept` of them."""

    def __init__(self, folder: Path, kept: int = KEPT) -> None:
        self._folder, self._kept = folder, kept

    def entries(self) -> list[Entry]:
        """Give them, the newest first. A file that is no entry is passed over."""
        found = []
        for number in sorted(self._numbers(), reverse=True):
            entry = self._read(number)
            if entry is not None:
                found.append(entry)
        return found

    def next_number(self) -> int:
        """Give the number of the next entry."""
        return max(self._numbers(), default=0) + 1

    def add(self, entry: Entry, text_before: str) -> None:
        """Keep an entry; one of the same number is replaced."""
        replace(self._folder / f"{entry.number}.cf", text_before, durable=True)
        self.note(entry)
        for number in sorted(self._numbers(), reverse=True)[self._kept :]:
            # The entry first: without it nobody looks for the text.
            (self._folder / f"{number}.json").unlink(missing_ok=True)
            (self._folder / f"{number}.cf").unlink(missing_ok=True)

    def note(self, entry: Entry) -> None:
        """Write the entry itself, once more where its outcome is known."""
        data = json.dumps(asdict(entry), indent=1, sort_keys=True) + "\n"
        replace(self._folder / f"{entry.number}.json", data, durable=True)

    def text_before(self, number: int) -> str:
        """Give the text before a change; NoEntry."""
        try:
            return decode((self._folder / f"{number:d}.cf").read_bytes())
        except OSError:
            raise NoEntry(
                f"the history has no entry {number}; the newest {self._kept} are kept"
            ) from None

    def author_of(self, digest: str) -> Entry | None:
        """Give the newest entry whose change led to that text."""
        return next((one for one in self.entries() if one.after == digest), None)

    def _numbers(self) -> Iterator[int]:
        for path in self._folder.glob("*.json"):
            if path.stem.isascii() and path.stem.isdigit():
                yield int(path.stem)

    def _read(self, number: int) -> Entry | None:
        try:
            data = json.loads((self._folder / f"{number}.json").read_bytes())
            return Entry(**data)
        except (OSError, ValueError, TypeError):
            return None
