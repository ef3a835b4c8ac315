# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes down what machines of the lab are, or compares them with what was written down.

    fingerprints.py remember FOLDER MACHINE...
    fingerprints.py compare FOLDER MACHINE...      exit status 1, and a line for each difference

For molecule's scenarios; the demo does the same by itself.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/lab")]
sys.dont_write_bytecode = True

from piranha_demo.machines import Lab, compare  # noqa: E402 - the path above must be set first
from piranha_demo.programs import DemoError, Programs  # noqa: E402

FEWEST_FILES = 100
"""A machine of which fewer files are seen was not looked at."""


def main(action: str, folder: Path, machines: list[str]) -> int:
    """Do what was asked and give the exit status."""
    lab = Lab(ROOT, Programs())
    with ThreadPoolExecutor(len(machines)) as pool:
        now = dict(zip(machines, pool.map(lab.fingerprint, machines), strict=True))
    for machine, found in now.items():
        if len(found["files"]) < FEWEST_FILES:
            raise DemoError(f"{machine}: only {len(found['files'])} files were seen")
    if action == "remember":
        folder.mkdir(parents=True, exist_ok=True)
        for machine, found in now.items():
            (folder / f"{machine}.json").write_text(json.dumps(found), encoding="utf-8")
        changes = []
    else:
        before = {
            machine: json.loads((folder / f"{machine}.json").read_text(encoding="utf-8"))
            for machine in machines
        }
        changes = compare(before, now, machines)
    files = sum(len(found["files"]) for found in now.values())
    print(
        "\n".join([*changes, f"{files} files of {len(machines)} machines, {len(changes)} changes"])
    )
    return 1 if changes else 0


if __name__ == "__main__":
    if len(sys.argv) < len(("program", "action", "folder", "machine")):
        sys.exit("use: fingerprints.py remember|compare FOLDER MACHINE...")
    if sys.argv[1] not in ("remember", "compare"):
        sys.exit(f"{sys.argv[1]} is neither remember nor compare")
    try:
        sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
    except (DemoError, OSError) as problem:
        sys.exit(str(problem))
