# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make ``.venv`` with the pinned tools of requirements-dev.txt, and the collection's link.

``python3 -m tests.gates.venv`` does nothing when the environment fits the pins already; the stamp
in it holds a hash of the pins and of the interpreter. It never installs Python packages outside
of ``.venv``. ``--pin`` instead resolves requirements-dev.in and writes requirements-dev.txt.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time

from .machine import (
    BUILD,
    ROOT,
    SYSTEM_PYTHON,
    VENV,
    Trouble,
    ensure_packages,
    main_guarded,
    quiet,
    run_shown,
    say,
)

PINS = ROOT / "requirements-dev.txt"
WISHES = ROOT / "requirements-dev.in"
STAMP = VENV / "made-from"
LINK = BUILD / "collections/ansible_collections/piranha/lvs"
PINS_HEAD = """\
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
# Made by `make pins` from requirements-dev.in: every tool and what it depends on, at one version.
"""


def stamp_text() -> str:
    """What the stamp of an environment that fits holds: hash of pins, interpreter, place."""
    version = quiet([str(SYSTEM_PYTHON), "--version"]) or ""
    digest = hashlib.sha256(PINS.read_bytes()).hexdigest()
    return f"{digest} {version} {VENV}\n"


def link_collection() -> None:
    """Let ``build/collections/ansible_collections/piranha/lvs`` be this checkout."""
    if LINK.is_symlink() and LINK.resolve() == ROOT:
        return
    LINK.parent.mkdir(parents=True, exist_ok=True)
    LINK.unlink(missing_ok=True)
    LINK.symlink_to(ROOT, target_is_directory=True)


def make_environment() -> None:
    """Create or correct ``.venv``; quick when there is nothing to do."""
    link_collection()
    wanted = stamp_text()
    if STAMP.exists() and STAMP.read_text(encoding="utf-8") == wanted:
        return
    began = time.monotonic()
    if quiet([str(SYSTEM_PYTHON), "-c", "import ensurepip, venv"]) is None:
        ensure_packages(["python3-venv"], "virtual environment")
    python = VENV / "bin/python"
    config = VENV / "pyvenv.cfg"
    moved = config.exists() and str(VENV) not in config.read_text(encoding="utf-8")
    if moved or quiet([str(python), "-m", "pip", "--version"]) is None:
        if VENV.exists():
            say("the virtual environment does not work or was moved; making it anew")
            shutil.rmtree(VENV)
        if run_shown([str(SYSTEM_PYTHON), "-m", "venv", str(VENV)]) != 0:
            raise Trouble("python3 could not make .venv; its own message is just above")
    say("installing the pinned tools into .venv (about a minute the first time)")
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install"]
    if run_shown([*pip, "-qq", "-r", str(PINS)]) != 0:
        raise Trouble("pip could not install requirements-dev.txt; its own message is just above")
    if run_shown([str(python), "-m", "pip", "--disable-pip-version-check", "check"]) != 0:
        raise Trouble("the pinned versions do not fit together; run `make pins` and look")
    STAMP.write_text(wanted, encoding="utf-8")
    say(f"virtual environment ready after {time.monotonic() - began:.0f} s")


def pin() -> None:
    """Resolve requirements-dev.in afresh and write every version into requirements-dev.txt."""
    argv = [str(VENV / "bin/python"), "-m", "pip", "--disable-pip-version-check", "install"]
    argv += ["-qq", "--dry-run", "--ignore-installed", "--report", "-", "-r", str(WISHES)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False, cwd=ROOT)
    if done.returncode != 0:
        raise Trouble("pip could not resolve requirements-dev.in; its own message is just above")
    found = {
        item["metadata"]["name"]: item["metadata"]["version"]
        for item in json.loads(done.stdout)["install"]
    }
    lines = [f"{name}=={found[name]}\n" for name in sorted(found, key=str.lower)]
    fresh = PINS.with_name(PINS.name + ".new")
    fresh.write_text(PINS_HEAD + "".join(lines), encoding="utf-8")
    fresh.replace(PINS)
    say(f"requirements-dev.txt: {len(lines)} versions")


def main() -> int:
    """Command line: nothing, or ``--pin``."""
    if sys.argv[1:] == ["--pin"]:
        pin()
    elif sys.argv[1:]:
        raise Trouble(f"unknown argument {sys.argv[1]!r}; only --pin is known")
    else:
        make_environment()
    return 0


if __name__ == "__main__":
    main_guarded(main)
