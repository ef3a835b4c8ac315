# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Examples in the documentation are real: they parse, and Ansible accepts the quickstart.

Every fenced ``yaml`` block of README.md, docs/ and the roles' READMEs is parsed. Those of README.md
that begin with a comment that names a file (``# site.yml``) are written out together and checked
by Ansible itself against the staged collection, and so is each playbook by its full name. Runs
with .venv's interpreter (it needs PyYAML).
No target is contacted.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from .machine import BUILD, ROOT, VENV_BIN, main_guarded, run_shown, say
from .stage import STAGE

WRITTEN = BUILD / "examples"
FENCE = re.compile(r"^```ya?ml\n(.*?)^```", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# ([\w.-]+\.yml)\n")


@dataclass(frozen=True)
class Example:
    """A block of YAML in a text, and the line where it begins."""

    text: str
    place: str

    @property
    def file(self) -> str | None:
        """The file name in its first line, if there is one."""
        found = NAMED.match(self.text)
        return found[1] if found else None


def examples(path: Path) -> Iterator[Example]:
    """The YAML blocks of a text."""
    text = path.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start(1)) + 1
        yield Example(found[1], f"{path.relative_to(ROOT)}:{line}")


def main() -> int:
    """Parse every example, then let Ansible check the quickstart."""
    found = [each for path in [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")),
                               *sorted(ROOT.glob("roles/*/README.md"))] for each in examples(path)]
    faults = 0
    for example in found:
        try:
            yaml.safe_load(example.text)
        except yaml.YAMLError as error:
            say(f"{example.place}: not YAML: {error}")
            faults += 1
    shutil.rmtree(WRITTEN, ignore_errors=True)
    WRITTEN.mkdir(parents=True)
    quickstart = {each.file: each for each in found if each.file and "README.md:" in each.place}
    for name, example in quickstart.items():
        (WRITTEN / str(name)).write_text(example.text, encoding="utf-8")
    missing = {"inventory.yml", "site.yml"} - set(quickstart)
    if missing:
        say(f"README.md: the quickstart has no {' and no '.join(sorted(missing))}")
        return 1
    env = dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(STAGE))
    playbooks = sorted(path.stem for path in ROOT.glob("playbooks/*.yml"))
    inventory = ["-i", "inventory.yml"]
    for argv in (
        [str(VENV_BIN / "ansible-inventory"), *inventory, "--graph"],
        *([str(VENV_BIN / "ansible-playbook"), *inventory, name, "--syntax-check"]
          for name in ("site.yml", *(f"piranha.lvs.{name}" for name in playbooks))),
    ):
        faults += run_shown(argv, cwd=WRITTEN, env=env) != 0
    say(f"{len(found)} examples, {len(playbooks)} playbooks, {faults} faults")
    return int(faults > 0)


if __name__ == "__main__":
    main_guarded(main)
