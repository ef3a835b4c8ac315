# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the modules about lvs.cf is true.

Its examples are run: before, task, result, after. Its options are those of the table; what it
says of returned values is what comes.
"""

from __future__ import annotations

import importlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.piranha.lvs.plugins.doc_fragments.lvs_cf import ModuleDocFragment
from ansible_collections.piranha.lvs.plugins.module_utils._module.lvs_cf_options import (
    cluster_spec,
    file_spec,
    object_spec,
    path_spec,
)
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf import directives as d
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.merge import STATES

from .lvs_cf_support import run, steady

SPECS: dict[str, dict[str, Any]] = {
    "lvs_cf": {**file_spec(), **cluster_spec()},
    "lvs_cf_global": {**file_spec("backup_copy"), **object_spec(d.GLOBAL)},
    "lvs_cf_virtual_server": {**file_spec(), **object_spec(d.VIRTUAL)},
    "lvs_cf_failover_service": {**file_spec(), **object_spec(d.FAILOVER)},
    "lvs_cf_real_server": {**file_spec(), **object_spec(d.SERVER)},
    "lvs_cf_info": path_spec(),
}
CHANGING = [name for name in SPECS if name != "lvs_cf_info"]
PIECE = re.compile(
    r"# Before(?:(?P<before>:\n#\n(?:# \|.*\n)+)| there is no file\.\n)"
    r"\n(?P<task>- name: (?:.*\n)+?)"
    r"\n# Result:\n#\n(?P<result>(?:# \|.*\n)+)"
    r"#\n# After(?:(?P<after>:\n#\n(?:# \|.*\n)+)| there is no file\.\n)"
)


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """The mode of new files must not depend on who runs the tests."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def module(name: str) -> Any:
    """A module's file."""
    return importlib.import_module(f"ansible_collections.piranha.lvs.plugins.modules.{name}")


def unmargined(text: str | None) -> str | None:
    """What stands behind the margin of a comment."""
    if text is None:
        return None
    lines = re.findall(r"^# \| ?(.*)$", text, re.MULTILINE)
    return "".join(f"{line}\n" for line in lines)


WRITTEN_EXAMPLES = [
    pytest.param(name, found, id=f"{name}-{index}")
    for name in CHANGING
    for index, found in enumerate(PIECE.finditer(module(name).EXAMPLES))
]


@pytest.mark.parametrize(("name", "piece"), WRITTEN_EXAMPLES)
def test_an_example_does_what_it_says(tmp_path: Path, name: str, piece: re.Match[str]) -> None:
    path = tmp_path / "lvs.cf"
    before, after = unmargined(piece["before"]), unmargined(piece["after"])
    if before is not None:
        path.write_text(before)
    (task,) = yaml.safe_load(piece["task"])
    options = task[f"piranha.lvs.{name}"]
    for key in ("owner", "group"):  # only root may give files away
        options.pop(key, None)
    ended = steady(name, tmp_path, path=str(path), **options)
    result = yaml.safe_load(unmargined(piece["result"]) or "")
    assert {key: ended.result[key] for key in result} == result
    assert (path.read_text() if path.exists() else None) == after


@pytest.mark.parametrize("name", CHANGING)
def test_every_example_is_run_and_every_state_has_one(name: str) -> None:
    text = module(name).EXAMPLES
    pieces = list(PIECE.finditer(text))
    tasks = [task[f"piranha.lvs.{name}"] for task in yaml.safe_load(text)]
    assert len(pieces) == len(tasks) > 1
    assert "".join(piece[0] for piece in pieces).replace("\n", "") == text.replace("\n", "")
    states = set(STATES) if name == "lvs_cf" else {"present", "absent"}
    if name == "lvs_cf_global":
        states = {"present"}  # to remove directives, `unset` says it better
    assert states <= {task.get("state", SPECS[name]["state"]["default"]) for task in tasks}


def documented(name: str) -> dict[str, Any]:
    """A module's options as documented: its own, and those of our fragments."""
    document = yaml.safe_load(module(name).DOCUMENTATION)
    options: dict[str, Any] = {}
    for fragment in document["extends_documentation_fragment"]:
        if fragment.startswith("piranha.lvs.lvs_cf"):
            part = fragment.removeprefix("piranha.lvs.lvs_cf").strip(".").upper()
            text = getattr(ModuleDocFragment, part or "DOCUMENTATION")
            options.update(yaml.safe_load(text).get("options", {}))
    options.update(document.get("options", {}))
    return options


@pytest.mark.parametrize("name", SPECS)
def test_documented_options_are_the_modules_options(name: str) -> None:
    options = documented(name)
    assert set(options) == set(SPECS[name])
    for key, spec in SPECS[name].items():
        for what in ("type", "elements", "default", "required", "choices"):
            assert options[key].get(what) == spec.get(what), (key, what)
        assert options[key]["description"]


@pytest.mark.parametrize("name", SPECS)
def test_documented_values_are_what_is_returned(tmp_path: Path, name: str) -> None:
    documents = yaml.safe_load(module(name).RETURN)
    path = tmp_path / "lvs.cf"
    path.write_text(
        "primary = 192.0.2.1\nvirtual web {\n    active = 1\n    address = 192.0.2.8\n}\n"
    )
    options: dict[str, Any] = {
        "lvs_cf": {"state": "merged", "globals": {"keepalive": 1}, "backup": True},
        "lvs_cf_global": {"keepalive": 1, "backup_copy": True},
        "lvs_cf_real_server": {"virtual_server": "web", "name": "a", "backup": True},
        "lvs_cf_info": {},
    }.get(name, {"name": "web", "port": 81, "backup": True})
    result = run(name, path=str(path), **options).result
    assert set(result) - {"changed", "diff"} == set(documents)
    types = {"dict": dict, "list": list, "str": str, "bool": bool, "int": int}
    for key, value in result.items():
        if key in documents and value is not None:
            assert isinstance(value, types[documents[key]["type"]]), key
    for key in ("findings", "changes"):
        if key in documents:
            assert result[key]
            assert set(result[key][0]) == set(documents[key]["contains"])


def test_shared_values_are_documented_in_the_same_words() -> None:
    shared: dict[str, str] = {}
    for name in CHANGING:
        documents = yaml.safe_load(module(name).RETURN)
        for key in ("path", "changes", "findings", "digest"):
            documents[key].pop("sample", None)
            text = json.dumps(documents[key], sort_keys=True)
            assert shared.setdefault(key, text) == text, (name, key)


def test_each_module_is_in_the_action_group() -> None:
    runtime = Path(__file__).parents[4] / "meta/runtime.yml"
    group = yaml.safe_load(runtime.read_text())["action_groups"]["all"]
    assert set(SPECS) <= set(group)
