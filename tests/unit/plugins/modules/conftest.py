# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel in memory for the modules about the IPVS table, which have none of their own here."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils._module import ipvs_owner, ipvs_work
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.kernel import Kernel

from tests.unit.plugins.module_utils.ipvs.memory import MemoryPort


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MemoryPort:
    """The table that the modules find, on a machine where no agent runs."""
    port = MemoryPort()
    monkeypatch.setattr(ipvs_work, "open_kernel", lambda: Kernel(port=port))
    monkeypatch.setattr(ipvs_owner, "RUN_DIR", tmp_path)
    return port
