# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and the terminal: reading an lvs.cf, printing findings, colours where they are welcome."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from piranha.core.lvs_cf.api import EXTENDED, Loaded, decode, load
from piranha.core.lvs_cf.findings import ADVICE, ERROR, WARNING, Finding

FINE, ERRORS, UNREADABLE = 0, 1, 2
STDIN = "-"
BOLD, RED, GREEN, YELLOW, CYAN = "1", "1;31", "1;32", "1;33", "1;36"
_UNDERLINED = "4"
_COLOURS = {ERROR: RED, WARNING: YELLOW, ADVICE: CYAN}
_COUNTED = {ERROR: ("error", "errors"), WARNING: ("warning", "warnings"), ADVICE: ("advice",) * 2}


class Unreadable(Exception):
    """A file cannot be read; the text is one sentence."""


def read(name: str) -> bytes:
    """The bytes of a file, or of standard input for `-`. Raises Unreadable."""
    try:
        return sys.stdin.buffer.read() if name == STDIN else Path(name).read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise Unreadable(
            f"cannot read {shown_name(name)}: {reason}; check path and rights"
        ) from None


def load_file(name: str, dialect: str = EXTENDED) -> Loaded:
    """A file read, parsed and checked. Raises Unreadable."""
    return load(decode(read(name)), shown_name(name), dialect)


def shown_name(name: str) -> str:
    """How messages call a file."""
    return "standard input" if name == STDIN else name


def complain(sentence: str) -> None:
    """Say to standard error what is wrong."""
    print(f"piranha: {printable(sentence)}", file=sys.stderr)


def colours(stream: TextIO) -> bool:
    """Whether colours are welcome: on a terminal, and NO_COLOR does not forbid them."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def coloured(text: str, colour: str, wanted: bool) -> str:
    """The text in a colour, if that is wanted."""
    return f"\x1b[{colour}m{text}\x1b[0m" if wanted else text


def printable(text: str) -> str:
    """Bytes that are no UTF-8 become question marks instead of stopping the output."""
    return text.encode("utf-8", "replace").decode("utf-8")


def summary(findings: Iterable[Finding]) -> str:
    """How many findings of each severity, or `fine`."""
    severities = [found.severity for found in findings]
    counts = []
    for severity, (one, many) in _COUNTED.items():
        number = severities.count(severity)
        if number:
            counts.append(f"{number} {one if number == 1 else many}")
    return ", ".join(counts) or "fine"


def print_findings(loaded: Loaded, findings: Iterable[Finding], stream: TextIO) -> None:
    """One line a finding, then the line it is about with the text meant underlined."""
    findings = list(findings)
    in_colour = colours(stream)
    wanted = {found.line for found in findings}
    lines: dict[int, str] = {}
    if wanted - {0}:
        lines = {
            one.number: one.raw for one in loaded.document.root.lines() if one.number in wanted
        }
    for found in findings:
        label = f"{found.severity}:"
        colour = coloured(label, _COLOURS[found.severity], in_colour)
        text = found.format(loaded.name).replace(f": {label}", f": {colour}", 1)
        print(printable(text), file=stream)
        if found.line:
            for quoted in _quote(lines.get(found.line, ""), found, in_colour):
                print(printable(quoted), file=stream)


def _quote(raw: str, found: Finding, in_colour: bool) -> list[str]:
    """The line of a finding; the part meant is underlined, by the terminal or by signs."""
    start = found.column - 1
    end = start + max(1, found.length)
    if in_colour:
        part = coloured(raw[start:end], _UNDERLINED, True)
        return [f"    {raw[:start]}{part}{raw[end:]}"]
    blanks = "".join("\t" if sign == "\t" else " " for sign in raw[:start])
    return [f"    {raw}", f"    {blanks}^{'~' * (end - start - 1)}"]
