# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of the checkout in the shapes that the tools insist on.

``stage_collection`` copies the tracked files (as they stand in the working tree) to
build/stage/ansible_collections/piranha/lvs: ansible-test refuses any other folder name.
``stage_types`` builds a tree of links in which mypy finds the agent's ``piranha.core`` complete.
Neither changes anything in the checkout.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
from pathlib import Path

from .machine import BUILD, ROOT, Trouble, main_guarded, say

STAGE = BUILD / "stage"
STAGED = STAGE / "ansible_collections/piranha/lvs"
TYPES = BUILD / "types"
# What bundle.py makes and a release carries, though git does not.
MADE = [f"roles/piranha_router/files/piranha-agent.{kind}" for kind in ("tar.xz", "json")]
KEPT = {".git", "tests/output"}


def tracked_files() -> list[str]:
    """Every file that git tracks or has staged, and that exists; paths relative to the checkout."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise Trouble(f"git cannot list the checkout's files: {done.stderr.strip()}")
    return sorted(name for name in done.stdout.split("\0") if name and (ROOT / name).is_file())


def stage_collection() -> Path:
    """Bring the staged copy up to date, the agent's archive included if it was made."""
    wanted = tracked_files() + [name for name in MADE if (ROOT / name).exists()]
    STAGED.mkdir(parents=True, exist_ok=True)
    _remove_strays(set(wanted))
    for name in wanted:
        source, target = ROOT / name, STAGED / name
        if target.exists() and filecmp.cmp(source, target, shallow=False):
            shutil.copymode(source, target)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    if not (STAGED / ".git").exists():
        # Without a repository of its own ansible-test asks ours, which ignores build/.
        subprocess.run(["git", "init", "-q", str(STAGED)], check=True)
    return STAGED


def _remove_strays(wanted: set[str]) -> None:
    """Tools leave files there, and folders, which a tarball would carry even if they are empty."""
    for folder, folders, files in os.walk(STAGED, topdown=True):
        here = Path(folder).relative_to(STAGED)
        folders[:] = [f for f in folders if str(here / f) not in KEPT]
        for name in files:
            if str(here / name) not in wanted:
                (STAGED / here / name).unlink()
    for folder, _folders, _files in os.walk(STAGED, topdown=False):
        here = Path(folder).relative_to(STAGED)
        kept = KEPT & {str(each) for each in (here, *here.parents)}
        if not kept and not any(Path(folder).iterdir()):
            Path(folder).rmdir()


def stage_types() -> Path:
    """A tree of links: ``piranha`` with ``piranha.core`` complete, and the collection's plugins."""
    if TYPES.exists():
        shutil.rmtree(TYPES)
    agent = ROOT / "files/piranha-agent/src/piranha"
    utils = ROOT / "plugins/module_utils"
    core = TYPES / "piranha/core"
    core.mkdir(parents=True)
    for source in agent.iterdir() if agent.is_dir() else ():
        if source.name not in ("core", "__pycache__"):
            (TYPES / "piranha" / source.name).symlink_to(source)
    for source in [agent / "core/__init__.py", utils / "lvs_cf", utils / "ipvs"]:
        (core / source.name).symlink_to(source)
    plugins = TYPES / "ansible_collections/piranha/lvs/plugins"
    plugins.parent.mkdir(parents=True)
    plugins.symlink_to(ROOT / "plugins")
    return TYPES


def main() -> int:
    """Command line: bring the staged collection up to date."""
    say(f"{len(tracked_files())} tracked files are in {stage_collection().relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    main_guarded(main)
