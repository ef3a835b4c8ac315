# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the tests run a module about lvs.cf: once, and as twins, check mode first.

In check mode everything that writes is replaced by something that raises, and the folder must
be the same afterwards, inodes and times included.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from ansible.module_utils import basic
from ansible.module_utils.common.text.converters import to_bytes
from ansible_collections.piranha.lvs.plugins.module_utils._module import lvs_cf_file


class Ended(Exception):
    """What the module ended with."""

    def __init__(self, failed: bool, result: dict[str, Any], warnings: list[str]) -> None:
        super().__init__(result)
        self.failed = failed
        self.result = result
        self.warnings = warnings


class WroteInCheckModeError(Exception):
    """A module tried to change something under check mode."""


def run(module: str, dry: bool = False, **options: object) -> Ended:
    """Run a module with a diff; gives how it ended."""
    prefix = "ansible_collections.piranha.lvs.plugins.modules"
    subject = importlib.import_module(f"{prefix}.{module}")
    internal = {"check_mode": dry, "diff": True}
    arguments = {**options, **{f"_ansible_{key}": value for key, value in internal.items()}}
    profile = {"_ANSIBLE_PROFILE": "legacy"}  # ansible-core 2.19 wants to know; older ones do not
    warnings: list[str] = []

    def succeed(_module: object, **result: object) -> None:
        raise Ended(False, json.loads(json.dumps(result)), warnings)

    def fail(_module: object, msg: str, **result: object) -> None:
        raise Ended(True, json.loads(json.dumps({"msg": msg, **result})), warnings)

    def warn(_module: object, text: str) -> None:
        warnings.append(text)

    patches = {"exit_json": succeed, "fail_json": fail, "warn": warn}
    text = to_bytes(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
    with (
        mock.patch.multiple(basic.AnsibleModule, **patches),
        mock.patch.object(basic, "_ANSIBLE_ARGS", text),
        mock.patch.object(basic, *("_ANSIBLE_PROFILE", "legacy"), create=True),
        mock.patch.dict(os.environ, profile),
        nothing_may_be_written() if dry else contextlib.nullcontext(),
        pytest.raises(Ended) as caught,
    ):
        subject.main()
    return caught.value


@contextlib.contextmanager
def nothing_may_be_written() -> Iterator[None]:
    """Whatever changes a file raises, from our own functions down to Python's."""

    def refuse(*arguments: object, **_more: object) -> None:
        raise WroteInCheckModeError(repr(arguments))

    with (
        mock.patch.object(lvs_cf_file, "replace_file", refuse),
        mock.patch.object(lvs_cf_file, "remove_file", refuse),
        mock.patch.object(lvs_cf_file, "locked", refuse),
        mock.patch.multiple(basic.AnsibleModule, atomic_move=refuse, backup_local=refuse),
        mock.patch.object(tempfile, "mkstemp", refuse),
        mock.patch.multiple(
            os, rename=refuse, replace=refuse, unlink=refuse, chmod=refuse, chown=refuse
        ),
        # Not mkdir: Ansible itself makes its folder below the home once; ours is looked at anyway.
        mock.patch.multiple(os, lchown=refuse, symlink=refuse, utime=refuse),
    ):
        yield


def snapshot(folder: Path) -> dict[str, tuple[object, ...]]:
    """Every file of a folder with bytes, mode, inode and times."""
    found: dict[str, tuple[object, ...]] = {}
    for path in folder.rglob("*"):
        state = path.lstat()
        data = path.read_bytes() if path.is_file() else b""
        found[str(path)] = (data, state.st_mode, state.st_ino, state.st_mtime_ns)
    return found


def twins(module: str, folder: Path, **options: object) -> Ended:
    """Run under check mode, where nothing may change, then for real; both must say the same."""
    before = snapshot(folder)
    predicted = run(module, dry=True, **options)
    assert snapshot(folder) == before
    real = run(module, **options)
    result = {key: real.result[key] for key in real.result if key != "backup_file"}
    assert result == predicted.result
    assert (real.failed, real.warnings) == (predicted.failed, predicted.warnings)
    return real


def steady(module: str, folder: Path, **options: object) -> Ended:
    """Twins, and a second run that must change nothing; gives the first run."""
    first = twins(module, folder, **options)
    assert not first.failed, first.result
    after = snapshot(folder)
    second = twins(module, folder, **options)
    assert snapshot(folder) == after
    assert (second.failed, second.result["changed"]) == (False, False), second.result
    assert second.result["changes"] == []
    assert second.result["before"] == second.result["after"] == first.result["after"]
    assert second.result["digest"] == first.result["digest"]
    return first
