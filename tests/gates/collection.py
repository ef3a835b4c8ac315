# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the collection's tarball, install it alone, and see that its site playbook is whole.

``python3 -m tests.gates.collection`` is the gate. ``--dist`` only builds the release into
build/dist, with the agent's archive inside. From the installed copy everything goes that a
collection may not lean on: only meta, plugins, roles and playbooks stay.
"""

from __future__ import annotations

import os
import shutil
import sys
import tarfile
from pathlib import Path

from .machine import BUILD, ROOT, VENV_BIN, Trouble, main_guarded, run_shown, say
from .stage import MADE, stage_collection

DIST = BUILD / "dist"
ALONE = BUILD / "installed"
PUBLIC = {"meta", "plugins", "roles", "playbooks", "MANIFEST.json", "FILES.json", "galaxy.yml"}
JUNK = ("__pycache__", ".pyc", "tests/output", ".git/", ".venv", "build/", "_cache/", ".hypothesis")
LARGEST = 1 << 20  # bytes; two thirds of it are the agent with the page's libraries


def build() -> Path:
    """Make the agent's archive and the tarball; gives the tarball's path."""
    bundle = ROOT / "files/piranha-agent/bundle.py"
    if not bundle.exists():
        raise Trouble("files/piranha-agent/bundle.py is missing, so there is no agent to ship")
    if run_shown([str(VENV_BIN / "python"), str(bundle)], cwd=ROOT) != 0:
        raise Trouble("the agent's archive could not be made; the reason is just above")
    staged = stage_collection()
    galaxy = str(VENV_BIN / "ansible-galaxy")
    argv = [galaxy, "collection", "build", "--force", "--output-path", str(DIST)]
    if run_shown(argv, cwd=staged) != 0:
        raise Trouble("ansible-galaxy could not build the collection; its message is just above")
    return max(DIST.glob("piranha-lvs-*.tar.gz"), key=lambda path: path.stat().st_mtime)


def faults(tarball: Path) -> list[str]:
    """What is wrong with a tarball: junk in it, too big, or without the agent."""
    with tarfile.open(tarball) as archive:
        names = archive.getnames()
    found = [f"{name} has no place in it" for name in names if any(j in name for j in JUNK)]
    size = tarball.stat().st_size
    if size > LARGEST:
        found.append(f"it is {size} bytes; at most {LARGEST} are allowed")
    for made in MADE:
        if made not in names:
            found.append(f"it lacks {made}; see bundle.py and build_ignore in galaxy.yml")
    say(f"{tarball.name}: {len(names)} files, {size} bytes")
    return found


def install_alone(tarball: Path) -> Path:
    """Install into an empty folder and take away all that a user may not need."""
    shutil.rmtree(ALONE, ignore_errors=True)
    galaxy = str(VENV_BIN / "ansible-galaxy")
    argv = [galaxy, "collection", "install", "--offline", "-p", str(ALONE), str(tarball)]
    if run_shown(argv, env=_environment()) != 0:
        raise Trouble("the tarball could not be installed; ansible-galaxy's message is just above")
    installed = ALONE / "ansible_collections/piranha/lvs"
    for path in installed.iterdir():
        if path.name not in PUBLIC:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return installed


def _environment() -> dict[str, str]:
    return dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(ALONE))


def main() -> int:
    """Command line: nothing, or ``--dist``."""
    tarball = build()
    found = faults(tarball)
    for fault in found:
        say(f"{tarball.name}: {fault}")
    if found:
        return 1
    if sys.argv[1:] == ["--dist"]:
        say(f"the release is {tarball.relative_to(ROOT)}")
        return 0
    install_alone(tarball)
    playbook = str(VENV_BIN / "ansible-playbook")
    empty = BUILD / "installed/elsewhere"  # no ansible.cfg, no collection beside it
    empty.mkdir()
    argv = [playbook, "piranha.lvs.site", "-i", str(ROOT / "inventories/lab"), "--syntax-check"]
    if run_shown(argv, cwd=empty, env=_environment()) != 0:
        raise Trouble("piranha.lvs.site does not stand on the installed collection alone")
    return 0


if __name__ == "__main__":
    main_guarded(main)
