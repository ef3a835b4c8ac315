# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the agent's unit tests on Python 3.13, which Debian 13 has; .venv is that of Debian 12.

The environment lies in build/python313. Arguments go to pytest. Where no Python 3.13 is found this
fails; whether to run it at all is decided in layers.py, which says so in the closing table.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

from .machine import BUILD, ROOT, Trouble, main_guarded, python313
from .oldest import ensure

PINS = ROOT / "tests/gates/requirements-debian13.txt"
CARRIED = ROOT / "files/piranha-agent/requirements.txt"
HOME = BUILD / "python313"


def main() -> int:
    """Run pytest over the agent's unit tests; gives its status."""
    base = python313()
    if base is None:
        raise Trouble("no Python 3.13 on this machine; install one to run these tests")
    # What the archive carries is needed too; one file, so that a change of either makes it anew.
    pins = BUILD / "python313-pins.txt"
    pins.parent.mkdir(exist_ok=True)
    text = "".join(path.read_text(encoding="utf-8") for path in (PINS, CARRIED))
    # pip takes digests for all or for none.
    pins.write_text("".join(f"{name}\n" for name in re.findall(r"^[\w.-]+==\S+", text, re.M)))
    folders = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("tests/unit/agent_*"))
    argv = [ensure(HOME, pins, base), "-m", "pytest", *sys.argv[1:], *folders]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(argv, cwd=ROOT, env=env, check=False).returncode


if __name__ == "__main__":
    main_guarded(main)
