# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pulse answers on the control socket out of what its children say. It changes nothing."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from piranha import __version__
from piranha.control.protocol import CHANGES, Encoded, Request
from piranha.control.server import Handler, Refusal, user_name
from piranha.pulse.ward import Ward

ANSWER_LIMIT = 10.0
"""Seconds that a child may take for an answer."""

HEART, LVSD, FOS = "heart", "lvsd", "fos"


class Answers:
    """The requests that need no more than the children.

    wards: the children by name; filled after this was made. facts: what pulse knows of itself,
    for the status.
    """

    def __init__(
        self, config_path: Path, wards: Mapping[str, Ward], facts: Callable[[], dict[str, Any]]
    ) -> None:
        self._config_path, self._wards, self._facts = config_path, wards, facts
        self._begin = time.monotonic()

    def handlers(self) -> dict[str, Handler]:
        """Give them by the name of the request."""
        return {
            "status": self._status,
            "version": self._version,
            "servers": self._of_lvsd,
            "override": self._of_lvsd,
            "check": self._of_lvsd,
            "switchover": self._switchover,
        }

    async def _status(self, request: Request) -> dict[str, Any]:
        now = asyncio.get_running_loop().time()
        wards = self._wards.items()
        detail = request.arguments.get("detail") is not False
        return {
            "host": socket.gethostname(),
            "version": __version__,
            **{name: ward.state for name, ward in wards if name != LVSD},
            LVSD: await self._lvsd_state(detail=detail),
            "ages": {
                name: None if ward.state is None else round(now - ward.state_at, 3)
                for name, ward in wards
            },
            "pulse": {
                "uptime": round(time.monotonic() - self._begin, 3),
                "config": str(self._config_path),
                "restarts": {name: ward.restarts for name, ward in wards},
                "running": {name: ward.process is not None for name, ward in wards},
                "pids": {name: ward.process and ward.process.pid for name, ward in wards},
                **self._facts(),
            },
        }

    async def _lvsd_state(self, *, detail: bool) -> dict[str, Any] | None:
        """Give lvsd's last words with all virtual services, which it tells in pages."""
        ward = self._wards.get(LVSD)
        if ward is None or ward.state is None:
            return None
        pages: list[str] = []
        start: int | None = 0
        while detail and start is not None:
            answer = await ward.request("services", ANSWER_LIMIT, {"start": start})
            if answer.get("ok") is not True:
                break
            pages.append(str(answer["result"].get("text", "")))
            start = answer["result"].get("next")
        return {**ward.state, **({"virtual": Encoded(pages)} if detail else {})}

    async def _of_lvsd(self, request: Request) -> dict[str, Any]:
        """Hand a request on to lvsd; who asks is known here."""
        ward = self._wards.get(LVSD)
        if ward is None:
            raise Refusal(f"this router runs failover services; {request.do} is for real servers")
        arguments = dict(request.arguments)
        if request.do in CHANGES:
            arguments.setdefault("by", user_name(request.uid))
        answer = await ward.request(request.do, ANSWER_LIMIT, arguments)
        if answer.get("ok") is not True:
            raise Refusal(f"lvsd: {answer.get('error', 'refused without a reason')}")
        result = answer.get("result")
        return result if isinstance(result, dict) else {}

    async def _switchover(self, request: Request) -> dict[str, Any]:
        """Let the partner take over. It is through when the heart answers, but for the partner.

        Failover services have to stop first, which takes its time: the answer tells which groups
        have begun to, and how many seconds they may take.
        """
        fos, group = self._wards.get(FOS), request.arguments.get("group")
        if fos is None:
            if group is not None:
                raise Refusal(
                    "this router runs virtual servers; only failover services have groups"
                )
            answer = await self._wards[HEART].request("switchover", ANSWER_LIMIT)
        else:
            why = f"{user_name(request.uid)} asks for a switchover"
            said = {"why": why} if group is None else {"why": why, "group": str(group)}
            answer = await fos.request("move", ANSWER_LIMIT, said)
        if answer.get("ok") is not True:
            raise Refusal(str(answer.get("error", "refused without a reason")))
        result = answer.get("result")
        return result if isinstance(result, dict) else {}

    async def _version(self, request: Request) -> dict[str, Any]:
        return {"version": __version__}
