# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the table of directives about a virtual server's pool: too few servers, slow start.

Data only. What they mean is in the agent's pool.py; the rules between them are in check_pool.py.
"""

from __future__ import annotations

from .row import EXTENDED, NUMBER, SECONDS, SWITCH, VIRTUAL, Directive

_MOST_SERVERS = 65535
_HOUR = 3600

VIRTUAL_POOL: tuple[Directive, ...] = (
    Directive(
        VIRTUAL,
        "quorum",
        NUMBER,
        1,
        "Real servers that must be in service; with fewer fail_open or the sorry server acts.",
        low=1,
        high=_MOST_SERVERS,
        dialect=EXTENDED,
        known_as=("quorum_up", "nbsrv", "min_up"),
    ),
    Directive(
        VIRTUAL,
        "fail_open",
        SWITCH,
        0,
        "Below the quorum, keep every server in service whose checks fail, and raise the alarm.",
        low=0,
        high=1,
        dialect=EXTENDED,
        known_as=("panic", "panic_threshold", "failopen", "fail-open"),
    ),
    Directive(
        VIRTUAL,
        "slow_start",
        SECONDS,
        0,
        "Time in which a server that has come back gets its weight, in ten steps; 0 is at once.",
        low=0,
        high=_HOUR,
        dialect=EXTENDED,
        known_as=("slowstart", "slow-start", "warmup"),
    ),
)
