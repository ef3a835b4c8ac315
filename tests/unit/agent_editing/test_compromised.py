# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A page that somebody has broken into, and Piranha's own holes (CVE-2013-6492, 2000-0248, -0322).

What would be run is asked of those who would run it, the agent's own readers of lvs.cf, and not of
the guard: whatever text is let through, they run nothing that root has not named.
"""

from __future__ import annotations

import io
import ipaddress
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from piranha.cli import main
from piranha.control.protocol import RequestError
from piranha.core.lvs_cf.api import load
from piranha.core.lvs_cf.config import Config
from piranha.core.lvs_cf.directives import DIRECTIVES
from piranha.editing import asking, guard
from piranha.editing.settings import Settings
from piranha.fos.settings import services
from piranha.gui import accounts
from piranha.gui.accounts import Accounts
from piranha.gui.protocol import EDIT, REQUESTS
from piranha.lvsd.layout import LayoutError, layout
from piranha.nanny.spec import ProgramCheck
from piranha.pulse.hooks import Commands

from .files import TEXT

ROOT = Path(__file__).resolve().parents[3]
FOLDER = "/etc/piranha/scripts"
CHOICE = [f"{FOLDER}/check"]
Argv = tuple[str, ...]


def would_run(config: Config) -> Iterator[Argv]:
    """Every program that the agent would run by a configuration, with its arguments.

    Addresses and ports in them are written @: which machine is checked, an editor may choose.
    """
    hooks = Commands.of(config.globals)
    yield from (*hooks.by_state.values(), hooks.notify)
    for service in services(config):
        yield from (service.start, service.stop)
        if service.watch is not None and isinstance(service.watch.check, ProgramCheck):
            yield service.watch.check.command
    if config.globals["service"] == "lvs":
        for _virtual, server in layout(config).servers():
            if isinstance(server.watch.check, ProgramCheck):
                yield server.watch.check.command
            if server.load is not None:
                yield server.load.command
                yield server.load.count or ()


def plain(argv: Argv) -> Argv:
    return tuple("@" if _is_place(word) else word for word in argv)


def _is_place(word: str) -> bool:
    try:
        ipaddress.ip_address(word)
    except ValueError:
        return word.isdigit()
    return True


ACTIVE = TEXT.replace("active = 0", "active = 1")
BEFORE = load(TEXT).config
ROOTS_OWN = {
    plain(argv)
    for text in (ACTIVE, f"service = fos\n{ACTIVE}")
    for argv in would_run(load(text).config)
}

NASTY = st.sampled_from(
    [
        "/bin/sh",
        "/bin/sh -c id",
        "/usr/local/bin/check %h",
        "/usr/local/bin/check %h; id",
        "/usr/local/bin/tell all",
        "/etc/init.d/spool stop",
        "none",
        "uptime",
        "rup",
        "ssh",
        "ssh -oProxyCommand=id",
        f"{FOLDER}/check %h",
        f"{FOLDER}/check -c",
        f"{FOLDER}/../x",
        "/etc/piranha/ca.pem",
        "/etc/shadow",
        "1",
        "0",
        "fos",
        "program",
        "$(id)",
        "-oProxyCommand=id",
        "a\\x00b",
        "é",
    ]
)
QUOTES = st.sampled_from(["{}", '"{}"', "'{}'", '"{}" # {}', "{} extra", '"{}', "{}\\"])
LINES = TEXT.splitlines()


@st.composite
def attacks(draw: st.DrawFn) -> str:
    """The file with lines of every directive and of odd shapes put in, swapped and taken out."""
    lines = list(LINES)
    for _unused in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(lines) - 1))
        what = draw(st.integers(0, 4))
        if what == 0:
            del lines[place]
        elif what == 1:
            lines.insert(place, draw(st.sampled_from(LINES)))
        elif what == 2:
            lines.insert(place, draw(st.sampled_from(["}", "virtual x {", "failover y {", "{"])))
        else:
            key = draw(st.sampled_from([row.name for row in DIRECTIVES if guard.guarded(row)]))
            sign = draw(st.sampled_from([" = ", "=", " =\t", " : "]))
            value = draw(QUOTES).replace("{}", draw(NASTY))
            lines.insert(place, f"    {key}{sign}{value}")
    return draw(st.sampled_from(["\n", "\r\n", "\r"])).join(lines)


@settings(max_examples=300)
@given(attacks())
def test_no_text_that_is_let_through_runs_anything_new(text: str) -> None:
    loaded = load(text)
    if loaded.errors or guard.refusals(BEFORE, loaded.config, CHOICE, FOLDER):
        return
    try:
        ran = {plain(argv) for argv in would_run(loaded.config)}
    except LayoutError:
        return
    new = {
        argv
        for argv in ran - ROOTS_OWN
        if argv and not (argv[0] in CHOICE and set(argv[1:]) <= {"@", "%h", "%p"})
    }
    assert not new
    files = {one.value for one in guard.named(loaded.config) if not one.row.runs}
    assert files <= {one.value for one in guard.named(BEFORE)} | {None}


def test_these_attacks_do_reach_programs() -> None:
    """The test above would see it: without the guard the same texts run what they name."""
    owned = TEXT.replace("/usr/local/bin/check %h", "/bin/sh %h")
    assert ("/bin/sh", "@") in {plain(argv) for argv in would_run(load(owned).config)}
    assert ("/bin/sh", "@") not in ROOTS_OWN
    assert ("/usr/local/bin/check", "@") in ROOTS_OWN
    assert ("/etc/init.d/spool", "start") in ROOTS_OWN


@pytest.mark.parametrize(
    "do", ["WRITE", " write", "write\0", "Write", "override", "stop", "", None]
)
def test_cve_2013_6492_there_is_no_other_way_to_ask(do: str | None) -> None:
    """Piranha asked for a password by the method GET, and let any other method in."""
    with pytest.raises(RequestError):
        asking.parse({"id": 1, "do": do, "by": {"user": "ann", "role": EDIT}})


@pytest.mark.parametrize("do", REQUESTS)
def test_cve_2013_6492_nothing_is_answered_without_a_name_and_a_role(do: str) -> None:
    for by in (None, {}, {"user": "ann"}, {"role": EDIT}, {"user": "", "role": EDIT}, [EDIT]):
        request = asking.parse({"id": 1, "do": do, "by": by})
        with pytest.raises(RequestError):
            asking.actor_of(request.arguments)
    with pytest.raises(RequestError):
        asking.actor_of(asking.parse({"id": 1, "do": do}).arguments)


def test_cve_2000_0248_there_is_no_account_that_nobody_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package of then came with the user piranha and the password q."""
    monkeypatch.setattr(accounts, "SCRYPT", (4, 1, 1))
    defaults = yaml.safe_load((ROOT / "roles/piranha_router/defaults/main.yml").read_text())
    assert defaults["piranha_router_gui"] is False
    assert defaults["piranha_router_gui_users"] == []
    assert Settings().address == "127.0.0.1"
    (tmp_path / "empty").write_text("")
    for path in (tmp_path / "absent", tmp_path / "empty"):
        page = Accounts(path)
        for name in ("piranha", "root", "admin", ""):
            for password in ("q", "", "piranha", "admin"):
                assert page.login(name, password) is None
        assert page.token("") is None
    with pytest.raises(accounts.AccountError):
        accounts.added([], "piranha", EDIT, "q")


HOSTILE = "$(touch owned); `touch owned` | touch owned & '\"\\ %s {{ 1 }}"


def test_cve_2000_0322_a_password_reaches_a_hash_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The form for passwords of then gave what was typed into it to a shell."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(accounts, "SCRYPT", (4, 1, 1))
    monkeypatch.setattr(sys, "stdin", io.StringIO(HOSTILE + "\n"))
    assert main(["passwd", "--file", "users", "add", "ann", "--role", "edit", "--stdin"]) == 0
    assert Accounts(Path("users")).login("ann", HOSTILE) == EDIT
    assert Accounts(Path("users")).login("ann", HOSTILE[:-1]) is None
    assert HOSTILE not in Path("users").read_text()
    for name in ("ann;touch owned", "$(touch owned)", "../ann", "a\nuser x edit y", "-rf"):
        with pytest.raises(accounts.AccountError):
            accounts.added([], name, EDIT, HOSTILE)
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps([{"name": HOSTILE, "password": "x"}])))
    assert main(["passwd", "--file", "users", "sync"]) == 1
    assert not Path("owned").exists()
    assert HOSTILE not in capsys.readouterr().out
