# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""`piranha config show`: every directive with its effective value, as lvs.cf text or as JSON."""

from __future__ import annotations

import argparse
import json
import sys

from piranha.core.lvs_cf.api import Loaded, to_data
from piranha.core.lvs_cf.config import Section
from piranha.core.lvs_cf.directives import Directive
from piranha.core.lvs_cf.document import INDENT, header
from piranha.core.lvs_cf.values import Value, write_value

from .terminal import (
    ERRORS,
    FINE,
    UNREADABLE,
    Unreadable,
    complain,
    load_file,
    print_findings,
    printable,
)

_DEFAULT_COLUMN = 48  # where `# default` stands


def run(arguments: argparse.Namespace) -> int:
    """Errors of the file go to standard error; 1 if there are any, 2 if it cannot be read."""
    try:
        loaded = load_file(arguments.file)
    except Unreadable as why:
        complain(str(why))
        return UNREADABLE
    print_findings(loaded, loaded.errors, sys.stderr)
    if arguments.json:
        print(json.dumps(to_data(loaded.config), indent=2))
    else:
        print("\n".join(_shown(loaded)))
    return ERRORS if loaded.errors else FINE


def _shown(loaded: Loaded) -> list[str]:
    """All directives with effective values, as lvs.cf text; what is unset is a comment."""
    config = loaded.config
    lines = _section(config.globals, "")
    for kind, block in config.blocks():
        lines += ["", _header("", kind, block.name), *_section(block.settings, INDENT)]
        for server in block.servers:
            lines += ["", _header(INDENT, "server", server.name)]
            lines += [*_section(server.settings, INDENT * 2), INDENT + "}"]
        lines.append("}")
    return [printable(line) for line in lines]


def _header(indent: str, kind: str, name: str) -> str:
    try:
        return header(indent, kind, name)
    except ValueError:  # a broken file gave a name that cannot be written
        return f"{indent}{kind} {name!r} {{"


def _section(section: Section, indent: str) -> list[str]:
    lines = []
    for key, row in section.table.rows.items():
        value = section[key]
        if value is None:
            lines.append(f"{indent}# {key} is not set")
            continue
        text = f"{indent}{key} = {_words(row, value)}"
        lines.append(text if section.given(key) else f"{text:<{_DEFAULT_COLUMN}}# default")
    return lines


def _words(row: Directive, value: Value) -> str:
    try:
        return write_value(row, value)
    except ValueError:  # as above
        return repr(value)
