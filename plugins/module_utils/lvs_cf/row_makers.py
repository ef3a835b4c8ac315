# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Short forms of rows of the table of directives that are alike. What a row is, in row.py."""

from __future__ import annotations

from .row import (
    EXTENDED,
    GLOBAL,
    HOST,
    LIST,
    NUMBER,
    PORT,
    QUOTED,
    SECONDS,
    SWITCH,
    WHOLE_SECONDS,
    Directive,
)

YEAR = 31536000


def switch(where: str, name: str, default: int, doc: str, *, unused: bool = False) -> Directive:
    """Give a row of a value that is 0 or 1."""
    return Directive(where, name, SWITCH, default, doc, low=0, high=1, unused=unused)


def number(
    where: str, name: str, default: int | None, reach: tuple[int, int], doc: str
) -> Directive:
    """Give a row of a whole number between two others."""
    return Directive(where, name, NUMBER, default, doc, low=reach[0], high=reach[1])


def command(where: str, name: str, doc: str) -> Directive:
    """Give a row of a command that is run."""
    return Directive(where, name, QUOTED, None, doc, runs=True)


def unused(
    where: str, name: str, kind: str, default: str | None, doc: str, *, runs: bool = False
) -> Directive:
    """Give a row that is read and has no effect."""
    return Directive(where, name, kind, default, doc, unused=True, runs=runs)


def port(where: str, name: str, default: int | None, low: int, doc: str) -> Directive:
    """Give a row of a port."""
    return Directive(where, name, PORT, default, doc, low=low, high=65535)


def seconds(where: str, name: str, default: float, low: float, doc: str) -> Directive:
    """Give a row of a time in seconds, a year at the most."""
    return Directive(where, name, SECONDS, default, doc, low=low, high=YEAR)


def links(whose: str, doc: str) -> Directive:
    """Give the row of a router's further links."""
    return Directive(GLOBAL, f"{whose}_links", LIST, None, doc, item=HOST, dialect=EXTENDED)


def kernel_timeout(name: str, doc: str) -> Directive:
    """Give a row of one of the kernel's timeouts, whole seconds."""
    return Directive(GLOBAL, name, WHOLE_SECONDS, 0, doc, low=0, high=YEAR)
