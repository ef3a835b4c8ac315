# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts of the web page, and the command that root manages them by."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from piranha.cli import main
from piranha.gui import accounts
from piranha.gui.accounts import AccountError, Accounts
from piranha.gui.protocol import EDIT, OPERATE, VIEW

GOOD = "correct horse"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes that take no time; what they cost for real has a test of its own."""
    monkeypatch.setattr(accounts, "SCRYPT", (4, 1, 1))
    monkeypatch.setattr(accounts, "ROUNDS", 10)


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, str, str]]]:
    def command(*words: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        status = main(["passwd", "--file", str(tmp_path / "users"), *words])
        told = capsys.readouterr()
        return status, told.out, told.err

    yield command


def test_the_real_cost_is_what_the_advice_says() -> None:
    """hashlib itself, with the numbers of the file as it is."""
    log_n, r, p = 15, 8, 3
    stored = accounts.hashed(GOOD).split(":")
    assert stored[0] == "scrypt"
    made = hashlib.scrypt(
        GOOD.encode(), salt=b"0" * 16, n=1 << log_n, r=r, p=p, maxmem=1 << 26, dklen=32
    )
    text = f"scrypt:{log_n}:{r}:{p}:{accounts._text(b'0' * 16)}:{accounts._text(made)}"
    assert accounts.fits(GOOD, text)
    assert not accounts.fits(GOOD + "x", text)


def test_the_numbers_that_are_used_are_those() -> None:
    source = Path(accounts.__file__).read_text(encoding="utf-8")
    assert "SCRYPT = (15, 8, 3)" in source
    assert "ROUNDS = 600_000" in source


def test_without_scrypt_it_is_pbkdf2(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_unused: object, **_none: object) -> bytes:
        raise ValueError("[digital envelope routines] unsupported")

    monkeypatch.setattr(hashlib, "scrypt", forbidden)
    stored = accounts.hashed(GOOD)
    assert stored.startswith("pbkdf2:10:")
    assert accounts.fits(GOOD, stored)
    assert not accounts.fits("wrong password", stored)
    assert not accounts.fits(GOOD, "scrypt:4:1:1:AAAA:AAAA")


@pytest.mark.parametrize(
    "stored",
    ["", "x", "scrypt", "scrypt:99:8:1:AAAA:AAAA", "scrypt:a:b:c:d:e", "pbkdf2:1:?:?", "md5:a:b"],
)
def test_a_hash_that_is_none_lets_nobody_in(stored: str) -> None:
    assert not accounts.fits(GOOD, stored)
    assert not accounts.fits("", stored)


def test_two_users_with_one_password_have_two_hashes() -> None:
    assert accounts.hashed(GOOD) != accounts.hashed(GOOD)


def test_the_page_knows_who_is_who(tmp_path: Path) -> None:
    path = tmp_path / "users"
    page = Accounts(path)
    assert page.login("ann", GOOD) is None
    assert "No such file" in page.trouble
    token = accounts.new_token()
    made = accounts.added([], "ann", EDIT, GOOD)
    made = accounts.with_token(made, "nagios", VIEW, token)
    path.write_text(accounts.write(made))
    assert page.login("ann", GOOD) == EDIT
    assert page.trouble == ""
    assert page.login("ann", GOOD + "x") is None
    assert page.login("ann", "") is None
    assert page.login("nagios", token) is None
    assert page.token(token) == ("nagios", VIEW)
    assert page.token("") is page.token(token + "x") is None
    assert token not in path.read_text()
    assert GOOD not in path.read_text()
    # A hash read out of the file is no password and no token.
    for one in made:
        assert page.login("ann", one.hash) is None
        assert page.token(one.hash) is None
    path.write_text(accounts.write(accounts.with_role(made, "ann", VIEW)))
    os.utime(path, (1, 1))
    assert page.role("ann") == VIEW
    path.write_text(accounts.write(accounts.deleted(made, "ann")))
    os.utime(path, (2, 2))
    assert page.role("ann") is page.login("ann", GOOD) is None
    path.write_text("user ann edit\n")
    os.utime(path, (3, 3))
    assert page.token(token) is None
    assert "line 1 is no account" in page.trouble


def test_the_command_from_first_to_last(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    assert run("list") == (0, "", "")
    assert run("add", "ann", "--role", "edit", "--stdin", stdin=GOOD + "\n")[0] == 0
    status, out, _err = run("token", "nagios", "--role", "operate")
    token = out.strip()
    assert (status, token[:8]) == (0, "piranha_")
    assert run("list")[1] == "user  edit    ann\ntoken operate nagios\n"
    assert (tmp_path / "users").stat().st_mode & 0o007 == 0
    page = Accounts(tmp_path / "users")
    assert page.login("ann", GOOD) == EDIT
    assert page.token(token) == ("nagios", OPERATE)
    assert run("change", "ann", "--stdin", stdin="battery staple\n")[0] == 0
    assert page.login("ann", GOOD) is None
    assert page.login("ann", "battery staple") == EDIT
    assert run("role", "nagios", "--role", "view")[0] == 0
    assert page.token(token) == ("nagios", VIEW)
    assert run("delete", "ann")[0] == 0
    assert run("list")[1] == "token view    nagios\n"


@pytest.mark.parametrize(
    ("words", "stdin", "status", "sentence"),
    [
        (["add", "ann"], "", 2, "no terminal"),
        (["add", "ann", "--stdin"], "short\n", 1, "10 to 256 characters"),
        (["add", "ann", "--stdin"], "aaaaaaaaaaaa\n", 1, "would be guessed"),
        (["add", "-x/../y", "--stdin"], GOOD, 1, "is no name"),
        (["add", "../x", "--stdin"], GOOD, 1, "is no name"),
        (["add", "a b", "--stdin"], GOOD, 1, "is no name"),
        (["change", "bob", "--stdin"], GOOD, 1, "there is no account 'bob'"),
        (["delete", "bob"], "", 1, "there are: none"),
        (["role", "bob"], "", 2, "role needs --role"),
        (["add"], "", 2, "needs the name"),
        (["sync"], "{}", 0, ""),
        (["sync"], "[1]", 2, "must be a JSON list"),
        (["sync"], '[{"name": "a", "password": 1}]', 2, "must be a JSON list"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    run: Callable[..., tuple[int, str, str]],
    words: list[str],
    stdin: str,
    status: int,
    sentence: str,
    tmp_path: Path,
) -> None:
    words = ["--", *words] if any(word.startswith("-x") for word in words) else words
    if words[0] == "--":
        words = ["--stdin", "--", "add", "-x/../y"]
    found, _out, err = run(*words, stdin=stdin)
    assert (found, sentence in err) == (status, True)
    assert not (tmp_path / "users").exists()
    assert err.count("\n") <= 1


def test_a_password_on_the_command_line_is_not_repeated(
    run: Callable[..., tuple[int, str, str]],
) -> None:
    """Piranha's own piranha-passwd took it there."""
    status, out, err = run("Sesame-open-1")
    assert status == 2
    assert "do not use it any more" in err
    assert "Sesame" not in out + err


def test_users_of_the_inventory_are_made_once(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    wanted = json.dumps(
        [{"name": "ann", "role": "edit", "password": GOOD}, {"name": "bob", "password": GOOD}]
    )
    run("token", "nagios")
    assert run("sync", "-n", stdin=wanted)[1] == "would change\n"
    assert run("sync", stdin=wanted)[1] == "changed\n"
    before = (tmp_path / "users").read_bytes()
    assert run("sync", stdin=wanted)[1] == "same\n"
    assert (tmp_path / "users").read_bytes() == before
    assert run("sync", stdin="[]")[1] == "changed\n"
    assert run("list")[1] == "token view    nagios\n"


def test_at_a_terminal_it_is_asked_for_twice_and_not_shown(tmp_path: Path) -> None:
    """The real command at a real terminal."""
    ours, theirs = pty.openpty()
    code = "import sys; from piranha.cli import main; sys.exit(main(sys.argv[1:]))"
    argv = [sys.executable, "-c", code, "passwd", "--file", str(tmp_path / "users"), "add", "ann"]
    root = Path(accounts.__file__).parents[2]
    process = subprocess.Popen(
        argv,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "PYTHONPATH": str(root)},
        start_new_session=True,
        preexec_fn=lambda: os.login_tty(theirs) if hasattr(os, "login_tty") else None,  # noqa: PLW1509
    )
    os.close(theirs)
    told = b""
    for question in (b"Password: ", b"Once more: "):
        while question not in told:
            told += os.read(ours, 1024)
        os.write(ours, GOOD.encode() + b"\n")
    assert process.wait(20) == 0
    told += os.read(ours, 1024)
    os.close(ours)
    assert GOOD.encode() not in told
    assert (tmp_path / "users").read_text().count("user ann view scrypt:15:8:3:") == 1


def test_the_name_of_old_leads_to_it() -> None:
    from piranha.old_cli import called_as

    assert called_as("/usr/sbin/piranha-passwd") == ["passwd"]
    assert called_as("/usr/sbin/piranha_gui") == ["gui"]


def test_a_file_twice_with_one_name_is_refused() -> None:
    text = accounts.write(accounts.added([], "ann", EDIT, GOOD))
    with pytest.raises(AccountError, match="line 3: ann stands there twice"):
        accounts.read(text + text.splitlines()[1] + "\n")
