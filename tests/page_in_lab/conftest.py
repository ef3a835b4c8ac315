# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets the tests here import what the demo uses of the lab, and Debian's Chromium."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.page.browser import chromium, contexts

__all__ = ["chromium", "contexts"]  # fixtures

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests/lab")]
