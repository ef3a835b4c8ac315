# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes one check because somebody at the page wants to know, and tells what came of it.

By hand, in a process of its own, by what lvs.cf has: that works whether pulse runs or not. What
takes a right that the editor has not (a ping; a mark, for the way through the virtual address)
lvsd is asked for: it makes its own check at once, which then counts as every other one.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from piranha.gui.protocol import BY_LVSD, Checked

LIMIT = 70.0
"""Seconds for a check; those of lvs.cf may take a minute."""

OUTPUT_KEPT = 64 * 1024
PAUSE = 0.2
"""Seconds between two looks whether lvsd's check has ended."""

SOURCES = Path(__file__).resolve().parents[2]
RUN = """\
import sys
sys.path.insert(0, sys.argv.pop(1))
from piranha.cli import main
sys.exit(main())
"""
"""Runs the version of the agent that this process is of: an installed one is on nobody's path."""

UP, DOWN, UNCHECKED = "up", "down", "unchecked"
_VERDICTS = {"good": (UP, "UP"), "bad": (DOWN, "DOWN"), "unknown": (UNCHECKED, "NOT CHECKED")}

Ask = Callable[..., Awaitable[dict[str, Any]]]
"""Asks pulse; Refused, Unreachable."""


async def by_hand(config: Path, name: str) -> Checked:
    """Run `piranha nanny`; TimeoutError."""
    argv = [sys.executable, "-I", "-c", RUN, str(SOURCES), "nanny"]
    argv += ["--config", str(config), "--", name]
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(LIMIT):
            output, _none = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    lines = output[:OUTPUT_KEPT].decode("utf-8", "replace").splitlines()
    return Checked(verdict_of(process.returncode or 0, lines), lines)


def verdict_of(status: int, lines: list[str]) -> str:
    """Read what came of `piranha nanny`; a Python that cannot run it ends with 1 as well. Pure."""
    if status == 1 and not any(": DOWN: " in line for line in lines):
        return UNCHECKED
    return {0: UP, 1: DOWN}.get(status, UNCHECKED)


async def by_lvsd(ask: Ask, virtual: str, server: str, seen: Checked) -> Checked:
    """Have lvsd make its check; Refused, Unreachable, TimeoutError. seen: what by_hand() gave."""
    whom = {"virtual": virtual, "server": server}
    asked = float((await ask("check", **whom))["now"])
    async with asyncio.timeout(LIMIT):
        while True:
            servers = (await ask("servers", **whom))["servers"]
            if all(_ended(one, asked) for one in servers):
                return told(servers, seen)
            await asyncio.sleep(PAUSE)


def _ended(server: Mapping[str, Any], asked: float) -> bool:
    last = server.get("last_check")
    return last is not None and float(last["at"]) + float(last["seconds"]) >= asked


def told(servers: list[dict[str, Any]], seen: Checked) -> Checked:
    """Say what came of lvsd's checks, as `piranha nanny` says it. Pure."""
    what = next((line for line in seen.lines if line.startswith("  check: ")), "")
    lines, verdicts = [], []
    for one in servers:
        last = one["last_check"]
        verdict, word = _VERDICTS.get(last["result"], _VERDICTS["unknown"])
        verdicts.append(verdict)
        lines.append(f"{one['virtual']}/{one['name']}: {word}: {last['answer']}")
        lines += [what] if what else []
        lines += [f"  took:  {float(last['seconds']) * 1000:.1f} ms", BY_LVSD]
    worst = next((one for one in (UNCHECKED, DOWN) if one in verdicts), UP)
    return Checked(worst, lines)
