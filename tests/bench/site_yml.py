# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long `site.yml` takes, task by task: two routers and two real servers, first and second run.

`python -m tests.bench.site_yml` brings the lab up, which must be down, and takes it down again.
Time of a task is from its start to the last host's answer, as Ansible's own callbacks count it;
routers of the lab may be user-mode machines, where a module takes ten times as long.

Fails where a host ran more than 40 tasks, where the second run changed anything, or a run failed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LAB = str(ROOT / "tests/lab/lab")
MOST_TASKS = 40
LIMIT = 900.0
SHOWN = 0.05
"""Tasks that took less in both runs, seconds, are put together in one line."""


@dataclass(frozen=True)
class Run:
    """One run of the playbook: seconds in all, of each task, and how hosts fared."""

    seconds: float
    tasks: dict[str, float]
    ran: dict[str, int]
    skipped: dict[str, int]
    changed: int


def sum_up(rows: list[dict[str, Any]], seconds: float) -> Run:
    """Put a run's rows together; a task that several hosts or loops run counts once; pure."""
    longest: dict[tuple[int, str], float] = {}
    for row in rows:
        key = row["number"], row["task"]
        longest[key] = max(longest.get(key, 0.0), row["seconds"])
    tasks: dict[str, float] = {}
    for (_unused, name), took in longest.items():
        tasks[name] = tasks.get(name, 0.0) + took
    states = [(row["host"], row["state"]) for row in rows]
    return Run(
        seconds,
        tasks,
        ran=dict(Counter(host for host, state in states if state != "skipped")),
        skipped=dict(Counter(host for host, state in states if state == "skipped")),
        changed=sum(state == "changed" for _unused, state in states),
    )


def play(folder: Path, name: str) -> Run:
    """Run the playbook once."""
    told = folder / name
    env = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tests/bench/callbacks"),
        "ANSIBLE_CALLBACKS_ENABLED": "task_times",
        "ANSIBLE_NOCOLOR": "true",
        "TASK_TIMES": str(told),
    }
    argv = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "inventories/lab"]
    begin = time.monotonic()
    log = ROOT / f"build/bench-site-{name}.log"
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(
            [*argv, "site.yml"], cwd=ROOT, env=env, timeout=LIMIT, check=False,
            stdout=file, stderr=subprocess.STDOUT,
        )
    seconds = time.monotonic() - begin
    if done.returncode != 0:
        raise RuntimeError(f"the {name} run ended with {done.returncode}; see {log}")
    return sum_up([json.loads(line) for line in told.read_text().splitlines()], seconds)


def report(first: Run, second: Run) -> list[str]:
    """Give the lines of the report; pure."""
    lines = [f"{'task':68} {'first':>7} {'second':>7}"]
    small = [0, 0.0, 0.0]
    for name in dict.fromkeys([*first.tasks, *second.tasks]):
        one, two = first.tasks.get(name, 0.0), second.tasks.get(name, 0.0)
        if max(one, two) < SHOWN:
            small = [small[0] + 1, small[1] + one, small[2] + two]
        else:
            lines.append(f"{name[:68]:68} {one:7.2f} {two:7.2f}")
    lines.append(f"{f'{small[0]} others, each below {SHOWN} s':68} {small[1]:7.2f} {small[2]:7.2f}")
    lines.append(f"{'in all, with the start of ansible-playbook':68} "
                 f"{first.seconds:7.2f} {second.seconds:7.2f}")
    lines += [
        f"{host} ran {first.ran[host]} tasks, then {second.ran.get(host, 0)} "
        f"(and had nothing to do in {first.skipped.get(host, 0)} and {second.skipped.get(host, 0)})"
        for host in sorted(first.ran)
    ]
    return lines


def faults(first: Run, second: Run) -> list[str]:
    """Say which promises are broken; pure."""
    found = [
        f"{host} ran {count} tasks, and {MOST_TASKS} are promised"
        for run in (first, second) for host, count in run.ran.items() if count > MOST_TASKS
    ]
    if not first.changed:
        found.append("the first run changed nothing, so the machines were not bare")
    if second.changed:
        found.append(f"the second run changed {second.changed} things")
    return found


def main() -> int:
    """Measure, print, judge."""
    try:
        subprocess.run([LAB, "up"], timeout=LIMIT, check=True, stdout=subprocess.DEVNULL)
        with tempfile.TemporaryDirectory() as folder:
            first, second = play(Path(folder), "first"), play(Path(folder), "second")
    except (RuntimeError, subprocess.SubprocessError) as problem:
        print(f"site_yml: {problem}")
        return 1
    finally:
        subprocess.run([LAB, "down"], timeout=LIMIT, check=False, stdout=subprocess.DEVNULL)
    broken = faults(first, second)
    print("\n".join([*report(first, second), *broken]))
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
