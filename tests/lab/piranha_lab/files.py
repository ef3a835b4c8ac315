# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that make a machine out of the image, and those the controller needs to reach it.

Pure: gives text, writes nothing. Leaves to the roles what is theirs: routes, forwarding, services.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .commands import default_routes
from .topology import Machine, Topology

UNITS = "etc/systemd/system"
LEGACY_TABLES = ("iptables", "iptables-save", "iptables-restore",
                 "ip6tables", "ip6tables-save", "ip6tables-restore")


@dataclass(frozen=True)
class File:
    """One file, or a link where link is given."""

    text: str = ""
    mode: int = 0o644
    link: str = ""


@dataclass(frozen=True)
class Keys:
    """A machine's host key pair and the key that may log in, as text."""

    host_private: str
    host_public: str
    login_public: str


def machine_files(topology: Topology, machine: Machine, own_kernel: bool, keys: Keys,
                  machine_id: str) -> dict[str, File]:
    """The files of a machine by path below its root."""
    files = {
        "etc/hostname": File(f"{machine.name}\n"),
        "etc/hosts": File(hosts(topology)),
        "etc/resolv.conf": File("# The lab has no name service.\n"),
        "etc/machine-id": File(f"{machine_id}\n", 0o444),
        "etc/ssh/ssh_host_ed25519_key": File(keys.host_private, 0o600),
        "etc/ssh/ssh_host_ed25519_key.pub": File(keys.host_public),
        "root/.ssh/authorized_keys": File(keys.login_public, 0o600),
        # systemd-user-sessions, which would allow logins, is masked to save time at boot.
        "etc/tmpfiles.d/systemd-nologin.conf": File(link="/dev/null"),
    }
    if own_kernel:
        files |= own_kernel_files(machine)
    if machine.kind == "realserver":
        files |= {
            f"{UNITS}/multi-user.target.wants/nginx.service": File(
                link="/lib/systemd/system/nginx.service"),
            "var/www/html/index.html": File(f"{machine.name}\n"),
        }
    return files


def own_kernel_files(machine: Machine) -> dict[str, File]:
    """What a machine needs that boots a user-mode kernel: names and addresses, modules."""
    return {
        f"{UNITS}/lab-network.service": File(network_unit(machine)),
        f"{UNITS}/sysinit.target.wants/lab-network.service": File(link="../lab-network.service"),
        f"{UNITS}/usr-lib-modules.mount": File(MODULES_UNIT),
        f"{UNITS}/sysinit.target.wants/usr-lib-modules.mount": File(
            link="../usr-lib-modules.mount"),
        # That kernel has no nftables for IP.
        **{f"etc/alternatives/{name}": File(link=f"/usr/sbin/{legacy}")
           for name in LEGACY_TABLES
           for legacy in [name.replace("tables", "tables-legacy")]},
    }


MODULES_UNIT = """\
[Unit]
Description=Modules of the user-mode kernel (the host's, read-only)
DefaultDependencies=no
Before=systemd-modules-load.service sysinit.target

[Mount]
What=none
Where=/usr/lib/modules
Type=hostfs
Options=ro,/usr/lib/uml/modules
"""


def network_unit(machine: Machine) -> str:
    """The unit that names the cards of a user-mode machine and gives them their addresses."""
    commands = "".join(
        f"ExecStart=ip link set vec{number} name {card.network.device}\n"
        + "".join(f"ExecStart=ip address add {one} dev {card.network.device}\n"
                  for one in card.interfaces)
        + f"ExecStart=ip link set {card.network.device} up\n"
        for number, card in enumerate(machine.cards)
    ) + "".join(f"ExecStart=ip {line}\n" for line in default_routes(machine))
    if any(card.network.subnet6 for card in machine.cards):
        commands = f"ExecStart=modprobe ipv6\n{commands}"
    return (
        "[Unit]\nDescription=Network of the lab\nDefaultDependencies=no\n"
        "Wants=usr-lib-modules.mount\nAfter=usr-lib-modules.mount\n"
        "Before=network-pre.target sysinit.target\nWants=network-pre.target\n\n"
        f"[Service]\nType=oneshot\nRemainAfterExit=yes\n{commands}"
    )


def hosts(topology: Topology) -> str:
    """/etc/hosts of every machine: names lead to the management network."""
    return "127.0.0.1 localhost\n::1 localhost ip6-localhost\n" + "".join(
        f"{machine.management} {machine.name}\n" for machine in topology.machines
    )


def known_hosts(topology: Topology, host_keys: Mapping[str, str]) -> str:
    """The host keys that the lab made, by name and address, so that nobody has to trust blindly."""
    return "".join(
        f"{m.name},{m.management} {' '.join(host_keys[m.name].split()[:2])}\n"
        for m in topology.machines
    )


def ssh_config(topology: Topology, state: Path) -> str:
    """The configuration for ssh -F that reaches each machine by its name or any of its addresses.

    By the management network in any case, so that a link that was cut does not cut ssh off.
    """
    rows = "".join(
        f"Host {' '.join([m.name, *(str(card.address) for card in m.cards)])}\n"
        f"    HostName {m.management}\n"
        for m in topology.machines
    )
    return (
        "# Made by tests/lab/lab up; goes with lab down. Works in the lab's namespace only.\n"
        f"{rows}\nHost *\n    User root\n    IdentityFile {state / 'id_ed25519'}\n"
        f"    IdentitiesOnly yes\n    UserKnownHostsFile {state / 'known_hosts'}\n"
        "    GlobalKnownHostsFile none\n    StrictHostKeyChecking yes\n    ConnectTimeout 5\n"
        "    ServerAliveInterval 5\n    ServerAliveCountMax 3\n    LogLevel ERROR\n"
    )
