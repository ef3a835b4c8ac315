# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the collection of the release before this one out of this repository's history.

    previous.py FOLDER      prints the version; FOLDER is what ANSIBLE_COLLECTIONS_PATH has to be

That is the newest tag `v*` before this commit. As long as nothing was released it is the state of
the files that is named below, the first one whose routers hand over without a loss on a busy
machine; its agent has a version of its own, so that a running one can be told from today's. The
whole history is needed, as `git clone` brings it; where it is not there, one sentence says so.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UNRELEASED = "fed0a9e9bae42daaf2c3154a491cbee51d9bfa71"
"""A tree, which keeps its name where a commit's message is changed."""

VERSION = "0.0.1"
LIMIT = 120.0
AGENT = "files/piranha-agent"
WHEELS = ROOT / "build/wheels"


class PreviousError(Exception):
    """There is no previous release to be had; the text is one sentence."""


def git(*words: str) -> bytes:
    """Run git in this checkout and give its output; PreviousError where it fails."""
    argv = ["git", "-C", str(ROOT), *words]
    try:
        done = subprocess.run(argv, capture_output=True, timeout=LIMIT, check=False)
    except FileNotFoundError:
        raise PreviousError("git is not installed") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip() or f"git {words[0]} failed"
        raise PreviousError(said.splitlines()[0])
    return done.stdout


def previous() -> str:
    """Name the previous release for git."""
    try:
        return git("describe", "--tags", "--abbrev=0", "--match=v*", "HEAD^").decode().strip()
    except PreviousError:
        return UNRELEASED


def make(folder: Path) -> str:
    """Make the collection below `folder`, with the agent's archive in it; gives its version."""
    shutil.rmtree(folder, ignore_errors=True)
    collection = folder / "ansible_collections/piranha/lvs"
    collection.mkdir(parents=True)
    name = previous()
    try:
        sources = git("archive", "--format=tar", name)
    except PreviousError as problem:
        raise PreviousError(
            f"{ROOT} does not have {name}, the release before this one, so nothing can be upgraded "
            "from it; clone the whole history with its tags, or git fetch --unshallow --tags "
            f"({problem})"
        ) from problem
    subprocess.run(["tar", "-x", "-C", str(collection)], input=sources, timeout=LIMIT, check=True)
    about = collection / AGENT / "src/piranha/__init__.py"
    text = about.read_text(encoding="utf-8")
    if name == UNRELEASED:
        text = re.sub(r'(?m)^__version__ = ".*"$', f'__version__ = "{VERSION}"', text)
        about.write_text(text, encoding="utf-8")
    if WHEELS.is_dir():
        shutil.copytree(WHEELS, collection / "build/wheels")  # found by content, so none is wrong
    argv = [sys.executable, str(collection / AGENT / "bundle.py")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT, check=False)
    if done.returncode != 0:
        raise PreviousError(f"the agent of {name} could not be made: {done.stderr.strip()}")
    found = re.search(r'(?m)^__version__ = "(.*)"$', text)
    if found is None:
        raise PreviousError(f"{about} does not say its __version__")
    return found[1]


if __name__ == "__main__":
    if len(sys.argv) != len(("program", "folder")):
        sys.exit("use: previous.py FOLDER")
    try:
        print(make(Path(sys.argv[1])))
    except PreviousError as problem:
        sys.exit(f"previous: {problem}")
