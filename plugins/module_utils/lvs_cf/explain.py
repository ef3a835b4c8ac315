# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a directive or a finding's code means, out of the tables that the language is made of.

Pure, and no list of directives of its own: it only says what a type takes and gives an example.
"""

from __future__ import annotations

from typing import NamedTuple

from . import directives as d
from .directives import FAILOVER, GLOBAL, SERVER, VIRTUAL, Directive
from .findings import CODES, ERROR, nearest, of_host, severity_of
from .values import write_value

# Type -> what it takes, and an example; docs/directives.md shows the former.
TYPES = {
    d.SWITCH: ("`0` or `1`", "1"),
    d.NUMBER: ("number", "1"),
    d.SECONDS: ("time: `6`, `0.5`, `500ms`, `2m`", "500ms"),
    d.WHOLE_SECONDS: ("time in whole seconds", "300"),
    d.PORT: ("port number or service name", "80"),
    d.CHOICE: ("one of", ""),
    d.HOST: ("address or host name", "192.0.2.1"),
    d.IP: ("address", "192.0.2.1"),
    d.ADDRESS_DEVICE: (
        "address, with `/LENGTH` if wanted, and a device if wanted",
        "192.0.2.80/24 eth0:1",
    ),
    d.MASK: ("netmask: `255.255.255.0` or `/24`", "255.255.255.0"),
    d.TEXT: ("text", "some-text"),
    d.QUOTED: ("text in quotes", '"/usr/local/bin/program --option"'),
    d.ESCAPED: ("text in quotes, with escapes", r'"GET / HTTP/1.0\r\n\r\n"'),
    d.PATH: ("absolute path", "/etc/piranha/example"),
    d.LIST: ("list: `[ one two ]`", "[ one two ]"),
}
_BLOCKS = {
    GLOBAL: "at the top level",
    VIRTUAL: "in virtual and failover blocks",
    SERVER: "in server blocks",
}
KINDS_OF_BLOCK = {GLOBAL: GLOBAL, VIRTUAL: VIRTUAL, FAILOVER: VIRTUAL, SERVER: SERVER}


class Entry(NamedTuple):
    """All there is to know of a directive in one kind of block; every field is a text."""

    directive: str
    where: str
    doc: str
    value: str
    default: str
    dialect: str
    example: str
    unused: bool = False


class Code(NamedTuple):
    """What a finding's code stands for, and what can be done about it."""

    code: str
    severity: str
    meaning: str
    remark: str


def explain(name: str) -> list[Entry]:
    """The directive of that name in each kind of block that takes it; empty if it is unknown."""
    return [entry(row) for row in d.DIRECTIVES if row.name == name]


def entry(row: Directive) -> Entry:
    """A row of the table, told in words."""
    dialect = "of Piranha 0.8.6" if row.dialect == d.CLASSIC else "extended; unknown to Piranha"
    return Entry(
        row.name,
        _BLOCKS[row.where],
        row.doc,
        takes(row),
        "unset" if row.default is None else write_value(row, row.default),
        dialect,
        f"{row.name} = {example(row)}",
        row.unused,
    )


def takes(row: Directive) -> str:
    """What may stand behind the directive: its type, choices and range."""
    text = TYPES[row.kind][0]
    if row.choices:
        text += " " + ", ".join(f"`{choice}`" for choice in row.choices)
    if row.kind in (d.NUMBER, d.PORT):
        text += f", {row.low} to {row.high}"
    elif row.kind in (d.SECONDS, d.WHOLE_SECONDS) and row.low:
        text += f", {row.low:g} s or more"
    spelt = [f"`{word}` means `{meaning}`" for word, meaning in row.aliases.items()]
    return "; ".join([text, *spelt])


def example(row: Directive) -> str:
    """A value that the directive accepts, preferably not its default."""
    others = [choice for choice in row.choices if choice != row.default]
    if others:
        return others[0]
    given = TYPES[row.kind][1]
    if row.kind == d.LIST and row.item != d.TEXT:
        return f"[ {TYPES[row.item][1]} ]"
    if row.kind == d.NUMBER and row.low is not None and row.low > 1:
        return str(row.low)
    if row.kind == d.SECONDS and row.low is not None and row.low >= 1:
        return f"{row.low:g}s"
    return given


def explain_code(code: str) -> Code | None:
    """What a finding's code (in either case) stands for; None if there is no such code."""
    code = code.upper()
    if code not in CODES:
        return None
    severity = severity_of(code)
    if severity == ERROR:
        remark = "An error: the file is refused, and no comment silences it."
    else:
        remark = f"A comment `# piranha: ignore={code} reason` silences it for a line or a block."
    if of_host(code):
        remark += " Only searched for with --on-this-host."
    return Code(code, severity, CODES[code], remark)


def directives_of(kind: str) -> list[Directive]:
    """The directives that a kind of block takes (global, virtual, failover, server)."""
    return [row for row in d.DIRECTIVES if row.where == KINDS_OF_BLOCK.get(kind)]


def guess(word: str) -> str:
    """The directive, kind of block or code that was probably meant; empty if none is near."""
    for row in d.DIRECTIVES:
        if word in row.known_as:  # the name that another program has for it
            return row.name
    known = [*(row.name for row in d.DIRECTIVES), *KINDS_OF_BLOCK]
    return nearest(word, known)
