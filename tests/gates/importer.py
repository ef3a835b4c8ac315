# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let galaxy-importer judge the tarball in build/dist, as Galaxy and Automation Hub do.

``python3 -m tests.gates.importer`` builds nothing (collection.py does). Any warning fails. Of its
parts only ansible-test stays out, for which it wants containers; that is a gate of its own.
"""

from __future__ import annotations

import os
import re
import subprocess

from .collection import DIST
from .machine import BUILD, VENV_BIN, Trouble, main_guarded, say

HOME = BUILD / "importer"
SETTINGS = """\
[galaxy-importer]
check_changelog = True
check_required_tags = True
offline_ansible_lint = True
require_v1_or_greater = False
run_ansible_doc = True
run_ansible_lint = True
run_ansible_test = False
run_flake8 = False
"""
BAD = re.compile(r"^(WARNING|ERROR|CRITICAL)\b", re.MULTILINE)
END = "Importer processing completed successfully"


def faults(said: str) -> list[str]:
    """The lines of its report that are warnings or worse, and whether it came to its end."""
    found = [line for line in said.splitlines() if BAD.match(line)]
    if END not in said:
        found.append("it did not come to its end")
    return found


def main() -> int:
    """Import the newest tarball; 1 if anything was remarked."""
    tarballs = sorted(DIST.glob("piranha-lvs-*.tar.gz"), key=lambda path: path.stat().st_mtime)
    if not tarballs:
        raise Trouble("there is no tarball in build/dist; first run `make dist`")
    HOME.mkdir(parents=True, exist_ok=True)
    settings = HOME / "galaxy-importer.cfg"
    settings.write_text(SETTINGS, encoding="utf-8")
    env = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    env["GALAXY_IMPORTER_CONFIG"] = str(settings)
    argv = [str(VENV_BIN / "python"), "-m", "galaxy_importer.main", str(tarballs[-1])]
    # It leaves its verdict as a file where it is started.
    done = subprocess.run(
        argv, cwd=HOME, env=env, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    say(done.stdout)
    found = faults(done.stdout)
    for fault in found:
        say(f"{tarballs[-1].name}: {fault}")
    say(f"{tarballs[-1].name}: {len(found)} remarks")
    return int(bool(found) or done.returncode != 0)


if __name__ == "__main__":
    main_guarded(main)
