# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's commands, as typed at the keyboard. The work is done in lab.py and machines.py."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import NoReturn

from . import commands, host
from .errors import LabError
from .ipvs_kernel import CHECKOUT, UML, kernel_has_ipvs
from .lab import SSH_CONFIG, STATE, Lab, check_host, clean, leftovers, load_topology, locked
from .machines import Container
from .topology import Machine

STATUS_OURS = 125  # the lab itself failed, not the command it was to run
GLANCE = 0.3  # seconds between two looks at a machine's power
PATH_INSIDE = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="lab", description="Machines to try a cluster on: routers with a kernel that has "
        "IPVS, real servers, a client, isolated networks. See tests/lab/README.md.",
        epilog=f"Exit status: 0, that of the command run, or {STATUS_OURS} where the lab failed.",
    )
    sub = top.add_subparsers(dest="do", required=True, metavar="COMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return sub.add_parser(name, help=text, description=text)

    up = add("up", "bring a topology up (and first remove what a crashed lab left)")
    up.add_argument("topology", nargs="?", default="nat",
                    help="a name of tests/lab/topologies or a file's path (default: nat)")
    add("down", "remove every trace of the lab; says nothing wrong if there is none")
    show = add("list", "the machines, their power, links and addresses")
    show.add_argument("--json", action="store_true", help="for programs")
    add("enter", "a shell on a machine").add_argument("machine")
    run = add("run", "run a command on a machine, with its exit status: run MACHINE -- CMD...")
    run.add_argument("machine")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD...")
    inside = add("exec", "run a command of this host in the lab's network, as the controller")
    inside.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD...")
    add("power-cut", "kill -9 of a machine's kernel, or of all of its container"
        ).add_argument("machine")
    power_on = add("power-on", "switch a machine on and wait until it has booted")
    power_on.add_argument("machine")
    power_on.add_argument("--no-wait", action="store_true", help="do not wait for the boot")
    power_on.add_argument("--when-off", type=float, metavar="SECONDS", default=0.0,
                          help="wait so long for it to switch itself off first")
    link = add("link", "pull or plug the cable between a machine and a network")
    link.add_argument("what", choices=("cut", "restore"))
    link.add_argument("machine")
    link.add_argument("network")
    add("inventory", "how Ansible reaches the machines")
    add("doctor", "look whether this host can carry the lab, and what remains of one")
    return top


def given(command: Sequence[str]) -> list[str]:
    """The command behind an optional --; LabError where there is none."""
    words = list(command[1:] if command[:1] == ["--"] else command)
    if not words:
        raise LabError("no command given; for example: lab run lvs1 -- ip address")
    return words


def replace(arguments: Sequence[str]) -> NoReturn:
    """Become another program, so that signals and exit status need no passing on."""
    sys.stdout.flush()
    host.need([arguments[0]])
    os.execvp(arguments[0], list(arguments))  # noqa: S606 -- no shell is what we want


def do_up(asked: argparse.Namespace) -> int:
    """lab up"""
    lab = Lab()
    lab.up(asked.topology)
    do_list(argparse.Namespace(json=False))
    print("enter one: tests/lab/lab enter lvs1      take all down: tests/lab/lab down")
    return 0


def do_down(asked: argparse.Namespace) -> int:
    """lab down"""
    del asked
    with locked():
        there = bool(leftovers())
        if there and os.geteuid() != 0:
            raise LabError("namespaces and mounts need root: run it as root (sudo).")
        clean()
    print("lab: down; nothing is left" if there else "lab: nothing was up")
    return 0


def do_list(asked: argparse.Namespace) -> int:
    """lab list"""
    topology, powers = Lab().powers()
    rows = []
    for machine in topology.machines:
        power = powers[machine.name]
        cut = power.cut_links()
        rows.append({
            "name": machine.name, "kind": machine.kind, "engine": power.engine,
            "power": "on" if power.handle() else "off", "links_cut": sorted(cut),
            "addresses": {c.network.name: str(c.address) for c in machine.cards},
        })
    if asked.json:
        print(json.dumps(rows, indent=2))
        return 0
    for row, machine in zip(rows, topology.machines, strict=True):
        addresses = "  ".join(_cable(machine, n, set(row["links_cut"])) for n in row["addresses"])
        print(f"{row['name']:<10} {row['kind']:<11} {row['engine']:<17} {row['power']:<4} "
              f"{addresses}")
    return 0


def _cable(machine: Machine, network: str, cut: set[str]) -> str:
    card = machine.card(network)
    return f"{network} {card.address}{' (link cut)' if network in cut else ''}"


def do_enter(asked: argparse.Namespace) -> int:
    """lab enter"""
    power = Lab().power(asked.machine)
    _must_be_on(asked.machine, power.handle())
    return replace(commands.ssh(SSH_CONFIG, power.machine, [], terminal=True))


def do_run(asked: argparse.Namespace) -> int:
    """lab run"""
    power = Lab().power(asked.machine)
    words = given(asked.command)
    pid = _must_be_on(asked.machine, power.handle())
    if isinstance(power, Container):
        # Directly, so that signals and standard input arrive; the cable may even be pulled.
        return replace(["nsenter", "--target", str(pid), "--all", "--wdns=/root",
                        "/usr/bin/env", "-i", f"PATH={PATH_INSIDE}", "HOME=/root", "LANG=C.UTF-8",
                        *words])
    return replace(commands.ssh(SSH_CONFIG, power.machine, [shlex.join(words)], terminal=False))


def _must_be_on(name: str, handle: int | None) -> int:
    if handle is None:
        raise LabError(f"{name} has no power. Remedy: tests/lab/lab power-on {name}")
    return handle


def do_exec(asked: argparse.Namespace) -> int:
    """lab exec"""
    words = given(asked.command)
    Lab().powers()
    return replace(["ip", "netns", "exec", commands.NAMESPACE, *words])


def do_power_cut(asked: argparse.Namespace) -> int:
    """lab power-cut"""
    power = Lab().power(asked.machine)
    if power.handle() is None:
        print(f"lab: {asked.machine} had no power")
        return 0
    power.cut()
    print(f"lab: {asked.machine}: power cut")
    return 0


def do_power_on(asked: argparse.Namespace) -> int:
    """lab power-on"""
    lab = Lab()
    power = lab.power(asked.machine)
    until = time.monotonic() + asked.when_off
    while power.handle() is not None:
        if time.monotonic() >= until:
            if asked.when_off:
                raise LabError(f"{asked.machine} did not switch itself off within "
                               f"{asked.when_off:g} s.")
            print(f"lab: {asked.machine} has power already")
            return 0
        time.sleep(GLANCE)
    power.on()
    print(f"lab: {asked.machine}: power on", flush=True)
    if not asked.no_wait:
        lab.wait([power])
    return 0


def do_link(asked: argparse.Namespace) -> int:
    """lab link"""
    power = Lab().power(asked.machine)
    power.link(asked.network, up=asked.what == "restore")
    done = "cut" if asked.what == "cut" else "restored"
    print(f"lab: {asked.machine}: link to {asked.network} {done}")
    return 0


def do_inventory(asked: argparse.Namespace) -> int:
    """lab inventory"""
    del asked
    config = SSH_CONFIG.relative_to(CHECKOUT)
    print(f"""Ansible runs in the lab's network:
    tests/lab/lab exec -- ansible-playbook -i inventories/lab site.yml
Hosts go by the names of `lab list`; these variables reach them:
    ansible_user: root
    ansible_python_interpreter: /usr/bin/python3
    ansible_ssh_common_args: -F {config}      (made by lab up: names, keys, host keys)
ssh by hand: tests/lab/lab exec -- ssh -F {config} NAME""")
    return 0


def do_doctor(asked: argparse.Namespace) -> int:
    """lab doctor"""
    del asked
    check_host()
    load_topology("nat")
    print("kernel: " + ("has IPVS; routers are containers" if kernel_has_ipvs()
                        else f"has no IPVS; routers are user-mode kernels ({UML})"))
    up = STATE.exists() and (Lab().memory() or {}).get("complete")
    print(f"lab: {'up' if up else 'not up'}")
    for trace in leftovers():
        print(f"  there is: {trace}")
    print("this host can carry the lab")
    return 0


DO: dict[str, Callable[[argparse.Namespace], int]] = {
    "up": do_up, "down": do_down, "list": do_list, "enter": do_enter, "run": do_run,
    "exec": do_exec, "power-cut": do_power_cut, "power-on": do_power_on, "link": do_link,
    "inventory": do_inventory, "doctor": do_doctor,
}


def stop(number: int, frame: FrameType | None) -> None:
    """Turn a signal into an exit that passes through every clean-up."""
    del frame
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)  # the clean-up itself is not to be cut short
    raise SystemExit(128 + number)


def main(arguments: Sequence[str]) -> int:
    """The whole program; gives the exit status."""
    asked = parser().parse_args(arguments)
    if asked.do in ("up", "down", "power-on"):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, stop)
    try:
        return DO[asked.do](asked)
    except LabError as error:
        for line in str(error).splitlines():
            print(f"lab: {line}", file=sys.stderr)
        return STATUS_OURS
