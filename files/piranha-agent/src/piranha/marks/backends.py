# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ways to mark packets, nftables and iptables-legacy, behind one face.

Thin shells: each runs its programs with the texts of nft.py or legacy.py and gives what they tell.
Which one is used, and when, is keeper.py's.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from . import glance, legacy, nft
from .programs import Failed, Missing, run
from .rules import NOTHING, Found, Rules

LOCK = Path("/run/xtables.lock")
"""By which programs of iptables wait for each other."""


class Backend(Protocol):
    """One way to mark packets. Everything but `look` raises Failed."""

    name: str

    async def read(self) -> Found:
        """Tell what is there of ours."""

    async def write(self, rules: Rules) -> None:
        """Have exactly these rules, in place of whatever is there of ours."""

    async def remove(self) -> None:
        """Take all of ours away."""

    def look(self) -> object:
        """Give something that is equal as long as nothing has changed; None if that is unknown."""


class Nft:
    """By `nft`, for both families at once."""

    name = "nft"

    async def read(self) -> Found:
        """Tell what is there of ours."""
        try:
            listing = await run(["nft", *nft.LIST])
        except Failed as error:
            if not isinstance(error, Missing) and nft.ABSENT in str(error):
                return Found()
            raise
        try:
            return nft.parse(listing)
        except ValueError:
            # Of a table with a flag that somebody set, nft 1.0.6 prints half. Writing mends that.
            return Found(NOTHING, whole=False, seal=listing)

    async def write(self, rules: Rules) -> None:
        """Replace the table."""
        await run(["nft", *nft.LOAD], nft.text(rules))

    async def remove(self) -> None:
        """Remove the table."""
        await run(["nft", *nft.LOAD], nft.REMOVAL)

    def look(self) -> object:
        """Give the generation of all rules."""
        try:
            return glance.generation()
        except OSError:
            return None


class Legacy:
    """By the programs of iptables-legacy. families: those in which there may be rules of ours."""

    name = "iptables-legacy"

    def __init__(self, run_dir: Path, families: Collection[str] = ()) -> None:
        """`run_dir` has the lock where the usual one cannot be made."""
        self._own_lock = run_dir / LOCK.name
        self.families = {*families} & {*legacy.PREFIX}
        self._listings: dict[str, str] = {}

    async def read(self) -> Found:
        """Tell what is there of ours, in both families together."""
        self._listings = {family: await self._list(family) for family in sorted(self.families)}
        parts = [legacy.parse(listing) for listing in self._listings.values()]
        return Found(
            frozenset().union(*(part.rules for part in parts)),
            all(part.whole for part in parts),
            "\n\n".join(part.seal for part in parts if part.seal),
        )

    async def write(self, rules: Rules) -> None:
        """Fill our chain, family by family; those that never had a rule are not touched."""
        for family in sorted(self.families | {rule.family for rule in rules}):
            mine = [rule for rule in rules if rule.family == family]
            # What was read a moment ago will do: a jump that comes in between is found later.
            listing = self._listings.pop(family, None) or await self._list(family)
            self.families.add(family)
            if mine:
                await self._load(family, legacy.text(mine, listing))
            else:
                await self._load(family, legacy.removal(listing))

    async def remove(self) -> None:
        """Take the chains away."""
        await self.write(frozenset())

    def look(self) -> object:
        """Give the shapes of the tables."""
        try:
            return tuple(glance.shape(family) for family in sorted(self.families))
        except OSError:
            return None

    async def _list(self, family: str) -> str:
        program = f"{legacy.PREFIX[family]}-legacy"
        return await run([program, *legacy.LIST], more=self._environment())

    async def _load(self, family: str, text: str) -> None:
        if text:
            program = f"{legacy.PREFIX[family]}-legacy-restore"
            await run([program, *legacy.LOAD], text, self._environment())

    def _environment(self) -> dict[str, str]:
        """Name a lock of our own only where nobody has made the usual one and we may not.

        In the sandbox of our unit /run cannot be written to, but a lock that is there can be taken.
        """
        if LOCK.exists() or os.access(LOCK.parent, os.W_OK):
            return {}
        return {"XTABLES_LOCKFILE": str(self._own_lock)}
