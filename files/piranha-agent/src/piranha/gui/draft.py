# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes that somebody has made on the page and not written yet. Pure.

A draft is a list of edits upon a text with a digest. So it can be laid upon another text when
somebody else was quicker, and says which of the edits do not fit there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from piranha.core.lvs_cf.directives import SERVER

from .edits import Add, Copy, Delete, Edit, Rename, Replace, Set, Where, apply

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
        """Give the same edits upon another text, and sentences about those left out.

        What was meant for a block that cannot be made there is left out with it: there may be one
        of the same name, which is somebody else's.
        """
        moved = Draft(digest, text, text)
        left: list[str] = []
        never: list[Where] = []
        for edit in self.edits:
            if isinstance(edit, Replace):
                left.append("the text of the whole file, as it was typed")
                continue
            faults = []
            if not any(_within(edit.where, one) for one in never):
                faults = moved.add([edit])
                if not faults:
                    continue
            left.append(edit.told() + (f" ({'; '.join(faults)})" if faults else ""))
            made = _made(edit)
            if made is not None:
                never.append(made)
        return moved, left


def _made(edit: Set | Add | Copy | Delete | Rename) -> Where | None:
    """The block that an edit brings about under a new name."""
    if isinstance(edit, Set | Delete):
        return None
    if isinstance(edit, Add) and edit.kind != SERVER:
        return Where(edit.kind, edit.name)
    if isinstance(edit, Add) or edit.where.server:
        return edit.where._replace(server=edit.name, server_nth=1)
    return edit.where._replace(name=edit.name, nth=1)


def _within(where: Where, block: Where) -> bool:
    """Whether it is that block or a part of it."""
    same = (where.kind, where.name) == (block.kind, block.name)
    return same and block.server in ("", where.server)
