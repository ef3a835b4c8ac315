# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits until one of some machines, and only one, holds an address, and prints its name.

    holders.py ADDRESS MACHINE... [--seconds N]

It must be so in three looks in a row, a second apart, for a router that has just come back may take
some time to notice its partner. Exit status 1, with what was seen last, when the time is up.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/lab")]
sys.dont_write_bytecode = True

from piranha_demo.machines import Lab  # noqa: E402 - the path above must be set first
from piranha_demo.programs import DemoError, Programs  # noqa: E402

LOOKS = 3


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Wait until one machine alone has an address.")
    parser.add_argument("address")
    parser.add_argument("machines", nargs="+")
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    lab, end, row, last = Lab(ROOT, Programs()), time.monotonic() + options.seconds, 0, [""]
    with ThreadPoolExecutor(len(options.machines)) as pool:
        while time.monotonic() < end:
            try:
                held = list(pool.map(lab.holds, options.machines))
            except DemoError as problem:
                print(problem, file=sys.stderr)
                row = 0
            else:
                names = zip(options.machines, held, strict=True)
                now = [name for name, addresses in names if options.address in addresses]
                row = row + 1 if len(now) == 1 and now == last else int(len(now) == 1)
                last = now
            if row >= LOOKS:
                print(last[0])
                return 0
            time.sleep(1)
    print(f"after {options.seconds:g} s held by: {', '.join(last) or 'nobody'}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
