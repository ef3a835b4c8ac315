# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole agents refuse a file that the role piranha_router brings; without IPVS.

The role's own handlers, run by Ansible. systemctl stands for the one of a router: it does to an
agent what ExecReload= of its unit does. tests/plays has all the cases.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.heart_lab import PUBLIC, network
from tests.cluster.takeover_lab import Agent, Switch, until
from tests.plays.test_bring_back import OVER, PLAY, ROLE
from tests.plays.test_lvs_cf_playbook import ANSIBLE, environment

__all__ = ["environment"]
pytestmark = pytest.mark.whole

SYSTEMCTL = """\
#!/bin/sh
case "$1" in
show) printf 'LoadState=loaded\\nActiveState=active\\nSubState=running\\n' ;;
reload) exec "$(dirname "$0")/piranha" reload ;;
*) exit 9 ;;
esac
"""


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Agent, Agent]]:
    with network() as net:
        switch = Switch(net)
        routers = Agent(net, switch, 0, tmp_path), Agent(net, switch, 1, tmp_path)
        for router in routers:
            router.configure(0.5, 1)
            router.start()
        try:
            until(lambda: routers[0].ready(True) and routers[1].ready(False), "one active")
            yield routers
        finally:
            for router in routers:
                router.end()


def programs(router: Agent) -> Path:
    """Make the folder of a router's programs."""
    folder = router.folder / "programs"
    folder.mkdir()
    env = router.env()
    piranha = (
        f"#!/bin/sh\nexport PYTHONPATH={env['PYTHONPATH']}\n"
        f'exec {sys.executable} -m piranha "$@" --run-dir {router.folder}/run\n'
    )
    for name, text in (("systemctl", SYSTEMCTL), ("piranha", piranha)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


def test_a_file_that_an_agent_refuses_leaves_no_trace(
    pair: tuple[Agent, Agent], environment: dict[str, str], tmp_path: Path
) -> None:
    active, standby = pair
    files = [router.folder / "lvs.cf" for router in pair]
    before = [file.read_text() for file in files]
    foreign = before[0].replace(f"backup = {PUBLIC[1]}", "backup = 198.51.100.99")
    assert foreign != before[0]
    hosts = {
        name: {
            "home": str(programs(router)),
            "holds": [1] if router is active else [],
            "pair": "lvs",
            "text": foreign,
            "topic": "Reload pulse",
            "keep": True,
            "config": str(router.folder / "lvs.cf"),
            "in_force": str(router.folder / "run/lvs.cf"),
        }
        for name, router in (("lvs1", active), ("lvs2", standby))
    }
    over = OVER.replace("{{ home }}/lvs.cf", "{{ config }}")
    over = over.replace("{{ home }}/in-force.cf", "{{ in_force }}")
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    (tmp_path / "play.yml").write_text(PLAY.replace("ROLE", str(ROLE)))
    (tmp_path / "over.yml").write_text(over)
    done = subprocess.run(
        [str(ANSIBLE), "-i", "hosts.json", "-e", "@over.yml", "play.yml"],
        cwd=tmp_path, env={**environment, "ANSIBLE_INVENTORY_ENABLED": "yaml"},
        capture_output=True, text=True, timeout=120, check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    assert "lvs2 refused the new " in said
    assert "backup 198.51.100.99 is an address of this" in said
    assert "from before is back, and the agent runs with it." in said
    assert "lvs2 did not take what is new." in said
    assert [file.read_text() for file in files] == before
    assert [(router.folder / "run/lvs.cf").read_text() for router in pair] == before
    assert active.ready(True)
    assert standby.ready(False)
    assert "the configuration was not reloaded" in standby.log_end()
    assert "lvs.cf was reloaded" in standby.log_end(), "the old one, afterwards"
