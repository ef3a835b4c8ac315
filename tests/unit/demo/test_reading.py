# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's own judgement: what it reads from other programs, and what its table says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from piranha_demo import reading, show
from piranha_demo.fingerprint import differences, files

SAVED = """\
-A -t 203.0.113.100:80 -s rr
-a -t 203.0.113.100:80 -r 192.0.2.21:80 -m -w 1
-a -t 203.0.113.100:80 -r 192.0.2.22:80 -m -w 0
-A -t 203.0.113.100:443 -s wlc -p 60
-a -t 203.0.113.100:443 -r 192.0.2.23:443 -g -w 3
"""

RUN = """\
PLAY [Set up the routers] ******************************************************

TASK [piranha.lvs.piranha_router : Look at the machine] ************************
ok: [lvs1]

TASK [piranha.lvs.piranha_router : Write lvs.cf] *******************************
--- before: /etc/lvs.cf
+++ after: /etc/lvs.cf
@@ -0,0 +1,30 @@
+primary = 203.0.113.11
changed: [lvs1]
fatal: [lvs2]: FAILED! => {"msg": "no room"}

PLAY RECAP *********************************************************************
lvs1                       : ok=12   changed=3    unreachable=0    failed=0    skipped=1
lvs2                       : ok=2    changed=1    unreachable=0    failed=1    skipped=0
"""


def test_only_real_servers_that_get_connections_count() -> None:
    assert reading.real_servers(SAVED, "203.0.113.100:80") == {"192.0.2.21:80"}
    assert reading.real_servers(SAVED, "203.0.113.100:443") == {"192.0.2.23:443"}
    assert reading.real_servers("", "203.0.113.100:80") == set()


def test_addresses_of_all_interfaces() -> None:
    links = [{"addr_info": [{"local": "192.0.2.254"}, {"local": "192.0.2.11"}]}, {"ifname": "lo"}]
    assert reading.addresses(json.dumps(links)) == {"192.0.2.254", "192.0.2.11"}


def test_the_recap_is_added_up() -> None:
    found = reading.recap(RUN.splitlines())
    assert found == reading.Recap(hosts=2, changed=4, failed=1, unreachable=0)
    assert not found.clean


@pytest.mark.parametrize(
    ("recap", "clean"),
    [
        (reading.Recap(4, 9, 0, 0), True),
        (reading.Recap(4, 0, 0, 1), False),
        (reading.Recap(0, 0, 0, 0), False),
    ],
)
def test_a_run_without_hosts_is_not_clean(recap: reading.Recap, clean: bool) -> None:
    assert recap.clean == clean


def test_the_digest_shows_what_acts_and_nothing_else() -> None:
    told: list[str] = []
    digest = reading.Digest(told.append)
    for line in RUN.splitlines():
        digest.feed(line)
    text = "\n".join(told)
    assert "Look at the machine" not in text
    assert text.index("Write lvs.cf") < text.index("+primary") < text.index("changed lvs1")
    assert 'fatal lvs2: {"msg": "no room"}' in text
    assert "lvs1 : ok=12 changed=3" in text


def test_long_differences_are_cut_and_it_is_said() -> None:
    told: list[str] = []
    digest = reading.Digest(told.append)
    many = [f"+line {number}" for number in range(30)]
    for line in ["TASK [Write] ***", *many, "changed: [lvs1]"]:
        digest.feed(line)
    assert sum("+line" in line for line in told) == reading.DIFF_LINES
    assert any("20 lines more" in line for line in told)


def test_a_changed_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("a")
    (tmp_path / "link").symlink_to("one")
    before = files((str(tmp_path),))
    (tmp_path / "one").write_text("b")
    (tmp_path / "new").write_text("")
    after = files((str(tmp_path),))
    found = differences({"files": before}, {"files": after})
    assert [line.split(":")[1].rsplit("/", 1)[-1] for line in found] == ["new", "one"]
    assert differences({"files": before}, {"files": before}) == []


def test_a_mode_counts_as_a_change(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a")
    (tmp_path / "key").chmod(0o600)
    before = files((str(tmp_path),))
    (tmp_path / "key").chmod(0o644)
    assert len(differences({"files": before}, {"files": files((str(tmp_path),))})) == 1


def test_the_table_says_what_did_not_hold() -> None:
    text = show.table([show.Shown("up", "3 s", True), show.Shown("no gap", "9 s", False)])
    held, failed = text.splitlines()[2:4]
    assert held.split() == ["yes", "up", "3", "s"]
    assert failed.split() == ["NO", "no", "gap", "9", "s"]
