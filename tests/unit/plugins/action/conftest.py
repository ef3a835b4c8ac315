# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same kernel in memory as for the modules, which action plugins start.

Tests of action plugins stand apart from those of modules, since `ansible-test units` lets nothing
but `ansible.module_utils` be imported where modules are tested.
"""

from __future__ import annotations

from tests.unit.plugins.modules.conftest import memory

__all__ = ["memory"]
