# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""`piranha nanny`: one check by hand, its words and its exit status."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest
from piranha import cli

FILE = """
service = lvs
primary = 192.0.2.1
network = nat
nat_router = 192.0.2.254 eth1:1
virtual web {
    active = 1
    address = 192.0.2.100 eth0:1
    check = agent
    check_timeout = 500ms
    fall = 3
    server one {
        address = 127.0.0.1
        port = %d
        active = 1
    }
    server two {
        address = 127.0.0.1
        port = 1
        active = 1
    }
}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with a server that answers (see `answering`) and one that refuses."""
    return tmp_path / "lvs.cf"


def ran(file: Path, name: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    status = cli.main(["nanny", "--config", str(file), name])
    told = capsys.readouterr()
    return status, told.out + told.err


def test_the_outcome_is_explained(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        file.write_text(FILE % port)

        def answer() -> None:
            connection, _unused = listener.accept()
            connection.sendall(b"up 60%\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        status, told = ran(file, "web/one", capsys)
        thread.join()
    assert status == 0
    assert told.splitlines()[:2] == [
        "web/one: UP: the agent said up 60%",
        f"  check: agent at 127.0.0.1:{port}/tcp, at most 0.5 s",
    ]
    assert "  share: 60 % of its weight" in told
    assert told.endswith("serve again after 1 such in a row, over 180 s at least\n")
    status, told = ran(file, "two", capsys)
    assert status == 1
    assert told.startswith("web/two: DOWN: connection refused\n")
    assert "lvsd takes a server out after 3 such in a row" in told


def test_what_cannot_be_done_is_said(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(FILE % 9)
    assert ran(file, "none", capsys) == (
        2,
        "no active real server is called none; there are: web/one, web/two\n",
    )
    status, told = ran(file.with_name("gone"), "x", capsys)
    assert status == 2
    assert told.endswith("gone: cannot be read: No such file or directory\n")
    file.write_text(FILE.replace("fall = 3", "fall = none") % 9)
    status, told = ran(file, "one", capsys)
    assert status == 2
    assert "`fall` takes a whole number" in told
