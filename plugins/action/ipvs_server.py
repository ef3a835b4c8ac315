# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""ipvs_server on the controller: while a real server drains, look again and again and show progress.

It runs the module for a single look each time, so that nobody sits before a silent task. When a
real server is drained is decided in module_utils/_module/ipvs_drain.py, on both sides alike. With
async, under check mode and for every other state the module runs once, as without this plugin.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase

from ..module_utils._module import ipvs_drain
from ..module_utils._module.ipvs_options import server_module_spec

_CHANGING = ("after", "connections", "drained", "waiting_for")


class _LookFailed(Exception):
    """The module failed while it was to look; its result."""

    def __init__(self, result: dict[str, Any]) -> None:
        super().__init__(str(result.get("msg", "")))
        self.result = result


class ActionModule(ActionBase):  # type: ignore[misc] # Ansible ships no types
    """The action ``ipvs_server``."""

    _supports_check_mode = True
    _supports_async = True
    _supports_diff = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Run the task; gives the module's result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        wrap_async = self._task.async_val and not self._connection.has_native_async
        once = wrap_async or self._task.check_mode or self._task.args.get("state") != "drained"
        if once:
            result.update(self._execute_module(task_vars=task_vars, wrap_async=wrap_async))
        else:
            _valid, args = self.validate_argument_spec(argument_spec=server_module_spec())
            result.update(self._drain(args, task_vars))
        if not wrap_async:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def _drain(self, args: Mapping[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        first: dict[str, Any] = {}

        def module(**options: object) -> dict[str, Any]:
            told: dict[str, Any] = self._execute_module(
                module_args={**self._task.args, **options}, task_vars=task_vars
            )
            return told

        def look() -> Mapping[str, int]:
            told = module(timeout=0, on_timeout=ipvs_drain.PROCEED)
            told.pop("warnings", None)  # of a time that is up: that is for us to say
            if told.get("failed") or told.get("unreachable"):
                raise _LookFailed(told)
            if first:
                first.update({name: told[name] for name in _CHANGING})
            else:
                first.update(told)
            return dict(told["waiting_for"])

        def tell(waiting: Mapping[str, int], passed: float) -> None:
            line = ipvs_drain.progress(str(first["server"]), waiting, passed, args["timeout"])
            self._display.display(f"{self._play_context.remote_addr}: {line}")

        try:
            ending = ipvs_drain.wait(
                look, args["timeout"], args["interval"], time.monotonic, time.sleep, tell
            )
        except _LookFailed as failure:
            # What the first look has changed is changed, whatever became of a later one.
            changed = bool(failure.result.get("changed") or first.get("changed"))
            return {**first, **failure.result, "changed": changed}
        first["waited"] = ending.waited
        verdict = ipvs_drain.verdict_of(first, ending, args["on_timeout"])
        if verdict.weight is not None:
            back = module(state="present", weight=verdict.weight)
            if back.get("failed") or back.get("unreachable"):
                return {**first, **back, "changed": True}
            first.update(after=back["after"], changed=False)
        if verdict.failure:
            first.update(failed=True, msg=verdict.failure)
        if verdict.warning:
            first["warnings"] = [verdict.warning]
        return first
