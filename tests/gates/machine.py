# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the gates must know about the machine they run on: folders, interpreters, packages.

It installs Debian packages when asked to (``ensure_packages``); it makes no virtual environment
(venv.py does) and runs no tests (run.py does). Standard library only, Python 3.11 or later.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
LOGS = BUILD / "logs"
VENV = ROOT / ".venv"
VENV_BIN = VENV / "bin"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SYSTEM_PYTHON = Path("/usr/bin/python3")
_POLICY = Path("/usr/sbin/policy-rc.d")


class Trouble(Exception):
    """A reason to stop, as one sentence for the person at the keyboard."""


def say(text: str = "") -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)


def run_shown(argv: list[str], **options: object) -> int:
    """Show a command, run it, and give its exit status."""
    say("  $ " + shlex.join(argv))
    return subprocess.run(argv, check=False, **options).returncode  # type: ignore[call-overload, no-any-return]


def quiet(argv: list[str], env: dict[str, str] | None = None) -> str | None:
    """What a command prints, without the last newline; None where it fails or is not there."""
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, timeout=30, env=env
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def tool_environment() -> dict[str, str]:
    """The environment of every tool: our interpreter first, no shims, UTF-8, settings of our own.

    A clean PATH matters: Ansible's interpreter discovery and ansible-test would otherwise take
    a version manager's shim, which may refuse to start.
    """
    env = {k: v for k, v in os.environ.items() if not k.startswith(("ANSIBLE_", "MOLECULE_"))}
    path = [str(VENV_BIN), SYSTEM_PATH]
    old = python39()
    if old is not None:
        path.append(str(old.parent))
    env.update(
        PATH=":".join(path),
        LC_ALL="C.UTF-8",
        HOME=env.get("HOME", str(Path.home())),
        PYTHONUNBUFFERED="1",
        PYTHONDONTWRITEBYTECODE="1",
        NO_COLOR="1",
        ANSIBLE_NOCOLOR="1",
        ANSIBLE_HOME=str(BUILD / "ansible-home"),
        ANSIBLE_COLLECTIONS_PATH=str(BUILD / "collections"),
        ANSIBLE_PYTHON_INTERPRETER=str(SYSTEM_PYTHON),
    )
    env.pop("PYTHONPATH", None)
    env.pop("VIRTUAL_ENV", None)
    return env


def python39() -> Path | None:
    """A real Python 3.9 (the oldest that plugins/ promises), or None."""
    return _python("3.9")


def python313() -> Path | None:
    """A real Python 3.13 (that of Debian 13), or None."""
    return _python("3.13")


def newest_python() -> Path | None:
    """A real Python that the newest ansible-core runs on (3.12 or later), or None."""
    return _python("3.14") or _python("3.13") or _python("3.12")


@functools.cache
def _python(version: str) -> Path | None:
    """Not a version manager's shim, which may refuse to start. Asked once a run."""
    name = f"python{version}"
    candidates = [Path("/usr/bin") / name, Path("/usr/local/bin") / name]
    candidates += sorted((Path.home() / ".pyenv/versions").glob(f"{version}.*/bin/{name}"))
    on_path = shutil.which(name)
    if on_path:
        candidates.append(Path(on_path))
    for candidate in candidates:
        if not candidate.exists():
            continue
        real = quiet([str(candidate), "-c", "import sys, venv; print(sys.executable)"])
        if real:
            return Path(real)
    return None


def wanted_packages(list_file: Path) -> list[str]:
    """The Debian packages that a list names: one or more a line, ``#`` begins a comment."""
    if not list_file.exists():
        raise Trouble(f"{list_file.relative_to(ROOT)} is missing; it lists the packages to install")
    names: list[str] = []
    for line in list_file.read_text(encoding="utf-8").splitlines():
        names += line.split("#", 1)[0].split()
    return names


def missing_packages(names: list[str]) -> list[str]:
    """Those of the names that dpkg does not have installed."""
    if not shutil.which("dpkg-query", path=SYSTEM_PATH):
        raise Trouble(
            "this is not a Debian system (no dpkg-query), so packages cannot be installed; "
            "use Debian 12 or 13, or install by hand what tests/lab/packages.txt lists"
        )
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n", *names],
        capture_output=True, text=True, check=False, env={"PATH": SYSTEM_PATH, "LC_ALL": "C"},
    )
    there = set(re.findall(r"^installed (\S+)$", done.stdout, re.MULTILINE))
    return [name for name in names if name not in there]


def ensure_packages(names: list[str], reason: str) -> None:
    """Install what is missing of the Debian packages, showing each command.

    Raises Trouble where this is not Debian, where we are not root, or where apt-get fails.
    """
    missing = missing_packages(names)
    if not missing:
        return
    say(f"{reason}: Debian packages to install: {' '.join(missing)}")
    if os.geteuid() != 0:
        raise Trouble(
            f"installing packages needs root; run `apt-get install {' '.join(missing)}` "
            "as root, then this again"
        )
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive", PATH=SYSTEM_PATH, LC_ALL="C.UTF-8")
    # Another installation may be running (a daily upgrade, a second checkout): wait for it.
    apt = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-q"]
    install = [*apt, "install", "-y", "--no-install-recommends", *missing]
    if run_shown([*apt, "update"], env=env) != 0:
        say("  (apt-get update failed; trying with the lists there are)")
    with _no_service_starts():
        status = run_shown(install, env=env)
    if status != 0:
        raise Trouble("apt-get could not install the packages; its own message is just above")


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Keep packages from starting their services; the tests start what they need themselves.

    Every package asks this program first (invoke-rc.d(8)). One that is there already stays.
    """
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink(missing_ok=True)


def main_guarded(main: object) -> None:
    """Run a script's main and end with its status; Trouble becomes one sentence."""
    try:
        status = main()  # type: ignore[operator]
    except Trouble as trouble:
        say(f"stopped: {trouble}")
        status = 1
    except KeyboardInterrupt:
        say("stopped by Ctrl-C")
        status = 130
    sys.exit(status)
