# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run mypy --strict over each part of the house, each as the Python it must run on.

``python3 -m tests.gates.types``; the settings stand in pyproject.toml. The paths in its messages
are those of the checkout, not of the tree of links that mypy reads.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .machine import BUILD, ROOT, VENV_BIN, main_guarded, say
from .stage import TYPES, stage_types


@dataclass(frozen=True)
class Part:
    """Packages (``-p``) or files that are checked together, found below the folders ``path``."""

    name: str
    python: str
    targets: tuple[str, ...]
    path: tuple[Path, ...]


def parts() -> list[Part]:
    """What is checked. mypy knows no Python 3.9 any more; ruff and sanity watch over that."""
    lab = ROOT / "tests/lab"
    packages = [p.name for p in sorted(lab.iterdir()) if (p / "__init__.py").exists()]
    lab_targets = tuple(word for name in packages for word in ("-p", name))
    found = [
        Part("plugins", "3.10", ("-p", "ansible_collections.piranha.lvs.plugins"), (TYPES,)),
        Part("agent", "3.11", ("-p", "piranha"), (TYPES,)),
        Part("gates", "3.11", ("-p", "tests.gates"), (ROOT,)),
    ]
    clusters = ("-p", "tests.cluster", "-p", "tests.simulation")
    found.append(Part("clusters", "3.11", clusters, (TYPES, ROOT)))
    if lab_targets:
        found.append(Part("lab", "3.11", lab_targets, (lab,)))
    helper = ROOT / "roles/piranha_realserver/files/piranha_realserver.py"
    found.append(Part("helper", "3.10", (str(helper),), (TYPES,)))
    for name in ("piranha_firewall", "piranha_firewalld", "piranha_unpack"):
        path = ROOT / f"roles/piranha_router/files/{name}.py"
        found.append(Part(name.removeprefix("piranha_"), "3.11", (str(path),), (TYPES,)))
    load = ROOT / "roles/piranha_realserver/files/piranha_load.py"
    found.append(Part("load", "3.10", (str(load),), (TYPES,)))
    bundle = ROOT / "files/piranha-agent/bundle.py"
    if bundle.exists():
        found.append(Part("bundle", "3.11", (str(bundle),), (TYPES,)))
    return found


def check(part: Part) -> int:
    """Run mypy for one part and print its findings with the checkout's paths."""
    argv = [str(VENV_BIN / "mypy"), "--config-file", str(ROOT / "pyproject.toml")]
    argv += ["--python-version", part.python, "--cache-dir", str(BUILD / "mypy" / part.name)]
    env = dict(os.environ, MYPYPATH=":".join(map(str, part.path)))
    done = subprocess.run(
        [*argv, *part.targets], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    text = done.stdout + done.stderr
    for staged, real in [
        ("build/types/piranha/core/lvs_cf/", "plugins/module_utils/lvs_cf/"),
        ("build/types/piranha/core/ipvs/", "plugins/module_utils/ipvs/"),
        ("build/types/piranha/", "files/piranha-agent/src/piranha/"),
        ("build/types/ansible_collections/piranha/lvs/", ""),
    ]:
        text = text.replace(staged, real)
    say(f"{part.name} (as Python {part.python}): {text.strip()}")
    return done.returncode


def main() -> int:
    """Check every part; 1 if mypy found anything in any of them."""
    stage_types()
    return max(check(part) for part in parts())


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    main_guarded(main)
