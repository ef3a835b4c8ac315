# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads lvs.cf from the disk and makes a layout of it, or says why that cannot be.

The only file of lvsd that opens lvs.cf; what is in it means what layout.py says. What did not
change since the last time costs next to nothing, and is the same objects. What names stand for is
handed in (see names.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from piranha.core.lvs_cf.config import Config
from piranha.core.lvs_cf.findings import ERROR
from piranha.core.lvs_cf.pieces import Reader, Reading

from .layout import Laid, Layout, LayoutError, layout


class Source:
    """One file, and what was read of it last."""

    def __init__(self, path: Path, reader: Reader | None = None) -> None:
        """Nothing is read before `read`. reader: one that may know the text already."""
        self._path = path
        self._reader = reader or Reader()
        self._laid = Laid()
        self._reading: Reading | None = None
        self._names: tuple[str, ...] = ()
        self._made: tuple[Config, dict[str, str], Layout] | None = None

    def read(self) -> tuple[str, ...]:
        """Read and check the file; gives the names in it that need addresses.

        LayoutError has a sentence for everything that is wrong.
        """
        path = self._path
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise LayoutError([f"{path}: cannot be read: {error.strerror}"]) from error
        except UnicodeDecodeError as error:
            raise LayoutError([f"{path}: is not UTF-8 text; save it as UTF-8"]) from error
        reading = self._reader.load(text, str(path))
        if self._reading is not None and reading.config is self._reading.config:
            return self._names
        wrong = [found.format(str(path)) for found in reading.findings if found.severity == ERROR]
        if wrong:
            raise LayoutError(wrong)
        if reading.config.globals.text("service") != "lvs":
            raise LayoutError(
                [
                    f"{path}: service is not lvs, so that lvsd has nothing to do; restart pulse"
                    " instead"
                ]
            )
        self._reading, self._names = reading, self._laid.names(reading.config)
        return self._names

    def layout(self, addresses: Mapping[str, str]) -> Layout:
        """Lay out what was read last; LayoutError. addresses: of the names that have one."""
        if self._reading is None:
            raise LayoutError([f"{self._path}: is not read yet"])
        config, known = self._reading.config, dict(addresses)
        if self._made is None or self._made[0] is not config or self._made[1] != known:
            made = layout(config, known, self._laid)
            made = replace(made, digest=self._reader.digest(self._reading))
            self._made = (config, known, made)
        return self._made[2]
