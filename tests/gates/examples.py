# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Examples in the documentation are real: they parse, and Ansible accepts the quickstart.

Every fenced ``yaml`` block of README.md, docs/ and the roles' READMEs is parsed (``lvs.cf``
blocks are the unit tests' business: lvs_cf_examples.py). Those of README.md that begin with a
comment that names a file (``# site.yml``) are written out together and checked by Ansible itself
against the staged collection; so are each playbook by its full name and every example that is a
play or a list of tasks. Variables of ours in an example must be ones that somebody documents.
Runs with .venv's interpreter (it needs PyYAML). No target is contacted.
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
GROUPS = {"piranha_routers"}  # of the inventory, where a variable could stand
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


def variables() -> set[str]:
    """The variables of ours that the roles document, and those that a playbook says it takes."""
    known: set[str] = set()
    for path in ROOT.glob("roles/*/meta/argument_specs.yml"):
        known |= set(
            yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
        )
    for path in ROOT.glob("playbooks/*.yml"):
        known |= set(re.findall(r"piranha_\w+", path.read_text(encoding="utf-8")))
    return known


def parse(example: Example, known: set[str]) -> tuple[object, list[str]]:
    """What an example says, and what is wrong with it."""
    try:
        said = yaml.safe_load(example.text)
    except yaml.YAMLError as error:
        return None, [f"not YAML: {error}"]
    names = set(re.findall(r"^\s*(?:- |\w+: \{)?(piranha_\w+):", example.text, re.MULTILINE))
    return said, [f"no variable is called {name}" for name in sorted(names - known - GROUPS)]


def as_playbook(said: object) -> str | None:
    """An example that is a list of plays or of tasks, as a playbook; None for all others."""
    if not isinstance(said, list) or not all(isinstance(each, dict) for each in said):
        return None
    if any("hosts" in each or "ansible.builtin.import_playbook" in each for each in said):
        return yaml.safe_dump(said, sort_keys=False)
    return yaml.safe_dump(
        [{"name": "Tasks of an example", "hosts": "all", "tasks": said}], sort_keys=False
    )


def main() -> int:
    """Parse every example, then let Ansible check the quickstart, plays and tasks."""
    pages = [
        ROOT / "README.md",
        *sorted(ROOT.glob("docs/**/*.md")),
        *sorted(ROOT.glob("roles/*/README.md")),
    ]
    found = [each for path in pages for each in examples(path)]
    known, playbooks_of_examples = variables(), {}
    faults = 0
    for example in found:
        said, wrong = parse(example, known)
        playbook = as_playbook(said)
        if playbook is not None and example.file is None:
            playbooks_of_examples[re.sub(r"\W+", "_", example.place) + ".yml"] = playbook
        for sentence in wrong:
            say(f"{example.place}: {sentence}")
        faults += len(wrong)
    shutil.rmtree(WRITTEN, ignore_errors=True)
    WRITTEN.mkdir(parents=True)
    quickstart = {each.file: each for each in found if each.file and "README.md:" in each.place}
    for name, example in quickstart.items():
        (WRITTEN / str(name)).write_text(example.text, encoding="utf-8")
    for name, text in playbooks_of_examples.items():
        (WRITTEN / name).write_text(text, encoding="utf-8")
    missing = {"inventory.yml", "site.yml"} - set(quickstart)
    if missing:
        say(f"README.md: the quickstart has no {' and no '.join(sorted(missing))}")
        return 1
    env = dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(STAGE))
    playbooks = sorted(path.stem for path in ROOT.glob("playbooks/*.yml"))
    inventory = ["-i", "inventory.yml"]
    for argv in (
        [str(VENV_BIN / "ansible-inventory"), *inventory, "--graph"],
        [
            str(VENV_BIN / "ansible-playbook"),
            *inventory,
            "--syntax-check",
            "site.yml",
            *playbooks_of_examples,
            *(f"piranha.lvs.{name}" for name in playbooks),
        ],
    ):
        faults += run_shown(argv, cwd=WRITTEN, env=env) != 0
    say(f"{len(found)} examples of YAML, {len(playbooks)} playbooks, {faults} faults")
    return int(faults > 0)


if __name__ == "__main__":
    main_guarded(main)
