# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Understands what programs print: ipvsadm, ip, ansible-playbook. Pure; runs nothing."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

RECAP = re.compile(r"^(?P<host>\S+)\s+: (?P<figures>ok=\d+ .*)$")
TASK = re.compile(r"^(TASK|RUNNING HANDLER|PLAY) \[(?P<name>.*)\] \**$")
RESULT = re.compile(r"^(?P<word>changed|fatal|failed): \[(?P<host>[^\]]+)\]")
DIFF = re.compile(r"^(---|\+\+\+|@@|[-+ ])")
DIFF_LINES = 10
"""Lines of one difference that are shown; the whole is in the log."""


@dataclass(frozen=True)
class Recap:
    """What ansible-playbook says of all hosts together."""

    hosts: int
    changed: int
    failed: int
    unreachable: int

    @property
    def lost(self) -> int:
        """How many tasks failed and how many hosts were not reached."""
        return self.failed + self.unreachable

    @property
    def clean(self) -> bool:
        """Whether there were hosts and none of them failed."""
        return self.hosts > 0 and not self.lost


def recap(lines: Iterable[str]) -> Recap:
    """Add up the recap of a run."""
    sums = {"changed": 0, "failed": 0, "unreachable": 0}
    hosts = 0
    for line in lines:
        match = RECAP.match(line)
        if not match:
            continue
        hosts += 1
        figures = dict(pair.split("=", 1) for pair in match["figures"].split())
        for name in sums:
            sums[name] += int(figures.get(name, 0))
    return Recap(hosts, **sums)


def real_servers(saved: str, virtual: str) -> set[str]:
    """Give the real servers (ADDRESS:PORT) with weight above 0 from `ipvsadm --save --numeric`."""
    found = set()
    for line in saved.splitlines():
        words = line.split()
        if words[:1] != ["-a"]:
            continue
        options = dict(itertools.pairwise(words))
        if options.get("-t") == virtual and int(options.get("-w", "1")) > 0:
            found.add(options["-r"])
    return found


def addresses(output: str) -> set[str]:
    """Give all addresses in `ip -json address show`."""
    return {
        entry["local"]
        for link in json.loads(output or "[]")
        for entry in link.get("addr_info", [])
        if "local" in entry
    }


class Digest:
    """Passes on what matters of ansible-playbook's output: tasks that act, and differences.

    tell: takes one line.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._task: str | None = None
        self._diff = 0
        self._ending = False

    def feed(self, line: str) -> None:
        """Take the next line of output."""
        task, result = TASK.match(line), RESULT.match(line)
        if line.startswith("PLAY RECAP"):
            self._ending = True
        elif task:
            self._close()
            name = task["name"].split(" : ", 1)[-1]
            if line.startswith("PLAY"):
                self._tell(name)
            else:
                self._task = name
        elif result:
            self._close()
            self._head()
            self._tell(
                f"    {result['word']} {result['host']}" + self._reason(line, result["word"])
            )
        elif line.startswith("[ERROR]") or (self._ending and RECAP.match(line)):
            self._tell(f"  {' '.join(line.split())}")
        elif line.startswith(("[WARNING]", "ok:", "skipping:", "included:")):
            self._close()
        elif DIFF.match(line) and line.strip():
            self._head()
            self._diff += 1
            if self._diff <= DIFF_LINES:
                self._tell(f"      {line}")

    def _head(self) -> None:
        if self._task is not None:
            self._tell(f"  {self._task}")
            self._task = None

    def _close(self) -> None:
        if self._diff > DIFF_LINES:
            self._tell(f"      ... and {self._diff - DIFF_LINES} lines more")
        self._diff = 0

    @staticmethod
    def _reason(line: str, word: str) -> str:
        return "" if word == "changed" else f": {line.split('=>', 1)[-1].strip()}"
