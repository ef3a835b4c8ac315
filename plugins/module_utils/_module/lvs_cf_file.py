# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell around lvs_cf_plan.py: reads one file, replaces it, and ends a module.

Private to this collection. Nothing is decided here but what to do when somebody else writes the
file at the same time.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Optional

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_native

from ..lvs_cf.api import decode, digest, encode, load
from ..lvs_cf.merge import effective_data, written_data
from .lvs_cf_plan import Plan, dialect_of, finding_data

Planner = Callable[[Mapping[str, object], Optional[str]], Plan]

_ATTEMPTS = 5  # to change a file that somebody else changes meanwhile
_LOCK_SECONDS = 30.0  # how long to wait for another task that changes a file in the folder
_LOCK_PAUSE = 0.05


class FileError(Exception):
    """One sentence that says what cannot be done with the file, why, and what to do."""


def read_file(path: str, purpose: str = "write") -> bytes | None:
    """The file's bytes, or None where there is no file yet. FileError where it cannot be read."""
    if Path(path).is_dir():
        raise FileError(f"cannot {purpose} {path}: it is a folder; name a file")
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileError(f"cannot read {path}: {_reason(error)}; check path and rights") from None


def replace_file(module: AnsibleModule, path: str, data: bytes) -> None:
    """Replace the file in one step, from a temporary file in its own folder."""
    folder = Path(path).parent
    if not folder.is_dir():
        raise FileError(f"cannot write {path}: the folder {folder} does not exist; create it first")
    temporary = ""
    try:
        number, temporary = tempfile.mkstemp(prefix=".lvs.cf.", dir=folder)
        with os.fdopen(number, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        module.atomic_move(temporary, path, unsafe_writes=module.params["unsafe_writes"])
    except OSError as error:
        raise FileError(f"cannot write {path}: {_reason(error)}; check path and rights") from None
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def remove_file(path: str) -> None:
    """Remove the file. FileError where that cannot be."""
    try:
        Path(path).unlink(missing_ok=True)
    except OSError as error:
        raise FileError(f"cannot remove {path}: {_reason(error)}; check path and rights") from None


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Keep other tasks of this collection from changing a file in the folder meanwhile.

    The folder itself is locked, so that no lock file stays behind. Where a folder cannot be
    locked, the file is still read again before it is replaced.
    """
    try:
        number = os.open(Path(path).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # no such folder, or no right to it; writing will say so
        yield
        return
    try:
        limit = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > limit:
                    raise FileError(
                        f"cannot write {path}: another task has held it for {_LOCK_SECONDS:.0f} s; "
                        "see what runs there, and try again"
                    ) from None
                time.sleep(_LOCK_PAUSE)
                continue
            except OSError:  # a file system without locks
                pass
            break
        yield
    finally:
        os.close(number)


def run_module(module: AnsibleModule, planner: Planner, copy: str = "backup") -> None:
    """Do a module's work and exit through exit_json or fail_json.

    `planner` is a function of lvs_cf_plan.py; `copy` names the option that asks for a backup.
    """
    result: dict[str, object] = {"changed": False, "path": module.params["path"]}
    path = os.path.realpath(module.params["path"])  # a link stays a link
    try:
        if module.check_mode:
            present = read_file(path)
            plan = _plan(module, planner, present)
        else:
            with locked(path):
                present, plan = _write(module, planner, path, copy, result)
    except FileError as error:
        module.fail_json(msg=str(error), **result)
        return
    result["findings"] = [finding_data(found) for found in plan.findings]
    if plan.refused:
        module.fail_json(msg=plan.refused, **result)
        return
    for text in plan.warnings:
        module.warn(text)
    result.update(before=plan.before, after=plan.after, digest=plan.digest)
    result["changes"] = [change._asdict() for change in plan.changes]
    data = None if plan.text is None else encode(plan.text)
    result["changed"] = present != data
    _attributes(module, path, present, data, result)
    module.exit_json(**result)


def run_info(module: AnsibleModule) -> None:
    """Read and judge the file, and exit through exit_json or fail_json."""
    path = module.params["path"]
    try:
        present = read_file(path, "read")
    except FileError as error:
        module.fail_json(msg=str(error), path=path)
        return
    loaded = load(decode(present or b""), path, dialect_of(module.params))
    there = present is not None
    module.exit_json(
        changed=False,
        path=path,
        exists=there,
        valid=there and not loaded.errors,
        config=written_data(loaded.config) if there else None,
        effective=effective_data(loaded.config) if there else None,
        findings=[finding_data(found) for found in loaded.findings] if there else [],
        report=loaded.report() if there else [],
        digest=digest(loaded.config) if there else None,
    )


def _plan(module: AnsibleModule, planner: Planner, present: bytes | None) -> Plan:
    return planner(module.params, None if present is None else decode(present))


def _write(
    module: AnsibleModule, planner: Planner, path: str, copy: str, result: dict[str, object]
) -> tuple[bytes | None, Plan]:
    """Plan and write; again if the file is not any more what the plan was made of."""
    for _attempt in range(_ATTEMPTS):
        present = read_file(path)
        plan = _plan(module, planner, present)
        data = None if plan.text is None else encode(plan.text)
        if plan.refused or data == present:
            return present, plan
        if read_file(path) != present:
            continue
        if present is not None and module.params[copy]:
            result["backup_file"] = module.backup_local(path)
        if data is None:
            remove_file(path)
        else:
            replace_file(module, path, data)
        return present, plan
    raise FileError(f"cannot write {path}: somebody else keeps changing it; try again later")


def _attributes(
    module: AnsibleModule,
    path: str,
    present: bytes | None,
    data: bytes | None,
    result: dict[str, object],
) -> None:
    """Owner, group, mode and so on of the file, and the diff of all."""
    attributes: dict[str, object] = {}
    arguments = module.load_file_common_arguments(module.params, path=path)
    if data is not None and Path(path).exists():  # not so for a new file under check mode
        result["changed"] = module.set_fs_attributes_if_different(
            arguments, result["changed"], attributes
        )
    if module._diff:
        text = {
            "before": to_native(present or b"", errors="surrogate_or_replace"),
            "after": to_native(data or b"", errors="surrogate_or_replace"),
            "before_header": module.params["path"],
            "after_header": module.params["path"],
        }
        # A new file has no attributes to compare with; check mode could not tell them either.
        result["diff"] = [text, attributes] if attributes and present is not None else text


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
