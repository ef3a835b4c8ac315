# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Molecule only warns where a playbook is missing, so a scenario could pass without its checks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from molecule.util import merge_dicts

from tests.gates.layers import SCENARIOS as SCENARIO_NAMES

ROOT = Path(__file__).parents[3]
SCENARIOS = sorted((ROOT / "molecule").glob("*/molecule.yml"))
# These need a playbook of their own; syntax, idempotence and check use the one of converge.
STEPS = {"create", "prepare", "converge", "side_effect", "verify", "cleanup", "destroy"}
BORROWED = {"syntax": "converge", "idempotence": "converge", "check": "converge"}

COMMON = ROOT / ".config/molecule/config.yml"


def load(path: Path) -> dict[str, Any]:
    """Give a scenario's settings, those that all have in common included."""
    common, own = (yaml.safe_load(p.read_text(encoding="utf-8")) for p in (COMMON, path))
    found: dict[str, Any] = merge_dicts(common, own or {})
    return found


def playbooks(scenario: dict[str, Any]) -> list[str]:
    """Give the file of each step in the scenario's sequence."""
    files = []
    for step in scenario["scenario"]["test_sequence"]:
        name, *arguments = step.split()
        name = BORROWED.get(name, name)
        assert name in STEPS, f"{name} is no step known here"
        # With a file beside it the step is passed over all the same where none is named here.
        assert name in scenario["ansible"]["playbooks"], f"no playbook is named for {name}"
        files.extend(arguments or [scenario["ansible"]["playbooks"][name]])
    return files


def test_there_is_a_scenario() -> None:
    assert SCENARIOS


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.parent.name)
def test_no_step_lacks_its_playbook(path: Path) -> None:
    for name in playbooks(load(path)):
        assert (path.parent / name).is_file(), f"{path.parent.name} has no {name}"


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.parent.name)
def test_a_scenario_begins_and_ends_with_nothing_and_looks_twice(path: Path) -> None:
    sequence = load(path)["scenario"]["test_sequence"]
    assert sequence[0] == sequence[-1] == "destroy"
    if "converge" not in sequence:
        assert "verify" in sequence  # bare machines stay bare
    elif "side_effect" in sequence:
        assert any(step.startswith("verify") for step in sequence[sequence.index("side_effect") :])
    else:
        again = sequence.index("idempotence")
        assert "verify" in sequence[:again]
        assert "verify" in sequence[again:]


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.parent.name)
def test_a_scenario_says_what_is_particular_to_it(path: Path) -> None:
    particular = yaml.safe_load((path.parent / "vars/main.yml").read_text(encoding="utf-8"))
    topology = ROOT / f"tests/lab/topologies/{particular['scenario_topology']}.yml"
    assert topology.is_file()


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.parent.name)
def test_every_scenario_is_run_by_make(path: Path) -> None:
    assert path.parent.name in SCENARIO_NAMES


def imported(path: Path) -> str:
    """Give the text of a playbook with those that it imports from molecule/."""
    text = path.read_text(encoding="utf-8")
    names = [play.get("ansible.builtin.import_playbook", "") for play in yaml.safe_load(text)]
    below = [imported(path.parent / name) for name in names if name.endswith(".yml")]
    return "\n".join([text, *below])


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.parent.name)
def test_a_built_cluster_is_looked_at_with_other_eyes_and_moves_a_megabyte(path: Path) -> None:
    scenario = load(path)
    if "converge" not in scenario["scenario"]["test_sequence"]:
        return  # bare machines stay bare
    looked = "\n".join(
        imported(path.parent / name)
        for step, name in zip(
            scenario["scenario"]["test_sequence"], playbooks(scenario), strict=True
        )
        if step.startswith("verify")
    )
    assert "argv: [ipvsadm, --save, --numeric]" in looked
    assert "checksum_algorithm: sha256" in looked
    assert "{{ lab_transfer }}" in looked  # transfer.py sets DF


def test_commands_that_scenarios_run_are_all_of_the_documentation() -> None:
    documented = set(
        re.findall(r"(?m)^    (ansible-playbook .*)$", (ROOT / "docs/operations.md").read_text())
    )
    run = {
        line
        for path in (ROOT / "molecule").rglob("*.yml")
        for line in re.findall(r"(?m)^ *operation_line: (.*)$", path.read_text(encoding="utf-8"))
    }
    assert run == documented
    names = {match[1] for line in run if (match := re.search(r" piranha\.lvs\.(\w+)", line))}
    left = {"who_is_who"}  # sorts the machines for the others
    assert names == {path.stem for path in (ROOT / "playbooks").glob("*.yml")} - left
