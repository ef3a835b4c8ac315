# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module lvs_cf as Ansible runs it: each change has a twin in check mode.

What states make of configurations is in module_utils/lvs_cf/test_merge.py, edits of texts in
test_edit.py.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils._module import lvs_cf_file
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.api import digest, load

from . import lvs_cf_support as support
from .lvs_cf_support import Ended, snapshot

GLOBALS = {
    "primary": "192.0.2.2",
    "backup": "192.0.2.3",
    "backup_active": True,
    "keepalive": "500ms",
    "deadtime": 1.5,
    "nat_router": {"address": "198.51.100.1", "device": "eth1:1"},
}
WEB = {
    "name": "web",
    "active": True,
    "address": "192.0.2.80",
    "device": "eth0:1",
    "port": "http",
    "real_servers": [{"name": "rs1", "address": "198.51.100.11", "active": True}],
}
WRITTEN = """\
primary = 192.0.2.2
backup = 192.0.2.3
backup_active = 1
keepalive = 0.5
deadtime = 1.5
nat_router = 198.51.100.1 eth1:1

virtual web {
    active = 1
    address = 192.0.2.80 eth0:1
    port = 80

    server rs1 {
        address = 198.51.100.11
        active = 1
    }
}
"""


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """The mode of new files must not depend on who runs the tests."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def run(check: bool = False, **options: object) -> Ended:
    """Run the module once."""
    return support.run("lvs_cf", check, **options)


def twins(folder: Path, **options: object) -> Ended:
    """Run the module under check mode and for real."""
    return support.twins("lvs_cf", folder, **options)


def steady(folder: Path, **options: object) -> Ended:
    """Twins, and a second run that changes nothing."""
    return support.steady("lvs_cf", folder, **options)


def test_a_new_file_is_written(tmp_path: Path) -> None:
    path = tmp_path / "lvs.cf"
    options = {"path": str(path), "globals": GLOBALS, "virtual_servers": [WEB], "mode": "0640"}
    ended = twins(tmp_path, **options)
    assert not ended.failed
    assert ended.result["changed"] is True
    assert path.read_text() == WRITTEN
    assert path.stat().st_mode & 0o777 == 0o640
    assert ended.result["digest"] == digest(load(WRITTEN).config)
    assert ended.result["findings"] == []
    assert ended.result["diff"]["before"] == ""
    assert ended.result["diff"]["after"] == WRITTEN
    assert [item.name for item in tmp_path.iterdir()] == ["lvs.cf"]
    again = twins(tmp_path, **options)
    assert again.result["changed"] is False


def test_a_changed_file_is_replaced_with_a_backup(tmp_path: Path) -> None:
    path = tmp_path / "lvs.cf"
    path.write_text("# by hand\n" + WRITTEN)
    options = {"path": str(path), "globals": GLOBALS, "virtual_servers": [WEB], "backup": True}
    options["rewrite"] = True
    ended = twins(tmp_path, **options)
    assert ended.result["changed"] is True
    assert path.read_text() == WRITTEN
    assert Path(ended.result["backup_file"]).read_text() == "# by hand\n" + WRITTEN
    assert ended.result["diff"]["before"].startswith("# by hand\n")
    again = twins(tmp_path, **options)
    assert again.result["changed"] is False
    assert "backup_file" not in again.result
    assert len(list(tmp_path.iterdir())) == 2


def test_only_the_mode_may_change(tmp_path: Path) -> None:
    path = tmp_path / "lvs.cf"
    path.write_text(WRITTEN)
    path.chmod(0o600)
    options = {"path": str(path), "globals": GLOBALS, "virtual_servers": [WEB]}
    assert twins(tmp_path, **options).result["changed"] is False
    ended = twins(tmp_path, **options, mode="0644")
    assert ended.result["changed"] is True
    assert path.stat().st_mode & 0o777 == 0o644
    assert twins(tmp_path, **options, mode="0644").result["changed"] is False


def test_the_header_becomes_a_comment(tmp_path: Path) -> None:
    path = tmp_path / "lvs.cf"
    options = {"path": str(path), "globals": GLOBALS, "header": "Managed here.\n\nAsk us."}
    twins(tmp_path, **options)
    assert path.read_text().startswith("# Managed here.\n#\n# Ask us.\n\nprimary = ")


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    path = tmp_path / "lvs.cf"
    path.symlink_to("real.cf")
    twins(tmp_path, path=str(path), globals=GLOBALS, virtual_servers=[WEB])
    assert path.is_symlink()
    assert (tmp_path / "real.cf").read_text() == WRITTEN


def test_bytes_that_are_no_text_are_replaced_too(tmp_path: Path) -> None:
    path = tmp_path / "lvs.cf"
    path.write_bytes(b"\xff\xfe")
    options = {"path": str(path), "globals": GLOBALS, "virtual_servers": [WEB]}
    ended = twins(tmp_path, **options)
    assert ended.failed
    assert ended.result["msg"].startswith(f"{path} would not be valid and was left as it is:\n")
    ended = steady(tmp_path, **options, rewrite=True)
    assert ended.result["changed"] is True
    assert path.read_text() == WRITTEN


def test_an_invalid_result_is_refused_and_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "lvs.cf"
    path.write_text(WRITTEN)
    before = snapshot(tmp_path)
    web = {**WEB, "shceduler": "rr", "real_servers": [{"name": "rs1", "weight": "heavy"}]}
    ended = twins(
        tmp_path, path=str(path), globals={**GLOBALS, "deadtime": 0.2}, virtual_servers=[web]
    )
    assert ended.failed
    assert ended.result["changed"] is False
    assert snapshot(tmp_path) == before
    assert ended.result["msg"].splitlines() == [
        f"{path} would not be valid and was left as it is:",
        "virtual_servers[0].shceduler: error: unknown directive `shceduler`; "
        "did you mean `scheduler`? [E201]",
        "virtual_servers[0].real_servers[0].weight: error: `weight` takes a whole number, "
        "not `heavy`; for example `weight = 1` [E203]",
        "globals.deadtime: error: deadtime (0.2 s) is not above keepalive (0.5 s); every heartbeat "
        "would come too late; make deadtime at least three times keepalive [E303]",
    ]
    errors = [item for item in ended.result["findings"] if item["severity"] == "error"]
    assert [item["code"] for item in errors] == ["E201", "E203", "E303"]


def test_warnings_are_shown_and_do_not_stop(tmp_path: Path) -> None:
    path = tmp_path / "lvs.cf"
    ended = run(path=str(path), globals=GLOBALS, virtual_servers=[{**WEB, "real_servers": []}])
    assert not ended.failed
    assert [item["code"] for item in ended.result["findings"]] == ["W303"]
    (text,) = ended.warnings
    assert text.startswith("virtual_servers[0]: warning: virtual server `web` is active")


def test_a_missing_folder_is_said_and_fine_under_check_mode(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "lvs.cf"
    options = {"path": str(path), "globals": GLOBALS, "virtual_servers": [WEB]}
    predicted = run(check=True, **options)
    assert (predicted.failed, predicted.result["changed"]) == (False, True)
    ended = run(**options)
    assert ended.failed
    assert ended.result["msg"] == (
        f"cannot write {path}: the folder {path.parent} does not exist; create it first"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_place_of_the_file_is_said(tmp_path: Path) -> None:
    ended = twins(tmp_path, path=str(tmp_path), globals=GLOBALS, virtual_servers=[WEB])
    assert ended.failed
    assert ended.result["msg"] == f"cannot write {tmp_path}: it is a folder; name a file"


def test_a_failing_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "lvs.cf"
    path.write_text("# old\n")
    full = OSError(28, "No space left on device")
    with mock.patch.object(os, "fsync", side_effect=full):
        ended = run(path=str(path), globals=GLOBALS, virtual_servers=[WEB])
    assert ended.failed
    assert ended.result["msg"] == (
        f"cannot write {path}: No space left on device; check path and rights"
    )
    assert path.read_text() == "# old\n"
    assert [item.name for item in tmp_path.iterdir()] == ["lvs.cf"]


COMMENTED = WRITTEN.replace("keepalive = 0.5", "keepalive = 500ms # half").replace(
    "virtual web", "# by hand\nvirtual web"
)


def test_an_existing_file_is_edited_and_comments_stay(tmp_path: Path) -> None:
    path = tmp_path / "lvs.cf"
    path.write_text(COMMENTED)
    options: dict[str, Any] = {"path": str(path), "globals": GLOBALS, "virtual_servers": [WEB]}
    assert steady(tmp_path, **options).result["changed"] is False
    assert path.read_text() == COMMENTED
    options["virtual_servers"] = [{**WEB, "scheduler": "rr"}]
    ended = steady(tmp_path, **options, header="not for a file that is there")
    assert path.read_text() == COMMENTED.replace("port = 80\n", "port = 80\n    scheduler = rr\n")
    assert ended.result["changes"] == [
        {"where": "virtual server web", "directive": "scheduler", "before": None, "after": "rr"}
    ]
    assert "scheduler" not in ended.result["before"]["virtual_servers"][0]
    assert ended.result["after"]["virtual_servers"][0]["scheduler"] == "rr"
    assert ended.result["diff"]["before"] == COMMENTED
    assert ended.result["diff"]["after"] == path.read_text()


def test_each_state_changes_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "lvs.cf"
    path.write_text(COMMENTED)
    mail = {"name": "mail", "port": 25, "active": False}
    steady(tmp_path, path=str(path), state="merged", virtual_servers=[mail])
    assert path.read_text() == COMMENTED + "\nvirtual mail {\n    active = 0\n    port = 25\n}\n"
    replaced = {"name": "mail", "active": False, "address": "192.0.2.25"}
    steady(tmp_path, path=str(path), state="replaced", virtual_servers=[replaced])
    assert path.read_text().endswith(
        "virtual mail {\n    active = 0\n    address = 192.0.2.25\n}\n"
    )
    gone = {"path": str(path), "state": "absent", "virtual_servers": [{"name": "mail"}]}
    assert steady(tmp_path, **gone).result["changed"] is True
    assert path.read_text() == COMMENTED
    steady(tmp_path, path=str(path), state="overridden", globals=GLOBALS, virtual_servers=[])
    assert path.read_text() == COMMENTED[: COMMENTED.index("virtual web")]


def test_the_file_is_removed_only_when_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "lvs.cf"
    path.write_text(COMMENTED)
    ended = twins(tmp_path, path=str(path), state="absent")
    assert ended.failed
    assert ended.result["msg"] == (
        "`state: absent` has to be told what to remove: give globals, virtual_servers, "
        "failover_services, or `whole_file: true` to remove the file itself"
    )
    assert (
        steady(tmp_path, path=str(path), state="absent", virtual_servers=[]).result["changed"]
        is False
    )
    ended = steady(tmp_path, path=str(path), state="absent", whole_file=True, backup=True)
    assert (ended.result["changed"], ended.result["after"], path.exists()) == (True, None, False)
    assert ended.result["diff"]["after"] == ""
    assert Path(ended.result["backup_file"]).read_text() == COMMENTED


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"state": "merged"}, "`state: merged` needs one of globals, virtual_servers, failover"),
        ({"state": "merged", "globals": {}, "rewrite": True}, "`rewrite` goes with `state: over"),
        ({"whole_file": True}, "`whole_file` goes with `state: absent` alone"),
        ({"state": "absent", "whole_file": True, "globals": {}}, "`whole_file` goes with"),
        (
            {"state": "merged", "virtual_servers": [{"name": "a"}, {"name": "a"}]},
            "the name `a` stands 2 times as virtual server in the data",
        ),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    tmp_path: Path, options: dict[str, Any], sentence: str
) -> None:
    path = tmp_path / "lvs.cf"
    path.write_text(WRITTEN)
    ended = twins(tmp_path, path=str(path), **options)
    assert ended.failed
    assert ended.result["msg"].startswith(sentence)
    assert path.read_text() == WRITTEN


def test_an_error_of_the_result_is_shown_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "lvs.cf"
    path.write_text(WRITTEN)
    ended = twins(tmp_path, path=str(path), state="merged", globals={"deadtime": "200ms"})
    assert ended.failed
    first, second, third = ended.result["msg"].splitlines()
    assert first == f"{path} would not be valid and was left as it is:"
    assert second.startswith(f"{path}:5:")
    assert "E303" in second
    assert third == "    deadtime = 0.2"
    assert path.read_text() == WRITTEN


def test_a_broken_file_is_mended_by_a_task_whose_result_is_right(tmp_path: Path) -> None:
    path = tmp_path / "lvs.cf"
    path.write_text(WRITTEN.replace("deadtime = 1.5", "deadtime = soon # !"))
    ended = twins(tmp_path, path=str(path), state="merged", globals={"start_delay": 1})
    assert ended.failed
    assert "deadtime = soon" in ended.result["msg"]
    steady(tmp_path, path=str(path), state="merged", globals={"deadtime": 1.5})
    assert path.read_text() == WRITTEN.replace("deadtime = 1.5", "deadtime = 1.5 # !")


def test_only_new_warnings_are_shown_and_all_are_returned(tmp_path: Path) -> None:
    path = tmp_path / "lvs.cf"
    path.write_text(WRITTEN.replace("}\n}", "} text\n}"))
    ended = twins(tmp_path, path=str(path), state="merged", globals={"start_delay": 1})
    assert ([item["code"] for item in ended.result["findings"]], ended.warnings) == (["W102"], [])
    web = {"name": "web", "real_servers": [{"name": "rs1", "active": False}]}
    ended = twins(tmp_path, path=str(path), state="merged", virtual_servers=[web])
    assert {item["code"] for item in ended.result["findings"]} == {"W102", "W303"}
    assert len(ended.warnings) == 1


def test_what_somebody_else_writes_meanwhile_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "lvs.cf"
    path.write_text(WRITTEN)
    real = lvs_cf_file.read_file
    reads = []

    def read_and_meddle(name: str) -> bytes | None:
        data = real(name)
        reads.append(data)
        if len(reads) == 1:
            path.write_text(COMMENTED)
        return data

    with mock.patch.object(lvs_cf_file, "read_file", read_and_meddle):
        run(path=str(path), state="merged", globals={"deadtime": 2})
    assert len(reads) == 4
    assert path.read_text() == COMMENTED.replace("deadtime = 1.5", "deadtime = 2")

    def always_meddle(name: str) -> bytes | None:
        data = real(name)
        path.write_text((data or b"").decode() + "# more\n")
        return data

    with mock.patch.object(lvs_cf_file, "read_file", always_meddle):
        ended = run(path=str(path), state="merged", globals={"deadtime": 3})
    assert ended.failed
    assert ended.result["msg"] == (
        f"cannot write {path}: somebody else keeps changing it; try again later"
    )
    assert "deadtime = 3" not in path.read_text()


def test_tasks_at_the_same_time_wait_for_each_other(tmp_path: Path) -> None:
    path = tmp_path / "lvs.cf"
    path.write_text(WRITTEN)
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        with mock.patch.object(lvs_cf_file, "_LOCK_SECONDS", 0.2):
            ended = run(path=str(path), state="merged", globals={"deadtime": 2})
        assert ended.failed
        assert ended.result["msg"].startswith(f"cannot write {path}: another task has held it for")
        assert path.read_text() == WRITTEN
    finally:
        os.close(folder)
    assert not run(path=str(path), state="merged", globals={"deadtime": 2}).failed
