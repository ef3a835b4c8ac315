# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at this machine for `config check --on-this-host`; core's host.py judges what it finds.

It only reads: netlink, /proc, /sys, the folder of the kernel's modules, programs' owners, the key
file, the resolver. It loads no module and runs no program.
"""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

from piranha.core.lvs_cf.host import Device, Host, Program, Questions
from piranha.nanny.program import PATH, unsafe
from piranha.net.rtnetlink import Netlink
from piranha.pulse.keys import KeyFileError, read_keys

_MULTICAST = 0x1000  # linux/if.h IFF_MULTICAST
_SWITCHES = {4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding"}
_MODULE, _ENGINE = "ip_vs_", "ip_vs_pe_"
_ENGINE_SYMBOLS = {"ip_vs_sip_fill_param": "ip_vs_pe_sip"}


def gather(asked: Questions, root: Path = Path("/")) -> Host:
    """Look at everything that was asked. What cannot be found out is None in the answer.

    `root` is where /proc, /sys and /lib are found.
    """
    modules = kernel_modules(root, os.uname().release)
    ipvs: bool | None = None
    schedulers: frozenset[str] | None = None
    engines: frozenset[str] | None = None
    if (root / "proc/net/ip_vs").exists():
        ipvs = True
    elif modules is not None:
        ipvs = "ip_vs" in modules
    if modules is not None:
        schedulers = _named(modules, _MODULE)
        engines = _named(modules, _ENGINE)
    return Host(
        devices=_devices(root),
        ipvs=ipvs,
        schedulers=schedulers,
        engines=engines,
        programs={word: _program(word) for word in asked.programs},
        unresolved=frozenset(name for name in asked.names if not _resolves(name)),
        forwards={
            version: _switch(root / "proc/sys" / path) for version, path in _SWITCHES.items()
        },
        ftp=_helps_ftp(root),
        key_trouble=_key_trouble(asked.key_file),
        gateways=_gateways(),
    )


def kernel_modules(root: Path, release: str) -> frozenset[str] | None:
    """The names of IPVS's modules: loadable, built in or loaded. None if nothing tells."""
    found: set[str] = set()
    told = False
    folder = root / "lib/modules" / release
    for listing in ("modules.dep", "modules.builtin"):
        text = _text(folder / listing)
        if text is not None:
            told = True
            files = (line.partition(":")[0] for line in text.splitlines())
            found.update(Path(file).name.split(".")[0].replace("-", "_") for file in files)
    symbols = _text(root / "proc/kallsyms")
    if symbols and "ip_vs_" in symbols:  # a kernel without a folder of modules
        told = True
        found.add("ip_vs")
        for line in symbols.splitlines():
            name = line.split()[2]
            if name.startswith(_MODULE) and name.endswith("_schedule"):
                found.add(name.removesuffix("_schedule"))
            elif name in _ENGINE_SYMBOLS:
                found.add(_ENGINE_SYMBOLS[name])
    return frozenset(name for name in found if name.startswith("ip_vs")) if told else None


def _named(modules: frozenset[str], prefix: str) -> frozenset[str]:
    return frozenset(name.removeprefix(prefix) for name in modules if name.startswith(prefix))


def _devices(root: Path) -> dict[str, Device]:
    netlink = Netlink()
    try:
        interfaces, held = netlink.interfaces(), netlink.addresses()
    finally:
        netlink.close()
    devices = {}
    for interface in interfaces:
        flags = _text(root / "sys/class/net" / interface.name / "flags")
        devices[interface.name] = Device(
            interface.up,
            interface.running,
            flags is None or bool(int(flags, 16) & _MULTICAST),
            tuple(f"{one.address}/{one.prefix}" for one in held if one.index == interface.index),
            _accepts_local(root, interface.name),
        )
    return devices


def _gateways() -> dict[int, str | None]:
    """The default gateways by version of IP."""
    netlink = Netlink()
    try:
        found = {version: netlink.gateway(version) for version in (4, 6)}
    finally:
        netlink.close()
    return {version: str(one[0]) if one else None for version, one in found.items()}


def _accepts_local(root: Path, name: str) -> bool:
    """The device's own setting or that for all; true where neither can be read."""
    folder = root / "proc/sys/net/ipv4/conf"
    told = [_switch(folder / one / "accept_local") for one in ("all", name)]
    return any(told) or None in told


def _helps_ftp(root: Path) -> bool | None:
    """Whether data connections of FTP by NAT find their way; None where there is no IPVS yet."""
    conntrack = _switch(root / "proc/sys/net/ipv4/vs/conntrack")
    if conntrack is None:
        return None
    return conntrack and (root / "sys/module/ip_vs_ftp").exists()


def _program(word: str) -> Program:
    """Whether a program would be run: it is there, and only root can have put it there."""
    path = shutil.which(word, path=PATH)
    if path is None:
        if "/" in word and Path(word).exists():
            return Program(missing="is not an executable file")
        return Program(missing="is not there" if "/" in word else f"is in no folder of {PATH}")
    try:
        real = Path(path).resolve()
        for part in (real, *real.parents):
            reason = unsafe(part.stat(), frozenset({0}))
            if reason:
                return Program(unsafe=f"{part} {reason}")
    except OSError as error:
        return Program(missing=f"cannot be looked at: {error.strerror}")
    return Program()


def _resolves(name: str) -> bool:
    try:
        return bool(socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError):
        return False


def _key_trouble(path: str | None) -> str:
    if path is None:
        return ""
    try:
        read_keys(Path(path))
    except KeyFileError as why:
        return str(why)
    return ""


def _switch(path: Path) -> bool | None:
    text = _text(path)
    return None if text is None else text.strip() != "0"


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
