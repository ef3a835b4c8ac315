# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ansible-test sanity over the staged collection, needing nothing but the package index.

Eight of its tests make private virtual environments, for which ansible-test downloads pip's
bootstrap script from that project's own host. We put a script of our own where ansible-test looks
for its copy: it gets pip from Python's ensurepip and installs the version asked for with pip.
No test is left out and nothing is ignored (tests/sanity/ holds no ignore file).

``--newest`` takes the newest ansible-core, which needs a newer Python than Debian 12's, in an
environment below build/. Where no such Python is found that fails; layers.py says beforehand that
it does not run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from .ansible_test import clean_environment
from .machine import BUILD, ROOT, VENV, Trouble, main_guarded, newest_python, say
from .oldest import ensure
from .stage import stage_collection

NEWEST = BUILD / "newest"
NEWEST_PINS = ROOT / "tests/gates/requirements-newest.txt"

BOOTSTRAP = '''\
"""Stands in for pip's bootstrap script; written by the gates of piranha.lvs."""
import os
import subprocess
import sys

environment = {name: value for name, value in os.environ.items() if name != "GET_PIP"}
import ensurepip  # changes os.environ as soon as it bootstraps, hence the copy above

ensurepip.bootstrap(default_pip=True)
wanted = [word for word in sys.argv[1:] if not word.startswith("-")]
command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
sys.exit(subprocess.call(command + wanted, env=environment))
'''


def pip_version(home: Path) -> str:
    """The version of pip that the ansible-test of a virtual environment asks for."""
    found = list(home.glob("lib/python3*/site-packages/ansible_test/_internal"))
    if not found:
        raise Trouble(f"ansible-test is not in {home.name}; run `make venv`")
    text = (found[0] / "python_requirements.py").read_text(encoding="utf-8")
    match = re.search(r"pip='([0-9.]+)'", text)
    if not match:
        raise Trouble("cannot see which pip ansible-test wants; look at tests/gates/sanity.py")
    return match[1]


def place_bootstrap(home: Path) -> None:
    """Put the stand-in where ansible-test caches the script that it would download."""
    name = f"get_pip_{pip_version(home).replace('.', '_')}.py"
    target = Path.home() / ".ansible/test/cache" / name
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f"{name}.{os.getpid()}.new")
    fresh.write_text(BOOTSTRAP, encoding="utf-8")
    fresh.replace(target)
    say(f"placed a stand-in for pip's bootstrap script at ~/.ansible/test/cache/{name}")


def main() -> int:
    """Stage, place the stand-in, run every sanity test; gives ansible-test's status."""
    home = VENV
    env = clean_environment()
    if sys.argv[1:] == ["--newest"]:
        python = newest_python()
        if python is None:
            raise Trouble("no Python 3.12 or later here; the newest ansible-core needs one")
        ensure(NEWEST, NEWEST_PINS, python)
        home = NEWEST
        env["PATH"] = os.pathsep.join([str(home / "bin"), env["PATH"], str(python.parent)])
    staged = stage_collection()
    place_bootstrap(home)
    argv = [str(home / "bin/ansible-test"), "sanity", "--color", "no", "--truncate", "0"]
    return subprocess.run(argv, cwd=staged, env=env, check=False).returncode


if __name__ == "__main__":
    main_guarded(main)
