# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics: what a status becomes, that the page describes them, that clients are bounded."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from piranha import cli
from piranha.control import exporter
from piranha.control.exporter import AddressError, Exporter, listener
from piranha.control.metrics import METRICS, render

from .test_cli import STATUS
from .test_supervisor import Pulse, pulse

__all__ = ["pulse"]  # the fixture

ROOT = Path(__file__).resolve().parents[3]
LINE = re.compile(r'[a-z_]+(\{([a-z]+="(\\.|[^"\\])*",?)+\})? -?[0-9.e+-]+')


def test_a_status_becomes_samples() -> None:
    lines = render(STATUS).splitlines()
    where = 'virtual="web",service="tcp [2001:db8::10]:80"'
    first = f'{where},server="a",address="192.0.2.21:80"'
    for wanted in (
        "piranha_up 1",
        "piranha_router_active 1",
        'piranha_process_restarts_total{process="lvsd"} 2',
        'piranha_witness_up{witness="gateway"} 1',
        'piranha_witness_up{witness="192.0.2.50"} 0',
        "piranha_table_repairs_total 2",
        "piranha_table_ok 1",
        f"piranha_virtual_servers_in_service{{{where}}} 1",
        f"piranha_server_weight{{{first}}} 2",
        f"piranha_server_configured_weight{{{first}}} 5",
        f'piranha_server_connections{{{first},kind="active"}} 12',
        f"piranha_server_check_duration_seconds{{{first}}} 0.0021",
        f"piranha_server_check_warning{{{first}}} 1",
        f"piranha_server_state_since_timestamp_seconds{{{first}}} 1799999910",
        f"piranha_server_counted_timestamp_seconds{{{first}}} 1799999999",
    ):
        assert wanted in lines, wanted
    samples = [line for line in lines if not line.startswith("#")]
    assert all(LINE.fullmatch(line) for line in samples)
    assert len(samples) == len({line.rpartition(" ")[0] for line in samples})


def test_only_the_documented_labels_are_there() -> None:
    for metric in METRICS:
        for labels, _value in metric.read(STATUS):
            assert tuple(labels) == metric.labels, metric.name


@pytest.mark.parametrize("status", [{}, {"lvsd": None}, {"lvsd": {"virtual": [{"servers": [{}]}]}}])
def test_what_a_status_lacks_gives_no_sample(status: dict[str, object]) -> None:
    assert "piranha_up 1\n" in render(status)
    assert "piranha_server_weight{" not in render(status)


def test_without_pulse_it_is_down_and_says_no_more() -> None:
    assert [line for line in render(None).splitlines() if line[0] != "#"] == ["piranha_up 0"]


def test_names_with_quotes_are_escaped() -> None:
    status = {"lvsd": {"virtual": [{"name": 'a"b\\c', "in_service": 0}]}}
    assert r'virtual="a\"b\\c"' in render(status)


def test_the_page_is_made_from_the_table() -> None:
    # Not runpy, which does not get along with the importer of `ansible-test units`.
    spec = importlib.util.spec_from_file_location("make_metrics", ROOT / "docs/make_metrics.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    made = script.page()
    assert (ROOT / "docs/metrics.md").read_text(encoding="utf-8") == made


def served(story: Callable[[int, list[int]], Awaitable[None]]) -> None:
    """Run a story with the port of an exporter, and how often it has read the status."""

    async def main() -> None:
        reads: list[int] = []

        def read() -> str:
            reads.append(1)
            return "piranha_up 1\n"

        sock = socket.create_server(("127.0.0.1", 0))
        task = asyncio.create_task(Exporter(read).serve(sock))
        try:
            await story(sock.getsockname()[1], reads)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(main(), 20))


async def asked(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


def test_prometheus_gets_the_page_and_the_status_is_read_once() -> None:
    async def story(port: int, reads: list[int]) -> None:
        request = b"GET /metrics?x=1 HTTP/1.1\r\nHost: x\r\n\r\n"
        answers = await asyncio.gather(*(asked(port, request) for _unused in range(5)))
        for answer in answers:
            head, _unused, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK")
            assert b"version=0.0.4" in head
            assert b"Content-Length: 13" in head
            assert body == b"piranha_up 1\n"
        assert len(reads) == 1
        assert (await asked(port, b"HEAD /metrics HTTP/1.0\r\n\r\n")).endswith(b"\r\n\r\n")

    served(story)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405"),
        (b"\x16\x03\x01\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\nA: " + b"x" * 3 * exporter.LONGEST, b"431"),
    ],
)
def test_any_other_request_is_refused(request_: bytes, status: bytes) -> None:
    async def story(port: int, reads: list[int]) -> None:
        assert (await asked(port, request_)).startswith(b"HTTP/1.1 " + status)
        assert reads == []

    served(story)


def test_clients_that_say_nothing_are_few_and_do_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "PATIENCE", 0.5)

    async def story(port: int, reads: list[int]) -> None:
        request = b"GET /metrics HTTP/1.1\r\n\r\n"
        silent = [
            await asyncio.open_connection("127.0.0.1", port) for _unused in range(exporter.CLIENTS)
        ]
        await asyncio.sleep(0.1)
        assert (await asked(port, request)).startswith(b"HTTP/1.1 503")
        for reader, writer in silent:
            assert await reader.read() == b""
            writer.close()
        assert (await asked(port, request)).startswith(b"HTTP/1.1 200")

    served(story)


@pytest.mark.parametrize(
    "place", ["", "9539", "localhost:9539", "::1:9539", "127.0.0.1:0", "1.2.3.4:x"]
)
def test_a_place_that_is_none_is_refused(place: str) -> None:
    with pytest.raises(AddressError, match="give ADDRESS:PORT"):
        listener(place)


def test_a_place_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(AddressError, match="Address already in use"):
            listener(place)
    listener(f"unix:{tmp_path}/m").close()
    assert stat.S_ISSOCK((tmp_path / "m").stat().st_mode)
    listener(f"unix:{tmp_path}/m").close()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(AddressError, match="Address already in use"):
        listener(f"unix:{tmp_path}/file")
    assert (tmp_path / "file").read_text() == "mine"


def test_the_command_prints_them_once(
    pulse: Pulse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pulse.up()
    assert cli.main(["metrics", "--run-dir", str(pulse.run_dir)]) == 0
    text = capsys.readouterr().out
    assert 'piranha_process_running{process="heart"} 1' in text.splitlines()
    assert cli.main(["metrics", "--run-dir", str(tmp_path / "none")]) == 2
    told = capsys.readouterr()
    assert "piranha_up 0" in told.out
    assert "pulse is not running" in told.err
    assert cli.main(["metrics", "--listen", "nowhere"]) == 2
