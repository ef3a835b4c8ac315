# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What operators order: rules, whom they reach, what a restart finds, what is refused."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from piranha.core.ipvs.model import Server, ServerKey, Table
from piranha.lvsd import orders, overrides
from piranha.lvsd.desired import desired
from piranha.lvsd.health import Health
from piranha.lvsd.kept import STATE_DIR, Kept, KeptError, state_dir
from piranha.lvsd.layout import Layout
from piranha.lvsd.orders import Refused
from piranha.lvsd.overrides import Rules
from piranha.lvsd.pool import Ordered
from piranha.nanny.verdict import State

from .support import GLOBALS, WEB, made, verdicts

MAIL = WEB.replace("virtual web", "virtual mail").replace("port = 80", "port = 25")
TEXT = GLOBALS + WEB + MAIL
LAYOUT = made(TEXT)
ONE, TWO = "192.0.2.21", "192.0.2.22"


def order(rules: Rules, layout: Layout = LAYOUT, **arguments: Any) -> Rules:
    """The rules after one more order."""
    return outcome(rules, layout, **arguments).rules


def outcome(rules: Rules, layout: Layout = LAYOUT, **arguments: Any) -> orders.Outcome:
    wanted = orders.read({"by": "anna", "reason": "disk", **arguments}, 100.0, "root")
    return orders.decide(layout, rules, wanted)


def weights(rules: Rules, layout: Layout = LAYOUT, states: str = "UUUU") -> list[list[int | None]]:
    """Weights of the servers of each service in the table; None is out of it."""
    said = overrides.imposed(rules, [server.id for _unused, server in layout.servers()])
    table = desired(layout, verdicts(layout, states), overrides.orders(said))
    return [
        [
            table.servers(virtual.key)[real.id.server].weight
            if real.id.server in table.servers(virtual.key)
            else None
            for real in virtual.servers
        ]
        for virtual in layout.virtual
    ]


def test_drain_disable_weight_and_back() -> None:
    assert weights(Rules()) == [[1, 3], [1, 3]]
    drained = order(Rules(), server="two", mode="drained")
    assert weights(drained) == [[1, 0], [1, 0]]
    disabled = order(drained, server=TWO, mode="disabled")
    assert weights(disabled) == [[1, None], [1, None]]
    heavy = order(disabled, server=TWO, weight=9)
    assert weights(heavy) == [[1, None], [1, None]]
    enabled = order(heavy, server=TWO, mode="enabled")
    assert weights(enabled) == [[1, 9], [1, 9]]
    assert order(enabled, server="two", weight="configured") == Rules()


def test_one_service_or_all() -> None:
    web = order(Rules(), server="one", virtual="web", mode="drained")
    assert weights(web) == [[0, 3], [1, 3]]
    everywhere = order(web, server="one", mode="disabled")
    assert weights(everywhere) == [[None, 3], [None, 3]]
    but_mail = order(everywhere, server="one", virtual="mail", mode="enabled")
    assert weights(but_mail) == [[None, 3], [1, 3]]
    assert order(but_mail, server="one", mode="enabled") == Rules()


def test_by_address_and_port_only_that_port_is_meant() -> None:
    only = order(Rules(), server=f"{ONE}:25", mode="drained")
    assert weights(only) == [[1, 3], [0, 3]]
    assert order(only, server=ONE, mode="enabled") == Rules()


def test_a_service_that_comes_later_is_reached_and_a_name_that_changes_does_not_matter() -> None:
    rules = order(Rules(), made(GLOBALS + WEB), server="one", mode="disabled")
    renamed = made(TEXT.replace("server one", "server eins"))
    assert weights(rules, renamed) == [[None, 3], [None, 3]]


@pytest.mark.parametrize(
    ("states", "expected"), [("UUUU", 0), ("DUUU", None), ("SUUU", None)], ids=["up", "down", "new"]
)
def test_a_drained_server_is_in_the_table_only_while_it_is_well(
    states: str, expected: int | None
) -> None:
    rules = order(Rules(), server="one", mode="drained")
    assert weights(rules, states=states)[0][0] == expected


def test_the_sorry_server_serves_when_the_last_one_is_drained() -> None:
    layout = made(GLOBALS + WEB.replace("port = 80", "port = 80\n    sorry_server = 192.0.2.99"))
    rules = order(
        order(Rules(), layout, server="one", mode="drained"), layout, server="two", mode="disabled"
    )
    said = overrides.orders(overrides.imposed(rules, [s.id for _v, s in layout.servers()]))
    (entry,) = desired(layout, verdicts(layout, "UU"), said).values()
    assert {str(key): server.weight for key, server in entry.servers.items()} == {
        f"{ONE}:80": 0,
        "192.0.2.99:80": 1,
    }


def test_the_answer_says_what_was_what_is_and_that_nobody_is_left() -> None:
    rules = order(Rules(), server="one", virtual="web", mode="disabled")
    done = outcome(rules, server="two", virtual="web", mode="drained", weight=7)
    ids = [server.id for _unused, server in LAYOUT.servers()]
    table = overrides.orders(overrides.imposed(done.rules, ids))
    answer = orders.answer(done, verdicts(LAYOUT, "UUUU"), table)
    (told,) = answer["servers"]
    assert answer["changed"] is True
    assert (told["before"]["mode"], told["before"]["weight"]) == ("enabled", 3)
    assert told["after"] == {
        "mode": "drained",
        "weight": 7,
        "weight_is": "ordered",
        "by": "anna",
        "reason": "disk",
        "at": 100.0,
    }
    assert answer["warnings"] == [
        "virtual service web (203.0.113.100:80/tcp) has no real server in service"
    ]


def test_said_twice_it_changes_nothing_but_another_reason_does() -> None:
    rules = order(Rules(), server="one", mode="drained")
    assert not outcome(rules, server="one", mode="drained", by="bert", reason="").changed
    assert not outcome(rules, server="one", mode="drained", by="bert").changed
    again = outcome(rules, server="one", mode="drained", by="bert", reason="fan")
    assert again.changed
    (entry,) = again.rules.modes.values()
    assert (entry.note.by, entry.note.reason) == ("bert", "fan")


SHARED = TEXT.replace("virtual mail", "virtual post").replace("server one", "server two", 1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"mode": "drained"}, "no real server is named"),
        ({"server": "one"}, "nothing is ordered"),
        ({"server": "one", "mode": "up"}, "'up' is no mode; known: enabled, drained, disabled"),
        ({"server": "one", "weight": 65536}, "give 0 to 65535, or configured"),
        ({"server": "one", "weight": True}, "True is no weight"),
        ({"server": "one", "weight": 1.5}, "1.5 is no weight"),
        (
            {"server": "oen", "mode": "drained"},
            "there is no real server oen in force; did you mean",
        ),
        ({"server": "one", "virtual": "wbe", "mode": "drained"}, "did you mean web?"),
        ({"server": "one", "mode": "drained", "reason": "a\nb"}, "reason must be one line"),
        ({"server": "one", "mode": "drained", "by": "x" * 401}, "at most 400 characters"),
        ({"server": ["one"], "mode": "drained"}, "server must be one line of text"),
        ({"server": "one", "mode": "drained", "why": "x"}, "no argument 'why'; known: by,"),
        ({"server": "192.0.2.99", "mode": "drained"}, "no real server 192.0.2.99"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(
    arguments: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(Refused) as why:
        orders.decide(LAYOUT, Rules(), orders.read(arguments, 1.0, "root"))
    assert sentence in str(why.value)
    assert "\n" not in str(why.value)


def test_a_name_of_two_machines_is_refused() -> None:
    other = MAIL.replace(ONE, "192.0.2.31")
    layout = made(GLOBALS + WEB + other)
    with pytest.raises(Refused, match=r"stands for 192\.0\.2\.21 and 192\.0\.2\.31; give"):
        order(Rules(), layout, server="one", mode="drained")
    assert len(order(Rules(), layout, server="one", virtual="mail", mode="drained")) == 1


def test_an_order_for_a_server_that_has_left_can_be_taken_back() -> None:
    rules = order(Rules(), server="one", mode="disabled")
    left = made(GLOBALS + WEB.replace(ONE, "192.0.2.77"))
    ids = [server.id for _unused, server in left.servers()]
    assert [str(one) for one in overrides.unused(rules, ids)] == [f"{ONE} in every virtual service"]
    assert order(rules, left, server=ONE, mode="enabled") == Rules()


def test_kept_in_a_file_that_only_root_reads(tmp_path: Path) -> None:
    rules = order(
        order(Rules(), server="one", mode="drained"), server="two", virtual="web", weight=4
    )
    Kept(tmp_path).save(rules)
    assert Kept(tmp_path).load() == rules
    assert stat.S_IMODE((tmp_path / "overrides.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["overrides.json"]
    assert Kept(tmp_path / "elsewhere").load() == Rules()


@pytest.mark.parametrize("text", ["", "[]", '{"modes": []}', "not json", "{}"])
def test_a_file_that_cannot_be_read_is_set_aside_and_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "overrides.json").write_text(text)
    with pytest.raises(KeptError, match="no real server is drained"):
        Kept(tmp_path).load()
    assert (tmp_path / "overrides.unreadable").read_text() == text
    assert Kept(tmp_path).load() == Rules()


@pytest.mark.parametrize(
    ("field", "value"), [("value", "sleepy"), ("port", "x"), ("at", "then"), ("service", [1])]
)
def test_a_file_with_a_wrong_value_is_not_believed(tmp_path: Path, field: str, value: Any) -> None:
    data = overrides.to_data(order(Rules(), server="one", virtual="web", mode="drained"))
    data["modes"][0][field] = value  # type: ignore[index]
    (tmp_path / "overrides.json").write_text(json.dumps(data))
    with pytest.raises(KeptError):
        Kept(tmp_path).load()


def test_what_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeptError, match=r"cannot be written \(No such file or directory\)"):
        Kept(tmp_path / "missing").save(Rules())


def test_where_it_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    assert state_dir(Path("/run/piranha")) == STATE_DIR
    assert state_dir(tmp_path) == tmp_path
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/other:/var/lib/more")
    assert state_dir(Path("/run/piranha")) == Path("/var/lib/other")


def test_a_drained_server_found_with_weight_0_is_not_taken_for_failed() -> None:
    layout = made(GLOBALS + WEB.replace("port = 80", "port = 80\n    quiesce_server = 1"))
    (virtual,) = layout.virtual
    table = Table([(virtual.service, [Server(real.id.server, 0) for real in virtual.servers])])
    one, two = (real.id for real in virtual.servers)
    health = Health()
    health.configure(layout, 0.0)
    health.adopt(layout, table, 0.0, {one: Ordered(0)})
    assert health.verdicts[one].state is State.UP
    assert health.verdicts[two].state is State.DOWN
    assert one.server == ServerKey(ONE, 80)
