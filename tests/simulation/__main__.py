# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays seeds again and tells what happened: `python -m tests.simulation SEED...`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "files/piranha-agent/src"))

from tests.simulation.world import BrokenPromise, World


def main(words: list[str]) -> int:
    """Play each seed; 1 where a promise was broken."""
    status = 0
    for word in words:
        world = World(int(word), trace=True)
        try:
            world.run()
            verdict = f"seed {word}: all promises were kept"
        except BrokenPromise as broken:
            verdict, status = str(broken), 1
        print("\n".join([*(world.trace or ()), verdict]))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
