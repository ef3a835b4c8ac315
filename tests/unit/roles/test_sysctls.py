# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the kernel's parameters the router's role sets: a real run of ansible-playbook."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
VARS = ROOT / "roles" / "piranha_router" / "vars" / "main.yml"
FORWARD, ACCEPT = "net.ipv4.ip_forward", "net.ipv4.conf.all.accept_local"


def wanted(folder: Path, virtual: list[dict[str, Any]], sysctls: dict[str, int]) -> Any:
    """What the role's variables say for a cluster with these virtual servers."""
    variables = {
        "piranha_router_sysctls": sysctls,
        "piranha_router_ftp": False,
        "__piranha_router_cluster": {"virtual_servers": virtual, "floating": [], "globals": {}},
    }
    tasks = [
        {"ansible.builtin.include_vars": {"file": str(VARS)}},
        {"ansible.builtin.debug": {"msg": "FOUND {{ __piranha_router_wanted_sysctls | to_json }}"}},
    ]
    play = [{"hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": tasks}]
    (folder / "play.yml").write_text(json.dumps(play), encoding="utf-8")
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", "play.yml"],
        cwd=folder,
        env={**os.environ, "ANSIBLE_LOCAL_TEMP": str(folder / "local"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = re.search(r'"FOUND (.*)"', done.stdout)
    assert found, done.stdout + done.stderr
    return json.loads(json.loads(f'"{found[1]}"'))


@pytest.mark.parametrize(
    ("virtual", "sysctls", "expected"),
    [
        ([{"name": "web"}, {"check_via": "server"}], {FORWARD: 1}, {FORWARD: "1"}),
        (
            [{"name": "web"}, {"check_via": "virtual"}],
            {FORWARD: 1},
            {FORWARD: "1", ACCEPT: "1"},
        ),
        ([{"check_via": "virtual"}], {ACCEPT: 0}, {ACCEPT: "0"}),
    ],
)
def test_accept_local_is_set_for_checks_through_the_virtual_address_alone(
    tmp_path: Path, virtual: list[dict[str, Any]], sysctls: dict[str, int], expected: dict[str, str]
) -> None:
    assert wanted(tmp_path, virtual, sysctls) == expected
