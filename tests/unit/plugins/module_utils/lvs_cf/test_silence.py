# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Comments that silence findings: where they hold, and what they must not hide."""

from __future__ import annotations

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.api import load
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.findings import (
    CODES,
    Place,
    finding,
)
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.silence import heed
from hypothesis import given
from hypothesis import strategies as st

from .cluster import QUIET, changed, codes
from .strategies import documents

ALIAS = "    address = 192.0.2.80 eth0"  # A301: on the interface itself
FTP = "    port = 21"  # A305


def quiet(old: str, new: str) -> list[str]:
    return codes(changed(old, new))


def test_without_a_comment_the_finding_is_there() -> None:
    assert quiet("    address = 192.0.2.80 eth0:1", ALIAS) == ["A301"]
    assert quiet("    port = 80", FTP) == ["A305"]


@pytest.mark.parametrize(
    "lines",
    [
        f"{FTP} # piranha: ignore=A305 passive clients only",
        f"{FTP}  #  piranha:  ignore = A305",
        f"    # piranha: ignore=A305 reason\n{FTP}",
        f"    # piranha: ignore=A305 reason\n\n    # more\n{FTP}",
        f"{FTP}\n    # piranha: ignore-file=A305",
    ],
)
def test_a_comment_silences_the_line_it_is_about(lines: str) -> None:
    assert quiet("    port = 80", lines) == []


@pytest.mark.parametrize(
    "head",
    [
        "# piranha: ignore=A301,A305 the old clients\nvirtual web {",
        "virtual web { # piranha: ignore=A301,A305",
        "# piranha: ignore=A301\n# piranha: ignore=A305 both count\nvirtual web {",
    ],
)
def test_at_the_head_of_a_block_it_holds_for_the_whole_block(head: str) -> None:
    text = QUIET.replace("    port = 80", FTP).replace("eth0:1", "eth0")
    assert codes(load(text)) == ["A301", "A305"]
    assert codes(load(text.replace("virtual web {", head))) == []
    second = text[text.index("virtual") :].replace("web", "two").replace(".80", ".81")
    both = text.replace("virtual web {", head) + second
    assert codes(load(both)) == ["A301", "A305"]


def test_a_finding_without_a_line_is_silenced_for_the_file_only() -> None:
    text = QUIET.replace("nat_router = 198.51.100.1 eth1:1\n", "")
    assert codes(load(text)) == ["A303"]
    assert codes(load("# piranha: ignore-file=A303 routed\n" + text)) == []
    assert codes(load("# piranha: ignore=A303\n" + text)) == ["A303", "A901"]


def test_a_comment_that_silences_nothing_is_worth_advice() -> None:
    loaded = changed("    port = 80", "    port = 80 # piranha: ignore=A301,A305 old")
    assert loaded.report() == [
        "lvs.cf:11:33: advice: no finding A301 is there for this comment to silence;"
        " remove the comment [A901]",
        "lvs.cf:11:38: advice: no finding A305 is there for this comment to silence;"
        " remove the comment [A901]",
    ]


def test_an_error_is_never_silenced() -> None:
    loaded = changed("    port = 80", "    port = 99999 # piranha: ignore=E204 please")
    assert codes(loaded) == ["E204", "A902"]
    assert "E204 is an error, which no comment silences" in loaded.report()[1]


@pytest.mark.parametrize(
    ("comment", "told"),
    [
        ("ignore=A399", "`A399` is no finding's code; `piranha config explain` lists"),
        ("ignore=a301", "`a301` is no finding's code; did you mean `A301`?"),
        ("ignore=,A301", "`` is no finding's code"),
        ("ignore A301", "is not understood; write `# piranha: ignore=CODE reason`"),
        ("ignore", "is not understood"),
        ("ignore=A901", "A901 is about such comments and cannot be silenced"),
    ],
)
def test_a_comment_that_cannot_work_says_so(comment: str, told: str) -> None:
    loaded = changed("    port = 80", f"    port = 80\n    # piranha: {comment}")
    assert "A902" in codes(loaded)
    assert told in "\n".join(loaded.report())


def test_the_word_inside_a_value_is_no_comment() -> None:
    text = '    port = 80\n    send = "# piranha: ignore=A301"'
    assert quiet("    port = 80", text) == []


def test_a_comment_for_the_host_counts_only_where_the_host_was_looked_at() -> None:
    loaded = changed("    port = 80", "    port = 80 # piranha: ignore=W502")
    assert loaded.report() == []
    down = finding("W502", Place(11, 5, 4), "far away")
    document = loaded.document
    assert heed(document, [down], lambda code: code[1] == "5") == []
    unused = heed(document, [], lambda code: code[1] == "5")
    assert [found.code for found in unused] == ["A901"]


@given(
    documents, st.sets(st.sampled_from(sorted(CODES)), min_size=1), st.sampled_from(["", "-file"])
)
def test_no_comment_hides_an_error_or_invents_anything_but_advice(
    text: str, silenced: set[str], scope: str
) -> None:
    """A comment in front of any text takes away nothing but what it names, and no error."""
    plain = load("# a comment\n" + text)
    loaded = load(f"# piranha: ignore{scope}={','.join(sorted(silenced))} x\n" + text)
    assert loaded.errors == plain.errors
    assert loaded.config == plain.config
    told = [found for found in loaded.findings if found.code[:2] != "A9"]
    lost = [found for found in plain.findings if found not in told]
    assert {found.code for found in lost} <= silenced
    assert [found for found in plain.findings if found not in lost] == told
    if scope:
        assert not {found.code for found in told if found.severity != "error"} & silenced
