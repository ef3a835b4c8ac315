# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change of lvs.cf by the web page may not contain, whoever is logged in there; pure.

Whoever owns the page owns what it sends. So nothing that it sends may name a program or a file of
this machine anew: such a directive keeps what the file says already, is taken out where nothing
runs without it, or names a program of the one folder that root has filled for this. Which
directives those are stands in the table of directives (`runs`, and every value that is a path).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from piranha.core.lvs_cf.config import Config, Section
from piranha.core.lvs_cf.row import PATH, Directive

PLACES = ("%h", "%p")
"""Words that may stand behind a chosen program: they become a server's address and port."""

NOTHING = frozenset({"none"})
"""Values that name no program."""

MANAGED = re.compile(r"^[ \t]*#.*\bansible\b", re.IGNORECASE)
"""A comment at the head of a file that says who writes it."""

HEAD = 20
"""Lines at the head of a file in which such a comment counts."""


class Named(NamedTuple):
    """One guarded directive as it stands in a configuration."""

    block: tuple[str, ...]
    row: Directive
    value: str | None

    @property
    def place(self) -> str:
        """Where it is, in words."""
        return ": ".join((*self.block, self.row.name))


def guarded(row: Directive) -> bool:
    """Whether the page may not write a directive freely."""
    return row.runs or row.kind == PATH


def managed_by_ansible(text: str) -> bool:
    """Whether the file says at its head that Ansible writes it."""
    return any(MANAGED.match(line) for line in text.splitlines()[:HEAD])


def named(config: Config, known: Collection[int] = ()) -> Iterator[Named]:
    """Everything guarded that a configuration says, defaults included, block by block.

    known: the ids of blocks that need not be looked at.
    """
    yield from _section((), config.globals)
    for kind, block in config.blocks():
        if id(block) in known:
            continue
        here = (f"{kind} {block.name}",)
        yield from _section(here, block.settings)
        for server in block.servers:
            yield from _section((*here, f"server {server.name}"), server.settings)


def _section(block: tuple[str, ...], section: Section) -> Iterator[Named]:
    for key, row in section.table.rows.items():
        if guarded(row):
            value = section[key]
            yield Named(block, row, None if value is None else str(value))


def refusals(before: Config, after: Config, choice: Collection[str], folder: str) -> list[str]:
    """Why `after` may not take the place of `before`: a sentence each, none if it may.

    choice: paths of the programs that may be chosen; folder: where they are, for the remedy.
    """
    known: dict[tuple[str, str], set[str | None]] = {}
    for one in named(before):
        known.setdefault((one.row.where, one.row.name), set()).add(one.value)
    found = []
    for one in named(after, {id(block) for _kind, block in before.blocks()}):
        if one.value in known.get((one.row.where, one.row.name), ()):
            continue
        why = _why_not(one, choice, folder)
        if why:
            found.append(f"{one.place}: {why}")
    return found


def _why_not(one: Named, choice: Collection[str], folder: str) -> str:
    row = one.row
    if one.value is None:
        return ""  # nothing runs any more
    if not row.runs:
        return "names a file of the router, which the page may not change; ask root to do it"
    if one.value in NOTHING:
        return ""
    words = one.value.split()
    if words and words[0] in choice and all(word in PLACES for word in words[1:]):
        return ""
    if words and words[0] in choice:
        return (
            f"may have {' and '.join(PLACES)} behind a program of {folder}, and nothing else;"
            " write a program that needs no more"
        )
    return (
        f"names a program, which the page may only choose from {folder}; put one there as root,"
        " or ask root to change the file"
    )
