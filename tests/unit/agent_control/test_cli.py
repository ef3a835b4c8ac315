# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: what it shows, its exit statuses, and that it says one sentence, never more."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
from piranha import cli, cli_docs, switch_cli
from piranha.control import render
from piranha.control.client import Client

from .test_supervisor import Pulse, pulse, soon

__all__ = ["pulse"]  # the fixture

ROOT = Path(__file__).resolve().parents[3]

NOW = 1_800_000_000.0

STATUS: dict[str, Any] = {
    "host": "lvs1",
    "version": "0.1.0",
    "heart": {
        "role": "primary",
        "state": "active",
        "since": NOW - 240,
        "reason": "no partner was heard",
        "peer": {"address": "192.0.2.2", "state": "down", "heard": NOW - 7200},
        "addresses": [{"address": "192.0.2.10/24", "device": "eth0"}],
        "witnesses": [
            {
                "witness": "gateway",
                "address": "192.0.2.254",
                "up": True,
                "heard": NOW - 1,
                "asking": "ok",
            },
            {
                "witness": "192.0.2.50",
                "address": "192.0.2.50",
                "up": False,
                "heard": None,
                "asking": "Network is unreachable",
            },
        ],
        "problems": [],
    },
    "lvsd": {
        "virtual": [
            {
                "name": "web",
                "address": "2001:db8::10",
                "port": 80,
                "protocol": "tcp",
                "scheduler": "wlc",
                "forward": "nat",
                "in_service": 1,
                "servers": [
                    {
                        "name": "a",
                        "address": "192.0.2.21",
                        "port": 80,
                        "state": "up",
                        "weight": 2,
                        "configured_weight": 5,
                        "reason": "connected",
                        "since": NOW - 90,
                        "last_check": {
                            "at": NOW - 1,
                            "seconds": 0.0021,
                            "answer": "connected",
                            "warning": "the certificate expires in 3.1 days",
                        },
                        "load": {
                            "counted_at": NOW - 1,
                            "active": 12,
                            "inactive": 340,
                            "connection_rate": 7,
                            "byte_rate_in": 1234,
                            "byte_rate_out": 35_600_000,
                        },
                    },
                    {
                        "name": "b",
                        "address": "192.0.2.22",
                        "port": 80,
                        "state": "down",
                        "weight": None,
                        "configured_weight": 5,
                        "reason": "connection refused",
                        "since": NOW - 3,
                        "load": {"counted_at": NOW - 60, "active": 0},
                    },
                ],
            }
        ],
        "config": {"ok": True, "digest": "0123456789abcdef" * 4},
        "table": {"ok": True, "drifts": 2},
        "checks": 2,
        "overrides": 1,
        "overrides_unused": ["192.0.2.9 in every virtual service"],
    },
    "ages": {"heart": 0.2, "lvsd": 0.4},
    "pulse": {
        "uptime": 8000,
        "running": {"heart": True, "lvsd": True},
        "restarts": {"heart": 0, "lvsd": 2},
    },
}


def test_status_answers_what_an_operator_asks() -> None:
    text = "\n".join(render.status(STATUS, now=NOW))
    for wanted in (
        "lvs1 (primary)",
        "ACTIVE (since 4 min): no partner was heard",
        "192.0.2.2 DOWN (heard 2 h ago)",
        "192.0.2.10/24 eth0",
        "witness    192.0.2.254 (gateway) UP (heard 1.0 s ago)",
        "192.0.2.50 DOWN (never heard); cannot be asked: Network is unreachable",
        "0.1.0, up 2 h, restarted: lvsd 2",
        "web (tcp [2001:db8::10]:80)  wlc nat  1 of 2 in service",
        "digest 0123456789ab, 2 checks, table repaired 2 times, orders of operators: 1, "
        "an order waits for 192.0.2.9 in every virtual service, which is not in force",
        "server  address        state  weight  active          inact  new/s  in/s   out/s  checked",
        "a       192.0.2.21:80  UP     2 of 5  12              340    7      1.23k  35.6M  2.1 ms",
        "b       192.0.2.22:80  DOWN   - of 5  0 (60.0 s ago)  -      -      -      -      never",
        "connected; the certificate expires in 3.1 days (since 90.0 s)",
        "connection refused (since 3.0 s)",
    ):
        assert wanted in text
    assert "\033" not in text
    assert render.problems(STATUS) == []


def test_colours_do_not_move_columns() -> None:
    plain = render.status(STATUS, now=NOW)
    coloured = render.status(STATUS, colour=True, now=NOW)
    assert coloured != plain
    for code in (render.RED, render.GREEN, render.YELLOW, render.BOLD, render.PLAIN):
        coloured = [line.replace(code, "") for line in coloured]
    assert coloured == plain


def changed(**parts: object) -> dict[str, Any]:
    return {**json.loads(json.dumps(STATUS)), **parts}


def pool(**parts: object) -> dict[str, Any]:
    """A status with one virtual service whose pool stands so."""
    return changed(lvsd={"virtual": [{**STATUS["lvsd"]["virtual"][0], **parts}]})


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (changed(pulse={"running": {"heart": False, "lvsd": True}}), "heart is not running"),
        (changed(lvsd=None), "lvsd has not said anything yet"),
        (changed(ages={"heart": 100, "lvsd": 0}), "heart was last heard 100 s ago"),
        (
            changed(heart={"problems": ["heartbeats with a wrong key come from 192.0.2.2"]}),
            "wrong key",
        ),
        (changed(lvsd={"problems": ["this kernel has no IPVS"]}), "this kernel has no IPVS"),
        (
            changed(
                lvsd={"virtual": [{**STATUS["lvsd"]["virtual"][0], "in_service": 0}]},
            ),
            "virtual service web (tcp [2001:db8::10]:80) has no real server in service",
        ),
        (
            pool(well=1, quorum=2, pool="open", in_service=3),
            "has 1 of the 2 servers of its quorum (fail_open keeps those whose checks fail)",
        ),
        (
            pool(well=1, quorum=2, pool="sorry", in_service=0, sorry={"serves": True}),
            "has 1 of the 2 servers of its quorum (the sorry server serves)",
        ),
        (pool(well=1, quorum=2, pool="short", in_service=1), "1 of the 2 servers of its quorum"),
    ],
)
def test_what_is_wrong_is_said(found: dict[str, Any], sentence: str) -> None:
    assert any(sentence in line for line in render.problems(found))
    assert any(sentence in line for line in render.status(found, now=NOW))


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"heart": None, "lvsd": None},
        {"heart": {"state": None, "peer": None, "addresses": None, "problems": None}},
        {"lvsd": {"virtual": [{}, {"servers": [{}]}, None]}},
        {"pulse": {}, "ages": {}},
    ],
)
def test_a_snapshot_of_another_version_is_shown_as_far_as_it_goes(found: dict[str, Any]) -> None:
    assert render.status(found, colour=True)


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("status", "events", "reload", "drain", "weight", "config", "pulse", "release"):
        with pytest.raises(SystemExit) as ended:
            cli.main([name, "--help"])
        assert ended.value.code == 0
        assert len(capsys.readouterr().out.splitlines()) > 3


@pytest.mark.parametrize("words", [[], ["stauts"], ["status", "--jsno"], ["events", "extra"]])
def test_wrong_use_is_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    assert "usage: piranha" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["status"], ["events"], ["events", "-f"], ["reload"]])
def test_without_pulse_it_says_so_and_what_to_do(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*words, "--run-dir", str(tmp_path)]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert len(output.err.splitlines()) == 1
    assert "systemctl start piranha-pulse" in output.err


def test_config_commands_need_only_the_standard_library(tmp_path: Path) -> None:
    path = tmp_path / "lvs.cf"
    path.write_text("primary = 192.0.2.1\n", encoding="utf-8")
    code = (
        "import sys; sys.modules['pyroute2'] = None; sys.path.insert(0, sys.argv[1]); "
        "from piranha.cli import main; status = main(['config', 'check', sys.argv[2]]); "
        "loaded = [m for m in sys.modules if m.startswith(('piranha.pulse', 'piranha.lvsd'))]; "
        "sys.exit(9 if loaded or 'asyncio' in sys.modules else status)"
    )
    source = str(ROOT / "files/piranha-agent/src")
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, source, str(path)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    assert done.stderr == ""


def test_a_running_pulse_is_shown_and_reloaded(
    pulse: Pulse, capsys: pytest.CaptureFixture[str]
) -> None:
    pulse.up()
    here = ["--run-dir", str(pulse.run_dir)]
    assert cli.main(["status", *here]) == 0
    assert "up 0." in capsys.readouterr().out
    assert cli.main(["status", "--json", *here]) == 0
    assert json.loads(capsys.readouterr().out)["pulse"]["running"] == {"heart": True, "lvsd": True}
    assert cli.main(["reload", *here]) == 0
    pulse.config.write_text("keepalife = 1\n", encoding="utf-8")
    assert cli.main(["reload", *here]) == 1
    assert "lvs.cf:1:1:" in capsys.readouterr().err
    assert cli.main(["events", *here]) == 0
    assert "was reloaded" in capsys.readouterr().out


def test_events_follow_until_pulse_ends(pulse: Pulse) -> None:
    pulse.up()
    argv = [sys.executable, "-m", "piranha", "events", "-f", "--json"]
    env = dict(os.environ, PYTHONPATH=str(ROOT / "files/piranha-agent/src"))
    with subprocess.Popen(
        [*argv, "--run-dir", str(pulse.run_dir)],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as follower:
        assert follower.stdout is not None
        assert json.loads(follower.stdout.readline())["text"].startswith("pulse 0")
        os.kill(pulse.pulse_of()["pids"]["lvsd"], signal.SIGKILL)
        soon(lambda: pulse.pulse_of()["restarts"]["lvsd"] == 1)
        time.sleep(0.1)
        pulse.signal(signal.SIGTERM)
        output, errors = follower.communicate(timeout=10)
    assert "lvsd was ended by SIGKILL" in output
    assert "pulse is stopping" in output
    assert errors == "piranha: pulse has ended\n"
    assert follower.returncode == 2


def test_a_reader_that_has_seen_enough_is_no_error(pulse: Pulse) -> None:
    pulse.up()
    code = "import sys; from piranha.cli import main; sys.exit(main(sys.argv[1:]))"
    env = dict(os.environ, PYTHONPATH=str(ROOT / "files/piranha-agent/src"))
    argv = [sys.executable, "-c", code, "events", "-f", "--run-dir", str(pulse.run_dir)]
    with subprocess.Popen(
        argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as follower:
        assert follower.stdout is not None
        follower.stdout.readline()
        follower.stdout.close()
        os.kill(pulse.pulse_of()["pids"]["lvsd"], signal.SIGKILL)
        assert follower.wait(10) == 0
        assert follower.stderr is not None
        assert follower.stderr.read() == ""


def completed(tmp_path: Path, *words: str, name: str = "piranha") -> set[str]:
    """Give what bash offers for the last of the words."""
    script = tmp_path / "completion"
    script.write_text(cli_docs.completion(cli.parser()), encoding="utf-8")
    code = (
        '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1));'
        ' eval "$(complete -p "$1" | sed -E "s/.* -F ([^ ]+) .*/\\\\1/")"; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", code, "bash", str(script), name, *words],
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    return set(done.stdout.split())


def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    assert completed(tmp_path, "sta") == {"status"}
    assert completed(tmp_path, "status", "--") == {"--help", "--json", "--run-dir", "--watch"}
    assert "check" in completed(tmp_path, "config", "")
    assert completed(tmp_path, "events", "--follow", "--j") == {"--json"}
    assert completed(tmp_path, "passwd", "add", "ann", "--role", "") == {"view", "operate", "edit"}


def test_bash_completes_the_command_that_has_a_name_of_its_own(tmp_path: Path) -> None:
    name = "piranha-passwd"
    assert completed(tmp_path, "to", name=name) == {"token"}
    assert completed(tmp_path, "add", "ann", "--r", name=name) == {"--role"}
    assert completed(tmp_path, "add", "ann", "--role", "o", name=name) == {"operate"}
    assert completed(tmp_path, "", name=name) == completed(tmp_path, "passwd", "")


def test_the_manual_knows_every_command() -> None:
    text = cli_docs.manual(cli.parser(), "0.1.0")
    for words, parser in cli_docs.commands(cli.parser()):
        if words != "config":
            assert rf"\fB{parser.prog}" in text.replace(r"\-", "-"), words
    assert not [line for line in text.splitlines() if not line.strip()]


def test_a_service_whose_packets_the_agent_marks_says_which_they_are() -> None:
    rules = [
        {"address": "203.0.113.100", "protocol": "tcp", "port": port, "mark": 7}
        for port in (80, 443)
    ]
    rules.append({"address": "2001:db8::1", "protocol": "udp", "port": 0, "mark": 7})
    server = {"name": "a", "address": "192.0.2.21", "port": 0, "state": "UP"}
    shop = {"name": "shop", "fwmark": 7, "marks": rules, "in_service": 1, "servers": [server]}
    marking = {"ok": True, "error": None, "by": "nft", "rules": 3, "repairs": 2}
    lvsd = {"virtual": [shop], "marking": marking, "problems": []}
    text = "\n".join(render.status({"lvsd": lvsd}))
    assert "shop (firewall mark 7 for tcp 203.0.113.100:80,443 for udp [2001:db8::1]:*)" in text
    assert " 192.0.2.21:* " in text
    assert "packets marked by nft (3 rules), marking repaired 2 times" in text
    marking.update(ok=False, error="packets are not marked: so", by=None, rules=0)
    lvsd["problems"] = [marking["error"]]
    text = "\n".join(render.status({"lvsd": lvsd}))
    assert "packets marked by nothing" in text
    assert "! packets are not marked: so" in text


@pytest.mark.parametrize(
    ("heart", "said", "status"),
    [
        (
            {"state": "standby", "peer": {"state": "active", "address": "192.0.2.12"}},
            "192.0.2.12 has taken over; this router is standby",
            0,
        ),
        (
            {"state": "active", "holding": True, "peer": {"state": "standby", "address": "b"}},
            "piranha: b did not take over; this router has the addresses",
            1,
        ),
        (
            {"state": "yielded", "peer": {"state": "standby", "address": "b"}},
            "piranha: this router is yielded, and b standby; see piranha status",
            1,
        ),
        ({}, "piranha: this router is unknown, and the partner unknown; see piranha status", 1),
    ],
)
def test_what_became_of_a_switchover(heart: dict[str, Any], said: str, status: int) -> None:
    assert switch_cli.outcome(heart) == (said, status)


def of_groups(moving: str = "", **here: tuple[str, str]) -> dict[str, Any]:
    """Give a status: for each group this router's state and the partner's; "_" has no name."""
    groups = [
        {
            "name": name.replace("_", ""),
            "state": mine,
            "holding": mine == "active",
            "partner": partner,
        }
        for name, (mine, partner) in here.items()
    ]
    fos = [{"name": one["name"], "moving": moving} for one in groups]
    heart = {"groups": groups, "peer": {"address": "192.0.2.12"}}
    return {"heart": heart, "fos": {"groups": fos}}


def test_what_became_of_a_switchover_of_failover_services() -> None:
    both = of_groups(_=("standby", "active"), db=("standby", "active"))
    assert switch_cli.moved(both, ["db"]) == ("192.0.2.12 has group db now", 0)
    assert switch_cli.moved(both, [""]) == ("192.0.2.12 has the failover services now", 0)
    said, status = switch_cli.moved(both, ["", "db"])
    assert (said, status) == ("192.0.2.12 has group db and the services without a group now", 0)
    stayed = of_groups(_=("standby", "active"), db=("active", "standby"))
    said, status = switch_cli.moved(stayed, ["", "db"])
    assert (said, status) == ("piranha: group db stayed here; see piranha status", 1)
    nobody = of_groups(db=("standby", "fault"))
    assert switch_cli.moved(nobody, ["db"])[1] == 1


def test_a_switchover_of_failover_services_is_waited_for() -> None:
    assert switch_cli.under_way(of_groups("asked", db=("active", "standby")), ["db"])
    assert switch_cli.under_way(of_groups(db=("yielded", "down")), ["db"])
    assert switch_cli.under_way(of_groups(db=("standby", "standby")), ["db"])
    assert not switch_cli.under_way(of_groups(db=("standby", "active")), ["db"])
    assert not switch_cli.under_way(of_groups(db=("active", "standby")), ["db"]), "it stayed"
    assert not switch_cli.under_way(of_groups("asked", db=("active", "standby")), ["web"])

    class Told:
        """A pulse that has moved it at the second look."""

        asked: ClassVar[list[tuple[str, dict[str, object]]]] = []
        looks = iter(
            [of_groups("x", db=("active", "standby")), of_groups(db=("standby", "active"))]
        )

        def ask(self, do: str, **more: object) -> dict[str, Any]:
            self.asked.append((do, more))
            return next(self.looks) if do == "status" else {"groups": ["db"], "limit": 3.0}

    assert switch_cli.switch(cast(Client, Told()), "db") == 0
    assert [do for do, _unused in Told.asked] == ["switchover", "status", "status"]
    assert Told.asked[0][1] == {"group": "db"}
