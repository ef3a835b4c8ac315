# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""To the partner: two editors, and a program in the place of ssh that carries what ssh carries."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from piranha.core.lvs_cf.api import load
from piranha.editing import partner
from piranha.editing.partner import OutOfReach
from piranha.editing.preview import digest_of
from piranha.gui import protocol
from piranha.gui.protocol import EDIT, OPERATE, VIEW, Actor

from .files import TEXT
from .test_door import ANSWERS, Client, living

SOURCES = Path(partner.__file__).parents[2]
PEER = {"heart": {"peer": {"address": "192.0.2.2"}}}
SSH = """#!{python}
import os, sys
with open("{folder}/argv", "a") as file:
    print(sys.argv[1:], file=file)
words = sys.argv[sys.argv.index("--") + 1:]
assert words == ["192.0.2.2", "/usr/sbin/piranha", "editor", "--relay"], words
env = {{**os.environ, "PYTHONPATH": "{sources}"}}
argv = ["{python}", "-m", "piranha", "editor", "--relay", "--run-dir", "{folder}/run"]
os.execve(argv[0], argv, env)
"""


def with_ssh(folder: Path) -> str:
    """A file of configuration whose rsh_command is our program, which leads back to ourselves."""
    program = folder / "bin/ssh"
    program.parent.mkdir()
    program.write_text(SSH.format(python=sys.executable, folder=folder, sources=SOURCES))
    program.chmod(0o755)
    return TEXT.replace("/usr/bin/ssh", f'"{program} -i /etc/piranha/partner.key"')


def test_what_is_asked_goes_there_and_is_judged_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = with_ssh(tmp_path)
    monkeypatch.setitem(ANSWERS, "status", PEER)

    async def work(client: Client) -> None:
        (tmp_path / "lvs.cf").write_text(text)
        asked = {"do": "config"}
        told = await client.ask("partner", VIEW, ask=asked)
        assert told["ok"], told
        assert told["result"]["digest"] == digest_of(text)
        new = text.replace("192.0.2.12", "192.0.2.13")
        write = {"do": "write", "digest": digest_of(text), "text": new, "why": "$(id); `id`"}
        refused = await client.ask("partner", OPERATE, ask=write)
        assert refused["code"] == protocol.FORBIDDEN
        attack = {**write, "text": text.replace("tell all", "tell me")}
        refused = await client.ask("partner", EDIT, ask=attack)
        assert refused["code"] == protocol.REFUSED
        assert refused["error"].startswith("the partner: notify_cmd: names a program")
        done = await client.ask("partner", EDIT, ask=write)
        assert done["result"]["serial"] == 8, done
        assert "192.0.2.13" in (tmp_path / "lvs.cf").read_text()
        again = await client.ask("partner", EDIT, ask=write)
        assert again["code"] == protocol.CONFLICT
        assert again["details"]["who"].startswith("ann@")
        for odd in (None, [], {"do": "partner"}, {"do": "login"}, {"do": "status"}):
            answer = await client.ask("partner", EDIT, ask=odd)
            assert answer["code"] == protocol.INVALID

    living(tmp_path, work, trusted=frozenset({0, os.getuid()}))
    lines = (tmp_path / "argv").read_text()
    assert "BatchMode=yes" in lines
    assert "StrictHostKeyChecking=yes" in lines
    assert "`id`" not in lines
    assert "ann" not in lines


@pytest.mark.parametrize(
    ("text", "status", "sentence"),
    [
        (TEXT, {}, "has no partner"),
        (TEXT, {"heart": {"peer": None}}, "has no partner"),
        (TEXT.replace("rsh_command = /usr/bin/ssh\n", ""), PEER, "only by an ssh that is set up"),
        (TEXT.replace("/usr/bin/ssh", "/usr/bin/rsh"), PEER, "only by an ssh that is set up"),
        (TEXT.replace("/usr/bin/ssh", "/bin/sh ssh"), PEER, "only by an ssh that is set up"),
    ],
)
def test_without_an_ssh_of_roots_nobody_is_asked(
    text: str, status: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(OutOfReach, match=sentence):
        partner.command(load(text).config, status)


def test_the_machine_is_the_one_whose_heartbeats_are_signed() -> None:
    """Not the one that the file names, which whoever edits could point elsewhere."""
    text = TEXT.replace("backup = 192.0.2.2", "backup = 203.0.113.66")
    argv = partner.command(load(text).config, PEER)
    assert argv[-4:] == ("192.0.2.2", "/usr/sbin/piranha", "editor", "--relay")
    assert argv[0] == "/usr/bin/ssh"


@pytest.mark.parametrize("out", [b"", b"{", b"[]", b'{"x": 1}', b"Permission denied"])
def test_what_is_no_answer_is_said_in_a_sentence(out: bytes) -> None:
    with pytest.raises(OutOfReach, match="the partner cannot be asked: Host key verification"):
        partner.answer(out, b"noise\nHost key verification failed.\n", 255)


def test_a_program_that_others_can_change_is_not_run(tmp_path: Path) -> None:
    program = tmp_path / "ssh"
    program.write_text("#!/bin/true\n")
    program.chmod(0o777)
    with pytest.raises(OutOfReach, match="can be written by others"):
        asyncio.run(partner.ask((str(program),), {}, frozenset({0, os.getuid()})))


def test_the_far_end_says_where_nobody_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "in").open("wb+") as file:
        file.write(json.dumps(partner.request({"do": "config"}, Actor("a", VIEW))).encode())
        file.seek(0)
        monkeypatch.setattr(sys, "stdin", type("In", (), {"buffer": file}))
        assert partner.relay(tmp_path / "gui.sock") == 1
    assert "no editor answers at" in capsys.readouterr().err
