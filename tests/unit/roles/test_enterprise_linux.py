# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said for Enterprise Linux 9 and 10 fits the roles, as far as that shows without one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.piranha.lvs.plugins.filter.cluster import cluster
from ansible_collections.piranha.lvs.plugins.filter.openings import openings

from roles.piranha_router.files import piranha_firewalld

ROOT = Path(__file__).parents[3]
HERE = ROOT / "inventories/enterprise_linux"
RELEASES = ("el9", "el10")
# Where each release has a Python: its own, for the system's tools, and for the agent.
INTERPRETERS = {
    "el9": {"/usr/libexec/platform-python": (3, 9), "/usr/bin/python3.12": (3, 12)},
    "el10": {"/usr/bin/python3": (3, 12)},
}


def load(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def variables(release: str) -> dict[str, Any]:
    return {**load(HERE / "group_vars/all.yml"), **load(HERE / f"group_vars/{release}.yml")}


def options(role: str) -> dict[str, Any]:
    path = ROOT / "roles" / role / "meta/argument_specs.yml"
    found: dict[str, Any] = load(path)["argument_specs"]["main"]["options"]
    return found


def test_both_releases_say_the_same_things() -> None:
    nine, ten = (set(load(HERE / f"group_vars/{release}.yml")) for release in RELEASES)
    assert nine == ten
    assert set(load(HERE / "hosts.yml")) >= set(RELEASES)


@pytest.mark.parametrize("release", RELEASES)
def test_every_variable_is_known_and_fits_its_specification(release: str) -> None:
    said = variables(release)
    known: set[str] = set()
    for role in ("piranha_router", "piranha_realserver"):
        spec = {
            name: {key: value for key, value in option.items() if key in ("type", "choices")}
            for name, option in options(role).items()
        }
        mine = {name: value for name, value in said.items() if name in spec}
        known |= set(mine)
        assert ArgumentSpecValidator(spec).validate(mine).error_messages == []
    assert set(said) == known


@pytest.mark.parametrize("release", RELEASES)
def test_each_interpreter_exists_there_and_is_new_enough(release: str) -> None:
    said = variables(release)
    there = INTERPRETERS[release]
    needed = load(ROOT / "roles/piranha_router/vars/main.yml")["__piranha_router_python_at_least"]
    agent = there[said["piranha_router_python"]]
    assert agent >= tuple(int(part) for part in needed.split("."))
    assert there[said["piranha_realserver_python"]] >= (3, 9)
    if said["piranha_router_python"] != "/usr/bin/python3":
        assert said["piranha_router_packages"] == [Path(said["piranha_router_python"]).name]


@pytest.mark.parametrize("release", RELEASES)
def test_the_launcher_is_run_by_that_interpreter(release: str) -> None:
    said = variables(release)
    template = (ROOT / "roles/piranha_router/templates/piranha.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701 - no HTML
    environment.filters["comment"] = lambda text: f"# {text}"
    text = environment.from_string(template).render(
        **said, ansible_managed="", __piranha_router_library="/usr/lib/piranha"
    )
    assert text.splitlines()[0] == f"#!{said['piranha_router_python']} -I"


def test_firewalld_is_told_all_that_the_cluster_needs() -> None:
    hosts = load(HERE / "hosts.yml")
    groups = {name: list(group["hosts"]) for name, group in hosts.items()}
    facts: dict[str, Any] = {}
    for group in hosts.values():
        for name, said in group["hosts"].items():
            facts.setdefault(name, {"inventory_hostname": name}).update(said)
    said = load(HERE / "group_vars/all.yml")
    description = {
        "router_group": "piranha_routers",
        "globals": said["piranha_globals"],
        "virtual_servers": said["piranha_virtual_servers"],
    }
    found = piranha_firewalld.policies(
        {"openings": openings(cluster(description, groups, facts)), "masquerade": []}
    )
    assert {name: len(rules) for name, rules in found.items()} == {
        "piranha-input": 3,
        "piranha-forward": 2,
    }


def test_the_guide_says_what_the_variables_say() -> None:
    text = (ROOT / "docs/enterprise_linux.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(piranha_\w+)` \| `([^`]+)`[^|]* \| `([^`]+)`", text, re.MULTILINE)
    assert len(rows) == 4
    for name, *values in rows:
        for release, value in zip(RELEASES, values, strict=True):
            assert variables(release)[name] == yaml.safe_load(value), name
