# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two real routers with their agents, and the page of one: editor, page process, accounts.

Native, so that a real browser has the speed it has: this machine's kernel need not have IPVS, and
where it has none the agents say so and do all the rest. What becomes of traffic is the lab's test.
The page runs as its own user, out of the archive that is installed on routers.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from piranha.gui import accounts

from tests.cluster.cluster import CONFIG, GATEWAY, ROOT, ROUTERS, VIRTUAL, Cluster, inside, soon

from .browser import PASSWORDS, ROLES

USER = 3636
PORT = 13636
SYSTEM_PYTHON = "/usr/bin/python3"


@dataclass
class Page:
    """The page of a cluster's first router."""

    cluster: Cluster
    folder: Path
    port: int = PORT
    editor: subprocess.Popen[bytes] | None = None
    process: subprocess.Popen[bytes] | None = None
    archive: Path = field(default=Path())

    @property
    def url(self) -> str:
        """Where browsers find it."""
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Unpack the archive, make accounts and settings."""
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o755)
        build = [sys.executable, str(ROOT / "files/piranha-agent/bundle.py")]
        subprocess.run([*build, "--output", str(self.folder)], check=True, timeout=300)
        self.archive = self.folder / "agent"
        with tarfile.open(self.folder / "piranha-agent.tar.xz") as archive:
            archive.extractall(self.archive)  # noqa: S202 - our own
        found: list[accounts.Account] = []
        for name, password in PASSWORDS.items():
            found = accounts.added(found, name, ROLES[name], password)
        (self.folder / "users").write_text(accounts.write(found), encoding="utf-8")
        settings = {"ceiling": "edit", "port": self.port, "users": str(self.folder / "users")}
        (self.folder / "gui.json").write_text(json.dumps(settings), encoding="utf-8")
        with Path("/etc/passwd").open("a", encoding="utf-8") as file:
            file.write(f"piranha-gui:x:{USER}:{USER}::/nonexistent:/usr/sbin/nologin\n")

    def start(self) -> None:
        """Start editor and page as their units do."""
        router = self.cluster.routers["r1"]
        words = ["--settings", str(self.folder / "gui.json")]
        words += ["--history", str(self.folder / "history")]
        with (self.folder / "log").open("ab") as log:
            self.editor = subprocess.Popen(
                inside(router.name, *router._piranha("editor"), *words),
                env=router.environment(),
                stderr=log,
                group=USER,
                extra_groups=[0],
            )
        soon((router.run_dir / "gui.sock").is_socket, "the editor listens")
        self.start_page()

    def start_page(self) -> None:
        """Start the page alone."""
        router = self.cluster.routers["r1"]
        words = ["--run-dir", str(router.run_dir), "--settings", str(self.folder / "gui.json")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [SYSTEM_PYTHON, "-m", "piranha", "gui", *words],
                cwd=self.archive,
                env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
                stderr=log,
                user=USER,
                group=USER,
                extra_groups=[],
            )
        soon(self._listens, "the page listens")

    def kill_page(self) -> None:
        """End the page as the kernel does where memory is short."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)

    def stop(self) -> None:
        """End both."""
        self.kill_page()
        if self.editor is not None:
            self.editor.kill()
            self.editor.wait(20)

    def _listens(self) -> bool:
        import socket

        if self.process is not None and self.process.poll() is not None:
            raise AssertionError((self.folder / "log").read_text(encoding="utf-8"))
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0


@contextlib.contextmanager
def running() -> Iterator[Page]:
    """Give a page of a cluster that runs; all of it ends at the end."""
    cluster = Cluster(Path("/run/page-test"))
    page = Page(cluster, Path("/run/page"))
    try:
        page.prepare()
        cluster.up()
        cluster.write(CONFIG)
        for router in cluster.routers.values():
            for folder in (router.folder, router.run_dir):
                folder.chmod(0o755)
        cluster.folder.chmod(0o755)
        start(cluster)
        page.start()
        yield page
    finally:
        page.stop()
        cluster.down()
        for name in ("page/log", *(f"page-test/{router}/log" for router in ROUTERS)):
            path = Path("/run") / name
            if path.exists():
                print(f"--- {name}\n{path.read_text(encoding='utf-8')[-4000:]}")


def start(cluster: Cluster) -> None:
    """Start both agents, r1 first, and wait until each has its place."""
    r1, r2 = (cluster.routers[name] for name in ROUTERS)
    r1.start()
    soon(lambda: r1.state() == "active", "r1 is active")
    r2.start()
    soon(lambda: r2.state() == "standby", "r2 stands by")
    soon(lambda: r1.holds() == {VIRTUAL, GATEWAY}, "r1 has the addresses")
    for router in (r1, r2):
        soon(lambda r=router: _well(r.status()), f"{router.name} sees both real servers")  # type: ignore[misc]


def _well(status: object) -> bool:
    lvsd = status.get("lvsd") if isinstance(status, dict) else None
    virtual = (lvsd or {}).get("virtual") or [{}]
    servers = virtual[0].get("servers") or []
    return len(servers) > 1 and all(one.get("health") == "UP" for one in servers)
