# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""`piranha config explain`: what a directive, a kind of block or a finding's code means."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap

from piranha.core.lvs_cf.directives import DIRECTIVES
from piranha.core.lvs_cf.explain import (
    KINDS_OF_BLOCK,
    Code,
    Entry,
    directives_of,
    explain,
    explain_code,
    guess,
)
from piranha.core.lvs_cf.findings import CODES

from .terminal import BOLD, coloured, colours, complain

KNOWN, UNKNOWN = 0, 2
_WIDTH = 96
_NAME_WIDTH = 28


def run(arguments: argparse.Namespace) -> int:
    """0, or 2 if the word is unknown. Without a word: a list of everything."""
    word = arguments.word
    entries, code = (explain(word), explain_code(word)) if word else ([], None)
    if not word or word in KINDS_OF_BLOCK:
        _print_list([word] if word else ["global", "virtual", "server"], arguments.json)
    elif entries:
        if arguments.json:
            print(json.dumps([one._asdict() for one in entries], indent=2))
        else:
            print("\n".join(line for one in entries for line in _told(one))[:-1])
    elif code:
        print(json.dumps(code._asdict(), indent=2) if arguments.json else _code_told(code))
    else:
        near = guess(word)
        remedy = f"did you mean `{near}`?" if near else "`piranha config explain` lists them all"
        complain(f"no directive, block or finding is called `{word}`; {remedy}")
        return UNKNOWN
    return KNOWN


def words() -> list[str]:
    """Everything that can be explained, for completion."""
    return [*dict.fromkeys(row.name for row in DIRECTIVES), *KINDS_OF_BLOCK, *CODES]


def _told(one: Entry) -> list[str]:
    title = coloured(one.directive, BOLD, colours(sys.stdout))
    rows = [("value", one.value), ("default", one.default), ("dialect", one.dialect)]
    if one.unused:
        rows.append(("effect", "none; it is read and kept, and nothing acts on it"))
    rows.append(("example", one.example))
    lines = [f"{title}, {one.where}", *textwrap.wrap(one.doc, _WIDTH, initial_indent="  ")]
    for name, text in rows:
        lines += textwrap.wrap(
            f"{name + ':':<10}{text}", _WIDTH, initial_indent="  ", subsequent_indent=" " * 12
        )
    return [*lines, ""]


def _code_told(code: Code) -> str:
    title = coloured(code.code, BOLD, colours(sys.stdout))
    remark = textwrap.fill(code.remark, _WIDTH, initial_indent="  ", subsequent_indent="  ")
    return f"{title}, {code.severity}: {code.meaning}\n{remark}"


def _print_list(kinds: list[str], as_json: bool) -> None:
    if as_json:
        listed = {kind: [row.name for row in directives_of(kind)] for kind in kinds}
        print(json.dumps(listed, indent=2))
        return
    bold = colours(sys.stdout)
    for kind in kinds:
        print(coloured(f"{kind}:", BOLD, bold))
        for row in directives_of(kind):
            print(f"  {row.name:<{_NAME_WIDTH}}{row.doc}")
    if len(kinds) > 1:
        print(coloured("findings:", BOLD, bold))
        for code, meaning in CODES.items():
            print(f"  {code:<{_NAME_WIDTH}}{meaning}")
