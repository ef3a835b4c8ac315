# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""lvsd as a child of pulse: its process, its link, its end. What it does is daemon.py's."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import resource
import signal
import socket
from pathlib import Path
from typing import Any

from piranha.control.link import Link
from piranha.core.ipvs.kernel import Kernel
from piranha.core.lvs_cf.api import collector_at_rest
from piranha.marks.keeper import Keeper
from piranha.net.news import News
from piranha.pulse.reading import READER

from . import words
from .daemon import Daemon
from .drift import Glance
from .kept import Kept, state_dir
from .layout import LayoutError
from .names import Names
from .owned import Owned
from .reconcile import Reconciler
from .reporter import LinkReporter
from .source import Source
from .window import Window


@functools.lru_cache(maxsize=1)
def source_of(config: Path) -> Source:
    """Give what reads a configuration; once for pulse and for the lvsd that it forks."""
    return Source(config, READER)


def prepare(config: Path) -> None:
    """Lay out a configuration before lvsd is forked.

    A copy begins where this ended, and what it need not look at, it need not have copies of: with
    16,000 real servers that is half of its start. What is wrong, lvsd will say. Names have no
    addresses yet, and so are left to it.
    """
    source = source_of(config)
    with contextlib.suppress(LayoutError), collector_at_rest():
        if not source.read():
            source.layout({})


def run(
    link_socket: socket.socket,
    config_path: Path,
    run_dir: Path,
    kernel: Kernel | None = None,
    glance: Glance | None = None,
) -> int:
    """Run lvsd as a child of pulse until pulse has gone or says stop; gives the exit status.

    link_socket: our end of the link. config_path: the configuration in force. run_dir: the
    agent's folder below /run. kernel, glance: in place of the real table, for a benchmark on a
    machine that has none.
    """
    _many_files()
    with kernel or Kernel() as table:
        paths = Path(config_path), Path(run_dir)
        return asyncio.run(_serve(link_socket, *paths, table, glance or Glance()))


async def _serve(
    link_socket: socket.socket, config: Path, run_dir: Path, kernel: Kernel, glance: Glance
) -> int:
    ended = asyncio.Event()
    failures: list[BaseException] = []

    def fail(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # A mistake of ours. The table stays and pulse starts us again, which cures more than
        # going on with half of our work undone.
        failures.append(context.get("exception") or RuntimeError(context["message"]))
        ended.set()

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(fail)
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGTERM, ended.set)
    reporter = LinkReporter(Link(link_socket), ended)
    daemon = Daemon(
        source_of(config),
        Reconciler(kernel, Owned(run_dir)),
        reporter,
        Kept(state_dir(run_dir)),
        Window(kernel),
        glance,
        Keeper(run_dir, lambda level, text: reporter.event(words.event(level, text))),
        Names(run_dir),
    )
    reporter.requests = daemon.requests()
    daemon.hear(News())
    daemon.start()
    await ended.wait()
    await daemon.stop()
    for failure in failures:
        raise failure
    return 0


def _many_files() -> None:
    """Every check under way needs a descriptor; take as many as this process may have."""
    _unused, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
