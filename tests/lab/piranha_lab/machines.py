# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""One machine: its disk layer, its power, its cables, whether it has booted.

Two ways of being: a user-mode kernel of its own, or a container with systemd. Knows nothing of
the other machines (see lab.py).
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import commands, files, host
from .errors import LabError
from .topology import Machine


class Power:
    """The power switch and cables of one machine; the two kinds derive from it."""

    engine = ""

    def __init__(self, machine: Machine, state: Path) -> None:
        self.machine = machine
        self.state = state
        self.folder = state / "machines" / machine.name
        self.root = self.folder / "root"

    def handle(self) -> int | None:
        """The process whose end is the machine's; None where the power is off."""
        raise NotImplementedError

    def on(self) -> None:
        """Switch on; returns before the machine has booted."""
        raise NotImplementedError

    def cut(self) -> None:
        """Switch off without a warning: kill -9, and nothing of it answers any more."""
        raise NotImplementedError

    def lay(self, image: Path, contents: Mapping[str, files.File]) -> None:
        """Make the machine's own disk layer over the image and write its files."""
        for name in ("upper", "work", "root"):
            (self.folder / name).mkdir(parents=True, mode=0o755)
        try:
            host.run(commands.overlay(image, self.folder / "upper", self.folder / "work",
                                      self.root))
        except LabError:
            # The checkout itself lies on an overlay (a container does that): copy instead.
            host.run(["cp", "-a", "--reflink=auto", f"{image}/.", str(self.root)], timeout=300)
        for name, content in contents.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content.link:
                path.unlink(missing_ok=True)
                path.symlink_to(content.link)
            else:
                host.write(path, content.text, content.mode)

    def link(self, network: str, up: bool) -> None:
        """Plug or pull the cable to a network, at the far end."""
        card = self.machine.card(network)
        host.ip_batch(commands.NAMESPACE, commands.link_batch(card, up))
        cut = self.cut_links() - {network} | (set() if up else {network})
        host.write(self.folder / "links-cut", "".join(f"{n}\n" for n in sorted(cut)), 0o600)

    def cut_links(self) -> set[str]:
        """The networks whose cable is pulled."""
        path = self.folder / "links-cut"
        return set(path.read_text().split()) if path.exists() else set()

    def panicked(self) -> bool:
        """Whether its kernel has given up (the process may stay)."""
        return False

    def console(self, lines: int = 15) -> str:
        """The last lines of what the machine said while booting."""
        path = self.folder / "console.log"
        text = path.read_text(errors="replace") if path.exists() else ""
        return "\n".join(f"  {line}" for line in text.splitlines()[-lines:]) or "  (nothing)"

    def _wire_done(self) -> None:
        for card in self.machine.cards:
            host.run(commands.no_offload(commands.NAMESPACE, card.outside))
        for network in self.cut_links():
            self.link(network, up=False)


class OwnKernel(Power):
    """A machine that is a user-mode kernel on tap devices."""

    engine = "user-mode kernel"

    def handle(self) -> int | None:
        """The unshare that holds the kernel, told from a later process of the same number."""
        path = self.folder / "kernel.pid"
        if not path.exists():
            return None
        pid, _unused, begun = path.read_text().strip().partition(" ")
        return int(pid) if begun and host.started(int(pid)) == begun else None

    def panicked(self) -> bool:
        """Whether the kernel has said so on its console."""
        return "Kernel panic" in self.console(200)

    def on(self) -> None:
        """Boot the kernel; taps are made at the first time and stay."""
        if not (self.folder / "kernel.pid").exists():
            host.ip_batch(commands.NAMESPACE, commands.tap_batch(self.machine.cards))
            self._wire_done()
        with (self.folder / "console.log").open("ab") as console:
            process = subprocess.Popen(
                commands.uml(self.machine, self.root),
                stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT,
                start_new_session=True,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root",
                     "TMPDIR": "/dev/shm"},  # noqa: S108 -- the kernel's unlinked memory file
            )
        begun = host.started(process.pid)
        if begun is None:
            raise LabError(f"{self.machine.name}: its kernel does not start:\n{self.console()}")
        host.write(self.folder / "kernel.pid", f"{process.pid} {begun}\n", 0o600)

    def cut(self) -> None:
        """kill -9 of the kernel and of every process it had."""
        pid = self.handle()
        if pid is None:
            return
        inner = _children(pid)
        host.kill([*inner, pid])
        _await_end([*inner, pid])


class Container(Power):
    """A machine that is a container with systemd, in a network namespace of its own."""

    engine = "container"

    def _podman(self, *words: str) -> str:
        return host.run([*commands.podman(self.state), *words])

    def handle(self) -> int | None:
        """The container's process 1."""
        said = host.run([*commands.podman(self.state), "inspect", "--format", "{{.State.Pid}}",
                         self.machine.name], quiet=True).strip()
        return int(said) if said.isdigit() and host.started(int(said)) else None

    def on(self) -> None:
        """Make the network namespace with its cables, then start the container."""
        name = commands.namespace_of(self.machine)
        if name not in host.namespaces(commands.NAMESPACE):
            host.run(["ip", "netns", "add", name])
            host.ip_batch(commands.NAMESPACE, commands.veth_batch(self.machine))
            host.ip_batch(name, commands.address_batch(self.machine))
            for card in self.machine.cards:
                host.run(commands.no_offload(name, card.network.device))
            self._wire_done()
        created = self.folder / "container"
        if not created.exists():  # only now, since podman wants to see the namespace
            modules = Path("/lib/modules").is_dir()
            self._podman(*commands.podman_create(self.machine, self.folder, modules))
            created.touch()
        self._podman("start", self.machine.name)

    def cut(self) -> None:
        """kill -9 of all processes, and the network goes with them, as a kernel's would."""
        name = commands.namespace_of(self.machine)
        pid = self.handle()
        if pid is not None:
            host.kill([pid])
        # The cables first: else the namespace would go on answering for its addresses.
        host.ip_batch(commands.NAMESPACE, [f"link delete {c.outside}" for c in self.machine.cards
                                           if name in host.namespaces(commands.NAMESPACE)])
        if name in host.namespaces(commands.NAMESPACE):
            host.kill_all_in([name])
            host.run(["ip", "netns", "delete", name])
        if pid is not None:
            _await_end([pid])


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in text.read_text().split()] if text.exists() else []


def _await_end(pids: Sequence[int], patience: float = 10) -> None:
    until = time.monotonic() + patience
    while any(host.started(pid) for pid in pids):
        if time.monotonic() > until:
            raise LabError(f"kill -9 did not end {sorted(pids)} within {patience:g} s.")
        time.sleep(0.01)


def power_of(machine: Machine, state: Path, native: bool) -> Power:
    """The way a machine exists: its own kernel, if it needs one, where this one has no IPVS."""
    own = machine.own_kernel and not native
    return (OwnKernel if own else Container)(machine, state)
