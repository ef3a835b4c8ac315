# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes that somebody has made on the page and not written yet. Pure.

A draft is a list of edits upon a text with a digest. So it can be laid upon another text when
somebody else was quicker, and says which of the edits do not fit there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .edits import Edit, Replace, apply

MOST_EDITS = 500
"""Edits in one draft; more is a rewrite, which the view of the whole file is for."""


@dataclass
class Draft:
    """The text it is based on, that text's digest (pulse's word for it), and the edits."""

    digest: str
    base: str
    text: str
    edits: list[Edit] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether it changes nothing."""
        return self.text == self.base

    def add(self, edits: list[Edit]) -> list[str]:
        """Take further edits; gives sentences about those that cannot be made, and then none is."""
        if len(self.edits) + len(edits) > MOST_EDITS:
            return [f"there are {len(self.edits)} changes already; apply them first"]
        text, faults = apply(self.text, edits)
        if not faults:
            self.text = text
            self.edits += edits
        return [fault.sentence for fault in faults]

    def undo(self) -> bool:
        """Take the last edit back; tells whether there was one."""
        if not self.edits:
            return False
        self.edits.pop()
        self.text, _faults = apply(self.base, self.edits)
        return True

    def onto(self, digest: str, text: str) -> tuple[Draft, list[str]]:
        """Give the same edits upon another text, and sentences about those left out."""
        moved = Draft(digest, text, text)
        left = []
        for edit in self.edits:
            if isinstance(edit, Replace):
                left.append("the text of the whole file, as it was typed")
                continue
            faults = moved.add([edit])
            if faults:
                left.append(f"{edit.told()} ({'; '.join(faults)})")
        return moved, left
