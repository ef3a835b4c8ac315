# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The web page's side of a router: a real editor beside a real agent, asked by the page's own user.

What browsers see is tests of the application; here is what becomes of the cluster.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.cluster import CONFIG, DEADTIME, Cluster, Router, inside, soon
from tests.cluster.test_operator import weight
from tests.cluster.traffic import summary

PAGE, STRANGER = 3636, 65534
ASK = """
import json, socket, sys
sock = socket.socket(socket.AF_UNIX)
sock.settimeout(60)
sock.connect(sys.argv[1])
try:
    sock.sendall(sys.stdin.buffer.read())
except BrokenPipeError:
    pass  # turned away before it was read; why is there to read
print(sock.makefile().readline())
"""
NEVER_READS = """
import socket, sys, time
sock = socket.socket(socket.AF_UNIX)
sock.connect(sys.argv[1])
sock.setblocking(False)
line = b'{"id": 1, "do": "status", "by": {"user": "a", "role": "view"}}\n'
end = time.monotonic() + 30
while time.monotonic() < end:
    try:
        while sock.send(line):
            pass
    except BlockingIOError:
        time.sleep(0.1)
    except OSError:
        time.sleep(1)
"""

pytestmark = pytest.mark.whole


class Page:
    """The editor of one router, and its page's user."""

    def __init__(self, router: Router, folder: Path) -> None:
        self.router, self.folder = router, folder
        self.socket = router.run_dir / "gui.sock"
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        (folder / "gui.json").write_text('{"ceiling": "edit"}')
        passwd = Path("/etc/passwd").read_text(encoding="utf-8")
        line = f"piranha-gui:x:{PAGE}:{PAGE}::/nonexistent:/usr/sbin/nologin\n"
        # Only this router's processes see it.
        (Path("/etc/netns") / router.name / "passwd").write_text(passwd + line)

    def start(self) -> None:
        """Start the editor as its unit does: root, with the page's group."""
        words = ["--settings", str(self.folder / "gui.json")]
        words += ["--history", str(self.folder / "history")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                inside(self.router.name, *self.router._piranha("editor"), *words),
                env=self.router.environment(),
                stderr=log,
                group=PAGE,
                extra_groups=[0],
                preexec_fn=lambda: os.nice(10),  # noqa: PLW1509 - as its unit says
            )
        soon(lambda: self.ask("rights", 0)["ok"], "the editor answers")

    def kill(self) -> None:
        """End it as the kernel does where memory is short."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(20)

    def ask(self, do: str, user: int = PAGE, role: str = "edit", **more: object) -> dict[str, Any]:
        """Ask as a process of that user."""
        line = json.dumps({"id": 1, "do": do, "by": {"user": "ann", "role": role}, **more}) + "\n"
        done = self._as(user, ASK, line.encode())
        if done.returncode != 0:
            return {"ok": False, "error": done.stderr.decode().splitlines()[-1]}
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def _as(self, user: int, code: str, text: bytes) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["/usr/bin/python3", "-c", code, str(self.socket)],
            input=text,
            capture_output=True,
            timeout=90,
            check=False,
            user=user,
            group=user,
            extra_groups=[],
            cwd="/",
        )

    @contextlib.contextmanager
    def viewer_that_never_reads(self) -> Iterator[None]:
        """Ask for the whole status again and again, and read nothing."""
        process = subprocess.Popen(
            ["/usr/bin/python3", "-c", NEVER_READS, str(self.socket)],
            user=PAGE,
            group=PAGE,
            extra_groups=[],
            cwd="/",
        )
        try:
            yield
        finally:
            process.kill()
            process.wait(20)

    def write(self, text: str, why: str) -> dict[str, Any]:
        """Put a text in the place of the file that is there."""
        base = self.ask("config")["result"]["digest"]
        return self.ask("write", digest=base, text=text, why=why)


@pytest.fixture
def page(cluster: Cluster, r1: Router, tmp_path: Path) -> Iterator[Page]:
    for router in cluster.routers.values():
        router.folder.chmod(0o755)
        router.run_dir.chmod(0o755)
    made = Page(r1, tmp_path / "page")
    made.start()
    try:
        yield made
    finally:
        made.kill()
        print((made.folder / "log").read_text())


def test_the_page_edits_operates_and_dies_without_a_lost_request(
    cluster: Cluster, r1: Router, r2: Router, page: Page
) -> None:
    # Who may ask: the page's user, as the kernel says who it is, however open the socket is.
    assert "Permission denied" in page.ask("status", STRANGER)["error"]
    page.socket.chmod(0o666)
    assert "may not ask the editor" in page.ask("status", STRANGER)["error"]
    assert page.ask("status")["result"]["heart"]["state"] == "active"

    # A change: seen in the text, in the table, in the log; and back.
    commented = CONFIG.replace("weight = 1", "weight = 5  # twice the memory", 1)
    # A check may be late here: this kernel has one processor, and the machine below it is busy.
    commented = commented.replace("    reentry = 1\n", "    reentry = 1\n    fall = 4\n")
    done = page.write(commented, "new machine")
    assert done["ok"], done
    assert done["result"]["in_force"]
    assert "weight = 5  # twice the memory" in r1.config.read_text()
    soon(lambda: weight(r1, "rs1") == "5", "the table has the new weight")
    assert any("ann (edit) changed lvs.cf" in line for line in _log(page))
    before = page.ask("old", number=done["result"]["backup"])["result"]["text"]
    assert before == CONFIG

    # What root alone may do, whoever has broken into the page.
    for attack in (
        CONFIG.replace("port = 80\n", 'port = 80\n    send_program = "/bin/touch /run/owned"\n'),
        f'notify_cmd = "/bin/touch /run/owned"\n{CONFIG}',
        f"heartbeat_key_file = /etc/hostname\n{CONFIG}",
    ):
        refused = page.write(attack, "")
        assert refused["code"] == "refused", refused
    file_before = r1.config.read_text()
    refused = page.write(f"service = fos\n{CONFIG}", "")
    assert refused["code"] == "refused"
    assert "so the file is what it was" in refused["error"], refused
    assert r1.config.read_text() == file_before
    assert not Path("/run/owned").exists()

    told = page.ask("check_now", virtual="web", server="rs2")["result"]
    assert told["verdict"] == "up", told

    # Under traffic: an order, viewers that never read, and the editor's death.
    pid = r1.pid("heart")
    with cluster.traffic() as requests:
        told = page.ask("order", role="operate", order="drain", server="rs1", why="disk")
        assert "is drained" in told["result"]["words"][0]
        assert weight(r1, "rs1") == "0"
        with page.viewer_that_never_reads(), page.viewer_that_never_reads():
            time.sleep(3)
            page.ask("status")
            page.kill()
            time.sleep(1)
        page.start()
        told = page.ask("order", order="enable", server="rs1")
        assert weight(r1, "rs1") == "5"
    figures = summary(requests)
    assert figures.failed == 0, figures
    assert r1.pid("heart") == pid
    assert r1.state() == "active"
    assert r1.restarts("heart") == r1.restarts("lvsd") == 0
    assert not [text for text in r1.events() if "hangs" in text or "has not ticked" in text]

    page.ask("order", order="switchover", why="update")
    soon(lambda: r2.state() == "active", "the partner has taken over", DEADTIME * 10)
    numbered = page.ask("events", after=0)["result"]["events"]
    assert any("ann (edit) ordered: switchover because: update" in e["text"] for e in numbered)


def _log(page: Page) -> list[str]:
    return (page.folder / "log").read_text().splitlines()
