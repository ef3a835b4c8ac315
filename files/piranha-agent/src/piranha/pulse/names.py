# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of pulse's files in its run folder; nothing else."""

from __future__ import annotations

SOCKET = "control.sock"
LOCK = "pulse.lock"
CONFIG_IN_FORCE = "lvs.cf"
