# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent of a Linux Virtual Server router: pulse, its heart, lvsd and the command line."""

from __future__ import annotations

__version__ = "0.1.0"
