# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one command in a kernel that has IPVS and pass its output and exit status on.

Natively in fresh namespaces where this machine's kernel has IPVS, else in a user-mode Linux that
boots the host's own file system read-only beneath a throw-away layer (see `ipvs-kernel-init`).
Knows nothing of machines, topologies or Ansible: that is the lab's part.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

LAB = Path(__file__).resolve().parent.parent
CHECKOUT = LAB.parent.parent
BUILD = CHECKOUT / "build"
JOBS = BUILD / "in-ipvs-kernel"
UML = Path("/usr/bin/linux.uml")
UML_MODULES = Path("/usr/lib/uml/modules")

STATUS_TIMEOUT = 124  # as timeout(1) has it
STATUS_OURS = 125  # the wrapper itself failed, not the command
NEEDED = {
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "ip": "iproute2",
    "modprobe": "kmod",
    "ipvsadm": "ipvsadm",
}
# Of the caller's session, which does not reach in there (/run is fresh).
ENVIRONMENT_LEFT_OUT = frozenset({"XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "_"})


class KernelError(Exception):
    """What keeps the command from running: one sentence with its remedy."""


@dataclass(frozen=True)
class Request:
    """What the caller asked for; `timeout` in seconds, `memory` as the kernel takes it (1G)."""

    command: tuple[str, ...]
    timeout: float
    memory: str
    tty: bool
    native: bool | None


def parse(arguments: Sequence[str]) -> Request:
    """Read the command line; exits with a usage message where it is wrong."""
    parser = argparse.ArgumentParser(
        prog="in-ipvs-kernel",
        description="Run COMMAND inside a kernel that has IPVS and return its exit status. "
        "The host's files are protected: what is written vanishes, except below build/.",
        epilog="Exit status: the command's; 124 when the time was up; 125 when it could not run.",
    )
    parser.add_argument("--timeout", type=float, default=900, metavar="SECONDS",
                        help="end the command after this many seconds (default: %(default)s)")
    parser.add_argument("--mem", default="1G", metavar="SIZE",
                        help="memory of the user-mode kernel (default: %(default)s)")
    parser.add_argument("--tty", action="store_true", help="give COMMAND this terminal (a shell)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--native", action="store_const", const=True, dest="native",
                       help="use this machine's kernel, or fail")
    which.add_argument("--uml", action="store_const", const=False, dest="native",
                       help="use user-mode Linux even where this kernel has IPVS")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND...")
    got = parser.parse_args(arguments)
    command = tuple(got.command[1:] if got.command[:1] == ["--"] else got.command)
    if not command:
        parser.error("no command given; for example: in-ipvs-kernel ipvsadm -Ln")
    if got.timeout <= 0:
        parser.error(f"--timeout {got.timeout:g} is not a time; give seconds above 0")
    if not re.fullmatch(r"[1-9][0-9]*[MG]", got.mem):
        parser.error(f"--mem {got.mem} is not a size; write for example 512M or 1G")
    return Request(command, got.timeout, got.mem, got.tty, got.native)


# Set for the command. A wrapper within a wrapper does not sweep: locks of jobs outside do not
# reach into the user-mode kernel, so that all of them would look dead.
INSIDE = "PIRANHA_IN_IPVS_KERNEL"


def passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of the caller that the command gets, and INSIDE."""
    kept = {k: v for k, v in environment.items() if k not in ENVIRONMENT_LEFT_OUT}
    return {**kept, INSIDE: "1"}


def job_script(command: Sequence[str], environment: Mapping[str, str], cwd: str) -> str:
    """The shell text that becomes the command, with nothing but the environment given."""
    variables = [f"{name}={value}" for name, value in sorted(environment.items())]
    return f"cd {shlex.quote(cwd)} || exit {STATUS_OURS}\nexec " + shlex.join(
        ["/usr/bin/env", "-i", *variables, *command]
    ) + "\n"


def uml_command(job: Path, memory: str, tty: bool) -> list[str]:
    """The command line of the user-mode kernel for the job in the folder `job`."""
    console = ["con=null", "con0=fd:0,fd:1" if tty else "con0=null"]
    return [
        *own_processes(["--pid"]),
        str(UML),
        f"mem={memory}",
        "rootfstype=hostfs", "root=/dev/root", "rootflags=/", "ro",
        f"init={LAB / 'ipvs-kernel-init'}",
        *console,
        f"uml_dir={job}/", "umid=kernel",  # not ~/.uml, where it would stay
        "quiet", "loglevel=1", "random.trust_cpu=on",
        f"PIRANHA_JOB={job}", f"PIRANHA_BUILD={BUILD}",
    ]


def native_command(job: Path) -> list[str]:
    """The command line that runs the job in fresh namespaces of this machine's own kernel."""
    return [
        *own_processes(["--pid", "--net", "--mount", "--mount-proc", "--uts"]),
        "sh", "-c",
        "mount -t sysfs sysfs /sys && mount -t tmpfs -o mode=755 run /run && mkdir /run/netns"
        f" && ip link set lo up && exec sh {shlex.quote(str(job / 'job'))}",
    ]


def own_processes(namespaces: Sequence[str]) -> list[str]:
    """A process namespace whose members all die with us, even if we are killed with -9."""
    return ["setpriv", "--pdeathsig", "KILL",
            "unshare", *namespaces, "--fork", "--kill-child=KILL", "--"]


def kernel_has_ipvs() -> bool:
    """Whether this machine's kernel has IPVS or can load it (loads it)."""
    if not Path("/proc/net/ip_vs").exists() and shutil.which("modprobe"):
        subprocess.run(["modprobe", "-q", "ip_vs"], check=False, capture_output=True)
    return Path("/proc/net/ip_vs").exists()


def missing_packages(native: bool) -> list[str]:
    """The Debian packages that have to be installed before anything can run."""
    missing = {package for tool, package in NEEDED.items() if not shutil.which(tool)}
    if not native and not (os.access(UML, os.X_OK) and UML_MODULES.is_dir()):
        missing.add("user-mode-linux")
    return sorted(missing)


def check_host(native: bool) -> None:
    """Raise KernelError naming the remedy where something we need is missing."""
    if os.geteuid() != 0:
        raise KernelError("namespaces and kernels need root: run it as root (sudo).")
    missing = missing_packages(native)
    if missing:
        packages = " ".join(missing)
        raise KernelError(f"not installed: {packages}. Remedy: apt-get install -y {packages}")


def sweep(jobs: Path) -> None:
    """Remove the folders of jobs whose wrapper is gone (their kernels died with it)."""
    for folder in jobs.glob("*/"):
        with (folder / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(folder, ignore_errors=True)


class Stream:
    """Copies what grows at the end of a file to a descriptor, as it grows."""

    def __init__(self, path: Path, descriptor: int) -> None:
        path.touch(mode=0o600)
        self._from = path.open("rb", buffering=0)
        self._to = descriptor

    def copy(self) -> None:
        """Pass on all that has been written since the last call."""
        while data := self._from.read(65536):
            view = memoryview(data)
            while view:
                view = view[os.write(self._to, view):]

    def close(self) -> None:
        """Release the file."""
        self._from.close()


def wait_for(process: subprocess.Popen[bytes], streams: Sequence[Stream], timeout: float) -> bool:
    """Stream until the process ends; False when the time (seconds) was up first."""
    until = time.monotonic() + timeout
    while True:
        ended = process.poll() is not None
        for stream in streams:
            stream.copy()
        if ended:
            return True
        if time.monotonic() > until:
            return False
        time.sleep(0.03)


def run(request: Request, native: bool, job: Path) -> int:
    """Run the job whose folder is `job`; gives its exit status."""
    script = job / "job"
    script.touch(mode=0o600)
    script.write_text(job_script(request.command, passed_on(os.environ), str(Path.cwd())))
    streams: list[Stream] = []
    arguments = native_command(job)
    environment = dict(os.environ)
    if not native:
        streams = [Stream(job / "stdout", 1), Stream(job / "stderr", 2)]
        arguments = uml_command(job, request.memory, request.tty)
        environment["TMPDIR"] = "/dev/shm"  # noqa: S108 -- the kernel's unlinked memory file
        if request.tty:
            (job / "tty").touch()
    interactive = None if request.tty or native else subprocess.DEVNULL
    terminal = termios.tcgetattr(0) if request.tty and os.isatty(0) else None
    with subprocess.Popen(arguments, stdin=interactive, env=environment,
                          stdout=None if request.tty or native else subprocess.DEVNULL,
                          stderr=None if native else subprocess.DEVNULL) as process:
        try:
            in_time = wait_for(process, streams, request.timeout)
        finally:
            if process.poll() is None:
                process.kill()  # unshare dies, and by --kill-child all that it holds
            process.wait()
            if terminal:  # a kernel that is killed leaves it raw
                termios.tcsetattr(0, termios.TCSANOW, terminal)
            for stream in streams:
                stream.copy()
                stream.close()
    if not in_time:
        print(f"in-ipvs-kernel: time was up after {request.timeout:g} s; ended "
              f"{request.command[0]} (--timeout gives it more).", file=sys.stderr)
        return STATUS_TIMEOUT
    if native:
        return process.returncode
    status = job / "status"
    if not status.exists():
        raise KernelError(
            f"the user-mode kernel stopped without an exit status (its memory was {request.memory}"
            "; a panic or the lack of memory does that). Remedy: give it more with --mem 2G."
        )
    return int(status.read_text())


def stop(number: int, frame: FrameType | None) -> None:
    """Turn a signal into an exit that passes through every `finally`."""
    del frame
    raise SystemExit(128 + number)


def main(arguments: Sequence[str]) -> int:
    """The whole program; gives the exit status."""
    request = parse(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        native = kernel_has_ipvs() if request.native is None else request.native
        check_host(native)
        if native and not kernel_has_ipvs():
            raise KernelError("this machine's kernel has no IPVS. Remedy: leave --native out.")
        JOBS.mkdir(parents=True, exist_ok=True)
        if INSIDE not in os.environ:
            sweep(JOBS)
        job = JOBS / secrets.token_hex(6)
        job.mkdir(mode=0o700)
        with (job / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                return run(request, native, job)
            finally:
                shutil.rmtree(job, ignore_errors=True)
    except KernelError as error:
        print(f"in-ipvs-kernel: {error}", file=sys.stderr)
        return STATUS_OURS
