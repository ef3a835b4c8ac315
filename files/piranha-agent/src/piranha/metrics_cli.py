# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `piranha metrics`: the status for Prometheus, once or served."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

OK, UNREACHABLE = 0, 2
SUMMARY = "print the metrics for Prometheus, or serve them"

Add = Callable[..., argparse.ArgumentParser]


def register(commands: Any, add: Add) -> None:
    """Add the command."""
    command = add(commands, "metrics", _metrics, SUMMARY)
    command.add_argument(
        "--listen",
        metavar="PLACE",
        help="serve them at ADDRESS:PORT, [IPV6]:PORT or unix:/PATH, path /metrics",
    )


def page(run_dir: Path) -> str:
    """Ask pulse and give the page; without pulse it says just that."""
    from piranha.control.client import Client, Refused, Unreachable
    from piranha.control.metrics import render
    from piranha.pulse.names import SOCKET

    try:
        with Client(run_dir / SOCKET) as client:
            return render(client.ask("status"))
    except (Unreachable, Refused) as why:
        print(f"piranha: {why}", file=sys.stderr)
        return render(None)


def _metrics(options: argparse.Namespace) -> int:
    import asyncio

    from piranha.control.exporter import AddressError, Exporter, listener

    if options.listen is None:
        text = page(options.run_dir)
        print(text, end="")
        return OK if "piranha_up 1\n" in text else UNREACHABLE
    try:
        sock = listener(options.listen)
    except AddressError as why:
        print(f"piranha: {why}", file=sys.stderr)
        return UNREACHABLE

    async def serve() -> None:
        await Exporter(lambda: page(options.run_dir)).serve(sock)

    asyncio.run(serve())
    return OK
