# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ansible-test units or integration over the staged collection.

``python3 -m tests.gates.ansible_test units TARGET…``; every word goes to ansible-test. The settings
of this machine stay outside: ansible-test must find the collection by where it lies. Sanity has a
file of its own (sanity.py).
"""

from __future__ import annotations

import os
import subprocess
import sys

from .machine import VENV_BIN, main_guarded
from .stage import stage_collection


def clean_environment() -> dict[str, str]:
    """This environment without anything that is meant for Ansible."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}


def main() -> int:
    """Stage, run; gives ansible-test's status."""
    argv = [str(VENV_BIN / "ansible-test"), *sys.argv[1:], "--color", "no"]
    staged = stage_collection()
    return subprocess.run(argv, cwd=staged, env=clean_environment(), check=False).returncode


if __name__ == "__main__":
    main_guarded(main)
