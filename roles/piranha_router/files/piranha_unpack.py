# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpacks the agent's archive and compiles it, by the Python that will run the agent.

    python - ARCHIVE FOLDER

A router needs no program for that, above all not xz, which a small installation does not have. The
archive is removed at the end: whatever goes wrong before leaves it, and the next run begins again.
"""

from __future__ import annotations

import compileall
import importlib.util
import py_compile
import sys
import tarfile
import typing as t
from pathlib import Path


class Trouble(Exception):
    """What went wrong, in one sentence."""


def unpack(archive: Path, folder: Path) -> None:
    """Fill the folder; Trouble if this Python cannot, or if the archive is damaged."""
    if importlib.util.find_spec("_lzma") is None:
        raise Trouble(
            f"{sys.executable} was built without its module lzma, which unpacks the agent; name"
            " another Python in piranha_router_python"
        )
    # Owners and modes are the archive's otherwise; later Pythons ask to be told.
    filtered: dict[str, t.Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    try:
        with tarfile.open(archive, "r:xz") as opened:
            opened.extractall(folder, **filtered)  # noqa: S202 - the collection's own
    except (tarfile.TarError, EOFError) as why:
        raise Trouble(f"{archive} is damaged ({why}); install the collection anew") from why


def compile_all(folder: Path) -> None:
    """Compile it once for all: nobody but root may write there, and starting is quicker."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    if not compileall.compile_dir(folder, quiet=1, invalidation_mode=mode):
        raise Trouble(f"{sys.executable} cannot compile what is in {folder}; see above")


def main(argv: t.Sequence[str]) -> int:
    """Run the command."""
    archive, folder = map(Path, argv)
    try:
        unpack(archive, folder)
        compile_all(folder)
        archive.unlink()
    except (Trouble, OSError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
