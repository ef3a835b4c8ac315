# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about a virtual server's pool: its quorum, slow start, load. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from .config import Config, Virtual
from .findings import Finding, finding

_WEIGHTLESS = ("rr", "lc", "dh")
"""Schedulers for which all weights above 0 are the same."""

_AVERAGES = ("uptime", "rup", "ruptime")
_COUNTED = 5
"""Seconds after which Linux counts its load averages anew (LOAD_FREQ in linux/sched/loadavg.h)."""


def pool_rules(config: Config) -> Iterator[Finding]:
    """The rules for every active virtual server."""
    for block in config.virtual:
        if block.settings.flag("active"):
            yield from _quorum(block)
            yield from _slow_start(block)
            yield from _load(block)


def _quorum(block: Virtual) -> Iterator[Finding]:
    settings = block.settings
    quorum = settings.number("quorum") or 1
    able = sum(
        server.settings.flag("active") and bool(server.settings["weight"])
        for server in block.servers
    )
    if quorum > 1 and quorum > able:
        message = f"the quorum is {quorum}, but virtual server `{block.name}` has {able} active"
        message += " servers with a weight, so that it is never met"
        remedy = f"set `quorum = {able}` or less" if able else "remove it"
        yield finding("W312", settings.place("quorum", 0), message, remedy)


def _slow_start(block: Virtual) -> Iterator[Finding]:
    if block.settings.seconds("slow_start"):
        yield from _weights(block, "slow_start")


def _load(block: Virtual) -> Iterator[Finding]:
    settings = block.settings
    monitor = settings.text("load_monitor")
    if monitor not in (None, "", "none"):
        yield from _weights(block, "load_monitor")
        interval = settings.seconds("load_interval") or _COUNTED
        if monitor in _AVERAGES and interval < _COUNTED:
            message = f"a load average is counted every {_COUNTED} s, so that more questions for it"
            message += " have no effect"
            remedy = f"set load_interval to {_COUNTED} or more"
            yield finding("A302", settings.place("load_interval", 0), message, remedy)
        return
    for section in (settings, *(server.settings for server in block.servers)):
        for key in ("load_interval", "load_timeout", "load_processors"):
            if section.given(key):
                message = f"`{key}` has no effect without load_monitor"
                remedy = "add `load_monitor = uptime`, or remove it"
                yield finding("A302", section.place(key), message, remedy)


def _weights(block: Virtual, key: str) -> Iterator[Finding]:
    """What takes a part of a weight away needs weights that are heeded and can be parted."""
    settings = block.settings
    if settings.text("scheduler") in _WEIGHTLESS:
        message = f"the scheduler {settings.text('scheduler')} does not heed weights,"
        message += f" so that {key} has no effect"
        remedy = "use for example wlc or wrr"
        yield finding("A302", settings.place(key, 0), message, remedy)
    elif key == "slow_start" and any(one.settings["weight"] == 1 for one in block.servers):
        message = f"{key} has no effect on a server of weight 1, which cannot have less"
        remedy = "give all servers weights of 10 or more"
        yield finding("A302", settings.place(key, 0), message, remedy)
