# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""lvs.cf as lvsd reads it: not again what pulse has read."""

from __future__ import annotations

from pathlib import Path

import pytest
from piranha.lvsd import child
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


def test_what_pulse_has_laid_out_is_not_laid_out_again(tmp_path: Path) -> None:
    path = tmp_path / "lvs.cf"
    path.write_text(GLOBALS + WEB, encoding="utf-8")
    child.prepare(path)
    source = child.source_of(path)
    known = source.layout({})
    assert source.read() == ()
    assert source.layout({}) is known
    # Another address of a name, and another text, are another layout.
    assert source.layout({"name.example": "192.0.2.9"}) is not known
    path.write_text(GLOBALS + WEB.replace("weight = 3", "weight = 5"), encoding="utf-8")
    source.read()
    assert source.layout({}).digest != known.digest


def test_a_configuration_that_cannot_be_prepared_is_lvsd_s_to_refuse(tmp_path: Path) -> None:
    path = tmp_path / "lvs.cf"
    path.write_text("nonsense {\n", encoding="utf-8")
    child.prepare(path)
    child.prepare(tmp_path / "missing")
    with pytest.raises(LayoutError):
        child.source_of(path).read()
