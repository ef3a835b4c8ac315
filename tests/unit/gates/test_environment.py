# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an execution environment has to install for the collection is what README says: nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from tests.unit.imports import imported

ROOT = Path(__file__).resolve().parents[3]
ANSIBLE = {"ansible", "ansible_collections", "yaml", "jinja2"}
"""What an ansible-core brings along."""


def test_an_execution_environment_needs_nothing_more() -> None:
    text = (ROOT / "meta/execution-environment.yml").read_text(encoding="utf-8")
    lists = yaml.safe_load(text)["dependencies"]
    assert set(lists) == {"python", "system"}
    for path in lists.values():
        lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if line.strip() and not line.startswith("#")] == []
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "no other collection, no Python package, no system package" in readme


def test_no_plugin_imports_what_ansible_core_does_not_bring() -> None:
    found = imported(ROOT / "plugins")
    assert found - set(sys.stdlib_module_names) - ANSIBLE == set()
    assert "ansible" in found
