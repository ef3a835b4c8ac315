# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes docs/takeover.md from the tables of the takeover machine; a unit test compares."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "takeover.md"

sys.path.insert(0, str(ROOT / "files/piranha-agent/src"))

from piranha.pulse.machine import (  # noqa: E402 - the path must be set first
    CLASSIC,
    HOLDING,
    TABLES,
    Input,
    Next,
    State,
)
from piranha.pulse.wire import Role  # noqa: E402 - the path must be set first

_HEAD = """\
<!--
SPDX-FileCopyrightText: piranha.lvs founders
SPDX-License-Identifier: GPL-3.0-or-later
Made by docs/make_takeover.py from files/piranha-agent/src/piranha/pulse/tables.py; do not edit.
-->
# The takeover machine

Each router has one. In the states {holding} the kernel of the router has the virtual addresses.
What is not listed changes nothing and does nothing.
"""


_OF_OLD = """\
With `heartbeat_format = classic` the partner is heard as active or standby and as nothing else,
and the tables below hold but for these cells."""


def _rows(role: Role) -> list[tuple[State, Input, Next]]:
    """Give the cells of a role's table in which something happens, but for the heartbeat."""
    return [
        (state, why, cell)
        for state, row in TABLES[role].items()
        for why, cell in row.items()
        if why is not Input.BEAT and (cell.state is not state or cell.do)
    ]


def _diagram(role: Role) -> list[str]:
    """Give the changes of state, one arrow for each pair of states."""
    arrows: dict[tuple[State, State], list[Input]] = {}
    for state, why, cell in _rows(role):
        if cell.state is not state:
            arrows.setdefault((state, cell.state), []).append(why)
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {State.NEW.value}"]
    for (before, after), causes in arrows.items():
        told = " / ".join(why.name.lower() for why in causes)
        lines.append(f"    {before.value} --> {after.value}: {told}")
    return [*lines, f"    {State.STOPPED.value} --> [*]", "```"]


def _table(role: Role) -> list[str]:
    lines = ["| in | input | goes to | does, in this order |", "| --- | --- | --- | --- |"]
    for state, why, cell in _rows(role):
        deeds = ", ".join(do.value for do in cell.do) or "nothing"
        lines.append(f"| {state.value} | {why.name.lower()} | {cell.state.value} | {deeds} |")
    return lines


def _beside_one_of_old() -> list[str]:
    """Give the cells that are others with `heartbeat_format = classic`."""
    lines = ["", "## Beside a router of old", "", *_OF_OLD.splitlines(), ""]
    lines += ["| role | in | input | goes to | does, in this order |"]
    lines += ["| --- | --- | --- | --- | --- |"]
    for role, rows in CLASSIC.items():
        for state, row in rows.items():
            for why, cell in row.items():
                if cell != TABLES[role][state][why]:
                    deeds = ", ".join(do.value for do in cell.do) or "nothing"
                    lines.append(
                        f"| {role.name.lower()} | {state.value} | {why.name.lower()}"
                        f" | {cell.state.value} | {deeds} |"
                    )
    return lines


def page() -> str:
    """Give the whole page."""
    holding = ", ".join(state.value for state in State if state in HOLDING)
    lines = ["", "## Inputs", "", "| input | what has happened |", "| --- | --- |"]
    lines += [f"| {why.name.lower()} | {why.value} |" for why in Input]
    lines += _beside_one_of_old()
    for role in Role:
        lines += ["", f"## {role.name.capitalize()}", "", *_diagram(role), "", *_table(role)]
    return _HEAD.format(holding=holding) + "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
