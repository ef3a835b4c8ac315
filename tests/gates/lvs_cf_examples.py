# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Examples of lvs.cf in the documentation are read by the library that the agent uses.

Every block fenced as ``lvs.cf`` counts. What a piece leaves out, by saying so (``...``) or by being
a piece, is filled in by `whole`; then no error may be found but those that a comment above it
names: ``<!-- shows E201 -->``. A block that is indented and looks like an lvs.cf is a fault itself,
since nobody would read it. Pure, but for the library's import.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from .machine import ROOT

sys.path.insert(0, str(ROOT / "plugins/module_utils"))

from lvs_cf.api import load  # type: ignore[import-not-found]
from lvs_cf.directives import DIRECTIVES  # type: ignore[import-not-found]

FENCE = re.compile(
    r"^(?:<!-- shows ([\w ]+) -->\n)?```lvs\.cf\n(.*?)^```", re.MULTILINE | re.DOTALL
)
OTHER_FENCE = re.compile(r"^```.*?^```\n", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^|\n)\n((?: {4}.*\n|\n)+)")
OPENS = re.compile(r"(virtual|failover|server)\s+\S+\s*\{")
NAMES = {row.name for row in DIRECTIVES}

GLOBALS = {"primary": "192.0.2.2"}
BLOCKS = {
    "virtual": {"active": "1", "address": "192.0.2.80 eth0:1", "port": "80"},
    "failover": {
        "active": "1",
        "address": "192.0.2.9 eth0:1",
        "port": "80",
        "start_cmd": '"/usr/bin/systemctl start x"',
        "stop_cmd": '"/usr/bin/systemctl stop x"',
    },
    "server": {"active": "1", "address": "192.0.2.21"},
}
SERVER = "    server one {\n        active = 1\n        address = 192.0.2.21\n    }\n"


def _level(lines: list[str]) -> set[str]:
    """The directives that lines have outside of blocks in them."""
    depth, found = 0, set()
    for line in lines:
        if depth == 0 and re.match(r"\s*\w+\s*=", line):
            found.add(line.split("=")[0].strip())
        depth += line.count("{") - line.count("}") if "=" not in line else 0
    return found


def whole(piece: str) -> str:
    """The piece with what it leaves out: dots, globals, a virtual server, the servers of one."""
    lines = piece.splitlines()
    opens = any(OPENS.match(line.strip()) for line in lines)
    if not opens and not _level(lines) & {row.name for row in DIRECTIVES if row.where == "global"}:
        lines = ["virtual example {", *lines, "...", SERVER, "}"]
    done: list[str] = []
    opened: list[tuple[str, int]] = []
    for line in lines:
        found = OPENS.match(line.strip())
        if found:
            opened.append((found[1], len(done) + 1))
        elif line.strip() == "}" and opened:
            kind, start = opened.pop()
            if any(each.strip() == "..." for each in done[start:]):
                there = _level(done[start:])
                done += [
                    f"{name} = {value}" for name, value in BLOCKS[kind].items() if name not in there
                ]
                if kind == "virtual" and not any(
                    OPENS.match(each.strip()) for each in done[start:]
                ):
                    done.append(SERVER)
        done.append(line)
    there = _level(done)
    missing = [f"{name} = {value}" for name, value in GLOBALS.items() if name not in there]
    return "\n".join(missing + [line for line in done if line.strip() != "..."]) + "\n"


def faults(text: str) -> Iterator[tuple[int, str]]:
    """Line and sentence of each fault in the examples of a page."""
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start(2)) + 1
        expected = set((found[1] or "").split())
        errors = [each for each in load(whole(found[2])).findings if each.severity == "error"]
        for each in errors:
            if each.code not in expected:
                yield line, f"{each.message} [{each.code}]"
        for code in sorted(expected - {each.code for each in errors}):
            yield line, f"the comment says that this shows {code}, and it does not"
    # Blanks in the place of other fences, so that line numbers stay.
    rest = OTHER_FENCE.sub(lambda match: "x\n" * match[0].count("\n"), text)
    for found in INDENTED.finditer(rest):
        if _is_lvs_cf(found[1]):
            line = rest.count("\n", 0, found.start(1)) + 1
            yield line, "this looks like an lvs.cf and nobody tests it; fence it as ```lvs.cf"


def count(text: str) -> int:
    """How many examples of lvs.cf a page has."""
    return len(FENCE.findall(text))


def _is_lvs_cf(block: str) -> bool:
    first = block.strip().splitlines()[0].strip() if block.strip() else ""
    name, mark, _value = first.partition("=")
    return bool(OPENS.match(first)) or (bool(mark) and name.strip() in NAMES)
