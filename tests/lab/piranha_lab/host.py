# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin shell around this host: programs, namespaces, mounts, processes. Decides nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from .errors import LabError

NETNS = Path("/run/netns")


def run(arguments: Sequence[str], text: str | None = None, timeout: float = 60,
        quiet: bool = False) -> str:
    """Run a program to its end and give its output; LabError with its complaint if it fails.

    text goes to its standard input; timeout is in seconds; quiet takes failure as well.
    """
    try:
        done = subprocess.run(arguments, input=text, capture_output=True, text=True,
                              timeout=timeout, check=False)
    except FileNotFoundError:
        raise LabError(f"{arguments[0]} is not installed; see: tests/lab/lab doctor") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"no end after {timeout:g} s: {' '.join(arguments)}") from None
    if done.returncode and not quiet:
        said = (done.stderr.strip() or done.stdout.strip() or "without a word").splitlines()[-1]
        raise LabError(f"failed ({done.returncode}): {' '.join(arguments)}: {said}")
    return done.stdout


def ip_batch(namespace: str | None, lines: Iterable[str]) -> None:
    """Give lines to one ip(8), in a network namespace or outside of all."""
    where = ["-n", namespace] if namespace else []
    run(["ip", *where, "-batch", "-"], "".join(f"{line}\n" for line in lines))


def namespaces(name: str) -> list[str]:
    """The named network namespaces called name or name-SOMETHING."""
    if not NETNS.is_dir():
        return []
    return sorted(p.name for p in NETNS.iterdir() if p.name == name or
                  p.name.startswith(f"{name}-"))


def processes(namespace: str) -> set[int]:
    """The processes in a network namespace."""
    return {int(pid) for pid in run(["ip", "netns", "pids", namespace], quiet=True).split()}


def ancestors() -> set[int]:
    """This process and those that wait for it."""
    family, pid = set(), os.getpid()
    while pid > 1:
        family.add(pid)
        status = Path(f"/proc/{pid}/stat").read_text()
        pid = int(status.rpartition(")")[2].split()[1])
    return family


def kill(pids: Iterable[int]) -> None:
    """kill -9, and those already gone are fine."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def kill_all_in(names: Sequence[str], patience: float = 10) -> None:
    """End every process in these network namespaces but us; patience in seconds."""
    spared = ancestors()
    until = time.monotonic() + patience
    while left := set().union(*(processes(name) for name in names)) - spared:
        kill(left)
        if time.monotonic() > until:
            raise LabError(f"processes that kill -9 does not end: {sorted(left)}; see ps -p.")
        time.sleep(0.02)


def await_end_of(argument: str, patience: float = 5) -> None:
    """Wait for the processes that carry a text in their command line; end them in the end."""
    until = time.monotonic() + patience
    while pids := carrying(argument) - ancestors():
        if time.monotonic() > until:
            kill(pids)
            return
        time.sleep(0.02)


def carrying(argument: str) -> set[int]:
    """The processes that carry a text in their command line."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if argument.encode() in path.read_bytes():
                found.add(int(path.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
    return found


def started(pid: int) -> str | None:
    """When a process started, in the kernel's count; None where there is none (or a dead one)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]


def mounts_below(folder: Path) -> list[str]:
    """Mount points at or below a folder, innermost first."""
    prefix = str(folder)
    points = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4].replace(r"\040", " ")
        if point == prefix or point.startswith(f"{prefix}/"):
            points.append(point)
    return points[::-1]


def unmount_below(folder: Path) -> None:
    """Take off every mount at or below a folder."""
    for point in mounts_below(folder):
        run(["umount", "--lazy", point])


def remove(folder: Path) -> None:
    """Remove a folder with all in it, refusing to follow a mount that is still there."""
    if left := mounts_below(folder):
        raise LabError(f"still mounted, so nothing was removed: {left[0]}; umount it, try again.")
    if folder.exists():
        run(["rm", "-rf", "--one-file-system", "--", str(folder)], timeout=300)


def control_groups(name: str) -> list[Path]:
    """The control groups called name, at the top of every hierarchy."""
    top = Path("/sys/fs/cgroup")
    tops = [top, *(child for child in top.iterdir() if child.is_dir())] if top.is_dir() else []
    return [group for hierarchy in tops if (group := hierarchy / name).is_dir()]


def remove_control_groups(name: str) -> None:
    """Remove the control groups called name with those inside; they have no process any more."""
    for root in control_groups(name):
        inside = sorted((p for p in root.rglob("*") if p.is_dir()), reverse=True)
        for group in [*inside, root]:
            try:
                group.rmdir()
            except OSError:
                continue  # what is really left, leftovers() tells


def write(path: Path, text: str, mode: int) -> None:
    """Write a file by way of a temporary one beside it; mode holds from the first byte on."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as stream:
        stream.write(text)
    new.chmod(mode)
    new.replace(path)


def need(tools: Iterable[str]) -> None:
    """LabError naming what is missing of these programs."""
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing:
        raise LabError(f"not installed: {', '.join(missing)}. Remedy: make packages")
