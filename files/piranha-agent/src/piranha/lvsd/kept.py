# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators' overrides in a file that outlives lvsd, the agent and a reboot of the router.

Reads and writes that one file; what is in it means what overrides.py says.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from piranha import files
from piranha.core.ipvs.errors import IpvsError

from .overrides import Rules, from_data, to_data

NAME = "overrides.json"
RUN_DIR = Path("/run/piranha")
STATE_DIR = Path("/var/lib/piranha")


class KeptError(Exception):
    """The file cannot be read or written; the text says why and what follows."""


def state_dir(run_dir: Path) -> Path:
    """Give the folder that outlives a reboot.

    The service manager names it (`StateDirectory=`); without one it is /var/lib/piranha for the
    agent in /run/piranha, and the run folder itself for any other, which has no place of its own.
    """
    named = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if named:
        return Path(named)
    return STATE_DIR if run_dir == RUN_DIR else run_dir


class Kept:
    """The file in the agent's state folder, which only root can write to."""

    def __init__(self, folder: Path) -> None:
        """Nothing is read yet."""
        self.path = folder / NAME

    def load(self) -> Rules:
        """Give what was kept; nothing where there is no file. KeptError sets a bad file aside."""
        try:
            return from_data(json.loads(self.path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return Rules()
        except (OSError, ValueError, KeyError, TypeError, IpvsError) as error:
            aside = self.path.with_suffix(".unreadable")
            try:
                self.path.replace(aside)
                where = f"it is {aside} now"
            except OSError:
                where = "it stays there"
            raise KeptError(
                f"{self.path}: cannot be read ({error}); {where}, and no real server is drained "
                "or disabled any more: say again which shall be"
            ) from error

    def save(self, rules: Rules) -> None:
        """Keep `rules` in place of what was kept; whole or not at all. KeptError."""
        try:
            if self.path.parent == STATE_DIR:
                STATE_DIR.mkdir(mode=0o750, exist_ok=True)
            files.replace(self.path, json.dumps(to_data(rules)) + "\n", durable=True)
        except OSError as error:
            raise KeptError(
                f"{self.path}: cannot be written ({error.strerror}); an order that a restart "
                "would forget is not taken, nothing has changed"
            ) from error
