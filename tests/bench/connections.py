# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which connections live on when the active router goes, by their age.

`tests/lab/in-ipvs-kernel .venv/bin/python -m tests.bench.connections [--runs N] [--try WHAT...]`

Two whole agents with the sync daemon. What the partner's kernel must know (older than 4 s, at least
4 packets) has to live on through a switchover and a power cut: exit status 1 where one was lost.
--try: also what could help those that the kernel does not know yet, which is no setting of ours:
holding back resets for 3 s after the takeover; `sloppy_tcp` with a scheduler that hashes.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "files/piranha-agent/src"))

from tests.cluster.cluster import VIRTUAL, Cluster, inside, run, soon  # noqa: E402 - path
from tests.cluster.lasting_lab import (  # noqa: E402 - the path must be set first
    SYNCED_CONFIG,
    How,
    Lasting,
    built,
    by_age,
    crash,
    lose_router,
    start,
    switchover,
)

HELD = 3.0
"""Seconds after the takeover for which no reset leaves a virtual address."""
RULE = ["OUTPUT", "-s", VIRTUAL, "-p", "tcp", "--tcp-flags", "RST", "RST", "-j", "DROP"]
HASHED = SYNCED_CONFIG.replace("scheduler = rr", "scheduler = mh\n    scheduler_flags = mh-port")


@contextlib.contextmanager
def no_resets(cluster: Cluster) -> Iterator[None]:
    """Hold resets back on r2 until a while after it has taken over."""
    r2 = cluster.routers["r2"]
    run(*inside("r2", "iptables-legacy", "-A", *RULE))

    def let_pass() -> None:
        soon(lambda: r2.state() == "active", "r2 is active")
        threading.Event().wait(HELD)
        run(*inside("r2", "iptables-legacy", "-D", *RULE))

    waiting = threading.Thread(target=let_pass)
    waiting.start()
    try:
        yield
    finally:
        waiting.join()


def sloppy(cluster: Cluster, on: bool) -> None:
    """Whether the kernel takes a connection in from any of its packets, not from the first only."""
    for name in cluster.routers:
        run(*inside(name, "sysctl", "-q", "-w", f"net.ipv4.vs.sloppy_tcp={int(on)}"))


def told(what: str, found: list[Lasting]) -> bool:
    """Print a line; gives whether every connection that must live on has."""
    lost = sorted({one.lost for one in found if one.lost is not None})
    print(f"  {what:36} {by_age(found)}   {', '.join(lost)}", flush=True)
    return all(one.lost is None for one in found if one.known)


class Kind(NamedTuple):
    """One way to lose the active router, and what is tried against it."""

    how: How
    config: str = SYNCED_CONFIG
    held: bool = False
    sloppy: bool = False


JUDGED = {"switchover": Kind(switchover), "power cut": Kind(crash)}
TRIED = {
    "resets held back": Kind(crash, held=True),
    "scheduler mh": Kind(crash, HASHED),
    "sloppy_tcp": Kind(crash, sloppy=True),
    "sloppy_tcp, mh": Kind(crash, HASHED, sloppy=True),
    "sloppy_tcp, mh, held back": Kind(crash, HASHED, held=True, sloppy=True),
}
"""Power cuts, with what could help connections that the partner does not know yet."""


def lost_with(cluster: Cluster, kind: Kind, runs: int) -> list[Lasting]:
    """Lose the active router a number of times; gives what became of all connections."""
    found: list[Lasting] = []
    for _unused in range(runs):
        cluster.stop()
        sloppy(cluster, kind.sloppy)
        start(cluster, kind.config)
        found += lose_router(cluster, kind.how, no_resets(cluster) if kind.held else None)
        if any(one.lost for one in found if one.known):
            for router in cluster.routers.values():
                print(f"--- {router.name}\n{router.log()[-3000:]}")
    return found


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(prog="tests.bench.connections", description=__doc__)
    parser.add_argument("--runs", type=int, default=2, help="of each kind (%(default)s)")
    parser.add_argument("--try", nargs="+", dest="tried", choices=TRIED, default=[], metavar="WHAT",
                        help="also a power cut with: " + "; ".join(TRIED))  # fmt: skip
    options = parser.parse_args()
    heads = "  ".join(f"{head:>7}" for head in ("0-1 s", "1-2 s", "2-3 s", "3-4 s", "4 s on"))
    print(f"  {'connections kept, by their age':36} {heads}")
    kept = []
    with built() as cluster:
        for name, kind in JUDGED.items():
            kept.append(told(name, lost_with(cluster, kind, options.runs)))
        for name in options.tried:
            told(f"power cut, {name}", lost_with(cluster, TRIED[name], options.runs))
    return int(not all(kept))


if __name__ == "__main__":
    sys.exit(main())
