# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Page and editor in their real units, with their whole sandboxes, under a real systemd.

The units are the role's own templates; only the paths are the checkout's. What a broken-into page
could do on the machine is tried from inside of its own namespaces, as its own user.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest

from tests.cluster.cluster import COMPILED, CONFIG, ROOT, SOURCES
from tests.cluster.systemd_lab import UNITS, Machine, systemd, there

pytestmark = pytest.mark.whole

EDITOR, PAGE = "piranha-editor.service", "piranha-gui.service"
HERE = Path("/opt/piranha-test")
USER, PORT = 3636, 3636
NAMES = {
    "piranha_router_config_file": f"{HERE}/etc/lvs.cf",
    "piranha_router_gui_port": PORT,
    "__piranha_router_folder": f"{HERE}/etc/piranha",
    "__piranha_router_gui_settings": f"{HERE}/etc/piranha/gui.json",
    "__piranha_router_gui_user": "piranha-gui",
    "__piranha_router_unit": "piranha-pulse.service",
    "__piranha_router_editor_unit": EDITOR,
    "__piranha_router_launcher": f"/usr/bin/env {there(sys.executable)} -m piranha",
    "__piranha_router_key_file": "/etc/piranha/heartbeat.key",
    "__piranha_router_state": "/var/lib/piranha",
}
# As the page's user, in its namespaces: folders that it could write to, files of the editor's that
# it could read, and whether it could be somebody else.
PROBE = """
import ctypes, json, os, socket
found = {"writable": [], "readable": [], "sockets": [], "root": False}
for top in ("/", "/etc", "/opt", "/opt/piranha-test", "/opt/piranha-test/etc", "/run", "/tmp",
            "/var", "/var/tmp", "/var/lib", "/dev/shm", "/home", "/usr", "/run/piranha"):
    try:
        path = os.path.join(top, "owned")
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        found["writable"].append(top)
    except OSError:
        pass
for path in ("/var/lib/piranha-editor", "/etc/shadow", "/root"):
    try:
        os.listdir(path) if os.path.isdir(path) else open(path).read()
        found["readable"].append(path)
    except OSError:
        pass
for family, kind in ((socket.AF_PACKET, socket.SOCK_RAW), (socket.AF_NETLINK, socket.SOCK_RAW)):
    try:
        socket.socket(family, kind).close()
        found["sockets"].append(str(family))
    except OSError:
        pass
try:
    os.setuid(0)
    found["root"] = True
except OSError:
    pass
print(json.dumps(found))
"""


def unit(name: str) -> str:
    """Give the role's unit with the checkout's paths in it."""
    template = ROOT / f"roles/piranha_router/templates/{name}.j2"
    environment = jinja2.Environment(undefined=jinja2.ChainableUndefined, autoescape=False)  # noqa: S701 - no HTML
    environment.filters["comment"] = lambda text: f"# {text}"
    environment.filters["dirname"] = os.path.dirname
    text = environment.from_string(template.read_text(encoding="utf-8")).render(NAMES)
    env = f"Environment=PYTHONPATH={there(SOURCES)} PYTHONPYCACHEPREFIX={COMPILED}\n"
    return text.replace("[Service]\n", f"[Service]\n{env}")


class Site:
    """Both units of one systemd."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.token = ""

    def get(self, path: str, method: str = "GET", **more: str) -> tuple[int, Any]:
        """Ask the page by TLS; its certificate is its own."""
        context = ssl._create_unverified_context()  # noqa: S323 - made a second ago, by the test
        connection = http.client.HTTPSConnection("127.0.0.1", PORT, timeout=20, context=context)
        try:
            connection.request(method, path, headers=more)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        is_json = "json" in (answer.getheader("Content-Type") or "")
        return answer.status, json.loads(body) if is_json else body.decode()

    def api(self, path: str) -> Any:
        """Ask with a machine's token."""
        status, body = self.get(path, Authorization=f"Bearer {self.token}")
        assert status == 200, body
        return body

    def status(self, unit: str) -> dict[str, str]:
        """What the kernel says of a unit's process."""
        text = self.machine.read(Path(f"/proc/{self.machine.property(unit, 'MainPID')}/status"))
        return dict(re.findall(r"^(\w+):\s+(.*)$", text, re.MULTILINE))


@pytest.fixture
def site() -> Iterator[Site]:
    with systemd() as machine:
        made = Site(machine)
        machine.run("chmod", "0755", "/run")  # as on a machine
        home = f"{HERE}/etc/piranha"
        settings = {
            "ceiling": "edit",
            "certificate": f"{home}/gui.crt",
            "key": f"{home}/gui.key",
            "users": f"{home}/gui-users",
            "scripts": f"{home}/scripts",
        }
        machine.write(HERE / "etc/lvs.cf", CONFIG)
        machine.write(HERE / "etc/piranha/gui.json", json.dumps(settings))
        for file, line in (
            ("passwd", f"piranha-gui:x:{USER}:{USER}::/nonexistent:/usr/sbin/nologin\n"),
            ("group", f"piranha-gui:x:{USER}:\n"),
        ):
            machine.write(HERE / file, Path("/etc", file).read_text() + line)
            machine.run("mount", "--bind", str(HERE / file), f"/etc/{file}")
        subject = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
        request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"]
        request += ["ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", *subject]
        machine.run(*request, "-keyout", f"{home}/gui.key", "-out", f"{home}/gui.crt")
        machine.run("chown", "root:piranha-gui", f"{home}/gui.key")
        machine.run("chmod", "0640", f"{home}/gui.key")
        piranha = ["env", f"PYTHONPATH={there(SOURCES)}", there(sys.executable), "-m", "piranha"]
        words = ["passwd", "--file", f"{home}/gui-users", "token", "test", "--role", "edit"]
        made.token = machine.run(*piranha, *words)
        for name in (EDITOR, PAGE):
            machine.write(UNITS / name, unit(name))
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "start", PAGE)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                made.get("/login")
                break
            except OSError:
                time.sleep(0.2)
        yield made
        for name in (PAGE, EDITOR):
            print(machine.run("systemctl", "status", "--no-pager", name, check=False))


def test_the_page_works_in_a_sandbox_that_nothing_gets_out_of(site: Site) -> None:
    machine = site.machine
    assert site.get("/login")[0] == 200
    assert site.get("/api/config")[0] in (302, 303, 401, 403)
    assert site.get("/api/config", Authorization="Bearer piranha_wrong")[0] in (401, 403)

    # The whole way: browser's side, page, editor, file; pulse does not run here.
    config = site.api("/api/config")
    assert config["text"] == CONFIG
    assert site.api("/api/rights")["editing"] is True

    # Rights: none at all for either; only the editor is root, and only where it is let.
    page, editor = site.status(PAGE), site.status(EDITOR)
    for found in (page, editor):
        assert int(found["CapEff"], 16) == int(found["CapBnd"], 16) == 0
        assert found["NoNewPrivs"] == "1"
        assert found["Seccomp"] == "2"
    assert page["Uid"].split() == [str(USER)] * 4
    assert page["Groups"].split() in ([], [str(USER)])
    assert editor["Uid"].split() == ["0"] * 4
    assert _probed(machine, PAGE) == {"writable": [], "readable": [], "sockets": [], "root": False}

    # The editor as root of its sandbox: the folder of lvs.cf, and nothing that others run.
    pid = machine.property(EDITOR, "MainPID")
    text = machine.read(Path(f"/proc/{pid}/mountinfo"))
    options = {line.split()[4]: line.split()[5].split(",") for line in text.splitlines()}
    assert "ro" in options["/"]
    assert "rw" in options[f"{HERE}/etc"]
    assert "ro" in options[f"{HERE}/etc/piranha"]

    # Killed, both come back, and the file is what it was.
    for name in (EDITOR, PAGE):
        machine.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", name)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if site.api("/api/config")["digest"] == config["digest"]:
                break
        except (OSError, AssertionError):
            time.sleep(0.3)
    assert site.api("/api/config")["text"] == CONFIG
    assert int(machine.property(EDITOR, "NRestarts")) == 1


def _probed(machine: Machine, unit: str) -> dict[str, Any]:
    """Try things in a unit's namespaces, as its user, without what the seccomp filter takes."""
    inner = machine.property(unit, "MainPID")
    enter = [f"--target={inner}", "--mount", f"--setuid={USER}", f"--setgid={USER}"]
    told = machine.run("nsenter", *enter, "--", "/usr/bin/python3", "-c", PROBE)
    found: dict[str, Any] = json.loads(told)
    # Without the unit's filter the kernel itself must say no to packets; netlink it lets anybody.
    found["sockets"] = [one for one in found["sockets"] if "PACKET" in one]
    return found


def test_the_probe_would_find_something() -> None:
    """Run where nothing is forbidden, it finds nearly everything."""
    done = subprocess.run(
        ["/usr/bin/python3", "-c", PROBE], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert "/run" in found["writable"]
    assert found["root"]
    for top in found["writable"]:
        Path(top, "owned").unlink()
