# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of programs that the web page may choose from: looks at it, runs nothing.

A file is fit if nobody but root can have put it there or can change it: it, its folder and every
folder above are root's and not writable by others, and it is no link.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path

from piranha.gui.protocol import Program
from piranha.nanny.program import unsafe

ROOT = frozenset({0})
MOST = 500
"""Files that are looked at."""

_PLAIN = re.compile(r"[A-Za-z0-9_./+@:-]+")
"""A path that can stand in lvs.cf as one word without a quote."""


def offered(folder: Path, trusted: frozenset[int] = ROOT) -> list[Program]:
    """Give the files of the folder in their order; trusted: user ids that count as root."""
    try:
        names = sorted(path.name for path in folder.iterdir())[:MOST]
        above = _above(folder, trusted)
    except OSError:
        return []
    found = []
    for name in names:
        path = folder / name
        why = above or _why_not(path, trusted)
        found.append(Program(str(path), not why, why))
    return found


def _above(folder: Path, trusted: frozenset[int]) -> str:
    for part in (folder, *folder.absolute().parents):
        status = part.lstat()
        if stat.S_ISLNK(status.st_mode):
            return f"{part} is a link"
        reason = unsafe(status, trusted)
        if reason:
            return f"{part} {reason}"
    return ""


def _why_not(path: Path, trusted: frozenset[int]) -> str:
    try:
        status = path.lstat()
    except OSError as why:
        return f"cannot be looked at: {why.strerror}"
    if not _PLAIN.fullmatch(str(path)):
        return "its name has characters that cannot stand in lvs.cf without quotes"
    if not stat.S_ISREG(status.st_mode):
        return "is not a plain file"
    reason = unsafe(status, trusted)
    if reason:
        return reason
    if not status.st_mode & stat.S_IXUSR:
        return "is not executable"
    return ""
