# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be written down in several places is the same in all of them."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from ansible_collections.piranha.lvs.plugins.doc_fragments.ipvs import ModuleDocFragment
from ansible_collections.piranha.lvs.plugins.module_utils._module.ipvs_options import (
    ALL_FORWARD,
    USUAL_FORWARD,
)
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.ipvsadm import parse
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import Table
from ansible_collections.piranha.lvs.plugins.modules import (
    ipvs_server,
    ipvs_service,
    ipvs_sync_daemon,
    ipvs_table,
    ipvs_timeouts,
    ipvs_zero,
)

from tests.unit.plugins.module_utils.ipvs.memory import MemoryPort

from .running import run

TABLE = yaml.safe_load(ipvs_table.DOCUMENTATION)["options"]
TALLIES = {"connections", "counters"}


def fragment(name: str) -> Any:
    """The options of a documentation fragment."""
    return yaml.safe_load(getattr(ModuleDocFragment, name))["options"]


def plain(options: Any, prefix: str = "") -> Any:
    """Options as text in which they refer to each other by their last names."""
    text = yaml.safe_dump(options, width=10_000)
    return yaml.safe_load(text.replace(prefix, ""))


def test_a_service_in_a_list_is_described_as_one_alone() -> None:
    listed = plain(TABLE["services"]["suboptions"], "services[].")
    del listed["servers"]
    assert set(listed) - TALLIES == set(fragment("SERVICE"))
    for name, told in fragment("SERVICE").items():
        assert listed[name] == told, name


def test_a_server_in_a_list_is_described_as_one_alone() -> None:
    servers = TABLE["services"]["suboptions"]["servers"]["suboptions"]
    listed = plain(servers, "services[].servers[].")
    assert set(listed) - TALLIES == set(fragment("SERVER"))
    for name, told in fragment("SERVER").items():
        if name == "forward":
            assert (told["choices"], listed[name]["choices"]) == (
                list(USUAL_FORWARD),
                list(ALL_FORWARD),
            )
            assert listed[name]["description"][: len(told["description"])] == told["description"]
        else:
            assert listed[name] == told, name


def test_a_service_is_named_everywhere_alike() -> None:
    named = plain(fragment("NAMED_SERVICE")["service"]["suboptions"], "service.")
    alone = fragment("SERVICE")
    assert named == {name: alone[name] for name in named}


WEB = {"address": "192.0.2.80", "port": 80}
SERVER = {"service": WEB, "address": "198.51.100.21"}


@pytest.mark.parametrize(
    ("module", "options"),
    [
        (ipvs_service, WEB),
        (ipvs_server, {**SERVER, "state": "drained"}),
        (ipvs_table, {"services": [WEB]}),
        (ipvs_timeouts, {"udp": 30}),
        (ipvs_sync_daemon, {"role": "master", "interface": "eth0"}),
        (ipvs_zero, {}),
    ],
)
def test_every_value_that_is_returned_is_documented(
    memory: MemoryPort, module: ModuleType, options: dict[str, Any]
) -> None:
    if module is ipvs_server:
        run(ipvs_service, **WEB)
        run(ipvs_server, **SERVER)
    result = run(module, **options)
    documented = yaml.safe_load(module.RETURN)
    assert set(result) - {"failed", "changed", "warnings", "invocation"} == set(documented)
    for change in result["changes"]:
        assert set(change) == set(documented["changes"]["contains"])
    assert memory.reads or module is ipvs_timeouts or module is ipvs_sync_daemon


def examples(module: ModuleType) -> list[tuple[list[str], Any, list[str], list[str]]]:
    """The module's examples that have all four: before, task, commands, after."""
    found = []
    for part in re.split(r"(?m)^# Before\b.*\n", module.EXAMPLES)[1:]:
        before, _end, rest = part.partition("\n- name:")
        task, _end, rest = f"- name:{rest}".partition("\n# Result")
        result, _end, after = rest.partition("\n# After")
        after = after.partition("\n\n")[0]
        told = yaml.safe_load("\n".join(_uncommented(result)[1:]))
        found.append((_lines(before), yaml.safe_load(task)[0], told["commands"], _lines(after)))
    return found


def _uncommented(text: str) -> list[str]:
    return [line[2:] for line in text.splitlines() if line.startswith("#")]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in _uncommented(text) if line.strip().startswith("-")]


@pytest.mark.parametrize(
    ("module", "number"), [(ipvs_service, 3), (ipvs_server, 3), (ipvs_table, 4)]
)
def test_the_examples_tell_the_truth(memory: MemoryPort, module: ModuleType, number: int) -> None:
    """From the table before, the task gives the commands and the table after."""
    found = examples(module)
    assert len(found) == number
    name = module.__name__.rpartition(".")[2]
    for before, task, commands, after in found:
        memory.table = parse("\n".join(before)) if before else Table()
        result = run(module, **task[f"piranha.lvs.{name}"])
        assert result["commands"] == commands, task
        assert memory.table == (parse("\n".join(after)) if after else Table()), task


def test_every_module_is_in_the_action_group() -> None:
    root = Path(ipvs_table.__file__).resolve().parents[2]
    group = yaml.safe_load((root / "meta/runtime.yml").read_text(encoding="utf-8"))
    modules = {path.stem for path in (root / "plugins/modules").glob("*.py")} - {"__init__"}
    assert modules == set(group["action_groups"]["all"])
