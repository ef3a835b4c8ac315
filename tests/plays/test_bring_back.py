# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role's handlers do when a router refuses what is new, run by Ansible itself.

systemctl, journalctl and the agent are programs of this test: a router refuses a file that has its
word in it. All clusters are in one run, since starting Ansible is what takes the time, and since
none is to suffer from what happens to another. The scenario `operations` does it to real agents.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from .test_lvs_cf_playbook import ANSIBLE, ROOT, environment

__all__ = ["environment"]

pytestmark = pytest.mark.whole

ROLE = ROOT / "roles/piranha_router"
SYSTEMCTL = """\
#!/bin/sh
cd "$(dirname "$0")" || exit 9
case "$1" in
show) printf 'LoadState=loaded\\nActiveState=active\\nSubState=running\\n' ;;
restart | reload)
    echo "$1" >>calls
    ! grep -q "refuse-$1" lvs.cf || { echo "Job failed." >&2; exit 1; }
    ! grep -q current-is-bad current/VERSION || { echo "Job failed." >&2; exit 1; }
    ;;
esac
"""
AGENT = """\
#!/bin/sh
cd "$(dirname "$0")" || exit 9
if [ "$1" = probe ]; then
    echo "$*" >>calls
    grep -q unfit lvs.cf || exit 0
    echo "piranha: virtual service web has no real server in service" >&2
    exit 1
fi
echo "lvs.cf:1: that is refused" >&2
exit 1
"""
JOURNALCTL = """\
#!/bin/sh
echo "the last words of pulse"
"""
PLAY = """\
- hosts: all
  gather_facts: false
  strategy: linear
  vars_files: [ROLE/defaults/main.yml, ROLE/vars/main.yml]
  environment:
    PATH: "{{ home }}:{{ lookup('ansible.builtin.env', 'PATH') }}"
  tasks:
    - name: Write it
      ansible.builtin.copy:
        content: "{{ text }}"
        dest: "{{ piranha_router_config_file }}"
        backup: "{{ keep }}"
        mode: "0644"
      register: __piranha_router_compared
      changed_when: true
      notify: "{{ topic }}"
    - name: Switch
      ansible.builtin.file: {path: "{{ home }}/current", src: new, state: link, force: true}
    - name: Let it take effect
      ansible.builtin.meta: flush_handlers
    - name: Say that it came to its end
      ansible.builtin.debug: {msg: came to its end}
  handlers:
    - ansible.builtin.import_tasks: ROLE/handlers/main.yml
"""
# As extra variables, since those alone outrank what the role's own files say.
OVER = """\
ansible_connection: local
ansible_become: false
ansible_python_interpreter: "{{ ansible_playbook_python }}"
piranha_router_config_file: "{{ home }}/lvs.cf"
piranha_router_health_probe: "{{ probe | default(0) | int }}"
__piranha_router_launcher: "{{ home }}/piranha"
__piranha_router_library: "{{ home }}"
__piranha_router_in_force: "{{ home }}/in-force.cf"
__piranha_router_cluster: {routers: ["{{ pair }}1", "{{ pair }}2"]}
__piranha_router_found:
  unit: {present: true, active: true}
  agent: {current: old}
  holds: "{{ holds }}"
  files: {}
__piranha_router_file_pending: false
"""


@dataclass(frozen=True)
class Case:
    """A cluster: what is written on its active router (1) and its standby (2), and before that."""

    name: str
    active: str
    standby: str
    topic: str = "Reload pulse"
    keep: bool = True
    before: dict[str, str] = field(default_factory=dict)
    probe: int = 0


BAD = "current-is-bad\n"
CASES = (
    Case("taken", "new\n", "new\n"),
    Case("standby-refuses", "new\n", "refuse-reload\n"),
    Case("without-backup", "new\n", "refuse-reload\n", keep=False),
    Case("active-refuses", "refuse-reload\n", "new\n"),
    Case("old-is-refused", "new\n", "refuse-reload\n", before={"2/lvs.cf": "refuse-reload, old\n"}),
    Case("standby-stays-down", "new\n", "new\n", "Restart pulse", before={"2/new/VERSION": BAD}),
    Case("active-stays-down", "new\n", "new\n", "Restart pulse", before={"1/new/VERSION": BAD}),
    Case("fit", "new\n", "new\n", probe=30),
    Case("unfit", "unfit\n", "unfit\n", probe=30),
    Case("unfit-on-the-active", "unfit\n", "new\n", probe=30),
    Case("unfit-agent", "unfit\n", "unfit\n", "Restart pulse", probe=30),
)


@dataclass
class Ran:
    """What the play has said, and left in the routers' folders."""

    folder: Path
    status: int
    said: str

    def failure(self, router: str) -> str:
        """Give the message with which the play ended for a router; empty where it did not fail."""
        found = re.search(rf"(?m)^fatal: \[{router}\]: FAILED! => (.*)$", self.said)
        return str(json.loads(found[1])["msg"]) if found else ""

    def text(self, router: str) -> str:
        return (self.folder / router / "lvs.cf").read_text()

    def calls(self, router: str) -> list[str]:
        calls = self.folder / router / "calls"
        return calls.read_text().split() if calls.exists() else []

    def agent(self, router: str) -> str:
        return str((self.folder / router / "current").readlink())


def prepare(folder: Path, case: Case) -> dict[str, dict[str, object]]:
    """Make the folders of its routers; gives what the inventory says of them."""
    hosts: dict[str, dict[str, object]] = {}
    for number, text in (("1", case.active), ("2", case.standby)):
        home = folder / (case.name + number)
        for agent in ("old", "new"):
            (home / agent).mkdir(parents=True)
            (home / agent / "VERSION").touch()
        (home / "current").symlink_to("old")
        programs = {"systemctl": SYSTEMCTL, "journalctl": JOURNALCTL, "piranha": AGENT}
        for program, script in programs.items():
            (home / program).write_text(script)
            (home / program).chmod(0o755)
        for file in ("lvs.cf", "in-force.cf"):
            (home / file).write_text("old\n")
        hosts[home.name] = {
            "home": str(home),
            "holds": ["203.0.113.100"] if number == "1" else [],
            "pair": case.name,
            "text": text,
            "topic": case.topic,
            "keep": case.keep,
            "probe": case.probe,
        }
    for name, content in case.before.items():
        (folder / (case.name + name)).write_text(content)
    return hosts


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Ran:
    folder = tmp_path_factory.mktemp("routers")
    hosts = {name: has for case in CASES for name, has in prepare(folder, case).items()}
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    (folder / "play.yml").write_text(PLAY.replace("ROLE", str(ROLE)))
    (folder / "over.yml").write_text(OVER)
    argv = [str(ANSIBLE), "-i", "hosts.json", "-e", "@over.yml", "--forks", "6", "play.yml"]
    if os.geteuid() != 0:
        argv = ["unshare", "--map-root-user", *argv]  # files are to be root's
    settings = {"ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_INVENTORY_ENABLED": "yaml"}
    done = subprocess.run(
        argv, cwd=folder, env={**environment, **settings}, capture_output=True, text=True,
        timeout=240, check=False,
    )
    return Ran(folder, done.returncode, done.stdout + done.stderr)


def test_all_clusters_fail_but_the_one_that_took_it(ran: Ran) -> None:
    assert ran.status == 2, ran.said
    names = [case.name + number for case in CASES for number in "12"]
    assert [name for name in names if not ran.failure(name)] == ["taken1", "taken2", "fit1", "fit2"]
    assert ran.said.count('"msg": "came to its end"') == 4


def test_what_is_taken_stays_and_the_standby_is_told_first(ran: Ran) -> None:
    for name in ("taken1", "taken2"):
        assert (ran.text(name), ran.calls(name), ran.agent(name)) == ("new\n", ["reload"], "new")
    standby = "Reload pulse on a standby router"
    assert ran.said.index(standby) < ran.said.index("Reload pulse on the active router")


@pytest.mark.parametrize("name", ["standby-refuses", "without-backup"])
def test_where_the_standby_refuses_both_get_their_file_back(ran: Ran, name: str) -> None:
    """Without a backup the agent's own copy serves."""
    first, second = f"{ran.folder}/{name}1/lvs.cf", f"{ran.folder}/{name}2/lvs.cf"
    assert ran.failure(f"{name}2") == (
        f"{name}2 refused the new {second}: lvs.cf:1: that is refused"
        f" The {second} from before is back, and the agent runs with it."
    )
    assert ran.failure(f"{name}1") == (
        f"{name}2 did not take what is new."
        f" The {first} from before is back; the agent was not told of another one."
    )
    assert [ran.text(name + number) for number in "12"] == ["old\n", "old\n"]
    assert [ran.calls(name + number) for number in "12"] == [[], ["reload", "reload"]]


def test_where_the_active_router_refuses_the_standby_goes_back_too(ran: Ran) -> None:
    assert ran.failure("active-refuses2").startswith("active-refuses1 did not take what is new.")
    for name in ("active-refuses1", "active-refuses2"):
        assert (ran.text(name), ran.calls(name)) == ("old\n", ["reload", "reload"])


def test_both_reasons_are_told_where_the_old_file_is_refused_too(ran: Ran) -> None:
    assert ran.failure("old-is-refused2").endswith(
        ": lvs.cf:1: that is refused"
        " What was there before could not be brought back: the last words of pulse"
    )
    assert ran.text("old-is-refused2") == "refuse-reload, old\n"


def test_an_agent_that_does_not_come_up_gives_way_to_the_one_before(ran: Ran) -> None:
    name = "standby-stays-down"
    assert ran.failure(f"{name}2").startswith(f"{name}2 did not come up: the last words of pulse ")
    assert [ran.calls(name + number) for number in "12"] == [[], ["restart", "restart"]]
    for number in "12":
        assert (ran.text(name + number), ran.agent(name + number)) == ("old\n", "old")


def test_a_standby_that_came_up_keeps_the_new_agent(ran: Ran) -> None:
    """It serves now, since the active router's agent did not come up."""
    name = "active-stays-down"
    assert [ran.agent(name + number) for number in "12"] == ["old", "new"]
    assert [ran.calls(name + number) for number in "12"] == [
        ["restart", "restart"],
        ["restart", "reload"],
    ]
    assert [ran.text(name + number) for number in "12"] == ["old\n", "old\n"]


PROBED = ["probe", "--within", "30"]


def test_a_router_that_does_its_work_after_the_change_keeps_it(ran: Ran) -> None:
    for name in ("fit1", "fit2"):
        assert (ran.text(name), ran.calls(name)) == ("new\n", ["reload", *PROBED])
    assert ran.said.index("standby router's health") < ran.said.index("on the active router")


def test_where_the_standby_does_not_the_active_router_is_left_alone(ran: Ran) -> None:
    assert [ran.text("unfit" + number) for number in "12"] == ["old\n", "old\n"]
    assert [ran.calls("unfit" + number) for number in "12"] == [[], ["reload", *PROBED, "reload"]]
    file = f"{ran.folder}/unfit2/lvs.cf"
    assert ran.failure("unfit2") == (
        "unfit2 does not do its work any more: virtual service web has no real server in service."
        f" The {file} from before is back, and the agent runs with it."
    )
    assert ran.failure("unfit1").startswith("unfit2 did not take what is new.")


def test_where_the_active_router_does_not_both_go_back(ran: Ran) -> None:
    for name in ("unfit-on-the-active1", "unfit-on-the-active2"):
        assert (ran.text(name), ran.calls(name)) == ("old\n", ["reload", *PROBED, "reload"])
    assert ran.failure("unfit-on-the-active1").startswith("unfit-on-the-active1 does not do its ")


def test_an_agent_that_comes_up_and_does_not_do_its_work_gives_way_too(ran: Ran) -> None:
    assert ran.calls("unfit-agent2") == ["restart", *PROBED, "restart"]
    for name in ("unfit-agent1", "unfit-agent2"):
        assert (ran.text(name), ran.agent(name)) == ("old\n", "old")
