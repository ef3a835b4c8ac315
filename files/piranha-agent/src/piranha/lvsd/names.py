# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host names in lvs.cf stand for: asked beside everything else, and remembered.

A thin shell over `getent`, which asks whatever the machine is configured to ask (hosts, DNS), as a
process of its own: the C library's resolver blocks whoever calls it, for half a minute if a name
server is silent, and lvsd has no threads (see nanny/program.py).

Names are asked for at start and at each reload, and asked again only while there is no answer. An
answer that was there before stays meanwhile, over a restart of lvsd too. They are not asked again
from time to time, as keepalived and HAProxy do not either: another address is another machine, on
which nobody has said that it is ready; both routers would change at different moments; and a name
server that fails or lies must not change a table under traffic.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from piranha import files
from piranha.nanny.outcome import Outcome
from piranha.nanny.program import execute

NAME = "names.json"
LIMIT = 5.0
"""Seconds for one name."""
AT_ONCE = 8
PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before names without an answer are asked again; the last one for ever."""

Ask = Callable[[str], Awaitable[str]]
"""From a name to its address; LookupError says in some words why there is none."""
Change = tuple[str, str | None, str]
"""A name, its address before, and now."""


async def getent(name: str) -> str:
    """Ask the machine's own resolver; the first address is the one that programs here would use."""
    ended = await execute(("getent", "ahosts", "--", name), LIMIT)
    if isinstance(ended, Outcome):
        raise LookupError(ended.words.replace("the program", "getent"))
    address = first_address(ended.output)
    if ended.status != 0 or address is None:
        raise LookupError("not found")
    return address


def first_address(output: bytes) -> str | None:
    """Read what `getent ahosts` prints: `ADDRESS  STREAM NAME`, a line each; None: no address."""
    words = output.split(maxsplit=1)
    try:
        return str(ipaddress.ip_address(words[0].decode("ascii").partition("%")[0]))
    except (IndexError, ValueError):
        return None


class Names:
    """The names in force, their addresses, and those that have none."""

    def __init__(self, folder: Path | None = None, ask: Ask = getent) -> None:
        """`folder`: where they are remembered; nowhere if None."""
        self._path = None if folder is None else folder / NAME
        self._ask = ask
        self._wanted: tuple[str, ...] = ()
        self._known = self._remembered()
        self._failed: dict[str, str] = {}
        self._work: asyncio.Task[None] | None = None

    @property
    def addresses(self) -> Mapping[str, str]:
        """Of the names that have one."""
        known = {name: self._known[name] for name in self._wanted if name in self._known}
        return MappingProxyType(known)

    @property
    def pending(self) -> bool:
        """Whether a name has neither an address nor been asked for in vain."""
        return any(name not in self._known and name not in self._failed for name in self._wanted)

    def want(self, names: Iterable[str], on_answer: Callable[[list[Change]], None]) -> None:
        """Ask for these names from now on, all of them again.

        on_answer: told of new addresses, and (with none) that the first round is over.
        """
        self._wanted = tuple(names)
        self._failed = {}
        if self._work is not None:
            self._work.cancel()
            self._work = None
        if self._wanted:
            self._work = asyncio.get_running_loop().create_task(self._ask_all(on_answer))

    async def stop(self) -> None:
        """End; what is known stays."""
        if self._work is not None:
            self._work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._work

    def problems(self) -> list[str]:
        """Say what has no answer, and what follows."""
        told = []
        for name, why in self._failed.items():
            known = self._known.get(name)
            rest = f"{known}, its last known address, stays" if known else "what has it is left out"
            told.append(f"the name {name} in lvs.cf cannot be resolved ({why}); {rest}")
        return told

    async def _ask_all(self, on_answer: Callable[[list[Change]], None]) -> None:
        open_ = list(self._wanted)
        for turn in range(1 << 62):
            changes = await self._round(open_)
            if changes:
                self._remember()
            if changes or turn == 0:
                on_answer(changes)
            open_ = list(self._failed)
            if not open_:
                return
            await asyncio.sleep(PAUSES[min(turn, len(PAUSES) - 1)])

    async def _round(self, names: list[str]) -> list[Change]:
        few = asyncio.Semaphore(AT_ONCE)
        changes: list[Change] = []

        async def one(name: str) -> None:
            async with few:
                try:
                    address = await self._ask(name)
                except LookupError as error:
                    self._failed[name] = str(error)
                    return
            self._failed.pop(name, None)
            before = self._known.get(name)
            if address != before:
                self._known[name] = address
                changes.append((name, before, address))

        await asyncio.gather(*map(one, names))
        return changes

    def _remembered(self) -> dict[str, str]:
        if self._path is None:
            return {}
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
            return {str(name): str(ipaddress.ip_address(data[name])) for name in data}
        except (OSError, ValueError, TypeError, KeyError):
            return {}  # they are asked for anyway

    def _remember(self) -> None:
        self._known = {name: self._known[name] for name in self._wanted if name in self._known}
        if self._path is not None:
            with contextlib.suppress(OSError):  # it only saves time after a restart
                files.replace(self._path, json.dumps(self._known) + "\n")
