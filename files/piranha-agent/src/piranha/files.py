# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts a text where a file is, whole or not at all: for all that the agent leaves for itself.

The user's own lvs.cf keeps its owner and mode; `piranha config format` writes that one.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

PUBLIC = 0o644


def replace(path: Path, text: str, *, durable: bool = False, public: bool = False) -> None:
    """Replace the file, for our eyes only (0600); OSError leaves the old one.

    The text goes into a file of a name that nobody can know before, and that becomes `path`.
    durable: it survives a loss of power. public: all may read it (0644).
    """
    descriptor, name = tempfile.mkstemp(prefix=path.name + ".", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            if public:
                os.fchmod(file.fileno(), PUBLIC)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(name).replace(path)
        if durable:
            _sync_folder(path.parent)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
