#!/usr/bin/python

# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything the role piranha_router must know of a router before it acts, in one reading.

Only reads, and works on a bare machine, so that a role can decide under check mode too. It never
returns a secret: of the heartbeat key it gives a fingerprint, enough to tell equal from different.
"""

from __future__ import annotations

DOCUMENTATION = r"""
module: router_info
short_description: Tell what an LVS router has and what it holds
version_added: "0.1.0"
author: piranha.lvs founders (@piranha-lvs)
description:
  - Reads in one go what the role P(piranha.lvs.piranha_router#role) decides by, that is Python, kernel, agent, heartbeat key,
    unit and the floating addresses the machine holds.
  - Works on a machine on which nothing has been installed yet.
extends_documentation_fragment:
  - piranha.lvs.attributes
  - piranha.lvs.attributes.actiongroup
  - piranha.lvs.attributes.info_module
options:
  addresses:
    description: Floating addresses to look for. A router that holds one of them is active.
    type: list
    elements: str
    default: []
  kernel_modules:
    description: Kernel modules to look for.
    type: list
    elements: str
    default: [ip_vs]
  sysctls:
    description: Names of kernel parameters whose values are wanted, with dots.
    type: list
    elements: str
    default: []
  python:
    description: The interpreter that shall run the agent.
    type: path
    default: /usr/bin/python3
  library:
    description: The folder of installed agents.
    type: path
    default: /usr/lib/piranha
  key_file:
    description: The file of the heartbeat key.
    type: path
    default: /etc/piranha/heartbeat.key
  files:
    description: Files whose content, mode and owner are wanted.
    type: list
    elements: path
    default: []
  links:
    description: Symbolic links whose targets are wanted.
    type: list
    elements: path
    default: []
  unit:
    description: The name of the agent's unit.
    type: str
    default: piranha-pulse.service
  units:
    description: Further units whose state is wanted.
    type: list
    elements: str
    default: []
    version_added: "0.1.0"
  groups:
    description: Groups of users to look for.
    type: list
    elements: str
    default: []
    version_added: "0.1.0"
notes:
  - Reading the heartbeat key's fingerprint needs root; without it the key counts as unsound.
seealso:
  - module: piranha.lvs.lvs_cf
  - module: piranha.lvs.ipvs_info
"""

EXAMPLES = r"""
- name: Read what the router has
  piranha.lvs.router_info:
    addresses: [203.0.113.100]
    sysctls: [net.ipv4.ip_forward]
  register: router

- name: Say which router is active
  ansible.builtin.debug:
    msg: "{{ inventory_hostname }} is {{ 'active' if router.holds else 'standby' }}"
"""

RETURN = r"""
python:
  description: Version of the interpreter, as C(major.minor); V(null) where there is none.
  returned: success
  type: str
  sample: "3.11"
kernel:
  description: The running kernel's release.
  returned: success
  type: str
  sample: 6.1.176
modules:
  description: For each name in O(kernel_modules) V(loaded), V(available) or V(missing).
  returned: success
  type: dict
  sample: {ip_vs: loaded}
sysctls:
  description: For each name in O(sysctls) its value; V(null) where the kernel has no such parameter.
  returned: success
  type: dict
  sample: {net.ipv4.ip_forward: "1"}
agent:
  description: Installed agents, by the digest of their archive.
  returned: success
  type: dict
  contains:
    current:
      description: The one in use; V(null) where there is none.
      type: str
      sample: 3f1c0c5d
    installed:
      description: All that are there, the newest first.
      type: list
      elements: str
      sample: [3f1c0c5d, 9ab1d77e]
  sample: {current: 3f1c0c5d, installed: [3f1c0c5d, 9ab1d77e]}
key:
  description: The heartbeat key.
  returned: success
  type: dict
  contains:
    present:
      description: Whether there is a key of 64 hexadecimal digits.
      type: bool
      sample: true
    sound:
      description: Whether the file belongs to root and nobody else may read it.
      type: bool
      sample: true
    fingerprint:
      description: The SHA-256 of the text of the key that the router sends with; V(null) where there is no key.
      type: str
      sample: 60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752
    changing:
      description: Whether there is a second key, as there is while C(piranha.lvs.rotate_key) changes it.
      type: bool
      sample: false
  sample:
    present: true
    changing: false
    sound: true
    fingerprint: 60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752
files:
  description: For each path in O(files) what is there; V(null) where there is no ordinary file.
  returned: success
  type: dict
  sample:
    /usr/sbin/piranha:
      sha256: 2c624232cdd221771294dfbb310aca000a0df6ac8b66b696d90ef06fdefb64a3
      mode: "0755"
      uid: 0
      gid: 0
links:
  description: For each path in O(links) the target as the link names it; V(null) where there is no link.
  returned: success
  type: dict
  sample:
    /usr/sbin/pulse: piranha
unit:
  description: The agent's unit as systemd sees it.
  returned: success
  type: dict
  contains:
    present:
      description: Whether systemd can find it.
      type: bool
      sample: true
    active:
      description: Whether it runs, or is about to.
      type: bool
      sample: true
    enabled:
      description: Whether it starts at boot.
      type: bool
      sample: true
    stale:
      description: Whether its file has changed since systemd read it.
      type: bool
      sample: false
  sample: {present: true, active: true, enabled: true, stale: false}
units:
  description: The same for each name in O(units).
  returned: success
  type: dict
  sample:
    piranha-metrics.service: {present: true, active: true, enabled: true, stale: false}
groups:
  description: For each name in O(groups) whether the machine has that group.
  returned: success
  type: dict
  sample: {piranha: true}
holds:
  description: Those of O(addresses) that are on an interface of this machine.
  returned: success
  type: list
  elements: str
  sample: [203.0.113.100]
"""

import grp
import hashlib
import ipaddress
import json
import os
import re
import stat
import sys
import typing as t

from ansible.module_utils.basic import AnsibleModule

KEY_FORM = re.compile(r"[0-9a-fA-F]{64}")
MOST_KEYS = 2
UNIT_PROPERTIES = ("LoadState", "ActiveState", "UnitFileState", "NeedDaemonReload")
Runner = t.Callable[[list[str]], tuple[int, str]]


def read_python(interpreter: str, run: Runner) -> str | None:
    """Give the interpreter's version; asks it only if it is not the one that runs us."""
    if os.path.realpath(interpreter) == os.path.realpath(sys.executable):
        return f"{sys.version_info[0]}.{sys.version_info[1]}"
    if not os.access(interpreter, os.X_OK):
        return None
    status, output = run([interpreter, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
    return output.strip() if status == 0 else None


def module_state(name: str, release: str, root: str = "/") -> str:
    """Tell whether a kernel module is loaded (or built in), could be loaded, or is missing."""
    wanted = name.replace("-", "_")
    if os.path.isdir(os.path.join(root, "sys/module", wanted)):
        return "loaded"
    for index, state in (("modules.builtin", "loaded"), ("modules.dep", "available")):
        path = os.path.join(root, "lib/modules", release, index)
        for line in _lines(path):
            file_name = line.split(":", 1)[0].rsplit("/", 1)[-1]
            if file_name.split(".ko", 1)[0].replace("-", "_") == wanted:
                return state
    return "missing"


def _lines(path: str) -> t.Iterator[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            yield from file
    except OSError:
        return


def read_sysctl(name: str, root: str = "/proc/sys") -> str | None:
    """Give a kernel parameter's value, words parted by one blank."""
    try:
        with open(os.path.join(root, *name.split(".")), encoding="utf-8") as file:
            return " ".join(file.read().split())
    except OSError:
        return None


def read_agent(library: str) -> dict[str, t.Any]:
    """List the installed agents and the one that `current` points to."""
    try:
        names = [name for name in os.listdir(library) if not name.startswith(".")]
    except OSError:
        return {"current": None, "installed": []}
    paths = {name: os.path.join(library, name) for name in names}
    folders = [
        name for name, path in paths.items() if os.path.isdir(path) and not os.path.islink(path)
    ]
    folders.sort(key=lambda name: (-os.stat(paths[name]).st_mtime, name))
    try:
        target = os.path.basename(os.readlink(os.path.join(library, "current")))
    except OSError:
        target = ""
    return {"current": target if target in folders else None, "installed": folders}


def read_key(path: str) -> dict[str, t.Any]:
    """Look at the key's file; what is in it leaves this function as a fingerprint only."""
    nothing = {"present": False, "sound": False, "fingerprint": None, "changing": False}
    try:
        with open(path, encoding="ascii") as file:
            keys = file.read().split()
            status = os.fstat(file.fileno())
    except (OSError, UnicodeDecodeError):
        return nothing
    if not 1 <= len(keys) <= MOST_KEYS or not all(KEY_FORM.fullmatch(key) for key in keys):
        return nothing
    sound = status.st_uid == 0 and not stat.S_IMODE(status.st_mode) & 0o077
    return {
        "present": True,
        "sound": sound,
        "fingerprint": hashlib.sha256(keys[0].encode()).hexdigest(),
        "changing": len(keys) > 1,
    }


def read_file(path: str) -> dict[str, t.Any] | None:
    """Give digest, mode and owner of an ordinary file."""
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode):
            return None
        with open(path, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return None
    return {
        "sha256": digest,
        "mode": f"{stat.S_IMODE(status.st_mode):04o}",
        "uid": status.st_uid,
        "gid": status.st_gid,
    }


def read_link(path: str) -> str | None:
    """Give what a symbolic link names; None where there is none."""
    try:
        return os.readlink(path)
    except OSError:
        return None


def unit_state(output: str) -> dict[str, bool]:
    """Understand the lines NAME=VALUE of `systemctl show`; nothing at all means no systemd."""
    values = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
    return {
        "present": values.get("LoadState", "not-found") != "not-found",
        "active": values.get("ActiveState") in ("active", "activating", "reloading"),
        "enabled": values.get("UnitFileState") == "enabled",
        "stale": values.get("NeedDaemonReload") == "yes",
    }


def group_is_there(name: str) -> bool:
    """Tell whether the machine has a group of users of that name."""
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def held(addresses: t.Sequence[str], output: str) -> list[str]:
    """Give those of `addresses` that `ip -json address show` lists."""
    there = {
        ipaddress.ip_address(entry["local"])
        for link in json.loads(output or "[]")
        for entry in link.get("addr_info", [])
        if entry.get("local")
    }
    return [address for address in addresses if ipaddress.ip_address(address) in there]


def read_held(module: AnsibleModule, run: Runner) -> list[str]:
    """Give those of the module's addresses that this machine has; ends the module where it cannot."""
    addresses = module.params["addresses"]
    for index, address in enumerate(addresses):
        try:
            ipaddress.ip_address(address)
        except ValueError:
            module.fail_json(
                msg=f"addresses[{index}]: '{address}' is no IP address; give one without a device"
            )
    if not addresses:
        return []
    status, output = run([module.get_bin_path("ip", required=True), "-json", "address", "show"])
    if status != 0:
        module.fail_json(
            msg=f"ip -json address show ended with {status}, so it is unknown what this router holds"
        )
    return held(addresses, output)


def main() -> None:
    """Read and report."""
    module = AnsibleModule(
        argument_spec={
            "addresses": {"type": "list", "elements": "str", "default": []},
            "kernel_modules": {"type": "list", "elements": "str", "default": ["ip_vs"]},
            "sysctls": {"type": "list", "elements": "str", "default": []},
            "python": {"type": "path", "default": "/usr/bin/python3"},
            "library": {"type": "path", "default": "/usr/lib/piranha"},
            "key_file": {"type": "path", "default": "/etc/piranha/heartbeat.key", "no_log": False},
            "files": {"type": "list", "elements": "path", "default": []},
            "links": {"type": "list", "elements": "path", "default": []},
            "unit": {"type": "str", "default": "piranha-pulse.service"},
            "units": {"type": "list", "elements": "str", "default": []},
            "groups": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    wanted = module.params

    def run(command: list[str]) -> tuple[int, str]:
        status, output, _errors = module.run_command(command)
        return status, output

    systemctl = module.get_bin_path("systemctl")

    def state_of(unit: str) -> dict[str, bool]:
        ask = ["show", "--property=" + ",".join(UNIT_PROPERTIES), unit]
        return unit_state(run([systemctl, *ask])[1] if systemctl else "")

    holds = read_held(module, run)
    release = os.uname().release
    module.exit_json(
        changed=False,
        python=read_python(wanted["python"], run),
        kernel=release,
        modules={name: module_state(name, release) for name in wanted["kernel_modules"]},
        sysctls={name: read_sysctl(name) for name in wanted["sysctls"]},
        agent=read_agent(wanted["library"]),
        key=read_key(wanted["key_file"]),
        files={path: read_file(path) for path in wanted["files"]},
        links={path: read_link(path) for path in wanted["links"]},
        unit=state_of(wanted["unit"]),
        units={name: state_of(name) for name in wanted["units"]},
        groups={name: group_is_there(name) for name in wanted["groups"]},
        holds=holds,
    )


if __name__ == "__main__":
    main()
