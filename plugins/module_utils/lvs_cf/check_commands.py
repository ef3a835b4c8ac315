# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about commands that the routers run: failover services and changes of state.

Whether a program is there and safe to run depends on the machine; host.py looks at that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .command_rows import FAILOVER_COMMANDS, GLOBAL_COMMANDS, MOST_GROUPS
from .config import Config, Failover, Section, Virtual
from .findings import Finding, finding

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_ONLY_FAILOVER = ("start_cmd", "stop_cmd", *(row.name for row in FAILOVER_COMMANDS))
_CHANGES = tuple(row.name for row in GLOBAL_COMMANDS if row.name != "cmd_timeout")


def command_rules(config: Config) -> Iterator[Finding]:
    """Everything doubtful about commands and what goes with them."""
    yield from _changes(config.globals)
    for virtual in config.virtual:
        for key in _ONLY_FAILOVER:
            if virtual.settings.given(key):
                message = f"{key} has no effect in virtual server `{virtual.name}`"
                remedy = "it belongs into a `failover` block"
                yield finding("A302", virtual.settings.place(key), message, remedy)
    if config.globals["service"] != "fos":
        return
    active = [block for block in config.failover if block.settings.flag("active")]
    for block in active:
        yield from _service(block)
    yield from _groups(active)


def _groups(active: list[Failover]) -> Iterator[Finding]:
    groups: dict[str, list[Failover]] = {}
    owners: dict[str, str] = {}
    for block in active:
        group = block.settings.text("failover_group") or ""
        groups.setdefault(group, []).append(block)
        given = block.settings.address("address")
        if given is not None and owners.setdefault(given.address, group) != group:
            other = _label(owners[given.address])
            message = f"{given.address} of failover service `{block.name}` belongs to {other} too"
            remedy = "an address is on one router only: give it to one group, or join the groups"
            yield finding("E324", block.settings.place("address", 0), message, remedy)
    for name, blocks in groups.items():
        if name and not _NAME.fullmatch(name):
            message = f"`{name}` cannot be the name of a group"
            remedy = "use up to 32 letters, digits, `-`, `_` and `.`, a letter or digit first"
            yield finding("E325", blocks[0].settings.place("failover_group", 0), message, remedy)
        if not any(block.settings.flag("critical") for block in blocks):
            who = "every failover service" + (f" of group `{name}`" if name else "")
            message = f"{who} has `critical = 0`: none that fails moves to the partner"
            remedy = "remove `critical = 0` where a failure is to move them all"
            yield finding("W321", blocks[0].settings.place("critical"), message, remedy)
    if len(groups) > MOST_GROUPS:
        message = f"there are {len(groups)} groups of failover services; {MOST_GROUPS} can be told"
        remedy = "let services that may move together share a group"
        yield finding("E325", active[-1].settings.place("failover_group", 0), message, remedy)


def _label(group: str) -> str:
    return f"group `{group}`" if group else "the services without a group"


def _changes(settings: Section) -> Iterator[Finding]:
    if settings.given("cmd_timeout") and not any(settings.text(key) for key in _CHANGES):
        message = "cmd_timeout has no effect without a command for a change of state"
        remedy = "add `notify_cmd`, or remove it"
        yield finding("A302", settings.place("cmd_timeout"), message, remedy)


def _service(block: Virtual) -> Iterator[Finding]:
    settings = block.settings
    start, stop = settings.text("start_cmd"), settings.text("stop_cmd")
    if start and start == stop:
        message = f"failover service `{block.name}` has the same start_cmd and stop_cmd"
        yield finding("W322", settings.place("stop_cmd", 0), message, "correct one of them")
    if settings["check"] is not None or settings["send_program"] is not None:
        return
    if settings["protocol"] == "udp" and settings["send"] is None:
        message = f"failover service `{block.name}` (udp) has nothing that could be checked"
        remedy = "add `check`, `send` or `send_program`; else only its start and stop are noticed"
        yield finding("W320", settings.place("protocol", 0), message, remedy)
