# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab tells other programs: command lines and batches, as plain values.

Pure: runs nothing. One place for every name that is seen outside (namespaces, bridges, groups).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .topology import Card, Machine, Network

NAMESPACE = "piranha-lab"
CONTROL_GROUP = "piranha-lab"
RUN = Path("/run/piranha-lab")
UML_MEMORY = "768M"
# User-mode cards and veth pairs must not be handed segments or unfinished checksums.
OFFLOADS = ("tso", "off", "gso", "off", "gro", "off", "tx", "off")


def namespace_of(machine: Machine) -> str:
    """The network namespace of a machine that is a container."""
    return f"{NAMESPACE}-{machine.name}"


def bridge_batch(networks: Sequence[Network]) -> list[str]:
    """Lines for ip(8) that make the networks and give the controller its addresses."""
    lines = ["link set lo up"]
    for network in networks:
        lines += [
            f"link add {network.bridge} address {network.mac} type bridge "
            "forward_delay 0 stp_state 0 mcast_snooping 0",
            *(f"address add {one} dev {network.bridge}"
              for one in network.interfaces(network.controller.ip)),
            f"link set {network.bridge} up",
        ]
    return lines


def tap_batch(cards: Sequence[Card]) -> list[str]:
    """Lines for ip(8) that make the taps of a user-mode machine."""
    return [
        line
        for card in cards
        for line in (f"tuntap add dev {card.outside} mode tap",
                     f"link set {card.outside} master {card.network.bridge} up")
    ]


def veth_batch(machine: Machine) -> list[str]:
    """Lines for ip(8) in the lab's namespace that wire a container."""
    return [
        line
        for card in machine.cards
        for line in (
            f"link add {card.outside} type veth peer name {card.network.device} "
            f"address {card.mac} netns {namespace_of(machine)}",
            f"link set {card.outside} master {card.network.bridge} up",
        )
    ]


def address_batch(machine: Machine) -> list[str]:
    """Lines for ip(8) in a container's own namespace."""
    lines = ["link set lo up"]
    for card in machine.cards:
        lines += [f"address add {one} dev {card.network.device}" for one in card.interfaces]
        lines.append(f"link set {card.network.device} up")
    return lines + default_routes(machine)


def default_routes(machine: Machine) -> list[str]:
    """Lines for ip(8) that lead a machine out by its gateway, where the topology names one."""
    if machine.gateway is None:
        return []
    first = machine.gateway.controller.ip
    beside = machine.gateway.interface6(first)
    return [f"route add default via {address}"
            for address in (first, *([beside.ip] if beside else []))]


def link_batch(card: Card, up: bool) -> list[str]:
    """Lines for ip(8) in the lab's namespace that plug or pull the far end of a cable.

    The machine keeps its carrier, as behind a switch. (A tap set down instead makes the card of a
    user-mode machine fail for good: the first packet it cannot write stops it.)
    """
    return [f"link set {card.outside} " + (f"master {card.network.bridge}" if up else "nomaster")]


# A pulled cable must not find the controller at its end: it answers for an address only on the
# interface that has it.
CONTROLLER_SYSCTLS = {"net/ipv4/conf/all/arp_ignore": "1"}
# Where it is somebody's gateway. What comes from a virtual address comes from anywhere.
GATEWAY_SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv6/conf/all/forwarding": "1",
    "net/ipv4/conf/all/rp_filter": "0",
}


def controller_sysctls(
    machines: Sequence[Machine], networks: Sequence[Network]
) -> dict[str, str]:
    """The controller's kernel parameters: it forwards only where the topology says so."""
    if not any(machine.gateway for machine in machines):
        return CONTROLLER_SYSCTLS
    # Bridges have what this host has by default; the stricter of it and `all` counts.
    loose = {f"net/ipv4/conf/{network.bridge}/rp_filter": "0" for network in networks}
    return CONTROLLER_SYSCTLS | GATEWAY_SYSCTLS | loose


def no_offload(namespace: str, device: str) -> list[str]:
    """The command that makes a device hand out finished packets only."""
    return ["ip", "netns", "exec", namespace, "ethtool", "-K", device, *OFFLOADS]


def overlay(image: Path, upper: Path, work: Path, root: Path) -> list[str]:
    """The command that lays a machine's own layer over the image."""
    return ["mount", "-t", "overlay", "-o", f"lowerdir={image},upperdir={upper},workdir={work}",
            "piranha-lab", str(root)]


def uml(machine: Machine, root: Path) -> list[str]:
    """The command that boots a machine with a kernel of its own; its console is stdout.

    unshare is the handle: kill -9 of it takes the kernel and all its processes with it.
    """
    cards = [
        f"vec{number}:transport=tap,ifname={card.outside},depth=64,mac={card.mac}"
        for number, card in enumerate(machine.cards)
    ]
    return [
        "ip", "netns", "exec", NAMESPACE,
        "unshare", "--pid", "--fork", "--kill-child=KILL", "--",
        "/usr/bin/linux.uml", f"mem={UML_MEMORY}",
        "rootfstype=hostfs", "root=/dev/root", f"rootflags={root}", "rw",
        f"uml_dir={RUN / 'uml'}/", f"umid={machine.name}",  # not ~/.uml, where they would stay
        *cards,
        "con=null", "con0=null,fd:1", "random.trust_cpu=on", "systemd.show_status=false",
    ]


# Podman's locks would else be a file in /dev/shm, shared with the host's own containers.
CONTAINERS_CONF = '[engine]\nlock_type = "file"\n'


def podman(state: Path) -> list[str]:
    """The beginning of each podman command: everything it keeps is the lab's own."""
    return [
        "env", f"CONTAINERS_CONF={state / 'containers.conf'}",
        "podman", "--root", str(state / "podman"), "--runroot", str(RUN / "podman"),
        "--tmpdir", str(RUN / "podman-tmp"), "--storage-driver", "vfs",
        "--cgroup-manager", "cgroupfs", "--events-backend", "none", "--runtime", "runc",
    ]


def podman_create(machine: Machine, folder: Path, modules: bool) -> list[str]:
    """What makes a container with systemd of a machine's root folder (to follow podman()).

    modules: let it see the host's kernel modules, since the kernel is the host's.
    """
    return [
        "create", "--name", machine.name, "--hostname", machine.name,
        "--systemd", "always", "--privileged",
        "--network", f"ns:/run/netns/{namespace_of(machine)}",
        "--cgroup-parent", f"/{CONTROL_GROUP}",
        "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024",
        "--log-driver", "k8s-file", "--log-opt", f"path={folder / 'console.log'}",
        *(["--volume", "/lib/modules:/usr/lib/modules:ro"] if modules else []),
        "--no-hosts", "--dns", "none", "--rootfs", str(folder / "root"), "/sbin/init",
    ]


def ssh(config: Path, machine: Machine, command: Sequence[str], terminal: bool) -> list[str]:
    """The command that reaches a machine from the lab's namespace."""
    return [
        "ip", "netns", "exec", NAMESPACE, "ssh", "-F", str(config),
        *(["-t"] if terminal else ["-o", "BatchMode=yes"]), machine.name, "--", *command,
    ]
