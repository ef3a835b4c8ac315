# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at this namespace's IPVS table every 10 ms until TERM, then tells the least it has seen.

The last line is JSON: {"looks": N, "services": fewest services, "servers": fewest real servers}.
It reads /proc/net/ip_vs, so that a table that was empty for a moment does not escape between two
programs.
"""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path

EVERY = 0.01


def counts(text: str) -> tuple[int, int]:
    """Count services and servers in the text of /proc/net/ip_vs."""
    lines = text.splitlines()
    services = sum(1 for line in lines if line.startswith(("TCP ", "UDP ", "FWM ")))
    servers = sum(1 for line in lines if line.startswith("  -> ") and "RemoteAddress" not in line)
    return services, servers


def main() -> None:
    """Watch until TERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    print("looking", flush=True)
    looks, least = 0, [10**9, 10**9]
    while not stop.is_set():
        seen = counts(Path("/proc/net/ip_vs").read_text(encoding="ascii"))
        least = [min(a, b) for a, b in zip(least, seen, strict=True)]
        looks += 1
        stop.wait(EVERY)
    print(json.dumps({"looks": looks, "services": least[0], "servers": least[1]}))


if __name__ == "__main__":
    main()
