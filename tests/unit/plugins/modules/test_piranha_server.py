# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module piranha_server against a socket that keeps orders as lvsd does."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils._module import agent_socket
from ansible_collections.piranha.lvs.plugins.modules import piranha_server as subject

from .running import run

ENABLED = {"mode": "enabled", "weight": 1, "weight_is": "configured", "reason": None}


class Router:
    """One real server in one service; ``left`` is what each look at its connections gives."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "control.sock"
        self.said: dict[str, Any] = dict(ENABLED)
        self.asked: list[dict[str, Any]] = []
        self.left: list[dict[str, int]] = [{}]
        self.states = ["UP"]
        self.check_age: float | None = None
        self.error = ""
        self.raw = b""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self.path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._socket.close()

    def _run(self) -> None:
        while True:
            try:
                client, _address = self._socket.accept()
            except OSError:
                return
            with client, client.makefile("rwb") as lines:
                for line in lines:
                    lines.write(self.raw or self._answer(json.loads(line)))
                    lines.flush()
                    if self.raw:
                        break

    def _answer(self, asked: dict[str, Any]) -> bytes:
        self.asked.append(asked)
        answer: dict[str, Any] = {"id": asked["id"], "ok": True}
        if self.error:
            answer.update(ok=False, error=self.error)
        elif asked["do"] == "servers":
            left = self.left.pop(0) if len(self.left) > 1 else self.left[0]
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            reason = "" if state == "UP" else "connection refused"
            one: dict[str, Any] = {"virtual": "web", "health": state, "reason": reason}
            if self.check_age is not None:
                one["last_check"] = {"at": time.time() - self.check_age + len(self.asked)}
            answer["result"] = {"servers": [one], "left": left}
        else:
            answer["result"] = self._order(asked)
        event = {"id": 99, "event": {"text": "news that nobody asked for"}}
        return b"".join(json.dumps(one).encode() + b"\n" for one in (event, answer))

    def _order(self, asked: dict[str, Any]) -> dict[str, Any]:
        before, after = dict(self.said), dict(self.said)
        if asked["mode"] is not None:
            after["mode"] = asked["mode"]
        if asked["weight"] is not None:
            ordered = asked["weight"] != "configured"
            after.update(weight=asked["weight"] if ordered else 1)
            after.update(weight_is="ordered" if ordered else "configured")
        after["reason"] = asked["reason"] or after["reason"]
        if not asked["dry_run"]:
            self.said = after
        one = {"virtual": "web", "server": "one", "address": "192.0.2.21", "port": 80}
        return {
            "changed": before != after,
            "servers": [{**one, "before": before, "after": after}],
            "warnings": ["virtual service web has no real server in service"]
            if after["mode"] != "enabled"
            else [],
        }


@pytest.fixture
def router(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Router]:
    monkeypatch.setattr(subject.time, "sleep", lambda seconds: None)
    made = Router(tmp_path)
    yield made
    made.close()


def order(router: Router, **options: Any) -> Any:
    check = options.pop("check", False)
    given = {"server": "one", "control_socket": str(router.path), **options}
    return run(subject, check=check, diff=True, **given)


def test_an_order_is_given_once(router: Router) -> None:
    first = order(router, state="drained", reason="disk")
    assert first["changed"] is True
    assert router.said["mode"] == "drained"
    assert first["diff"]["before"] == "web 192.0.2.21:80 enabled weight 1 (configured)\n"
    assert first["diff"]["after"] == "web 192.0.2.21:80 drained weight 1 (configured): disk\n"
    assert first["warnings"] == ["virtual service web has no real server in service"]
    assert order(router, state="drained", reason="disk")["changed"] is False
    assert order(router, weight="7")["servers"][0]["after"]["weight"] == 7
    back = order(router, weight="configured", state="enabled")
    assert back["servers"][0]["after"]["weight_is"] == "configured"
    assert "by" not in router.asked[0]


def test_check_mode_asks_and_changes_nothing(router: Router) -> None:
    told = order(router, state="disabled", check=True)
    assert told["changed"] is True
    assert told["servers"][0]["after"]["mode"] == "disabled"
    assert router.said == ENABLED
    assert router.asked[0]["dry_run"] is True
    assert order(router, state="drained", wait=True, check=True)["drained"] is None
    assert [asked["do"] for asked in router.asked] == ["override", "override"]


def test_it_waits_for_the_last_connection(router: Router) -> None:
    router.left = [{"active": 2}, {"active": 1}, {}]
    told = order(router, state="drained", wait=True, virtual="web", by="anna")
    assert (told["failed"], told["drained"], told["left"]) == (False, True, {})
    assert [asked["do"] for asked in router.asked] == ["override", *["servers"] * 3]
    assert {asked["virtual"] for asked in router.asked} == {"web"}
    assert router.asked[0]["by"] == "anna"


def test_when_the_time_is_up_it_fails_and_the_server_stays_drained(router: Router) -> None:
    router.left = [{"active": 2, "persistent": 1}]
    told = order(router, state="drained", wait=True, timeout=0)
    assert told["failed"] is True
    assert "not drained after 0 s, 2 active and 1 persistent connections are left" in told["msg"]
    assert (told["drained"], router.said["mode"]) == (False, "drained")


def test_it_returns_once_the_checks_say_up(router: Router) -> None:
    router.said["mode"] = "drained"
    router.states = ["DOWN", "STARTING", "UP"]
    told = order(router, state="enabled", wait=True)
    assert (told["failed"], told["up"], told["not_up"]) == (False, True, {})
    assert [asked["do"] for asked in router.asked] == [*["servers"] * 3, "override"]
    assert router.said["mode"] == "enabled"
    assert order(router, state="enabled", wait=True, check=True)["up"] is None


def test_a_check_from_before_says_nothing(router: Router) -> None:
    router.check_age = 2.5  # and a second younger at each look
    assert order(router, state="enabled", wait=True)["up"] is True
    assert [asked["do"] for asked in router.asked] == [*["servers"] * 3, "override"]


def test_a_server_that_does_not_come_back_is_told_with_the_reason(router: Router) -> None:
    router.said["mode"] = "drained"
    router.states = ["DOWN"]
    told = order(router, state="enabled", wait=True, timeout=0)
    assert (told["failed"], told["up"]) == (True, False)
    assert "could not serve after 0 s: web DOWN (connection refused); it stays as" in told["msg"]
    assert router.said["mode"] == "drained"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "one of the following is required: state, weight"),
        ({"weight": "heavy"}, "'heavy' is no weight; give 0 to 65535, or configured"),
        ({"state": "disabled", "wait": True}, "wait needs state: drained or enabled"),
        ({"state": "drained", "interval": 0}, "interval at least 1 second"),
        ({"state": "up"}, "value of state must be one of"),
    ],
)
def test_wrong_options_are_told_before_anybody_is_asked(
    router: Router, options: dict[str, Any], sentence: str
) -> None:
    told = order(router, **options)
    assert told["failed"] is True
    assert sentence in told["msg"]
    assert router.asked == []


def test_a_refusal_is_told_as_it_is(router: Router) -> None:
    router.error = "lvsd: there is no real server oen in force; did you mean one?"
    assert order(router, state="drained")["msg"] == router.error


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"HTTP/1.1 400\n", "does not speak as the agent does"),
        (b"[1]\n", "does not speak as the agent does"),
        (b'{"id": 1, "ok": true}\n', "gave an answer without a result"),
        (b'{"id": 1', "closed the connection"),
    ],
)
def test_what_is_no_agent_is_told(router: Router, raw: bytes, sentence: str) -> None:
    router.raw = raw
    assert sentence in order(router, state="drained")["msg"]


def test_nobody_there(tmp_path: Path) -> None:
    told = run(subject, server="one", state="drained", control_socket=str(tmp_path / "none"))
    assert told["failed"] is True
    assert "the agent does not run" in told["msg"]
    assert "systemctl start piranha-pulse" in told["msg"]


def test_an_agent_that_says_nothing_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "sock"))
        silent.listen()
        agent = agent_socket.Agent(str(tmp_path / "sock"), patience=0.05)
        with agent, pytest.raises(agent_socket.AgentError, match=r"not answer within 0\.05 s"):
            agent.ask("override", {})
