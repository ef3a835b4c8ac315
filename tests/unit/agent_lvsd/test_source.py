# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""lvs.cf as lvsd reads it: not again what pulse has read."""

from __future__ import annotations

from pathlib import Path

import pytest
from piranha.lvsd.layout import LayoutError
from piranha.lvsd.source import Source
from piranha.pulse import reading, settings

from .support import GLOBALS, WEB


def test_what_pulse_has_read_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "lvs.cf"
    path.write_text(GLOBALS + WEB, encoding="utf-8")
    settings.load(path)
    (known,) = reading.load(path.read_text(encoding="utf-8")).config.virtual
    for reader, same in ((reading.READER, True), (None, False)):
        source = Source(path, reader)
        source.read()
        assert source._reading is not None
        assert (source._reading.config.virtual[0] is known) is same


def test_a_mistake_names_the_file_whoever_read_it_before(tmp_path: Path) -> None:
    path = tmp_path / "lvs.cf"
    path.write_text(GLOBALS + WEB.replace("port = ", "prot = "), encoding="utf-8")
    reading.load(path.read_text(encoding="utf-8"))
    with pytest.raises(LayoutError, match=str(path)):
        Source(path, reading.READER).read()
