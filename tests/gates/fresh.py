# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove that a fresh clone works: clone what is committed, and make targets in it from nothing.

``python3 -m tests.gates.fresh [TARGET...]`` (default: check) clones into build/fresh and runs make
there with an empty environment and the system's PATH, so that nothing of this checkout or of the
person's shell can help. What is already installed on the machine stays installed; a machine that
is bare itself is what continuous integration has. The clone is removed when all went well.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time

from .machine import BUILD, ROOT, Trouble, main_guarded, run_shown, say

CLONE = BUILD / "fresh" / "piranha.lvs"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def main() -> int:
    """Clone, make each target, remove the clone; the first failure is the status."""
    if CLONE.exists():
        shutil.rmtree(CLONE)
    if run_shown(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(CLONE)]) != 0:
        raise Trouble("the checkout could not be cloned; git's message is just above")
    for target in sys.argv[1:] or ["check"]:
        began = time.monotonic()
        say(f"=== a fresh clone, an empty environment: make {target}")
        status = subprocess.run(
            ["make", target], cwd=CLONE, env={"PATH": PATH}, check=False
        ).returncode
        say(f"make {target}: status {status} after {time.monotonic() - began:.0f} s")
        if status != 0:
            say(f"the clone stays for a look: {CLONE.relative_to(ROOT)}")
            return status
    shutil.rmtree(CLONE)
    return 0


if __name__ == "__main__":
    main_guarded(main)
