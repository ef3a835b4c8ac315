# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What forms do to the text: the lines they are about change, and no other does."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from piranha.core.lvs_cf import directives as d
from piranha.core.lvs_cf.document import parse
from piranha.core.lvs_cf.explain import directives_of, example
from piranha.gui.draft import Draft
from piranha.gui.edits import (
    Add,
    Copy,
    Delete,
    Edit,
    Rename,
    Replace,
    Set,
    Where,
    apply,
    find,
    judge,
    shown,
)

ODD = """\
\t# A comment   with odd   blanks, and a "quote
serial_no = 7
   primary = 192.0.2.1   # behind a value
backup=192.0.2.2
wrong line without a sign
unknown_thing = 5
keepalive = 0x06
deadtime =   18
deadtime =   19

virtual "two words" {   # behind a header
\tactive = 1
\taddress = 192.0.2.80/24 eth0:1
        # a comment at another depth
\tport = http
\tsend = 'GET / HTTP/1.0\\r\\n\\r\\n'
\tserver one {
\t   address = 10.0.0.1
\t   # about the weight
\t   weight = +3
\t   strange = yes
\t}
\t# behind a server
\tserver one {
\t   address = 10.0.0.2
\t}
} # behind a brace
# between blocks
virtual plain {
  address = 192.0.2.81 eth0:2
  timeout = bogus
}

# at the end"""

WEB = Where("virtual", "two words")


def kept(text: str) -> list[str]:
    """Lines that no form shows: they must all outlive whatever forms do."""
    return [
        line
        for line in text.splitlines()
        if "#" in line or "unknown_thing" in line or "wrong line" in line or "strange" in line
    ]


def test_a_form_sent_as_it_was_shown_changes_nothing() -> None:
    document = parse(ODD)
    edits: list[Edit] = []
    second = WEB._replace(server="one", server_nth=2)
    for where in (Where(), WEB, second, Where("virtual", "plain")):
        found = find(document, where)
        assert found
        rows = directives_of(where.inner)
        edits.append(Set(where, tuple((row.name, shown(found[0], row)) for row in rows)))
    assert apply(ODD, edits) == (ODD, [])


def test_only_the_line_that_is_meant_changes() -> None:
    after, faults = apply(ODD, [Set(WEB, (("port", "8080"), ("address", "192.0.2.80/24 eth0:1")))])
    assert faults == []
    assert after == ODD.replace("\tport = http", "\tport = 8080")


def test_a_line_that_could_not_be_read_can_be_mended_or_taken_away() -> None:
    plain = Where("virtual", "plain")
    assert apply(ODD, [Set(plain, (("timeout", "6"),))])[0] == ODD.replace("bogus", "6")
    assert "timeout" not in apply(ODD, [Set(plain, (("timeout", ""),))])[0]


def test_the_comment_behind_a_value_stays_when_the_value_goes() -> None:
    after, _faults = apply(ODD, [Set(Where(), (("primary", ""),))])
    assert after == ODD.replace("primary = 192.0.2.1   # behind", "# behind")


def test_a_prefix_behind_an_address_comes_and_goes_with_it() -> None:
    after, _faults = apply(ODD, [Set(WEB, (("address", "192.0.2.90 eth0:1"),))])
    assert "address = 192.0.2.90 eth0:1\n" in after
    assert "vip_nmask" not in after
    after, _faults = apply(ODD, [Set(WEB, (("address", "192.0.2.90/28 eth0:1"),))])
    assert "address = 192.0.2.90/28 eth0:1\n" in after


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 101, "a\" b' c", " blank"])
def test_a_name_that_cannot_be_written_is_refused(name: str) -> None:
    after, faults = apply(ODD, [Add(Where(), "virtual", name)])
    assert after == ODD
    assert [fault.field for fault in faults] == ["name"]


@pytest.mark.parametrize("name", ["a b", "x{", "}", "#", "ä", "=", "a#b", "server"])
def test_odd_names_are_written_so_that_they_read_back(name: str) -> None:
    after, faults = apply(ODD, [Rename(WEB, name), Add(Where("virtual", name), "server", name)])
    assert faults == []
    block = parse(after).root.block("virtual", name)
    assert block is not None
    assert block.block("server", name) is not None
    assert "# behind a header" in after


def test_a_taken_name_is_refused() -> None:
    for edit in (Add(Where(), "virtual", "plain"), Rename(WEB, "plain"), Copy(WEB, "plain")):
        assert apply(ODD, [edit])[1]
        assert apply(ODD, [edit])[0] == ODD


def test_a_copy_is_out_of_service_and_has_all_that_the_block_has() -> None:
    after, _faults = apply(ODD, [Copy(WEB, "again")])
    document = parse(after)
    block = document.root.block("virtual", "again")
    assert block is not None
    assert block.find("active").args == ("0",)  # type: ignore[union-attr]
    assert len(block.blocks("server")) == 2
    assert "".join(line.raw for line in block.lines()).count("#") >= 4


def test_what_is_gone_is_told_and_changes_nothing() -> None:
    for where in (Where("virtual", "nobody"), WEB._replace(server="nobody"), WEB._replace(nth=2)):
        after, faults = apply(ODD, [Delete(where)])
        assert after == ODD
        assert "is not in the file any more" in faults[0].sentence


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("address", "1.2.3.4.5"),
        ("address", "192.0.2.1 eth0 more"),
        ("port", "80 } server x {"),
        ("port", "99999"),
        ("send", "a\nb"),
        ("send", "a\" b' c"),
        ("scheduler", "best"),
        ("timeout", "-1"),
        ("ports", "80,http,nope"),
        ("vip_nmask", "255.0.255.0"),
        ("fwmark", "1e9"),
        ("persistent", "soon"),
        ("expect", "x" * 5000),
    ],
)
def test_a_value_that_is_none_is_told_and_never_written(name: str, text: str) -> None:
    row = d.VIRTUAL_TABLE.rows[name]
    assert judge(row, text)
    after, faults = apply(ODD, [Set(WEB, ((name, text),))])
    assert after == ODD
    assert [fault.field for fault in faults] == [name]


def test_bytes_that_are_no_utf8_stay_where_a_form_cannot_show_them() -> None:
    text = b"# caf\xe9\nvirtual a {\n send = \"caf\xe9\"\n port = 80\n}\n".decode(
        "utf-8", "surrogateescape"
    )
    where = Where("virtual", "a")
    after, _faults = apply(text, [Set(where, (("send", "caf\ufffd"), ("port", "81")))])
    assert after == text.replace("80", "81")


def value_of(chance: random.Random, row: d.Directive) -> str:
    texts = ["", example(row), "1", "0", "5", 'say "x"', "it's", "a # b", "{", "10.0.0.9 eth1", "ä"]
    return chance.choice([*texts, *row.choices])


def random_edit(chance: random.Random, text: str) -> Edit:
    blocks = [block for kind in ("virtual", "failover") for block in parse(text).root.blocks(kind)]
    where = Where()
    if blocks and chance.random() < 0.8:
        block = chance.choice(blocks)
        where = Where(block.kind, block.name)
        inner = block.blocks("server")
        if inner and chance.random() < 0.5:
            where = where._replace(server=chance.choice(inner).name)
    kind = chance.random()
    if kind < 0.7:
        rows = chance.sample(directives_of(where.inner), 4)
        return Set(where, tuple((row.name, value_of(chance, row)) for row in rows))
    name = chance.choice(["new", "x y", "shop", "b"]) + str(chance.randrange(40))
    if kind < 0.8 and where.kind == "virtual" and not where.server:
        return Add(where, "server", name)
    if kind < 0.9 or where.kind == d.GLOBAL:
        return Add(Where(), chance.choice(["virtual", "failover"]), name)
    return Copy(where, name)


@given(st.integers(0, 2**32))
@settings(max_examples=max(4, settings().max_examples // 15), deadline=None)
def test_a_hundred_random_forms_lose_no_comment_and_no_oddity(seed: int) -> None:
    chance = random.Random(seed)
    text, done = ODD, 0
    for _each in range(100):
        text, faults = apply(text, [random_edit(chance, text)])
        done += not faults
    assert done > 20, "hardly any of the edits could be made"
    left = text.splitlines()
    for line in kept(ODD):
        words = line.partition("#")[2] or line.strip()
        assert any(words in one for one in left), f"{line!r} is lost in:\n{text}"


def test_a_draft_is_laid_upon_another_text_and_says_what_does_not_fit() -> None:
    draft = Draft("old", ODD, ODD)
    assert draft.add([Set(WEB, (("port", "8080"),))]) == []
    assert draft.add([Delete(Where("virtual", "plain"))]) == []
    other = ODD.replace("deadtime =   19", "deadtime = 30").replace("plain", "other")
    moved, left = draft.onto("new", other)
    assert moved.digest == "new"
    assert "port = 8080" in moved.text
    assert "deadtime = 30" in moved.text
    assert len(left) == 1
    assert "virtual plain" in left[0]


def test_the_last_edit_is_undone_and_a_bad_one_is_not_taken() -> None:
    draft = Draft("d", ODD, ODD)
    draft.add([Set(WEB, (("port", "8080"),))])
    one = draft.text
    assert draft.add([Set(WEB, (("weight", "1"),))]) != []
    assert draft.text == one
    draft.add([Replace("# nothing\n")])
    assert draft.text == "# nothing\n"
    assert draft.undo()
    assert draft.text == one
    assert draft.undo()
    assert draft.empty
    assert not draft.undo()
