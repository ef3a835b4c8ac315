# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long tasks of ansible-playbook take: ours against `command: ipvsadm` in a loop.

`tests/lab/in-ipvs-kernel .venv/bin/python -m tests.bench.ipvs_tasks [SERVERS]`

One virtual service with that many real servers (20), in one kernel and run: set up from empty by
ipvs_table, by ipvs_server in a loop, and by ipvsadm in a loop; then one weight changed, and nothing
to change. What is measured is the task, as Ansible's own callback would: from its start to its end,
the controller included. Prints seconds and ratios; judges nothing but that all made the same table.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CLONE_NEWNET = 0x40000000
LIMIT = 900  # seconds for the whole play
WEB = {"address": "192.0.2.1", "port": 80}
KEY = ["-t", "192.0.2.1:80"]

CALLBACK = '''
import json, os, subprocess, time
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: task_seconds
type: notification
short_description: seconds and the IPVS table of each task
description: [For the benchmark only.]
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "task_seconds"

    def v2_playbook_on_task_start(self, task, is_conditional):
        self.began = time.monotonic()

    def v2_runner_on_ok(self, result):
        seconds = time.monotonic() - self.began
        table = subprocess.run(["ipvsadm", "-Sn"], capture_output=True, text=True, check=True)
        told = {"name": result._task.get_name(), "seconds": seconds, "table": table.stdout}
        with open(os.environ["TASK_SECONDS"], "a", encoding="utf-8") as file:
            file.write(json.dumps(told) + "\\n")
'''


def _servers(count: int) -> list[dict[str, Any]]:
    return [{"address": f"198.51.100.{1 + number}", "weight": 1} for number in range(count)]


def _task(name: str, **said: object) -> dict[str, Any]:
    return {"name": name, **said}


def _ipvsadm(name: str, lines: list[list[str]]) -> dict[str, Any]:
    command = {"argv": "{{ ['ipvsadm'] + item }}"}
    return _task(name, **{"ansible.builtin.command": command, "loop": lines})


def tasks(count: int) -> list[dict[str, Any]]:
    """The play: each way from empty, then one weight, then nothing."""
    servers = _servers(count)
    table = {"services": [{**WEB, "scheduler": "wlc", "servers": servers}]}
    wipe = {"state": "overridden", "services": [], "allow_empty": True}
    by_hand = [["-A", *KEY, "-s", "wlc"]]
    by_hand += [["-a", *KEY, "-r", f"{one['address']}:80", "-m", "-w", "1"] for one in servers]
    first = servers[0]["address"]
    return [
        # The first task of a module pays for packing it, and for the controller's own start.
        _task("warm ipvs_table", **{"piranha.lvs.ipvs_table": wipe}),
        _ipvsadm("warm command", [["-C"]]),
        _ipvsadm("set up: ipvsadm", by_hand),
        _task("clear", **{"piranha.lvs.ipvs_table": wipe}),
        _task("set up: ipvs_table", **{"piranha.lvs.ipvs_table": table}),
        _task("clear again", **{"piranha.lvs.ipvs_table": wipe}),
        _task("service", **{"piranha.lvs.ipvs_service": {**WEB, "scheduler": "wlc"}}),
        _task(
            "set up: ipvs_server",
            **{
                "piranha.lvs.ipvs_server": {
                    "service": WEB,
                    "address": "{{ item.address }}",
                    "weight": "{{ item.weight }}",
                },
                "loop": servers,
            },
        ),
        _task("nothing: ipvs_table", **{"piranha.lvs.ipvs_table": table}),
        _task(
            "weight: ipvs_server",
            **{"piranha.lvs.ipvs_server": {"service": WEB, "address": first, "weight": 2}},
        ),
        _ipvsadm("weight: ipvsadm", [["-e", *KEY, "-r", f"{first}:80", "-m", "-w", "3"]]),
    ]


def play(count: int, folder: Path) -> dict[str, dict[str, Any]]:
    """Run it; seconds and table of each task."""
    results = folder / "results"
    (folder / "callbacks").mkdir()
    (folder / "callbacks/task_seconds.py").write_text(CALLBACK, encoding="utf-8")
    data = [{"hosts": "localhost", "gather_facts": False, "tasks": tasks(count)}]
    (folder / "play.yml").write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build/collections"),
        "ANSIBLE_CALLBACK_PLUGINS": str(folder / "callbacks"),
        "ANSIBLE_CALLBACKS_ENABLED": "task_seconds",
        "ANSIBLE_PIPELINING": "true",
        "ANSIBLE_NOCOLOR": "true",
        "TASK_SECONDS": str(results),
    }
    program = Path(sys.executable).parent / "ansible-playbook"
    argv = [str(program), "-i", "localhost,", "-c", "local", "play.yml"]
    argv += ["-e", f"ansible_python_interpreter={sys.executable}"]
    subprocess.run(argv, cwd=folder, env=env, timeout=LIMIT, check=True, stdout=sys.stderr)
    lines = results.read_text(encoding="utf-8").splitlines()
    return {told["name"]: told for told in map(json.loads, lines)}


def main(arguments: list[str]) -> int:
    """Measure and print."""
    count = int(arguments[0]) if arguments else 20
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        print("ipvs_tasks: cannot make a network namespace of its own; run it as root")
        return 1
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory() as folder:
        told = play(count, Path(folder))
    ways = [f"set up: {way}" for way in ("ipvsadm", "ipvs_table", "ipvs_server")]
    if (
        len({told[way]["table"] for way in ways}) != 1
        or told[ways[0]]["table"].count("-a ") != count
    ):
        print("ipvs_tasks: the three do not make the same table; the figures mean nothing")
        return 1
    print(f"Tasks of ansible-playbook over one service with {count} real servers, seconds:")
    rows = [
        ("set up by ipvs_table", "set up: ipvs_table", "set up: ipvsadm"),
        ("set up by ipvs_server in a loop", "set up: ipvs_server", "set up: ipvsadm"),
        ("ipvs_table finds nothing to change", "nothing: ipvs_table", "set up: ipvsadm"),
        ("one weight by ipvs_server", "weight: ipvs_server", "weight: ipvsadm"),
    ]
    for what, ours, theirs in rows:
        mine, other = told[ours]["seconds"], told[theirs]["seconds"]
        print(
            f"  {what:36} {mine:7.2f}   command: ipvsadm {other:7.2f}   ratio {other / mine:6.1f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
