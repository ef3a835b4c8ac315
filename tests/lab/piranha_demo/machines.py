# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's machines as the demo uses them: run something there, cut the power, look."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .fingerprint import differences
from .programs import DemoError, Programs
from .reading import addresses, real_servers

POLL = 0.3
"""Seconds between two looks at a machine."""


class Lab:
    """Commands of tests/lab/lab, and ssh into its machines."""

    def __init__(self, root: Path, programs: Programs) -> None:
        self.root = root
        self.command = str(root / "tests/lab/lab")
        self._programs = programs

    def _ssh(self, machine: str, *argv: str) -> list[str]:
        """Give the argument list that runs `argv` on a machine, over one kept connection each."""
        state = self.root / "build/lab"
        options = {
            "ControlMaster": "auto",
            "ControlPersist": "60",
            "ControlPath": str(state / "demo-%n"),
            "BatchMode": "yes",
        }
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        # ssh joins its arguments and the far end's login shell splits them again.
        far = shlex.join(argv)
        ssh = str(self.root / "tests/lab/ssh")
        return [ssh, "-F", str(state / "ssh_config"), *words, machine, far]

    def run(self, machine: str, *argv: str, text: str | None = None, limit: float = 30) -> str:
        """Run a command on a machine and give its output; a failure ends the demo."""
        status, output = self._programs.capture(self._ssh(machine, *argv), text=text, limit=limit)
        if status != 0:
            reason = output.strip() or "no output"
            raise DemoError(f"{machine}: {shlex.join(argv)} ended with {status}: {reason}")
        return output

    def cut_power(self, machine: str) -> None:
        """End the machine's kernel (or all of its container) at once."""
        status, output = self._programs.capture([self.command, "power-cut", machine])
        if status != 0:
            raise DemoError(f"the power of {machine} could not be cut: {output.strip()}")

    def fingerprint(self, machine: str) -> dict[str, Any]:
        """Give the digests of the machine's files and what its kernel holds."""
        program = Path(__file__).with_name("fingerprint.py").read_text(encoding="utf-8")
        found: dict[str, Any] = json.loads(self.run(machine, "python3", "-", text=program))
        return found

    def holds(self, machine: str) -> set[str]:
        """Give the addresses on the machine's interfaces."""
        return addresses(self.run(machine, "ip", "-json", "address", "show"))

    def in_table(self, router: str, virtual: str) -> set[str]:
        """Give the real servers of a virtual service in the router's kernel."""
        return real_servers(self.run(router, "ipvsadm", "--save", "--numeric"), virtual)


def wait_until(
    what: str, held: Callable[[], bool], limit: float, say: Callable[[str], None]
) -> float:
    """Look again and again until `held`; give the seconds it took. Ends the demo at the limit."""
    begin = time.monotonic()
    told = begin
    while not held():
        now = time.monotonic()
        if now - begin > limit:
            raise DemoError(f"{limit:.0f} s have passed, and still not: {what}")
        if now - told > 3:
            say(f"waiting: {what} ({now - begin:.0f} s)")
            told = now
        time.sleep(POLL)
    return time.monotonic() - begin


def compare(
    before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]], machines: Sequence[str]
) -> list[str]:
    """Say what differs between two rounds of fingerprints."""
    return [
        f"{machine}: {line}"
        for machine in machines
        for line in differences(
            {**before[machine]["files"], **before[machine]["kernel"]},
            {**after[machine]["files"], **after[machine]["kernel"]},
        )
    ]
