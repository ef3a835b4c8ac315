# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A systemd as process 1 of a PID namespace, with no unit but those that a test gives it.

    with systemd() as machine: machine.run("systemctl", "start", "x.service")

It must not do anything for the machine that it runs on: it knows no unit of the distribution (those
would empty /tmp, for one), has /run, /tmp, /var and /opt of its own, the checkout in /srv, and a
control group of its own as its root. Run as a program this file is what becomes systemd.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

SYSTEMD = "/usr/lib/systemd/systemd"
TARGET = "piranha-test.target"
TARGETS = (
    "sysinit.target",
    "basic.target",
    "shutdown.target",
    "umount.target",
    "network-online.target",
    "multi-user.target",
)
"""Empty ones in the place of the distribution's, which its units name."""

UNITS = Path("/run/systemd/system")
PATIENCE = 60.0
ROOT = Path(__file__).resolve().parents[2]
CHECKOUT = Path("/srv")
"""Where the checkout stands there: a sandbox hides homes, and /var is this machine's own."""


def there(path: str | Path) -> str:
    """Give the place there of a file; its own where it is not in the checkout."""
    real = Path(path)
    return str(CHECKOUT / real.relative_to(ROOT) if real.is_relative_to(ROOT) else real)


class Machine:
    """What runs under that systemd."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def run(self, *argv: str, check: bool = True) -> str:
        """Run a program there to its end; gives what it printed."""
        enter = ["nsenter", f"--target={self._pid}", "--mount", "--pid", "--", *argv]
        done = subprocess.run(enter, capture_output=True, text=True, timeout=PATIENCE, check=False)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(argv)}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def path(self, path: Path) -> Path:
        """Give the place out here of a file there."""
        return Path(f"/proc/{self._pid}/root") / path.relative_to("/")

    def write(self, path: Path, text: str, mode: int = 0o644) -> None:
        """Write a file there (its /run is its own)."""
        real = self.path(path)
        real.parent.mkdir(parents=True, exist_ok=True)
        real.write_text(text, encoding="utf-8")
        real.chmod(mode)

    def read(self, path: Path) -> str:
        """Read a file there; empty where there is none."""
        try:
            return self.path(path).read_text("utf-8")
        except FileNotFoundError:
            return ""

    def property(self, unit: str, name: str) -> str:
        """Give a property of a unit."""
        return self.run("systemctl", "show", "--value", f"--property={name}", unit)


@contextlib.contextmanager
def systemd() -> Iterator[Machine]:
    """Start it, and end it with all that it runs."""
    with _control_group() as group:
        unshare = ["unshare", "--cgroup", "--pid", "--mount", "--fork", "--kill-child"]
        argv = [*unshare, "--mount-proc", sys.executable, __file__]
        process = subprocess.Popen([sys.executable, __file__, str(group), *argv])
        try:
            yield Machine(_booted(process))
        finally:
            process.kill()
            process.wait(10)


@contextlib.contextmanager
def _control_group() -> Iterator[Path]:
    """Make a control group, and remove it with all that systemd made in it."""
    with tempfile.TemporaryDirectory() as name:
        subprocess.run(["mount", "-t", "cgroup2", "cgroup2", name], check=True, timeout=20)
        group = Path(name, f"piranha-test-{os.getpid()}")
        group.mkdir()
        try:
            yield group
        finally:
            end = time.monotonic() + PATIENCE
            while group.exists() and time.monotonic() < end:
                for folder, _unused, _unused in os.walk(group, topdown=False):
                    with contextlib.suppress(OSError):  # its processes are still ending
                        Path(folder).rmdir()
                time.sleep(0.05)
            subprocess.run(["umount", name], check=True, timeout=20)


def _booted(process: subprocess.Popen[bytes]) -> int:
    """Wait until systemd answers; gives its process id out here."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if listed and Path(f"/proc/{listed[0]}/root/run/systemd/private").exists():
            machine = Machine(int(listed[0]))
            if machine.run("systemctl", "is-active", TARGET, check=False) == "active":
                return int(listed[0])
        time.sleep(0.1)
    raise RuntimeError("systemd does not start in a namespace of this kernel")


def _become() -> None:
    """Lay out what systemd wants to find, and become it."""
    subprocess.run(["mount", "--make-rprivate", "/"], check=True, timeout=20)
    subprocess.run(["mount", "--bind", ROOT, CHECKOUT], check=True, timeout=20)
    for folder in ("/run", "/tmp", "/var", "/opt"):  # noqa: S108 - to be covered
        subprocess.run(["mount", "-t", "tmpfs", "own", folder], check=True, timeout=20)
    subprocess.run(["mount", "-t", "cgroup2", "own", "/sys/fs/cgroup"], check=True, timeout=20)
    for folder in ("/run/lock", "/var/tmp", "/var/lib", "/var/log"):  # noqa: S108 - ours
        Path(folder).mkdir()
    UNITS.mkdir(parents=True)
    for target in (TARGET, *TARGETS):
        (UNITS / target).write_text("[Unit]\nDefaultDependencies=no\n", encoding="ascii")
    env = {"PATH": os.defpath, "container": "piranha-test", "LC_ALL": "C.UTF-8"}
    env["SYSTEMD_UNIT_PATH"] = str(UNITS)
    argv = [SYSTEMD, "--system", f"--unit={TARGET}", "--log-target=console", "--show-status=no"]
    os.execve(SYSTEMD, argv, env)  # noqa: S606 - there is no shell


if __name__ == "__main__":
    if len(sys.argv) > 1:  # GROUP COMMAND...: enter the control group, then go on
        Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
        os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - there is no shell
    _become()
