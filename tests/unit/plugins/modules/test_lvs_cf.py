# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module lvs_cf as Ansible runs it: each change has a twin in check mode."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from ansible.module_utils import basic
from ansible.module_utils.common.text.converters import to_bytes
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.api import digest, load
from ansible_collections.piranha.lvs.plugins.modules import lvs_cf as subject

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


class Ended(Exception):
    """What the module ended with."""

    def __init__(self, failed: bool, result: dict[str, object]) -> None:
        super().__init__(result)
        self.failed = failed
        self.result = result


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """The mode of new files must not depend on who runs the tests."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def run(check: bool = False, **options: object) -> Ended:
    """Run the module with a diff; gives how it ended."""
    internal = {"check_mode": check, "diff": True}
    arguments = {**options, **{f"_ansible_{key}": value for key, value in internal.items()}}
    profile = {"_ANSIBLE_PROFILE": "legacy"}  # ansible-core 2.19 wants to know; older ones do not

    def succeed(_module: object, **result: object) -> None:
        raise Ended(False, json.loads(json.dumps(result)))

    def fail(_module: object, msg: str, **result: object) -> None:
        raise Ended(True, json.loads(json.dumps({"msg": msg, **result})))

    patches = {"exit_json": succeed, "fail_json": fail}
    text = to_bytes(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
    with (
        mock.patch.multiple(basic.AnsibleModule, **patches),
        mock.patch.object(basic, "_ANSIBLE_ARGS", text),
        mock.patch.object(basic, *("_ANSIBLE_PROFILE", "legacy"), create=True),
        mock.patch.dict(os.environ, profile),
        pytest.raises(Ended) as caught,
    ):
        subject.main()
    return caught.value


def snapshot(folder: Path) -> dict[str, tuple[object, ...]]:
    """Every file of a folder with bytes, mode, inode and times."""
    found: dict[str, tuple[object, ...]] = {}
    for path in folder.rglob("*"):
        state = path.lstat()
        data = path.read_bytes() if path.is_file() else b""
        found[str(path)] = (data, state.st_mode, state.st_ino, state.st_mtime_ns)
    return found


def twins(folder: Path, **options: object) -> Ended:
    """Run under check mode, where nothing may change, then for real; both must say the same."""
    before = snapshot(folder)
    predicted = run(check=True, **options)
    assert snapshot(folder) == before
    real = run(**options)
    result = {key: real.result[key] for key in real.result if key != "backup_file"}
    assert result == predicted.result
    assert real.failed == predicted.failed
    return real


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
    ended = twins(tmp_path, path=str(path), globals=GLOBALS, virtual_servers=[WEB])
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
    with mock.patch.object(basic.AnsibleModule, "warn") as warn:
        ended = run(path=str(path), globals=GLOBALS, virtual_servers=[{**WEB, "real_servers": []}])
    assert not ended.failed
    assert [item["code"] for item in ended.result["findings"]] == ["W303"]
    (text,) = (call.args[0] for call in warn.call_args_list)
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
