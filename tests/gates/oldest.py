# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the unit tests of plugins/ on Python 3.9, the oldest that the collection promises.

The environment lies in build/python39. Arguments go to pytest. Where no Python 3.9 is found this
fails; whether to run it at all is decided in layers.py, which says so in the closing table.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from .machine import BUILD, ROOT, Trouble, main_guarded, python39, run_shown

PINS = ROOT / "tests/gates/requirements-oldest.txt"
HOME = BUILD / "python39"


def ensure(home: Path, pins: Path, base: Path) -> str:
    """Make a virtual environment if it does not fit its pins; gives its interpreter."""
    python = str(home / "bin/python")
    stamp = home / "made-from"
    wanted = f"{hashlib.sha256(pins.read_bytes()).hexdigest()} {base} {home}\n"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    shutil.rmtree(home, ignore_errors=True)
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "-qq", "-r", str(pins)]
    if run_shown([str(base), "-m", "venv", str(home)]) != 0 or run_shown(pip) != 0:
        raise Trouble(f"the environment for {base.name} could not be made; the reason is above")
    stamp.write_text(wanted, encoding="utf-8")
    return python


def main() -> int:
    """Run pytest over tests/unit/plugins; gives its status."""
    base = python39()
    if base is None:
        raise Trouble("no Python 3.9 on this machine; install one to run these tests")
    argv = [ensure(HOME, PINS, base), "-m", "pytest", *sys.argv[1:], "tests/unit/plugins"]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    env["HYPOTHESIS_PROFILE"] = "few"
    return subprocess.run(argv, cwd=ROOT, env=env, check=False).returncode


if __name__ == "__main__":
    main_guarded(main)
