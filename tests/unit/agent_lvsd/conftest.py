# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several files of tests of lvsd take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from piranha.lvsd import daemon as daemon_module

from .daemon_lab import Lab


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setattr(daemon_module, "LOOK", 0.2)
    made = Lab(tmp_path)
    yield made
    for backend in made.backends:
        backend.stop()
