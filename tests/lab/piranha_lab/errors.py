# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error that the lab shows to its user."""

from __future__ import annotations


class LabError(Exception):
    """Why the lab cannot do what was asked: sentences with place, reason and remedy."""
