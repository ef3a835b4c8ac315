# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the table of directives about a virtual server's pool: too few servers, slow start, load.

Data only. What they mean is in the agent's pool.py and load/; the rules between them are in
check_pool.py.
"""

from __future__ import annotations

from .row import EXTENDED, NUMBER, SECONDS, SERVER, SWITCH, VIRTUAL, Directive

_MOST_SERVERS = 65535
_HOUR = 3600
_MOST_PROCESSORS = 65536

# Each question starts a program, perhaps an ssh, for each real server.
_LOAD_OFTEN = 1

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
    Directive(
        VIRTUAL,
        "load_interval",
        SECONDS,
        20,
        "Time between two questions for a real server's load.",
        low=_LOAD_OFTEN,
        high=_HOUR,
        dialect=EXTENDED,
    ),
    Directive(
        VIRTUAL,
        "load_timeout",
        SECONDS,
        5,
        "Time that one question for the load may take; load_interval at most.",
        low=0.01,
        high=_HOUR,
        dialect=EXTENDED,
    ),
    Directive(
        VIRTUAL,
        "load_processors",
        NUMBER,
        None,
        "Processors of each real server; unset, uptime asks with nproc, and others count one.",
        low=1,
        high=_MOST_PROCESSORS,
        dialect=EXTENDED,
        known_as=("load_cpus", "nproc"),
    ),
)

SERVER_POOL: tuple[Directive, ...] = (
    Directive(
        SERVER,
        "load_processors",
        NUMBER,
        None,
        "Processors of this real server; the virtual server's load_processors if unset.",
        low=1,
        high=_MOST_PROCESSORS,
        dialect=EXTENDED,
    ),
)
