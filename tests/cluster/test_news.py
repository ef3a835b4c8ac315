# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real kernel tells of neighbours and addresses, in a namespace of its own. Needs root."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from collections.abc import Iterator

import pytest
from piranha.net.news import Heard, News

from tests.cluster.heart_lab import inside, ip

NAME = f"news{os.getpid()}"
NOBODY, SOMEBODY = "198.51.100.9", "198.51.100.10"


@pytest.fixture
def news() -> Iterator[News]:
    ip("netns", "add", NAME)
    try:
        lines = ["link add v0 type veth peer name v1", "link set v0 up", "link set v1 up"]
        ip("-n", NAME, "-batch", "-", text="\n".join(lines))
        with contextlib.closing(inside(NAME, News)) as made:
            yield made
    finally:
        ip("netns", "del", NAME)


def heard(news: News, limit: float, what: str) -> Heard:
    """Wait for news in which `failed` or `moved` is set."""
    end = time.monotonic() + limit
    while (left := end - time.monotonic()) > 0:
        if select.select([news], [], [], left)[0]:
            found = news.read()
            if getattr(found, what):
                return found
    raise AssertionError(f"nothing has {what}")


def test_addresses_and_neighbours(news: News) -> None:
    ip("-n", NAME, "address", "add", "198.51.100.1/24", "dev", "v0")
    assert heard(news, 5, "moved").failed == frozenset()
    with inside(NAME, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.sendto(b"?", (NOBODY, 9))
        assert heard(news, 15, "failed").failed == {NOBODY}
    news.read()
    ip("-n", NAME, "address", "del", "198.51.100.1/24", "dev", "v0")
    assert heard(news, 5, "moved").moved


def test_other_states_of_neighbours_wake_nobody(news: News) -> None:
    ip("-n", NAME, "address", "add", "198.51.100.1/24", "dev", "v0")
    time.sleep(3)  # addresses of IPv6 come and settle
    news.read()
    words = ["neigh", "add", SOMEBODY, "lladdr", "02:00:00:00:00:01", "dev", "v0", "nud"]
    ip("-n", NAME, *words, "reachable")
    ip("-n", NAME, *["change" if word == "add" else word for word in words], "stale")
    assert select.select([news], [], [], 0.5)[0] == []
    ip("-n", NAME, "neigh", "del", SOMEBODY, "dev", "v0")
    assert heard(news, 5, "failed").failed == {SOMEBODY}
