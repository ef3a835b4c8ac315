# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page's end of the editor's socket: answers in any order, failures, an editor that dies."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from piranha.gui.backend import Failed
from piranha.gui.protocol import CONFLICT, UNAVAILABLE, Actor
from piranha.gui.socket_backend import LARGE, SocketBackend

ANN = Actor("ann", "edit")


class Editor:
    """Answers as told; `last` waits until something else was asked."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self._waiting: list[dict[str, Any]] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            asked = json.loads(line)
            self.heard.append(asked)
            if asked["do"] == "die":
                writer.close()
                return
            if asked["do"] == "last":
                self._waiting.append(asked)
                continue
            answer: dict[str, Any] = {"id": asked["id"], "ok": True, "result": {"do": asked["do"]}}
            if asked["do"] == "write":
                answer = {"id": asked["id"], "ok": False, "error": "too late", "code": CONFLICT,
                          "details": {"who": "bob"}}
            if asked["do"] == "large":
                answer["result"] = {"text": "x" * 2 * LARGE}
            if asked["do"] == "garbage":
                writer.write(b"{\n")
                continue
            writer.write(json.dumps(answer).encode() + b"\n")
            for one in self._waiting:
                writer.write(json.dumps({"id": one["id"], "ok": True, "result": {}}).encode())
                writer.write(b"\n")
            self._waiting.clear()


def test_answers_find_who_asked(tmp_path: Path) -> None:
    async def run() -> None:
        editor, path = Editor(), tmp_path / "gui.sock"
        server = await asyncio.start_unix_server(editor.talk, str(path))
        backend = SocketBackend(path)
        last = asyncio.create_task(backend.ask("last", by=ANN))
        await asyncio.sleep(0.05)
        assert await backend.ask("first", {"number": 3}, ANN) == {"do": "first"}
        assert await last == {}
        assert len((await backend.ask("large"))["text"]) == 2 * LARGE
        with pytest.raises(Failed, match="too late") as why:
            await backend.ask("write", {}, ANN)
        assert (why.value.code, why.value.status) == (CONFLICT, 409)
        assert why.value.details == {"who": "bob"}
        assert editor.heard[1]["by"] == {"user": "ann", "role": "edit"}
        assert editor.heard[1]["number"] == 3
        assert editor.heard[2]["by"]["role"] == "view"  # nobody asked, so it is the page itself
        await backend.close()
        server.close()

    asyncio.run(run())


def test_an_editor_that_dies_is_told_and_found_again(tmp_path: Path) -> None:
    async def run() -> None:
        path = tmp_path / "gui.sock"
        backend = SocketBackend(path)
        with pytest.raises(Failed, match="does not answer at") as why:
            await backend.ask("status")
        assert why.value.code == UNAVAILABLE
        server = await asyncio.start_unix_server(Editor().talk, str(path))
        for fatal in ("die", "garbage"):
            with pytest.raises(Failed) as why:
                await backend.ask(fatal)
            assert why.value.code == UNAVAILABLE
            assert await backend.ask("status") == {"do": "status"}
        await backend.close()
        server.close()

    asyncio.run(run())
