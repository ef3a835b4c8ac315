# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a row of the table of directives is: its fields, the kinds of block, the types of value.

The rows themselves are in directives.py; those of health checks, which are many, in checks.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

GLOBAL = "global"
VIRTUAL = "virtual"
FAILOVER = "failover"
SERVER = "server"

CLASSIC = "classic"
EXTENDED = "extended"

# Types; values.py says what each accepts.
SWITCH = "switch"
NUMBER = "number"
SECONDS = "seconds"
WHOLE_SECONDS = "whole seconds"
PORT = "port"
CHOICE = "choice"
HOST = "host"
IP = "ip"
ADDRESS_DEVICE = "address and device"
MASK = "mask"
TEXT = "text"
QUOTED = "quoted text"
ESCAPED = "escaped text"
PATH = "path"
LIST = "list"


@dataclass(frozen=True, eq=False)
class Directive:
    """One row. Compared by identity, since there is one row for each directive of a block."""

    where: str  # block: global, virtual (failover takes the same) or server
    name: str
    kind: str  # one of the types above
    default: int | float | str | None  # effective value when it is not written; None is unset
    doc: str  # one sentence
    low: float | None = None  # inclusive, in the directive's unit
    high: float | None = None
    choices: tuple[str, ...] = ()
    newer: tuple[str, ...] = ()  # those of the choices that the original did not know
    aliases: Mapping[str, str] = field(default_factory=dict)  # what may be written -> its meaning
    item: str = TEXT  # of a list: the type of its elements
    known_as: tuple[str, ...] = ()  # what other programs call it, for "did you mean"
    dialect: str = CLASSIC
    unused: bool = False  # read and kept, but nothing acts on it
    runs: bool = False  # names a program that a router runs: what the web page may not write freely
    lenient: bool = False  # an unreadable value is ignored with a warning, as the original did
