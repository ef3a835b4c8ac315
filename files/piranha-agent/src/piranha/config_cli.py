# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""`piranha config check | show | format`: what lvs.cf says and what is wrong with it.

A thin shell around `lvs_cf`: reads files, prints, picks the exit status. It needs the standard
library only, so that it also runs where nothing of the agent is installed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TextIO

from piranha.core.lvs_cf.api import Loaded, decode, load, to_data
from piranha.core.lvs_cf.config import Section
from piranha.core.lvs_cf.directives import Directive
from piranha.core.lvs_cf.document import INDENT, header
from piranha.core.lvs_cf.findings import ADVICE, ERROR, WARNING, Finding
from piranha.core.lvs_cf.layout import tidy
from piranha.core.lvs_cf.values import Value, write_value

FINE, ERRORS, UNREADABLE = 0, 1, 2
_COLOURS = {ERROR: "\x1b[1;31m", WARNING: "\x1b[1;33m", ADVICE: "\x1b[1;36m"}
_UNDERLINED, _PLAIN = "\x1b[4m", "\x1b[0m"
_COUNTED = {ERROR: ("error", "errors"), WARNING: ("warning", "warnings"), ADVICE: ("advice",) * 2}
_DEFAULT_COLUMN = 48  # where `# default` stands in `config show`


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `config` and its subcommands. Each sets `run`, a function from arguments to status."""
    config = subparsers.add_parser("config", help="check, show or tidy an lvs.cf")
    commands = config.add_subparsers(dest="config_command", metavar="COMMAND", required=True)

    check = commands.add_parser("check", help="name every mistake of one or more files")
    check.add_argument("files", nargs="+", metavar="FILE")
    check.add_argument("--json", action="store_true", help="print the findings as JSON")
    check.set_defaults(run=run_check)

    show = commands.add_parser("show", help="print every directive with its effective value")
    show.add_argument("file", metavar="FILE")
    show.add_argument("--json", action="store_true", help="print the configuration as JSON")
    show.set_defaults(run=run_show)

    tidied = commands.add_parser("format", help="print the file in even layout, comments kept")
    tidied.add_argument("file", metavar="FILE")
    tidied.set_defaults(run=run_format)


def run_check(arguments: argparse.Namespace) -> int:
    """`config check FILE...`: 0 fine or warnings only, 1 errors, 2 a file cannot be read."""
    status = FINE
    report: list[dict[str, object]] = []
    for name in arguments.files:
        loaded = _load(name)
        if loaded is None:
            status = UNREADABLE
            continue
        if loaded.errors:
            status = max(status, ERRORS)
        if arguments.json:
            report.append({"file": name, "findings": [_as_data(f) for f in loaded.findings]})
        else:
            _print_findings(loaded, sys.stdout)
            print(f"{name}: {_summary(loaded.findings)}")
    if arguments.json:
        print(json.dumps(report, indent=2))
    return status


def run_show(arguments: argparse.Namespace) -> int:
    """`config show FILE`: findings go to standard error; 1 if there is an error among them."""
    loaded = _load(arguments.file)
    if loaded is None:
        return UNREADABLE
    if loaded.errors:
        _print_findings(loaded, sys.stderr)
    if arguments.json:
        print(json.dumps(to_data(loaded.config), indent=2))
    else:
        print("\n".join(_shown(loaded)))
    return ERRORS if loaded.errors else FINE


def run_format(arguments: argparse.Namespace) -> int:
    """`config format FILE`: the tidied text; a file with errors is not printed, status 1."""
    loaded = _load(arguments.file)
    if loaded is None:
        return UNREADABLE
    if loaded.errors:
        _print_findings(loaded, sys.stderr)
        return ERRORS
    sys.stdout.write(_printable(tidy(loaded.document)))
    return FINE


def _load(name: str) -> Loaded | None:
    try:
        data = Path(name).read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        print(f"piranha: cannot read {name}: {reason}; check path and rights", file=sys.stderr)
        return None
    return load(decode(data), name)


def _as_data(found: Finding) -> dict[str, object]:
    """A finding for JSON; `path` is for findings in data, which have no line."""
    data = found._asdict()
    del data["path"]
    return data


def _summary(findings: list[Finding]) -> str:
    counts = []
    for severity, (one, many) in _COUNTED.items():
        number = sum(found.severity == severity for found in findings)
        if number:
            counts.append(f"{number} {one if number == 1 else many}")
    return ", ".join(counts) or "fine"


def _print_findings(loaded: Loaded, stream: TextIO) -> None:
    """One line a finding, then the line it is about with the text meant underlined."""
    colours = stream.isatty() and not os.environ.get("NO_COLOR")
    lines = {line.number: line.raw for line in loaded.document.root.lines()}
    for found in loaded.findings:
        text = found.format(loaded.name)
        if colours:
            label = f"{found.severity}:"
            text = text.replace(label, f"{_COLOURS[found.severity]}{label}{_PLAIN}", 1)
        print(_printable(text), file=stream)
        if found.line:
            for shown in _quote(lines.get(found.line, ""), found, colours):
                print(_printable(shown), file=stream)


def _quote(raw: str, found: Finding, colours: bool) -> list[str]:
    """The line of a finding; the part meant is underlined, by the terminal or by signs."""
    start = found.column - 1
    end = start + max(1, found.length)
    if colours:
        part = f"{_UNDERLINED}{raw[start:end]}{_PLAIN}"
        return [f"    {raw[:start]}{part}{raw[end:]}"]
    blanks = "".join("\t" if sign == "\t" else " " for sign in raw[:start])
    return [f"    {raw}", f"    {blanks}^{'~' * (end - start - 1)}"]


def _printable(text: str) -> str:
    """Bytes that are no UTF-8 become question marks instead of stopping the output."""
    return text.encode("utf-8", "replace").decode("utf-8")


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
    return [_printable(line) for line in lines]


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
