# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the benchmarks one after the other: `python -m tests.bench.run [NAME...]`.

`NAME:WORD` gives a benchmark a word of its own: `takeover:crash-0.01` measures that piece alone.

Installs the Debian packages of packages.txt beside it. What needs the kernel's IPVS table runs
in a kernel that has one. 1 if a benchmark could not run or judged its figures too bad.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from tests.gates.machine import ROOT, Trouble, ensure_packages, run_shown, say, wanted_packages

IN_KERNEL = str(ROOT / "tests/lab/in-ipvs-kernel")
PYTHON = str(ROOT / ".venv/bin/python")
PACKAGES = Path(__file__).with_name("packages.txt")
LAB = ROOT / "tests/lab/packages.txt"

# Name -> what it measures, and what to run it in.
BENCHMARKS = {
    "lvs_cf": ("`piranha config check` of large files, beside keepalived's own check", ()),
    "takeover": ("takeovers, whole agents beside keepalived, as a client sees them", ()),
    "connections": ("which connections live on when the active router goes", (IN_KERNEL,)),
    "ipvs_table": ("a large IPVS table, the library beside ipvsadm", (IN_KERNEL,)),
    "checks": ("1,000 servers checked every 3 s, the agent beside keepalived", (IN_KERNEL,)),
    "start": ("start and reload with 1,000 x 16, the agent beside keepalived", (IN_KERNEL,)),
    "ten_thousand": ("10,000 servers checked every 3 s, natively", ()),
    "browser": ("the web page with 1,000 services of 16 servers and 20 viewers, in Chromium", ()),
    "site_yml": ("site.yml task by task: two routers, two real servers, first and second run", ()),
    "page": ("16,000 servers, natively, while twenty look on at the web page's door", ()),
    "ipvs_tasks": ("tasks of ansible-playbook, the modules beside ipvsadm in a loop", (IN_KERNEL,)),
}


def main() -> int:
    """Command line; gives the exit status."""
    parser = argparse.ArgumentParser(prog="tests.bench.run", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    names = parser.parse_args().names or list(BENCHMARKS)
    unknown = [name for name in names if name.partition(":")[0] not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]}; there are {', '.join(BENCHMARKS)}")
    try:
        ensure_packages(wanted_packages(PACKAGES) + wanted_packages(LAB), "for the benchmarks")
    except Trouble as trouble:
        say(f"bench: {trouble}")
        return 1
    bad = []
    for name in names:
        module, _colon, word = name.partition(":")
        title, inside = BENCHMARKS[module]
        say(f"\n=== {name}: {title}")
        argv = [*inside, PYTHON, "-m", f"tests.bench.{module}", *filter(None, [word])]
        if run_shown(argv, cwd=ROOT) != 0:
            bad.append(name)
    say(f"\n{len(names) - len(bad)} benchmarks passed, {len(bad)} failed {' '.join(bad)}".rstrip())
    return int(bool(bad))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (KeyboardInterrupt, subprocess.TimeoutExpired):
        sys.exit(130)
