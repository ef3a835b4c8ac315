# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole lab: up, down, what there is, and how to get into it.

Everything it makes is named piranha-lab, lies below build/lab, /run/piranha-lab or the image
cache, and goes with down(); only the image cache stays.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from . import commands, files, host, image
from .errors import LabError
from .ipvs_kernel import BUILD, CHECKOUT, LAB, UML, kernel_has_ipvs
from .machines import Power, power_of
from .topology import Machine, Topology, read

STATE = BUILD / "lab"
SSH_CONFIG = STATE / "ssh_config"
TOPOLOGIES = LAB / "topologies"
BOOT_LIMIT = 180  # seconds; it takes 10 to 25
TOOLS = ("ip", "ethtool", "podman", "runc", "ssh", "ssh-keygen", "unshare", "mount",
         "umount", "sysctl")


def load_topology(name: str) -> tuple[Path, Topology]:
    """A topology by its name (of tests/lab/topologies) or by the path of its file."""
    path = Path(name) if "/" in name or name.endswith(".yml") else TOPOLOGIES / f"{name}.yml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in TOPOLOGIES.glob("*.yml")))
        raise LabError(f"there is no topology {name!r}; there are: {known}. "
                       "A file of your own is given by its path, ending in .yml.")
    try:
        data = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = " ".join(str(error).split())
        raise LabError(f"{path.name}: is no YAML: {where}") from None
    return path.resolve(), read(data, path.name)


class Lab:
    """The lab of this checkout; say takes a line for the user."""

    def __init__(self, verbose: bool = True) -> None:
        self._verbose = verbose
        self._begun = time.monotonic()

    def say(self, line: str) -> None:
        """Tell the user what goes on, with the seconds since the start."""
        if self._verbose:
            print(f"lab: {line}", flush=True)

    # What is there

    def memory(self) -> dict[str, object] | None:
        """What up() noted; None where no lab is up."""
        path = STATE / "state.json"
        if not path.exists():
            return None
        noted = json.loads(path.read_text())
        return noted if isinstance(noted, dict) else None

    def powers(self) -> tuple[Topology, dict[str, Power]]:
        """The machines of the lab that is up; LabError where none is."""
        noted = self.memory()
        if noted is None or not noted["complete"] or not host.namespaces(commands.NAMESPACE):
            raise LabError("no lab is up. Remedy: tests/lab/lab up")
        _unused, topology = load_topology(str(noted["topology"]))
        native = bool(noted["native"])
        return topology, {m.name: power_of(m, STATE, native) for m in topology.machines}

    def power(self, name: str) -> Power:
        """One machine of the lab that is up."""
        topology, powers = self.powers()
        return powers[topology.machine(name).name]

    # Up

    def up(self, name: str) -> None:
        """Bring a topology up; whatever a crashed one left is removed first."""
        check_host()
        path, topology = load_topology(name)
        with locked():
            if self._is_up(path):
                self.say(f"{path.stem} is up already (tests/lab/lab down takes it down)")
                return
            if leftovers():
                self.say("removing what an earlier lab left")
                clean()
            picture = image.ensure(self.say)
            try:
                self._build(path, topology, picture)
            except BaseException:
                # Ctrl-C too: a lab that is half up helps nobody.
                self.say("not up; removing what was made")
                clean()
                raise
            self.say(f"{path.stem} is up after {time.monotonic() - self._begun:.0f} s")

    def _is_up(self, path: Path) -> bool:
        noted = self.memory()
        if noted is None or not noted["complete"] or noted["topology"] != str(path):
            return False
        if noted["boot"] != boot_id() or not host.namespaces(commands.NAMESPACE):
            return False
        return all(power.handle() for power in self.powers()[1].values())

    def _build(self, path: Path, topology: Topology, picture: Path) -> None:
        native = kernel_has_ipvs()
        commands.RUN.mkdir(mode=0o700, exist_ok=True)
        host.write(commands.RUN / "owner", f"{CHECKOUT}\n", 0o600)
        STATE.mkdir(parents=True, mode=0o700)
        noted = {"topology": str(path), "native": native, "boot": boot_id(), "complete": False}
        host.write(STATE / "state.json", json.dumps(noted), 0o600)
        host.write(STATE / "containers.conf", commands.CONTAINERS_CONF, 0o600)
        keys = make_keys(topology)
        host.run(["ip", "netns", "add", commands.NAMESPACE])
        host.ip_batch(commands.NAMESPACE, commands.bridge_batch(topology.networks))
        parameters = commands.controller_sysctls(topology.machines, topology.networks)
        for name, value in parameters.items():
            host.run(["ip", "netns", "exec", commands.NAMESPACE,
                      "sysctl", "-q", "-w", f"{name}={value}"])
        for network in topology.networks:
            host.run(commands.no_offload(commands.NAMESPACE, network.bridge))
        powers = [power_of(m, STATE, native) for m in topology.machines]
        # Those that boot longest first.
        for power in sorted(powers, key=lambda p: p.engine, reverse=True):
            machine = power.machine
            own = power.engine != "container"
            power.lay(picture, files.machine_files(topology, machine, own, keys[machine.name],
                                                   uuid.uuid4().hex))
            power.on()
            self.say(f"{machine.name}: power on ({power.engine})")
        self.wait(powers)
        host.write(STATE / "state.json", json.dumps({**noted, "complete": True}), 0o600)

    def wait(self, powers: Sequence[Power]) -> None:
        """Wait until each machine has booted with no failed unit and answers on ssh."""
        begun = told = time.monotonic()
        waiting = {p.machine.name: (p, ask_booted(p.machine)) for p in powers}
        try:
            while waiting:
                now = time.monotonic()
                for name, (power, question) in list(waiting.items()):
                    if question.poll() is None:
                        continue
                    if booted(power, question, now - begun):
                        self.say(f"{name}: ready after {now - begun:.0f} s")
                        del waiting[name]
                    else:
                        waiting[name] = (power, ask_booted(power.machine))
                if now - begun > BOOT_LIMIT and waiting:
                    power = next(iter(waiting.values()))[0]
                    raise LabError(f"{', '.join(waiting)}: not booted after {BOOT_LIMIT} s; the "
                                   f"console of {power.machine.name} ends with:\n{power.console()}")
                if now - told >= 5:
                    told = now
                    self.say(f"booting: {', '.join(waiting)} ({now - begun:.0f} s)")
                time.sleep(0.2)
        finally:
            for _unused, question in waiting.values():
                question.kill()
                question.wait()


def ask_booted(machine: Machine) -> subprocess.Popen[str]:
    """Ask a machine, without waiting for the answer, how its boot ended."""
    return subprocess.Popen(
        commands.ssh(SSH_CONFIG, machine, ["systemctl is-system-running --wait"], terminal=False),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        start_new_session=True,
    )


def booted(power: Power, question: subprocess.Popen[str], seconds: float) -> bool:
    """What the answer means: True ready, False ask again; LabError where it will never be."""
    state = (question.stdout.read() if question.stdout else "").strip()
    if state == "running":
        return True
    name = power.machine.name
    if state in ("degraded", "maintenance"):
        failed = host.run(commands.ssh(SSH_CONFIG, power.machine, [
            "systemctl --failed --plain --no-legend"], terminal=False), quiet=True)
        units = ", ".join(line.split()[0] for line in failed.splitlines() if line.strip())
        raise LabError(f"{name}: units failed while booting: {units or state}; its console ends "
                       f"with:\n{power.console()}")
    if power.handle() is None or power.panicked():
        raise LabError(f"{name}: stopped {seconds:.0f} s after power on; its console ends with:\n"
                       f"{power.console()}")
    return False


def check_host() -> None:
    """LabError naming the remedy where this host cannot carry the lab."""
    if os.geteuid() != 0:
        raise LabError("namespaces and kernels need root: run it as root (sudo).")
    if re.search(r"[\s:,\\\\]", str(CHECKOUT)):
        raise LabError(f"the path {str(CHECKOUT)!r} has a space, colon, comma or backslash, which "
                       "mount options cannot carry. Remedy: move the checkout.")
    host.need(TOOLS)
    if not kernel_has_ipvs() and not UML.exists():
        raise LabError("this kernel has no IPVS and user-mode-linux is not installed. "
                       "Remedy: make packages")


def boot_id() -> str:
    """Tells one boot of this host from the next."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def make_keys(topology: Topology) -> dict[str, files.Keys]:
    """A login key for the controller, a host key a machine, and the ssh configuration for them."""
    login = _key_pair(STATE / "id_ed25519", "piranha-lab")
    keys = {}
    for machine in topology.machines:
        path = STATE / f"host-{machine.name}"
        private, public = _key_pair(path, machine.name)
        keys[machine.name] = files.Keys(private, public, login[1])
        path.unlink()
        path.with_suffix(".pub").unlink()
    known = files.known_hosts(topology, {name: k.host_public for name, k in keys.items()})
    host.write(STATE / "known_hosts", known, 0o600)
    host.write(SSH_CONFIG, files.ssh_config(topology, STATE), 0o600)
    return keys


def _key_pair(path: Path, comment: str) -> tuple[str, str]:
    host.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])
    return path.read_text(), Path(f"{path}.pub").read_text()


@contextmanager
def locked() -> Iterator[None]:
    """Only one of up and down at a time; the folder itself is the lock, so no file stays."""
    descriptor = os.open(LAB, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabError("somebody else brings the lab up or down right now; "
                           "wait for it and try again.") from None
        yield
    finally:
        os.close(descriptor)


def leftovers() -> list[str]:
    """Every trace of a lab on this host."""
    found = [f"network namespace {name}" for name in host.namespaces(commands.NAMESPACE)]
    found += [f"mount {point}" for point in host.mounts_below(STATE)]
    found += [f"folder {folder}" for folder in (STATE, commands.RUN) if folder.exists()]
    found += [f"control group {group}" for group in host.control_groups(commands.CONTROL_GROUP)]
    return found


def clean() -> None:
    """Remove every trace; LabError where another checkout's lab is up or something stays."""
    owner = commands.RUN / "owner"
    other = Path(owner.read_text().strip()) if owner.exists() else CHECKOUT
    if other not in (CHECKOUT, Path()) and (other / "build/lab/state.json").exists():
        raise LabError(f"the lab of another checkout is up: {other}. "
                       f"Remedy: {other}/tests/lab/lab down")
    names = host.namespaces(commands.NAMESPACE)
    host.kill_all_in(names)
    if (STATE / "podman").exists():
        host.run([*commands.podman(STATE), "rm", "--all", "--force", "--time", "0"], quiet=True)
        # A container's end starts podman once more, which must not find its files gone.
        host.await_end_of(str(STATE / "podman"))
    for name in names:
        host.run(["ip", "netns", "delete", name])
    host.unmount_below(STATE)
    host.unmount_below(commands.RUN)
    host.remove(STATE)
    host.remove(commands.RUN)
    host.remove_control_groups(commands.CONTROL_GROUP)
    if left := leftovers():
        raise LabError(f"still there after down: {'; '.join(left)}.")
