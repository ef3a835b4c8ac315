# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a machine can run a configuration: its devices, addresses, programs and kernel.

Pure: what the machine is like comes as a Host, gathered by whoever can look (the agent's shell).
questions() says what has to be looked at. Only active blocks of the service in use are judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface
from typing import NamedTuple

from .checks import VIA_VIRTUAL
from .config import Config, Section, Virtual, marked, service_ports
from .findings import Finding, did_you_mean, finding
from .partner_rows import GATEWAY, SIGNED
from .values import NO_ADDRESS, ROLES, is_address, is_ipv6

_COMMANDS = ("send_program",)
_FAILOVER_COMMANDS = ("start_cmd", "stop_cmd", "send_program")
_ROUTER_COMMANDS = ("active_cmd", "inactive_cmd", "fault_cmd", "notify_cmd")
_MARKING = ("nft", "iptables-legacy")
_FTP = 21
_NAMED = ("primary", "backup", "primary_private", "backup_private", "nat_router")


class Device(NamedTuple):
    """A network interface; `addresses` are texts such as `192.0.2.10/24`."""

    up: bool = True
    running: bool = True  # it has carrier
    multicast: bool = True
    addresses: tuple[str, ...] = ()
    accepts_local: bool = True  # IPv4 packets from an address of this machine's own


class Program(NamedTuple):
    """What is wrong with a program; both texts empty if nothing is, else they end a sentence."""

    missing: str = ""
    unsafe: str = ""


class Questions(NamedTuple):
    """What has to be looked at for a configuration, beside devices and kernel."""

    programs: tuple[str, ...]
    names: tuple[str, ...]
    key_file: str | None


@dataclass(frozen=True)
class Host:
    """What a machine is like. None means that it could not be found out."""

    devices: Mapping[str, Device]
    ipvs: bool | None = None
    schedulers: frozenset[str] | None = None
    engines: frozenset[str] | None = None  # of persistence
    programs: Mapping[str, Program] = field(default_factory=dict)
    unresolved: frozenset[str] = frozenset()  # host names that no address was found for
    forwards: Mapping[int, bool | None] = field(default_factory=dict)  # by 4 and 6
    ftp: bool | None = None  # ip_vs_ftp is loaded, and IPVS knows of connections (vs.conntrack)
    key_trouble: str = ""  # one sentence, or empty
    gateways: Mapping[int, str | None] = field(default_factory=dict)  # default ones, by 4 and 6


def questions(config: Config) -> Questions:
    """What to look at: programs as written, host names, the key file if one is needed."""
    programs = dict.fromkeys(word for _section, _key, word, _load in _programs(config))
    if marked(config):
        programs.update(dict.fromkeys(_MARKING))
    names = dict.fromkeys(name for _section, _key, name in _names(config))
    key_file = config.globals.text("heartbeat_key_file") if _signs(config.globals) else None
    return Questions(tuple(programs), tuple(names), key_file)


def _signs(settings: Section) -> bool:
    """Whether there are heartbeats, with a key."""
    return settings.flag("backup_active") and settings["heartbeat_format"] == SIGNED


def check_host(config: Config, host: Host) -> list[Finding]:
    """Everything on this machine that does not go with the configuration."""
    found: list[Finding] = []
    for rule in _RULES:
        found.extend(rule(config, host))
    return found


def _forwards(config: Config, method: str) -> list[Virtual]:
    if config.globals["service"] != "lvs":
        return []
    return [block for block in config.active() if block.settings["forward"] == method]


def _role(config: Config, host: Host) -> Iterator[Finding]:
    settings = config.globals
    routers = [settings.text(key) for key in ROLES]
    known = [one for one in routers if one is not None and one != NO_ADDRESS]
    if not known or _own_role(config, host) or not all(map(is_address, known)):
        return
    message = f"no device of this host has {' or '.join(known)}"
    remedy = "the agent would not start here; is this one of the two routers?"
    yield finding("E502", settings.place("primary", 0), message, remedy)


def _own_role(config: Config, host: Host) -> str | None:
    """Which of the two routers the machine is, by its addresses; None if it is neither."""
    held = {_alone(text) for device in host.devices.values() for text in device.addresses}
    return next((role for role in ROLES if config.globals.text(role) in held), None)


def _alone(text: str) -> str:
    return text.partition("/")[0]


def _floating(config: Config) -> Iterator[tuple[Section, str]]:
    """Section and key of every address that an active router brings up."""
    if _forwards(config, "nat") and config.globals["nat_router"] is not None:
        yield config.globals, "nat_router"
    for block in config.active():
        if block.settings["address"] is not None:
            yield block.settings, "address"


def _devices(config: Config, host: Host) -> Iterator[Finding]:
    floating = list(_floating(config))
    role = _own_role(config, host)
    virtual = {section.text(key) for section, key in floating}
    told: set[str] = set()  # a device with a fault is told of once
    for section, key in floating:
        address = section.address(key)
        if address is None:
            continue
        near = _connected(host, address.address, virtual)
        devices = address.devices()
        if len(devices) > 1 and role is None:
            continue  # which of them is meant here, nobody can tell
        device = address.on(role) if role else next(iter(devices), None)
        if device is None:
            if is_address(address.address) and not near:
                message = f"no device of this host is in the network of {address.address}"
                remedy = f"write the device: `{key} = {address.address} DEVICE`"
                yield finding("E501", section.place(key, 0), message, remedy)
            continue
        name = device.partition(":")[0]
        if name not in told:
            trouble = list(_device(host, name, section, key, 1))
            yield from trouble
            if trouble:
                told.add(name)
        if name not in host.devices:
            continue
        elsewhere = sorted(
            other
            for other, seen in host.devices.items()
            if other != name and address.address in map(_alone, seen.addresses)
        )
        if elsewhere:
            message = f"{address.address} is already on {elsewhere[0]}, not on {name}"
            remedy = f"remove it there, or write {elsewhere[0]} here"
            yield finding("W503", section.place(key, 0), message, remedy)
        elif is_address(address.address) and name not in near:
            message = f"{address.address} is in no network of {name}"
            remedy = f"{near[0]} has one" if near else "no device has one; clients need a route"
            yield finding("W502", section.place(key, 0), message, remedy)


def _device(host: Host, name: str, section: Section, key: str, index: int) -> Iterator[Finding]:
    """What is wrong with a device that a directive names."""
    device = host.devices.get(name)
    if device is None:
        there = ", ".join(sorted(host.devices)) or "none"
        remedy = did_you_mean(name, host.devices) or f"there are {there}"
        message = f"there is no device {name} on this host"
        yield finding("E501", section.place(key, index), message, remedy)
    elif not device.up:
        message, remedy = f"{name} is down", f"`ip link set {name} up`"
        yield finding("W501", section.place(key, index), message, remedy)
    elif not device.running:
        message = f"{name} has no carrier"
        yield finding("W501", section.place(key, index), message, "look at its cable and switch")


def _connected(host: Host, address: str, virtual: Iterable[str | None] = ()) -> list[str]:
    """The devices with a network that an address is in; virtual addresses make no network."""
    if not is_address(address):
        return []
    wanted = ip_address(address)
    found = []
    for name, device in host.devices.items():
        for text in device.addresses:
            own = _interface(text)
            if _alone(text) not in virtual and wanted in own.network:
                found.append(name)
                break
    return found


@lru_cache(maxsize=1024)  # read again for each of thousands of servers otherwise
def _interface(text: str) -> IPv4Interface | IPv6Interface:
    return ip_interface(text)


def _sync_daemon(config: Config, host: Host) -> Iterator[Finding]:
    settings = config.globals
    name = settings.text("syncd_iface")
    if not settings.flag("syncdaemon") or name is None:
        return
    yield from _device(host, name, settings, "syncd_iface", 0)
    device = host.devices.get(name)
    if device is not None and not device.multicast:
        message = f"{name} takes no multicast, by which connections are synchronised"
        remedy = f"`ip link set {name} multicast on`, or name another device"
        yield finding("W506", settings.place("syncd_iface", 0), message, remedy)


def _forwarding(config: Config, host: Host) -> Iterator[Finding]:
    switches = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}
    for version, switch in switches.items():
        blocks = [
            block
            for block in _forwards(config, "nat")
            if any(_version(server.settings.text("address")) == version for server in block.servers)
        ]
        if blocks and host.forwards.get(version) is False:
            message = f"NAT needs forwarding, and {switch} is 0 on this host"
            yield finding(
                "W505", config.globals.place("network", 0), message, f"set {switch} = 1 by sysctl"
            )


def _ftp(config: Config, host: Host) -> Iterator[Finding]:
    """Data connections of FTP by NAT find their real server with the kernel's help only."""
    if host.ftp is not False:
        return
    for block in _forwards(config, "nat"):
        settings = block.settings
        together = settings.number("persistent") or settings.number("fwmark")
        if _FTP in service_ports(settings) and settings["protocol"] == "tcp" and not together:
            key = "ports" if settings.given("ports") else "port"
            message = "data connections of FTP by NAT need the kernel's ip_vs_ftp with"
            message += " net.ipv4.vs.conntrack = 1, which are not in use on this host"
            remedy = "the role does both with `piranha_router_ftp: true`; or set persistent"
            yield finding("W511", settings.place(key, 0), message, remedy)


def _version(address: str | None) -> int:
    if address is None or not is_address(address):
        return 0
    return 6 if is_ipv6(address) else 4


def _neighbours(config: Config, host: Host) -> Iterator[Finding]:
    for block in _forwards(config, "direct"):
        for server in block.servers:
            address = server.settings.text("address")
            if not server.settings.flag("active") or address is None or not is_address(address):
                continue
            if not _connected(host, address):
                message = f"server `{server.name}`: no device of this host is in the network of"
                message += f" {address}, and direct routing works within one network only"
                remedy = "give a router's device an address there, or use tunnel or NAT"
                yield finding("W504", server.settings.place("address", 0), message, remedy)


def _own_answers(config: Config, host: Host) -> Iterator[Finding]:
    """A check through the virtual address is answered by that address, which may be held here."""
    told: set[str] = set()
    for block in _forwards(config, "direct") + _forwards(config, "tunnel"):
        if block.settings["check_via"] != VIA_VIRTUAL or is_ipv6(_address(block) or ""):
            continue  # IPv6 knows no such setting
        for server in block.servers:
            address = server.settings.text("address")
            near = _connected(host, address) if address else []
            if not near or near[0] in told or host.devices[near[0]].accepts_local:
                continue
            told.add(near[0])
            message = f"checks through {_address(block)} get no answer while this router has it:"
            message += f" net.ipv4.conf.{near[0]}.accept_local is 0"
            remedy = f"set net.ipv4.conf.{near[0]}.accept_local = 1 by sysctl"
            yield finding("W509", block.settings.place("check_via", 0), message, remedy)


def _address(block: Virtual) -> str | None:
    written = block.settings.address("address")
    return written.address if written else None


def _kernel(config: Config, host: Host) -> Iterator[Finding]:
    if config.globals["service"] != "lvs":
        return
    place = config.globals.place("service")
    if host.ipvs is False:
        remedy = "install the kernel's module ip_vs"
        yield finding("E505", place, "the kernel of this host has no IPVS", remedy)
        return
    blocks = config.active()
    if host.ipvs is None or (host.schedulers is None and blocks):
        message = "it cannot be told which schedulers the kernel of this host has"
        remedy = "`modprobe ip_vs_NAME` tries one"
        yield finding("A501", place, message, remedy)
        return
    told: set[str] = set()
    for block in blocks:
        name = block.settings.text("scheduler") or ""
        if name not in told and host.schedulers is not None and name not in host.schedulers:
            told.add(name)
            message = f"the kernel of this host has no scheduler {name}"
            remedy = f"install its module ip_vs_{name}, or use another"
            yield finding("E505", block.settings.place("scheduler", 0), message, remedy)
        engine = block.settings.text("persistence_engine")
        if engine and host.engines is not None and engine not in host.engines:
            message = f"the kernel of this host has no persistence engine {engine}"
            remedy = f"install its module ip_vs_pe_{engine}"
            yield finding("E505", block.settings.place("persistence_engine", 0), message, remedy)


def _programs(config: Config) -> Iterator[tuple[Section, str, str, bool]]:
    """Section, key, program, and whether it only asks for load, of all that would be run."""
    router = config.globals
    fos = router["service"] == "fos"
    for key in _ROUTER_COMMANDS:
        yield from _first_word(router, key)
    for block in config.active():
        for key in _FAILOVER_COMMANDS if fos else _COMMANDS:
            yield from _first_word(block.settings, key)
        monitor = (block.settings.text("load_monitor") or "none").split()
        if fos or not monitor or monitor[0] == "none":
            continue
        if monitor == ["uptime"]:
            for section, key, word, _load in _first_word(router, "rsh_command"):
                yield section, key, word, True
        else:
            yield block.settings, "load_monitor", monitor[0], True


def _first_word(section: Section, key: str) -> Iterator[tuple[Section, str, str, bool]]:
    words = (section.text(key) or "").split()
    if words:
        yield section, key, words[0], False


def _runnable(config: Config, host: Host) -> Iterator[Finding]:
    told: set[tuple[str, str]] = set()
    for section, key, word, load in _programs(config):
        program = host.programs.get(word, Program())
        if (key, word) in told or program == Program():
            continue
        told.add((key, word))
        place = section.place(key, 0)
        if load:
            message = (
                f"`{word}`, which should ask for the load, {program.missing or program.unsafe}"
            )
            yield finding("W508", place, message, "install it, or set `load_monitor = none`")
        elif program.missing:
            message = f"`{word}` {program.missing}"
            yield finding("E503", place, message, "install it, or correct the path")
        else:
            message = f"`{word}` would not be run, since {program.unsafe}"
            yield finding("E504", place, message, "give it to root, writable by nobody else")


def _marking(config: Config, host: Host) -> Iterator[Finding]:
    """One of the programs that set firewall marks has to be there."""
    looked = [(word, host.programs[word]) for word in _MARKING if word in host.programs]
    blocks = marked(config)
    if not blocks or not looked or any(found == Program() for _word, found in looked):
        return
    settings = blocks[0].settings
    key = "marking" if settings.given("marking") else "ports"
    reasons = " and ".join(f"`{word}` {found.missing or found.unsafe}" for word, found in looked)
    message = f"packets cannot be marked: {reasons}"
    code = "E503" if any(found.missing for _word, found in looked) else "E504"
    yield finding(code, settings.place(key, 0), message, "install the package nftables")


def _names(config: Config) -> Iterator[tuple[Section, str, str]]:
    """Section, key and name of everything that has to be resolved."""
    wanted = [(config.globals, key) for key in _NAMED]
    for block in config.active():
        wanted.append((block.settings, "address"))
        for server in block.servers:
            if server.settings.flag("active"):
                wanted.append((server.settings, "address"))
    for section, key in wanted:
        name = section.text(key)
        if name is not None and not is_address(name):
            yield section, key, name


def _resolution(config: Config, host: Host) -> Iterator[Finding]:
    for section, key, name in _names(config):
        if name in host.unresolved and section.given(key):
            message = f"this host finds no address for `{name}`"
            remedy = "add it to /etc/hosts, or write the address"
            yield finding("W507", section.place(key, 0), message, remedy)


def _key(config: Config, host: Host) -> Iterator[Finding]:
    if host.key_trouble and _signs(config.globals):
        yield finding("E506", config.globals.place("heartbeat_key_file", 0), host.key_trouble)


def _witness(config: Config, host: Host) -> Iterator[Finding]:
    """Whether a witness can be asked from here, and would miss us where the clients do."""
    settings = config.globals
    if not settings.flag("backup_active"):
        return
    carrying = _carrying(config, host)
    for index, word in enumerate(map(str, settings.words("witness"))):
        place = settings.place("witness", index)
        if word != GATEWAY and not is_address(word):
            continue
        gateways = {address for address in host.gateways.values() if address}
        asked = sorted(gateways) if word == GATEWAY else [word]
        near = [name for address in asked for name in _connected(host, address)]
        version = _version(word)
        if word == GATEWAY and host.gateways and not gateways:
            message = "this host has no default gateway that could be the witness"
            yield finding("W510", place, message, "set one, or name an address")
        elif word != GATEWAY and not near and version in host.gateways:
            if host.gateways[version] is None:
                message = f"the witness {word} is in no network of this host, and no route leads on"
                yield finding("W510", place, message, "name one that every router can reach")
        elif near and carrying and not carrying.intersection(near):
            message = f"the witness {asked[0]} is reached through {near[0]}, which has no virtual"
            message += " address: a router that has lost its clients hears it all the same"
            remedy = f"name one in the network of {' or '.join(sorted(carrying))}"
            yield finding("A502", place, message, remedy)


def _carrying(config: Config, host: Host) -> set[str]:
    """The devices that the virtual addresses are on, or would be."""
    role = _own_role(config, host)
    found: set[str] = set()
    for section, key in _floating(config):
        address = section.address(key)
        if address is None:
            continue
        device = address.on(role) if role else next(iter(address.devices()), None)
        near = _connected(host, address.address, {address.address})
        found.update([device.partition(":")[0]] if device else near)
    return found


_RULES: tuple[Callable[[Config, Host], Iterator[Finding]], ...] = (
    _role,
    _devices,
    _sync_daemon,
    _forwarding,
    _ftp,
    _neighbours,
    _own_answers,
    _kernel,
    _runnable,
    _marking,
    _resolution,
    _key,
    _witness,
)
