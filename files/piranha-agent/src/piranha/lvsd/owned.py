# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which virtual services in the kernel are lvsd's, remembered across restarts in owned.json.

Reads and writes that one file; decides nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from piranha import files
from piranha.core.ipvs.errors import IpvsError
from piranha.core.ipvs.model import ServiceKey

NAME = "owned.json"


class OwnedError(Exception):
    """The file cannot be read or written; the text says why and what follows."""


class Owned:
    """The file in the agent's folder below /run."""

    def __init__(self, run_dir: Path) -> None:
        """`run_dir` exists and only we can write to it."""
        self._path = run_dir / NAME
        self._saved: frozenset[ServiceKey] | None = None

    def load(self) -> frozenset[ServiceKey]:
        """Give the services remembered; none where there is no file yet. OwnedError."""
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
            keys = frozenset(ServiceKey(**entry) for entry in data["services"])
        except FileNotFoundError:
            return frozenset()
        except (OSError, ValueError, KeyError, TypeError, IpvsError) as error:
            raise OwnedError(
                f"{self._path}: cannot be read ({error}); services that have left lvs.cf "
                "meanwhile stay in the table until somebody removes them"
            ) from error
        self._saved = keys
        return keys

    def save(self, keys: Collection[ServiceKey]) -> None:
        """Remember `keys` in place of what was remembered; whole or not at all. OwnedError."""
        wanted = frozenset(keys)
        if wanted == self._saved:
            return
        data = {"services": [key._asdict() for key in sorted(wanted)]}
        try:
            files.replace(self._path, json.dumps(data) + "\n")
        except OSError as error:
            raise OwnedError(
                f"{self._path}: cannot be written ({error.strerror}); after a restart lvsd would "
                "not know services that have left lvs.cf as its own"
            ) from error
        self._saved = wanted
