# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo itself, step after step, and what each step shows.

A step measures and adds rows to the closing table; only what makes further steps pointless ends
the demo early.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .machines import Lab, compare, wait_until
from .programs import DemoError, Programs
from .reading import Digest, Recap, recap
from .show import Screen, Shown
from .traffic import Traffic

ROUTERS = ("lvs1", "lvs2")
REAL_SERVERS = {"web1": "192.0.2.21:80", "web2": "192.0.2.22:80"}
CLIENT = "client"
MANAGED = (*ROUTERS, *REAL_SERVERS)
VIRTUAL_ADDRESS, VIRTUAL_PORT = "203.0.113.100", 80
GATEWAY = "192.0.2.254"
VIRTUAL = f"{VIRTUAL_ADDRESS}:{VIRTUAL_PORT}"
URL = f"http://{VIRTUAL_ADDRESS}:{VIRTUAL_PORT}/"

LONGEST_GAP = 2.5
"""Seconds that a takeover after a power cut may take (keepalive 0.5 s, deadtime 1.5 s)."""

UNFAIR = 0.1
"""Share of all requests by which two equal real servers may differ under round robin."""


class Story:
    """The steps in their order; `shown` grows as they go."""

    def __init__(self, root: Path, screen: Screen, programs: Programs) -> None:
        self._root, self._screen, self._programs = root, screen, programs
        self.lab = Lab(root, programs)
        self.shown: list[Shown] = []
        self._logs = root / "build/demo"

    def steps(self) -> list[tuple[str, Callable[[], None]]]:
        """Give the steps with their headings."""
        return [
            ("The lab: two routers, two real servers, one client, none of them set up", self.up),
            ("ansible-playbook --check --diff against the bare machines", self.check),
            ("ansible-playbook for real", self.converge),
            ("ansible-playbook once more", self.again),
            ("Traffic through the virtual address", self.spread),
            ("A real server dies and comes back", self.server_dies),
            ("The power of the active router is cut", self.router_dies),
        ]

    def tell(self) -> None:
        """Go through all steps."""
        self._logs.mkdir(parents=True, exist_ok=True)
        for title, step in self.steps():
            self._screen.heading(title)
            step()

    def _show(self, what: str, figure: str, held: bool) -> None:
        self.shown.append(Shown(what, figure, held))
        self._screen.say(f"{'=> ' if held else '=> NOT SO: '}{what}: {figure}")

    # The lab and the playbook

    def up(self) -> None:
        """Bring the machines up."""
        begin = time.monotonic()
        status = self._programs.stream(
            [self.lab.command, "up"], self._screen.say, alive=self._alive, limit=600
        )
        if status != 0:
            raise DemoError(f"the lab did not come up (status {status}); the reason is just above")
        self._show("the lab is up", f"{time.monotonic() - begin:.0f} s", True)

    def check(self) -> None:
        """A dry run on bare machines succeeds and changes nothing."""
        before = self._fingerprints()
        files = sum(len(one["files"]) for one in before.values())
        self._screen.say(
            f"{files} files of {len(before)} machines and their kernels' tables are noted down"
        )
        result = self._playbook("check", "--check", "--diff")
        changes = compare(before, self._fingerprints(), MANAGED)
        for line in changes[:20]:
            self._screen.say(f"changed: {line}")
        self._show(
            "a dry run on bare machines succeeds",
            f"{result.hosts} machines, {result.lost} failed, {result.changed} changes announced",
            result.clean and result.changed > 0,
        )
        self._show(
            "and changes nothing", f"{files} files compared, {len(changes)} differ", not changes
        )

    def converge(self) -> None:
        """The run for real."""
        begin = time.monotonic()
        result = self._playbook("converge")
        seconds = time.monotonic() - begin
        self._show(
            "one command makes the cluster",
            f"{result.changed} changes in {seconds:.0f} s, {result.lost} failed",
            result.clean,
        )
        if not result.clean:
            raise DemoError("the cluster was not made, so there is nothing more to show")

    def again(self) -> None:
        """The second run changes nothing."""
        result = self._playbook("again")
        self._show(
            "the second run changes nothing",
            f"{result.changed} changed",
            result.clean and not result.changed,
        )

    def _playbook(self, name: str, *options: str) -> Recap:
        argv = [str(self._root / ".venv/bin/ansible-playbook"), "-i", "inventories/lab", "site.yml"]
        self._screen.say(
            f"$ ansible-playbook -i inventories/lab site.yml {' '.join(options)}".rstrip()
        )
        lines: list[str] = []
        digest = Digest(self._screen.say)

        def each(line: str) -> None:
            lines.append(line)
            digest.feed(line)

        try:
            self._programs.stream(
                [*argv, *options],
                each,
                alive=self._alive,
                limit=900,
                env={"ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONFIG": str(self._root / "ansible.cfg")},
            )
        finally:
            log = self._logs / f"{name}.log"
            log.write_text("\n".join(lines) + "\n", encoding="utf-8")
            self._screen.say(f"(all of it: {log.relative_to(self._root)})")
        return recap(lines)

    def _fingerprints(self) -> dict[str, dict[str, Any]]:
        with ThreadPoolExecutor(len(MANAGED)) as pool:
            return dict(zip(MANAGED, pool.map(self.lab.fingerprint, MANAGED), strict=True))

    def _alive(self, seconds: float) -> None:
        self._screen.say(f"... ({seconds:.0f} s)")

    # The cluster under traffic

    def spread(self) -> None:
        """Both real servers answer, and the kernel's table says why."""
        active = self._active()
        wait_until(
            "both real servers are in the active router's table",
            lambda: self.lab.in_table(active, VIRTUAL) == set(REAL_SERVERS.values()),
            30,
            self._screen.say,
        )
        self._screen.say(
            f"active router: {active}\n{self.lab.run(active, 'ipvsadm', '-Ln').rstrip()}"
        )
        traffic = self._traffic()
        begin = time.time()
        time.sleep(5)
        traffic.end()
        figures = traffic.between(begin)
        counts = [figures.servers.get(name, 0) for name in REAL_SERVERS]
        even = abs(counts[0] - counts[1]) <= max(2, UNFAIR * figures.requests)
        spread = ", ".join(
            f"{name} {count}" for name, count in zip(REAL_SERVERS, counts, strict=True)
        )
        self._show("requests are spread over both real servers", spread, min(counts) > 0 and even)
        self._show(
            "every request is answered",
            f"{figures.answered} of {figures.requests}",
            figures.requests > 0 and figures.failed == 0,
        )

    def server_dies(self) -> None:
        """nginx stops on one real server: out of the table, no failures after that, and back."""
        name, entry = next(iter(REAL_SERVERS.items()))
        active = self._active()
        traffic = self._traffic()
        time.sleep(1)
        self.lab.run(name, "systemctl", "stop", "nginx")
        stopped = time.time()
        self._screen.say(f"nginx on {name} is stopped")
        wait_until(
            f"{name} has left the table",
            lambda: entry not in self.lab.in_table(active, VIRTUAL),
            15,
            self._screen.say,
        )
        left = time.time()
        self._screen.say(self.lab.run(active, "ipvsadm", "-Ln").rstrip())
        self._show(f"{name} leaves the table", f"{left - stopped:.1f} s after nginx stopped", True)
        time.sleep(3)
        self.lab.run(name, "systemctl", "start", "nginx")
        started = time.time()
        self._screen.say(f"nginx on {name} is started")
        wait_until(
            f"{name} is back in the table and answers",
            lambda: (
                entry in self.lab.in_table(active, VIRTUAL) and traffic.answered_by(name, started)
            ),
            30,
            self._screen.say,
        )
        back = time.time()
        time.sleep(2)
        traffic.end()
        during, after = traffic.between(stopped, left), traffic.between(left)
        self._screen.say(f"{during.failed} of {during.requests} requests failed before it had left")
        self._show(
            "no request fails after that",
            f"{after.failed} of {after.requests}",
            after.requests > 0 and after.failed == 0,
        )
        self._show(
            f"{name} returns when nginx does",
            f"{back - started:.1f} s after nginx started (reentry 2 s)",
            True,
        )

    def router_dies(self) -> None:
        """The power cut: the other router takes over, and the requests go on."""
        active = self._active()
        other = next(name for name in ROUTERS if name != active)
        wait_until(
            f"{other} has both real servers in its table too",
            lambda: self.lab.in_table(other, VIRTUAL) == set(REAL_SERVERS.values()),
            30,
            self._screen.say,
        )
        traffic = self._traffic()
        time.sleep(2)
        self._screen.say(f"cutting the power of {active}")
        cut = time.time()
        self.lab.cut_power(active)
        done = time.time()
        wait_until(
            f"{other} holds {VIRTUAL_ADDRESS} and {GATEWAY}",
            lambda: {VIRTUAL_ADDRESS, GATEWAY} <= self.lab.holds(other),
            20,
            self._screen.say,
        )
        self._screen.say(f"{other} holds {VIRTUAL_ADDRESS} and {GATEWAY}")
        time.sleep(5)
        traffic.end()
        # The cut happened between the call and its return; a second before it all was well.
        whole, later = traffic.between(cut - 1), traffic.between(done + LONGEST_GAP)
        self._screen.say(self.lab.run(other, "ipvsadm", "-Ln").rstrip())
        self._show("the other router takes the addresses", f"{active} -> {other}", True)
        self._show(
            "no request was answered for",
            f"{whole.longest_gap:.2f} s (allowed: {LONGEST_GAP} s)",
            whole.answered > 0 and whole.longest_gap < LONGEST_GAP,
        )
        self._show(
            "then the requests go on",
            f"{later.failed} of {later.requests} failed",
            later.requests > 0 and later.failed == 0,
        )

    def _active(self) -> str:
        found: list[str] = []

        def one_holds() -> bool:
            found[:] = [name for name in ROUTERS if VIRTUAL_ADDRESS in self.lab.holds(name)]
            return len(found) == 1

        wait_until("exactly one router holds the virtual address", one_holds, 30, self._screen.say)
        return found[0]

    def _traffic(self) -> Traffic:
        traffic = Traffic(self.lab, self._programs, CLIENT, URL)
        traffic.begin()
        self._screen.say(f"{CLIENT} asks for {URL} every 50 ms, a new connection each time")
        return traffic
