# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module lvs_cf does: options to text, and text to the file.

Private to this collection. plan() decides and touches nothing; the rest is the shell around it
that reads and replaces one file. The language itself is in module_utils/lvs_cf.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_native

from ..lvs_cf.api import digest, encode, from_data, load, write
from ..lvs_cf.findings import WARNING, Finding


class Plan(NamedTuple):
    """The text the file shall have; None, and the errors in the findings, if it would be bad."""

    text: str | None
    findings: list[Finding]
    digest: str = ""


class FileError(Exception):
    """One sentence that says what cannot be done with the file, why, and what to do."""


def plan(options: Mapping[str, object]) -> Plan:
    """Make the file's text of the module's options; nothing is read or written."""
    names = ("globals", "virtual_servers", "failover_services")
    built = from_data({name: options[name] for name in names if options.get(name) is not None})
    if built.errors:
        return Plan(None, built.findings)
    header = options.get("header")
    comment = header.splitlines() if isinstance(header, str) else []
    text = write(built.config, comment)
    written = load(text)  # what we write must read back; a header cannot break it either
    if written.errors:
        return Plan(None, written.findings)
    return Plan(text, built.findings, digest(built.config))


def read_file(path: str) -> bytes | None:
    """The file's bytes, or None where there is no file yet. FileError where it cannot be read."""
    if Path(path).is_dir():
        raise FileError(f"cannot write {path}: it is a folder; name a file")
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


def run_module(module: AnsibleModule) -> None:
    """Do the module's work and exit through exit_json or fail_json."""
    wanted = plan(module.params)
    result: dict[str, object] = {
        "changed": False,
        "path": module.params["path"],
        "findings": [_as_data(found) for found in wanted.findings],
    }
    if wanted.text is None:
        errors = [found.format() for found in wanted.findings if found.severity == "error"]
        sentence = f"{module.params['path']} would not be valid and was left as it is:"
        module.fail_json(msg="\n".join([sentence, *errors]), **result)
        return
    for found in wanted.findings:
        if found.severity == WARNING:
            module.warn(found.format())
    try:
        result.update(_apply(module, encode(wanted.text)))
    except FileError as error:
        module.fail_json(msg=str(error), **result)
    module.exit_json(digest=wanted.digest, **result)


def _apply(module: AnsibleModule, data: bytes) -> dict[str, object]:
    """Bring the file to these bytes and the wanted owner and mode; gives the result's values."""
    path = os.path.realpath(module.params["path"])  # a link stays a link
    before = read_file(path)
    result: dict[str, object] = {"changed": before != data}
    if before != data and not module.check_mode:
        if before is not None and module.params["backup"]:
            result["backup_file"] = module.backup_local(path)
        replace_file(module, path, data)
    attributes: dict[str, object] = {}
    arguments = module.load_file_common_arguments(module.params, path=path)
    if Path(path).exists():  # not so for a new file under check mode
        result["changed"] = module.set_fs_attributes_if_different(
            arguments, result["changed"], attributes
        )
    if module._diff:
        text = {
            "before": to_native(before or b"", errors="surrogate_or_replace"),
            "after": to_native(data, errors="surrogate_or_replace"),
            "before_header": module.params["path"],
            "after_header": module.params["path"],
        }
        # A new file has no attributes to compare with; check mode could not tell them either.
        result["diff"] = [text, attributes] if attributes and before is not None else text
    return result


def _as_data(found: Finding) -> dict[str, object]:
    return {
        "code": found.code,
        "severity": found.severity,
        "path": found.path,
        "message": found.message,
        "remedy": found.remedy,
    }


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
