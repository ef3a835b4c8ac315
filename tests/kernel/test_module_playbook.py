# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules as users run them: one play by ansible-playbook, each task followed by ipvsadm.

One play with many tasks, since starting the controller takes long in user-mode Linux. The play
runs once for all tests of this file.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 240  # seconds for the whole play

WEB = {"address": "192.0.2.1", "port": 80}
WEB_LINE = "-A -t 192.0.2.1:80 -s rr"
ONE = "-a -t 192.0.2.1:80 -r 198.51.100.1:80 -m -w {}"
DNS = {
    "protocol": "udp",
    "address": "192.0.2.1",
    "port": 53,
    "scheduler": "rr",
    "servers": [{"address": "127.0.0.1", "port": 5353}],
}
DNS_LINE = "-A -u 192.0.2.1:53 -s rr"
LOCAL = "-a -u 192.0.2.1:53 -r 127.0.0.1:5353 -m -w {}"
OTHERS = [
    {"address": "2001:db8::1", "port": 443, "scheduler": "sh", "flags": ["sh-port", "sh-fallback"],
     "servers": [{"address": "2001:db8:1::1", "forward": "direct", "weight": 2}]},
    {"fwmark": 5, "persistence": 60, "mask": "24",
     "servers": [{"address": "198.51.100.1", "forward": "tunnel", "tunnel": "gue",
                  "tunnel_port": 6080, "tunnel_checksum": "csum"}]},
]  # fmt: skip
OTHER_LINES = [
    "-A -t [2001:db8::1]:443 -s sh -b sh-fallback,sh-port",
    "-a -t [2001:db8::1]:443 -r [2001:db8:1::1]:443 -g -w 2",
    "-A -f 5 -s wlc -p 60 -M 255.255.255.0",
    "-a -f 5 -r 198.51.100.1:0 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum",
]
ALL_LINES = [WEB_LINE, ONE.format(0), *OTHER_LINES]
PROGRESS = "drain while packets flow"


REFUSED: dict[str, Any] = {}  # what stands beside a task that must fail


class Task(NamedTuple):
    """A task, and what must come of it; ``table`` is what ipvsadm prints after it."""

    module: str
    options: dict[str, Any]
    changed: bool
    table: list[str]
    keywords: dict[str, Any] = {}  # noqa: RUF012 - read only


def _server(**said: object) -> dict[str, Any]:
    return {"service": WEB, "address": "198.51.100.1", **said}


TASKS = {
    "foretell": Task("ipvs_service", {**WEB, "scheduler": "rr"}, True, [], {"check_mode": True}),
    "service": Task("ipvs_service", {**WEB, "scheduler": "rr"}, True, [WEB_LINE]),
    "service again": Task("ipvs_service", {**WEB, "scheduler": "rr"}, False, [WEB_LINE]),
    "server": Task("ipvs_server", _server(weight="3"), True, [WEB_LINE, ONE.format(3)]),
    "drain under check mode": Task(
        "ipvs_server",
        _server(state="drained"),
        True,
        [WEB_LINE, ONE.format(3)],
        {"check_mode": True},
    ),
    "drain": Task("ipvs_server", _server(state="drained"), True, [WEB_LINE, ONE.format(0)]),
    "drain by itself": Task(
        "ipvs_server",
        _server(state="drained", timeout=20),
        False,
        [WEB_LINE, ONE.format(0)],
        {"async": 60, "poll": 1},
    ),
    "merge": Task("ipvs_table", {"services": OTHERS}, True, ALL_LINES),
    "info": Task("ipvs_info", {"counters": True}, False, ALL_LINES, {"register": "read"}),
    "feed back": Task(
        "ipvs_table", {"state": "overridden", "services": "{{ read.services }}"}, False, ALL_LINES
    ),
    "refuse to wipe": Task(
        "ipvs_table", {"state": "overridden", "services": []}, False, ALL_LINES, REFUSED
    ),
    "timeouts": Task("ipvs_timeouts", {"udp": 2}, True, ALL_LINES),
    "zero": Task("ipvs_zero", {}, False, ALL_LINES),
    "sync": Task("ipvs_sync_daemon", {"role": "master", "interface": "lo"}, True, ALL_LINES),
    "no sync": Task("ipvs_sync_daemon", {"role": "master", "state": "absent"}, True, ALL_LINES),
    "override": Task(
        "ipvs_table", {"state": "overridden", "services": [DNS]}, True, [DNS_LINE, LOCAL.format(1)]
    ),
    PROGRESS: Task(
        "ipvs_server",
        {
            "service": {name: DNS[name] for name in ("protocol", "address", "port")},
            "address": "127.0.0.1",
            "port": 5353,
            "state": "drained",
            "timeout": 60,
            "interval": 1,
        },
        True,
        [DNS_LINE, LOCAL.format(0)],
    ),
    "delete": Task("ipvs_table", {"state": "deleted", "services": [DNS]}, True, []),
}


class Play(NamedTuple):
    """What became of it: how each task ended, and what was printed."""

    ended: dict[str, dict[str, Any]]
    printed: str


def playbook() -> list[dict[str, Any]]:
    """The play as data."""
    tasks = [
        {"name": name, f"piranha.lvs.{task.module}": task.options, **task.keywords}
        for name, task in TASKS.items()
    ]
    # The tests judge each task, so that one failure does not hide the others.
    return [{"hosts": "localhost", "gather_facts": False, "ignore_errors": True, "tasks": tasks}]


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _keep_packets_flowing(results: Path, over: threading.Event) -> None:
    """A connection from before the drain until some looks at it were made."""
    until = None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        while not over.wait(0.3):
            noted = _lines(results)
            if any(line.get("ended") == "override" for line in noted) and until is None:
                client.connect(("192.0.2.1", 53))
            if until is None and any(line.get("begun") == PROGRESS for line in noted):
                until = time.monotonic() + 8
            if until is not None and time.monotonic() > until:
                return
            with contextlib.suppress(OSError):  # before it is connected, and ICMP answers
                client.send(b"packet")


@pytest.fixture(scope="module")
def play(ipvs: None, tmp_path_factory: pytest.TempPathFactory) -> Play:
    folder = tmp_path_factory.mktemp("play")
    results = folder / "results"
    (folder / "play.yml").write_text(yaml.safe_dump(playbook(), sort_keys=False))
    over = threading.Event()
    packets = threading.Thread(target=_keep_packets_flowing, args=(results, over))
    packets.start()
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_ASYNC_DIR": str(folder / "async"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build/collections"),
        "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callbacks"),
        "ANSIBLE_CALLBACKS_ENABLED": "kernel_results",
        "ANSIBLE_PIPELINING": "true",
        "ANSIBLE_NOCOLOR": "true",
        "KERNEL_RESULTS": str(results),
    }
    program = Path(sys.executable).parent / "ansible-playbook"
    argv = [str(program), "-i", "localhost,", "-c", "local", "play.yml", "--diff"]
    argv += ["-e", f"ansible_python_interpreter={sys.executable}"]
    try:
        done = subprocess.run(
            argv, cwd=folder, env=env, capture_output=True, text=True, timeout=LIMIT, check=False
        )
    finally:
        over.set()
        packets.join(5)
    assert done.returncode == 0, done.stdout + done.stderr
    ended = {line["ended"]: line for line in _lines(results) if "ended" in line}
    return Play(ended, done.stdout + done.stderr)


@pytest.mark.parametrize("name", TASKS)
def test_a_task_does_what_it_says(play: Play, name: str) -> None:
    task, ended = TASKS[name], play.ended[name]
    result = ended["result"]
    assert result.get("changed", False) is task.changed, result
    assert result["failed"] is (task.keywords is REFUSED), result
    assert sorted(ended["table"]) == sorted(task.table)


def test_foretold_is_what_was_done(play: Play) -> None:
    foretold, done = play.ended["foretell"]["result"], play.ended["service"]["result"]
    for name in ("changed", "before", "after", "commands", "changes", "diff"):
        assert foretold[name] == done[name]


def test_what_was_refused_is_told_in_a_sentence(play: Play) -> None:
    wipe = play.ended["refuse to wipe"]["result"]["msg"]
    assert wipe.startswith("services: the list is empty, which would delete 3 virtual services;")
    assert "Traceback" not in play.printed


def test_waiting_shows_progress(play: Play) -> None:
    """A line a look, by the action plugin; the result has the last numbers."""
    lines = [line for line in play.printed.splitlines() if " drains: " in line]
    assert lines, play.printed
    assert lines[0].startswith(
        "localhost: 127.0.0.1:5353 drains: 1 inactive connection left after "
    )
    result = play.ended[PROGRESS]["result"]
    assert (result["drained"], result["waiting_for"]) == (True, {})
    assert result["waited"] >= 2
    assert (result["before"]["weight"], result["after"]["weight"]) == (1, 0)
    assert "warnings" not in result


def test_draining_by_itself_works_in_the_background(play: Play) -> None:
    result = play.ended["drain by itself"]["result"]
    assert (result["drained"], result["finished"] in (1, True)) == (True, True)
