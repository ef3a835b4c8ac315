# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps what somebody has changed on the page and not written yet, so that it outlives the page.

A text for each user, in a folder that only root may look at. What it means is the page's to know:
it is never read here, and nothing of it gets into lvs.cf but through a write like any other.
Bounded in size and number; the oldest go.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from piranha.files import replace

MOST = 50
LARGEST = 1024 * 1024
"""Characters; forms come to some hundred bytes each, a whole file that was typed to its size."""


class TooLarge(Exception):
    """It is not kept; the text is one sentence."""


class Drafts:
    """The texts in `folder`, which is made when it is needed."""

    def __init__(self, folder: Path, most: int = MOST) -> None:
        self._folder, self._most = folder, most

    def get(self, user: str) -> str:
        """Give what was kept for a user; empty if nothing was."""
        try:
            return self._path(user).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return ""

    def put(self, user: str, text: str) -> None:
        """Keep a text in the place of the one before, or forget it; TooLarge, OSError."""
        path = self._path(user)
        if not text:
            path.unlink(missing_ok=True)
            return
        if len(text) > LARGEST:
            path.unlink(missing_ok=True)  # an older one would come back in its place
            raise TooLarge(f"the changes take more than {LARGEST} characters, so they are not kept")
        self._folder.mkdir(mode=0o700, exist_ok=True)
        replace(path, text)
        found = sorted(self._folder.glob("*.draft"), key=lambda one: one.stat().st_mtime)
        for old in found[: -self._most]:
            old.unlink(missing_ok=True)

    def _path(self, user: str) -> Path:
        digest = sha256(user.encode("utf-8", "surrogatepass")).hexdigest()
        return self._folder / f"{digest}.draft"
