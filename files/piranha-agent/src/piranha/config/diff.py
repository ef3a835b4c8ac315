# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""`piranha config diff`: what differs by meaning; `--nodes` for the files of two routers."""

from __future__ import annotations

import argparse
import json
import sys

from piranha.core.lvs_cf.api import Loaded
from piranha.core.lvs_cf.compare import Difference, differences

from .terminal import (
    BOLD,
    GREEN,
    RED,
    STDIN,
    Unreadable,
    coloured,
    colours,
    complain,
    load_file,
    print_findings,
    printable,
)

SAME, DIFFERENT, TROUBLE = 0, 1, 2


def run(arguments: argparse.Namespace) -> int:
    """0 the same, 1 different, 2 a file cannot be read or has errors."""
    if arguments.left == arguments.right == STDIN:
        complain("standard input can be one of the two files only")
        return TROUBLE
    left, right = _load(arguments.left), _load(arguments.right)
    if left is None or right is None:
        return TROUBLE
    found = differences(left.config, right.config, arguments.nodes)
    if arguments.json:
        print(json.dumps(_report(left, right, found), indent=2))
    else:
        in_colour = colours(sys.stdout)
        for one in found:
            print(printable(_line(one, left.name, right.name, in_colour)))
        print(printable(_closing(left.name, right.name, len(found), arguments.nodes)))
    return DIFFERENT if found else SAME


def _load(name: str) -> Loaded | None:
    try:
        loaded = load_file(name)
    except Unreadable as why:
        complain(str(why))
        return None
    if not loaded.errors:
        return loaded
    print_findings(loaded, loaded.errors, sys.stderr)
    complain(f"{loaded.name} has errors, so its meaning is not clear; correct them first")
    return None


def _report(left: Loaded, right: Loaded, found: list[Difference]) -> dict[str, object]:
    return {
        "left": left.name,
        "right": right.name,
        "same": not found,
        "differences": [
            {
                "block": list(one.block),
                "directive": one.directive or None,
                "left": one.left,
                "right": one.right,
                "left_given": one.given[0],
                "right_given": one.given[1],
            }
            for one in found
        ],
    }


def _line(one: Difference, left: str, right: str, in_colour: bool) -> str:
    where = coloured(one.path, BOLD, in_colour)
    if not one.directive:
        here, colour = (left, RED) if one.given[0] else (right, GREEN)
        return f"{where}: {coloured(f'only in {here}', colour, in_colour)}"
    ours = coloured(_side(one.left, one.given[0]), RED, in_colour)
    theirs = coloured(_side(one.right, one.given[1]), GREEN, in_colour)
    return f"{where}: {ours} -> {theirs}"


def _side(value: object, given: bool) -> str:
    text = value_text(value)
    return text if given or value is None else f"{text} (not written)"


def value_text(value: object) -> str:
    """A value as people write it."""
    if value is None:
        return "unset"
    if isinstance(value, dict):
        return " ".join(str(part) for part in value.values() if part is not None)
    if isinstance(value, list):
        return f"[ {' '.join(map(value_text, value))} ]"
    text = str(value)
    plain = text and not set(text) & set(" \t\"'#")
    return text if plain else f'"{text}"'


def _closing(left: str, right: str, count: int, nodes: bool) -> str:
    beside = ", devices aside" if nodes else ""
    if not count:
        return f"{left} and {right} mean the same{beside}"
    return f"{count} difference{'s' if count > 1 else ''} between {left} and {right}{beside}"
