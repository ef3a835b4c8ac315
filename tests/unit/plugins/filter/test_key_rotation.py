# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change of the key: whoever has taken a step hears whoever has not, at every moment."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.piranha.lvs.plugins.filter.key_rotation import key_rotation

OLD, NEW, THIRD = "01" * 32, "ab" * 32, "5f" * 32
NAMES = ("lvs1", "lvs2")


def moments(files: dict[str, str], steps: list[dict[str, str]]) -> Any:
    """Every state on the way: each step is taken by one router after the other, in either order."""
    before = files
    for after in steps:
        for first in NAMES:
            yield {**before, first: after[first]}
        yield after
        before = after


def hear_each_other(files: dict[str, str]) -> bool:
    keys = {name: text.split() for name, text in files.items()}
    return all(keys[one][0] in keys[other] for one, other in itertools.permutations(NAMES))


def whole(files: dict[str, str], active: str = "lvs1", wanted: str = NEW) -> dict[str, Any]:
    plan = key_rotation(files, active, wanted)
    assert all(hear_each_other(state) for state in moments(files, plan["steps"]))
    assert all(len(text.split()) <= 2 for step in plan["steps"] for text in step.values())
    return plan


def test_both_change_and_hear_each_other_all_the_time() -> None:
    plan = whole(dict.fromkeys(NAMES, f"{OLD}\n"))
    assert plan["resumed"] is False
    assert plan["steps"][-1] == dict.fromkeys(NAMES, f"{NEW}\n")


def test_wherever_it_was_interrupted_it_comes_to_an_end() -> None:
    start = dict.fromkeys(NAMES, f"{OLD}\n")
    steps = key_rotation(start, "lvs1", NEW)["steps"]
    seen = 0
    for state, active in itertools.product(moments(start, steps), NAMES):
        plan = whole(state, active, THIRD)
        ended = plan["steps"][-1] if plan["steps"] else state
        if len({key for text in state.values() for key in text.split()}) == 2:
            seen += 1
            assert plan["resumed"] is True
            assert ended in (dict.fromkeys(NAMES, f"{OLD}\n"), dict.fromkeys(NAMES, f"{NEW}\n"))
    assert seen >= 12


def test_the_same_key_is_no_change() -> None:
    assert key_rotation(dict.fromkeys(NAMES, OLD), "lvs1", OLD)["steps"] == []


@pytest.mark.parametrize(
    ("files", "active", "wanted", "sentence"),
    [
        ({"lvs1": OLD, "lvs2": NEW}, "lvs1", THIRD, "keys differ"),
        ({"lvs1": f"{OLD} {NEW}", "lvs2": THIRD}, "lvs1", THIRD, "more than two"),
        ({"lvs1": OLD, "lvs2": "short"}, "lvs1", NEW, "lvs2: a heartbeat key is 64"),
        ({"lvs1": OLD, "lvs2": OLD}, "lvs1", "short", "the new key: a heartbeat key is 64"),
        ({"lvs1": OLD}, "lvs2", NEW, "the name of the active one"),
        (OLD, "lvs1", NEW, "takes the key files"),
    ],
)
def test_what_cannot_be_changed_is_told_without_a_key(
    files: Any, active: str, wanted: str, sentence: str
) -> None:
    with pytest.raises(AnsibleFilterError, match=sentence) as caught:
        key_rotation(files, active, wanted)
    assert not any(key in str(caught.value) for key in (OLD, NEW, THIRD))
