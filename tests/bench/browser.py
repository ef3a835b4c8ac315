# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The web page with 1,000 services of 16 servers: its first page, an update, what it costs lvsd.

`.venv/bin/python -m tests.bench.browser [--services 1000] [--servers 16] [--viewers 20]`

lvsd runs natively with a table in memory (lvsd_alone.py) and checks every server; the page is the
real one in its own process, and a real Chromium looks at it. This process is pulse and editor: it
asks lvsd for its status page by page, as pulse does, makes up numbers of connections that differ at
each reading, so that every row of the page changes with every update, and tells that something has
happened every few seconds, so that the page reads as often as it ever does.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Page as Tab
from playwright.sync_api import sync_playwright

from tests.bench.fleet import ROOT, Servers, Wanted, environment, lvs_cf, own_network, spent, until
from tests.bench.ten_thousand import LATE, verdict

from piranha.control.link import Link, Lines  # isort: skip - fleet.py sets the path
from piranha.gui import accounts  # isort: skip

FIRST, UPDATE = 1.0, 100.0  # seconds until all rows are there, milliseconds of the main thread
PORT = 13690
NAME, PASSWORD = "bench", "a-password-for-the-bench"
WATCHED = 30.0
"""Seconds for which updates and checks are watched."""

HAPPENS = 2.0
"""Seconds between two events."""

UPDATES = 2
"""Updates that must be seen; with fewer the page would not be live, nor its limits looked at."""

LOAD = '"load":{"counted_at":%d,"active":%d,"inactive":1,"persistent":0,"connection_rate":%d}'


class Agent:
    """lvsd, and a thread that is its pulse and the page's editor."""

    def __init__(self, folder: Path, config: str) -> None:
        run_dir = folder / "run"
        run_dir.mkdir()
        (folder / "lvs.cf").write_text(config, encoding="utf-8")
        ours, theirs = socket.socketpair()
        argv = ["/usr/bin/python3", "-m", "tests.bench.lvsd_alone", str(folder / "lvs.cf")]
        self.process = subprocess.Popen(
            [*argv, str(run_dir), str(theirs.fileno())], cwd=ROOT, pass_fds=[theirs.fileno()]
        )
        theirs.close()
        self._link = Link(ours)
        self._asking = threading.Lock()
        self._answers: dict[int, dict[str, Any]] = {}
        self._number = 0
        self.state: dict[str, Any] = {}
        self.readings = 0
        threading.Thread(target=self._listen, daemon=True).start()
        self.socket = run_dir / "gui.sock"
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(self.socket))
        self._door.listen(4)
        threading.Thread(target=self._serve, daemon=True).start()

    def up(self) -> int:
        """How many servers are up, as lvsd told last."""
        return int(self.state.get("servers", {}).get("UP", 0))

    def _listen(self) -> None:
        while not self._link.closed:
            messages = self._link.receive()
            for message in messages:
                self.state = message.get("state", self.state)
                if "answer" in message:
                    self._answers[message["answer"]] = message
            if not messages:
                time.sleep(0.002)

    def _ask(self, start: int) -> dict[str, Any]:
        self._number += 1
        self._link.send({"ask": self._number, "do": "services", "with": {"start": start}})
        while self._number not in self._answers:
            time.sleep(0.001)
        found: dict[str, Any] = self._answers.pop(self._number)["result"]
        return found

    def status(self) -> str:
        """Give a whole status as JSON, made of lvsd's pages."""
        with self._asking:
            pages, start = [], 0
            while start is not None:
                page = self._ask(start)
                pages.append(page["text"])
                start = page.get("next")
            self.readings += 1
        now, chance = int(time.time()), random.Random()
        text = re.sub(
            r'"load":(?:null|\{[^}]*\})',
            lambda _found: LOAD % (now, chance.randrange(999), chance.randrange(99)),
            ",".join(pages),
        )
        state = json.dumps({**self.state, "virtual": 0})
        lvsd = state.replace('"virtual": 0', f'"virtual": [{text}]')
        rest = {
            "host": "bench",
            "version": "0",
            "heart": {"state": "active", "role": "primary"},
            "ages": {"heart": 0, "lvsd": 0},
            "pulse": {"uptime": 1, "running": {"heart": True, "lvsd": True}},
        }
        return f'{json.dumps(rest)[:-1]},"lvsd":{lvsd}}}'

    def _serve(self) -> None:
        while True:
            connection, _address = self._door.accept()
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        lines = Lines(1 << 20)
        while data := connection.recv(1 << 16):
            for asked in lines.feed(data):
                threading.Thread(
                    target=self._answer, args=(connection, asked), daemon=True
                ).start()

    def _answer(self, connection: socket.socket, asked: dict[str, Any]) -> None:
        result = "{}"
        if asked["do"] == "status":
            result = self.status()
        elif asked["do"] == "events":
            time.sleep(min(HAPPENS, asked.get("wait", 0)))
            last = asked.get("after", 0) + 1
            event = {"time": time.time(), "level": "notice", "from": "bench", "text": "it happens"}
            result = json.dumps({"events": [event], "last": last})
        line = f'{{"id":{asked["id"]},"ok":true,"result":{result}}}\n'
        connection.sendall(line.encode())


@contextmanager
def page(folder: Path, agent: Agent) -> Iterator[subprocess.Popen[bytes]]:
    """Serve the page."""
    users = accounts.added([], NAME, "view", PASSWORD)
    (folder / "users").write_text(accounts.write(users), encoding="utf-8")
    settings = {"port": PORT, "users": str(folder / "users")}
    (folder / "gui.json").write_text(json.dumps(settings), encoding="utf-8")
    words = ["--settings", str(folder / "gui.json"), "--run-dir", str(agent.socket.parent)]
    argv = [sys.executable, "-m", "piranha", "gui", *words]
    process = subprocess.Popen(argv, env=environment())
    try:
        until(lambda: socket.socket().connect_ex(("127.0.0.1", PORT)) == 0, 60, "it listens")
        yield process
    finally:
        process.kill()
        process.wait(10)


def log_in() -> str:
    """Give a session's cookie."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    form = urlencode({"name": NAME, "password": PASSWORD})
    headers = {"content-type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/login", form, headers)
    answer = connection.getresponse()
    return str(answer.getheader("set-cookie")).partition(";")[0]


class Viewer(threading.Thread):
    """One more page that is open, without a browser around it."""

    def __init__(self, cookie: str) -> None:
        super().__init__(daemon=True)
        self.cookie, self.bytes = cookie, 0

    def run(self) -> None:
        """Read what comes."""
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=600)
        connection.request("GET", "/live", headers={"cookie": self.cookie})
        answer = connection.getresponse()
        with suppress(http.client.HTTPException, OSError):  # the page ends before its viewers
            while data := answer.read1(1 << 16):
                self.bytes += len(data)


def watch_browser(tab: Tab, wanted: Wanted) -> tuple[float, float, int, float]:
    """Give: seconds to the first page (the middle of three), longest task, updates, last script."""
    first = []
    for _each in range(3):
        begin = time.monotonic()
        tab.goto(f"http://127.0.0.1:{PORT}/", wait_until="domcontentloaded")
        rows = tab.evaluate("document.querySelectorAll('#rows > .row').length")
        tab.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        first.append(time.monotonic() - begin)
        assert rows == wanted.services, f"{rows} rows"
    tab.wait_for_timeout(3000)
    tab.evaluate(
        """() => { window.tasks = [0]; window.updates = 0;
        new PerformanceObserver(list => { for (const e of list.getEntries())
          window.tasks.push(e.duration) }).observe({type: 'longtask'});
        new MutationObserver(() => window.updates++).observe(document.documentElement,
          {attributes: true, attributeFilter: ['data-update-ms']}); }"""
    )
    tab.wait_for_timeout(WATCHED * 1000)
    longest, updates = tab.evaluate("[Math.max(...window.tasks), window.updates]")
    script = float(tab.evaluate("document.documentElement.dataset.updateMs || '0'"))
    return sorted(first)[1], longest, updates, script


def judged(
    wanted: Wanted,
    first: float,
    updates: tuple[float, int],
    gaps: tuple[dict[str, float], dict[str, float]],
) -> bool:
    """Print the limits and whether they are kept. updates: the longest task, and their number.

    gaps: between checks, without the page and with all its viewers.
    """
    longest, number = updates
    alone, watched = gaps
    late = [one["longest"] - wanted.interval for one in gaps]
    return all(
        [
            verdict(first <= FIRST, f"first page after {first:.2f} s (at most {FIRST:g})"),
            verdict(
                number >= UPDATES and longest <= UPDATE,
                f"longest task of the browser {longest:.0f} ms (at most {UPDATE:g}) in {number}"
                f" updates (at least {UPDATES})",
            ),
            verdict(
                late[1] <= LATE * wanted.interval,
                f"the latest check {late[1]:.2f} s late, without the page {late[0]:.2f} s"
                f" (at most {LATE * wanted.interval:g}); usual distance"
                f" {watched['usual']:.2f} s, without {alone['usual']:.2f} s",
            ),
        ]
    )


def main(arguments: list[str]) -> int:
    """Measure, print, judge; 1 if a limit is broken."""
    parser = argparse.ArgumentParser(prog="tests.bench.browser", description=__doc__)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--servers", type=int, default=16)
    parser.add_argument("--viewers", type=int, default=20)
    asked = parser.parse_args(arguments)
    wanted = Wanted(asked.services, asked.servers)
    own_network()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="piranha-bench-")))
        servers = Servers("connect")
        stack.callback(servers.die)
        agent = Agent(folder, lvs_cf(wanted))
        stack.callback(agent.process.kill)
        until(lambda: agent.up() == wanted.total, 180, "all servers are up")
        time.sleep(wanted.interval)
        servers.gaps()
        time.sleep(WATCHED)
        alone = servers.gaps()
        process = stack.enter_context(page(folder, agent))
        cookie = log_in()
        viewers = [Viewer(cookie) for _each in range(asked.viewers - 1)]
        for one in viewers:
            one.start()
        driver = stack.enter_context(sync_playwright())
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        stack.callback(browser.close)
        tab = browser.new_page(viewport={"width": 1440, "height": 900})
        name, _equals, value = cookie.partition("=")
        tab.context.add_cookies([{"name": name, "value": value, "url": f"http://127.0.0.1:{PORT}"}])
        servers.gaps()
        before, read = spent([process.pid]), agent.readings
        first, longest, updates, script = watch_browser(tab, wanted)
        watched = servers.gaps()
        cost = (spent([process.pid]) - before).both
        print(
            f"{wanted.services:,} services of {wanted.servers} servers, {asked.viewers} viewers:"
            f" {updates} updates (the last one {script:.0f} ms of script), {agent.readings - read}"
            f" readings, {cost:.1f} s of a processor for the page,"
            f" {sum(one.bytes for one in viewers) / len(viewers) / 1e6:.2f} MB to each viewer",
            flush=True,
        )
        return int(not judged(wanted, first, (longest, updates), (alone, watched)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
