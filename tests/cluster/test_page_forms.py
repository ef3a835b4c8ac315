# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What forms of the web page do to traffic: the real page, editor, agents and table; no browser.

The page runs out of the archive, as its own user. What a browser makes of it: tests/page.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cluster.cluster import Cluster, Router, inside, run, soon
from tests.cluster.test_agent import built, cluster, r1, r2
from tests.cluster.test_operator import weight
from tests.cluster.traffic import summary
from tests.page.lab import PASSWORDS, Page

__all__ = ["built", "cluster", "r1", "r2"]  # fixtures

NEW, NEW_PORT = "203.0.113.20", 8080

pytestmark = pytest.mark.whole


class Browser:
    """Somebody who fills in forms, without scripts."""

    def __init__(self, page: Page, name: str) -> None:
        self._http = httpx.Client(base_url=page.url, timeout=60, follow_redirects=True)
        found = self._http.post("/login", data={"name": name, "password": PASSWORDS[name]})
        assert found.status_code == 200, found.text

    def get(self, path: str) -> str:
        """Give a page."""
        return self._http.get(path).text

    def send(self, path: str, **form: str) -> str:
        """Send a form and give the page that comes of it."""
        token = re.search(r'name="csrf" value="([^"]+)"', self.get("/events"))
        assert token
        found = self._http.post(path, data={"csrf": token[1], **form})
        assert found.status_code == 200, found.text
        return found.text


@pytest.fixture
def page(cluster: Cluster, r1: Router) -> Iterator[Page]:
    for folder in (cluster.folder, r1.folder, r1.run_dir):
        folder.chmod(0o755)
    made = Page(cluster, Path("/run/page"))
    made.prepare()
    made.start()
    try:
        yield made
    finally:
        made.stop()
        print((made.folder / "log").read_text(encoding="utf-8"))


def fetched(address: str, port: int) -> str:
    """What a client gets there; empty where nobody answers."""
    code = "import sys,urllib.request as r;print(r.urlopen(sys.argv[1],timeout=2).read().decode())"
    url = f"http://{address}:{port}/"
    return run(*inside("client", "/usr/bin/python3", "-c", code, url), check=False).strip()


def test_forms_change_what_clients_get_and_cut_nobody_off(
    cluster: Cluster, r1: Router, r2: Router, page: Page
) -> None:
    edda, otto = Browser(page, "edda"), Browser(page, "otto")

    # A virtual server with two real servers, seen, applied, and fetched through its address.
    edda.send("/virtual", do="add", new_name="more")
    service = {"name": "more", "tab": "service", "active": "1", "vip_nmask": "255.255.255.0"}
    edda.send("/virtual/edit", **service, address=f"{NEW} eth0", port=str(NEW_PORT), scheduler="rr")
    for name, address in (("m1", "10.9.0.21"), ("m2", "10.9.0.22")):
        edda.send("/virtual/edit", name="more", **{"in": "server"}, do="add", new_name=name)
        place = {"name": "more", "server": name, "tab": "server"}
        edda.send("/virtual/server", **place, address=address, port="80")
    assert f"ipvsadm -A -t {NEW}:{NEW_PORT} -s rr" in edda.get("/apply")
    assert NEW not in r1.table()
    assert "It is in force." in edda.send("/apply", why="a second shop")
    soon(lambda: fetched(NEW, NEW_PORT) in ("rs1", "rs2"), "the new address answers")
    answers = {fetched(NEW, NEW_PORT) for _each in range(6)}
    assert answers == {"rs1", "rs2"}, answers

    # One server is drained under traffic: nobody is cut off, and nobody new comes to it.
    with cluster.traffic() as requests:
        order = {"virtual": "web", "server": "rs1", "why": "new disk", "confirm": "yes"}
        assert "rs1" in otto.send("/order", order="drain", **order)
        assert weight(r1, "rs1") == "0"
        drained = time.time()
        time.sleep(3)
        page.kill_page()
        time.sleep(1)
    figures = summary(requests)
    assert figures.failed == 0, figures
    late = {one.server for one in requests if one.start > drained + 0.5}
    assert late == {"rs2"}, late
    page.start_page()
    otto = Browser(page, "otto")
    assert "DRAIN: rs1" in otto.get("/")
    otto.send("/order", order="enable", **order)
    assert weight(r1, "rs1") == "1"

    # The other router takes over, and the page says so.
    with cluster.traffic() as requests:
        otto.send("/order", order="switchover", why="kernel update", confirm="yes")
        soon(lambda: r2.state() == "active", "the partner has taken over")
        soon(lambda: "STANDBY" in otto.get("/"), "the page says that this router stands by")
    figures = summary(requests)
    assert figures.failed == 0, figures
    assert r1.holds() == set()
