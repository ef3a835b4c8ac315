# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a machine of the lab and prints what must not change when nothing was done.

One JSON object: every file below the folders that hold configuration and programs with its mode,
owner and digest, and what the kernel holds (IPVS table, addresses, routes, parameters, modules)
and which units are enabled. What the machine itself changes all the time is left out. Standard
library only; it is fed to `python3 -` by the demo and by molecule. It changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDERS = (
    "/etc",
    "/usr/sbin",
    "/usr/lib/piranha",
    "/usr/lib/systemd/system",
    "/usr/local",
    "/var/lib",
)
# Written by the machine itself: time keeping, random seeds, package lists, journals' catalogue, and
# the copies that groupadd leaves of the file before.
RESTLESS = re.compile(
    r"/etc/(mtab|resolv\.conf|\.pwd\.lock|ld\.so\.cache|hostname|hosts|machine-id|g(roup|shadow)-)$"
    r"|/var/lib/(systemd|dpkg|apt|dbus|nginx|private)(/|$)"
)
PARAMETERS = (
    "net.ipv4.ip_forward",
    "net.ipv4.conf.all.arp_ignore",
    "net.ipv4.conf.all.arp_announce",
)
LIFETIME = re.compile(r"(valid|preferred)_lft \S+|expires \S+")


def files(folders: tuple[str, ...] = FOLDERS) -> dict[str, str]:
    """Give path -> kind, mode, owner and digest (or a link's target) of everything below."""
    found = {}
    for path in _walk(folders):
        try:
            status = path.lstat()
            if stat.S_ISLNK(status.st_mode):
                content = f"-> {path.readlink()}"
            elif stat.S_ISREG(status.st_mode):
                content = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
            else:
                content = "folder" if stat.S_ISDIR(status.st_mode) else "special"
        except FileNotFoundError:
            continue
        found[str(path)] = (
            f"{stat.S_IMODE(status.st_mode):04o} {status.st_uid}:{status.st_gid} {content}"
        )
    return found


def _walk(folders: tuple[str, ...]) -> Iterator[Path]:
    for top in folders:
        for here, below, names in os.walk(top):
            below[:] = sorted(n for n in below if not RESTLESS.search(f"{here}/{n}"))
            for name in [*below, *names]:
                if not RESTLESS.search(f"{here}/{name}"):
                    yield Path(here, name)


def output(*command: str) -> list[str]:
    """Give a program's output as lines; a program that is not there says nothing."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except FileNotFoundError:
        return []
    return [LIFETIME.sub("", line).strip() for line in done.stdout.splitlines()]


def kernel() -> dict[str, list[str]]:
    """Give what the kernel holds, as lines."""
    modules = [line.split()[0] for line in output("cat", "/proc/modules")]
    return {
        # Asking ipvsadm would load the module, which is a change.
        "table": output("ipvsadm", "-Sn") if Path("/proc/net/ip_vs").exists() else [],
        "addresses": [line for line in output("ip", "-o", "address") if line],
        "routes": output("ip", "route", "show", "table", "all", "type", "unicast"),
        "rules": output("ip", "rule") + output("ip", "-6", "rule"),
        "tunnels": output("ip", "-o", "tunnel", "show"),
        "parameters": [f"{name} = {parameter(name)}" for name in PARAMETERS],
        "modules": sorted(name for name in modules if name.startswith(("ip_vs", "nf_", "ipip"))),
    }


def parameter(name: str) -> str:
    """Give a kernel parameter's value."""
    try:
        return Path("/proc/sys", *name.split(".")).read_text(encoding="utf-8").strip()
    except OSError:
        return "none"


def differences(before: dict[str, object], after: dict[str, object]) -> list[str]:
    """Say in one line each what differs between two fingerprints; pure."""
    found = []
    for part in sorted(set(before) | set(after)):
        one, two = before.get(part), after.get(part)
        if isinstance(one, dict) and isinstance(two, dict):
            for key in sorted(set(one) | set(two)):
                if one.get(key) != two.get(key):
                    found.append(
                        f"{part}: {key}: {one.get(key, 'none')} became {two.get(key, 'none')}"
                    )
        elif one != two:
            found.append(f"{part}: {one} became {two}")
    return found


def main() -> int:
    """Print this machine's fingerprint; with two files, print what differs between them."""
    if sys.argv[1:]:
        one, two = (json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:3])
        changes = differences(one, two)
        print("\n".join(changes))
        return 1 if changes else 0
    print(json.dumps({"files": files(), "kernel": kernel()}, indent=0, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
