# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the agent's archive: `bundle.py` writes it where the role piranha_router takes it from.

In the archive are the agent's sources, the two shared libraries of the collection (as
piranha/core/), and the pinned dependencies; nothing is compiled, and nothing is fetched on a
target. The same input gives the same bytes: entries are sorted, and times, owners and modes fixed.
Beside it stands a card, piranha-agent.json, with the digest that names the folder on a target.

Needs Python 3.11; where requirements.txt names a dependency, pip and the package registry too
(once: build/wheels keeps the wheels).
"""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import io
import json
import lzma
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
NAME = "piranha-agent"

LIBRARIES = ("lvs_cf", "ipvs")
"""Copied from plugins/module_utils to piranha/core."""

MODULES_ONLY = ("piranha/core/ipvs/data.py", "piranha/core/ipvs/scope.py")
"""Parts of them that only Ansible's modules use."""

DIGITS = 16
"""Hexadecimal digits of the digest: enough to tell versions apart, short enough for a path."""

SPARE = {"markupsafe": "markupsafe/_speedups."}
"""Compiled parts that their package does without: they are left out, so its wheel may be taken."""

WHEELS_FOR = (
    *("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"),
    *("--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_28_x86_64"),
)
"""The wheels are the same ones wherever the archive is made: its bytes must not depend on that."""

COMPILED = (".so", ".pyd", ".c", ".pyi")

UNUSED = (
    *("anyio/_backends/_trio.py", "anyio/_core/_asyncio_selector_thread.py"),
    *("anyio/_core/_concurrency_utils.py", "anyio/_core/_contextmanagers.py"),
    *("anyio/_core/_futures.py", "anyio/_core/_signals.py", "anyio/_core/_subprocesses.py"),
    *("anyio/_core/_tempfile.py", "anyio/from_thread.py"),
    *("anyio/functools.py", "anyio/itertools.py", "anyio/pytest_plugin.py"),
    *("anyio/streams/buffered.py", "anyio/streams/file.py", "anyio/streams/text.py"),
    *("anyio/to_interpreter.py", "anyio/to_process.py"),
    *("click/_termui_impl.py", "click/_winconsole.py", "click/shell_completion.py"),
    *("click/testing.py", "jinja2/constants.py", "jinja2/ext.py", "jinja2/meta.py"),
    *("jinja2/nativetypes.py", "jinja2/sandbox.py"),
    *("starlette/authentication.py", "starlette/config.py", "starlette/endpoints.py"),
    *("starlette/middleware/authentication.py", "starlette/middleware/base.py"),
    *("starlette/middleware/cors.py", "starlette/middleware/gzip.py"),
    *("starlette/middleware/httpsredirect.py", "starlette/middleware/opentelemetry.py"),
    *("starlette/middleware/sessions.py", "starlette/middleware/trustedhost.py"),
    *("starlette/middleware/wsgi.py", "starlette/schemas.py", "starlette/templating.py"),
    *("starlette/testclient.py", "uvicorn/loops/uvloop.py", "uvicorn/loops/zuvloop.py"),
    *("uvicorn/protocols/http/httptools_impl.py", "uvicorn/protocols/http/*zttp_*"),
    "uvicorn/protocols/websockets/*",
    *("uvicorn/supervisors/watchfilesreload.py", "uvicorn/workers.py"),
    *("*.dist-info/METADATA", "*.dist-info/RECORD", "*.dist-info/WHEEL"),
    *("*.dist-info/entry_points.txt", "*.dist-info/top_level.txt"),
)
"""Of dependencies: what the page never imports, and what pip alone reads: a tenth of all."""

PACKING = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "pb": 0}]
"""For text, which sources are: a quarter less than gzip makes of them. Python unpacks it."""

MTIME = 315532800  # 1980-01-01, the earliest time that zip files can hold as well


class BundleError(Exception):
    """The archive cannot be made; the text is one sentence."""


@dataclass(frozen=True)
class Pin:
    """One line of requirements.txt."""

    name: str
    version: str
    digests: frozenset[str]


def pins(text: str) -> list[Pin]:
    """Read pinned requirements with hashes; BundleError for any without."""
    found = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        name, mark, version = words[0].partition("==")
        digests = frozenset(
            word.removeprefix("--hash=sha256:") for word in words[1:] if word.startswith("--hash")
        )
        if not mark or not digests:
            raise BundleError(f"requirements.txt: {words[0]} is not pinned by version and hash")
        found.append(Pin(name, version, digests))
    return found


def wheel_of(pin: Pin, folder: Path) -> Path | None:
    """Find the pinned wheel in `folder`, by content."""
    for path in sorted(folder.glob("*.whl")):
        if hashlib.sha256(path.read_bytes()).hexdigest() in pin.digests:
            return path
    return None


def wheels(requirements: Path, folder: Path) -> list[Path]:
    """Give the wheels of all requirements, having pip fetch what is not there yet."""
    wanted = pins(requirements.read_text(encoding="utf-8"))
    if any(wheel_of(pin, folder) is None for pin in wanted):
        folder.mkdir(parents=True, exist_ok=True)
        argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        argv += ["--only-binary=:all:", "--require-hashes", "--disable-pip-version-check"]
        argv += WHEELS_FOR
        argv += ["--dest", str(folder), "--requirement", str(requirements)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode != 0:
            last = (done.stderr.strip() or "no reason given").splitlines()[-1]
            raise BundleError(f"pip could not fetch {requirements.name}: {last}")
    found = []
    for pin in wanted:
        wheel = wheel_of(pin, folder)
        if wheel is None:
            raise BundleError(f"{folder} has no wheel of {pin.name} {pin.version} after all")
        if not wheel.name.endswith("-none-any.whl") and pin.name not in SPARE:
            raise BundleError(f"{wheel.name} is not pure Python; the archive must run anywhere")
        found.append(wheel)
    return found


def sources(folder: Path, below: str) -> Iterator[tuple[str, bytes]]:
    """Give (name in the archive, content) of the Python sources in `folder`, and of what the page
    shows: templates, and what browsers are given.
    """
    found = [*folder.rglob("*.py"), *folder.glob("gui/static/*"), *folder.glob("gui/templates/*")]
    for path in sorted(found):
        yield f"{below}/{path.relative_to(folder).as_posix()}", path.read_bytes()


def unused(name: str) -> bool:
    """Whether a dependency's file may stay out of the archive."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in UNUSED)


def unpacked(wheel: Path) -> Iterator[tuple[str, bytes]]:
    """Give the files of a wheel: its modules and its licence, but nothing compiled or unused."""
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(("/", "/py.typed")) or unused(name):
                continue
            if not name.endswith(COMPILED):
                yield name, archive.read(name)
            elif name.endswith((".so", ".pyd")) and not name.startswith(tuple(SPARE.values())):
                raise BundleError(f"{wheel.name} holds {name}; the archive must run anywhere")


def contents(agent: Path, libraries: Path, wheel_files: list[Path]) -> dict[str, bytes]:
    """Give every file of the archive by name, but for VERSION."""
    files = dict(sources(agent / "src" / "piranha", "piranha"))
    if "piranha/cli.py" not in files:
        raise BundleError(f"{agent / 'src' / 'piranha'} does not hold the agent's sources")
    for library in LIBRARIES:
        found = dict(sources(libraries / library, f"piranha/core/{library}"))
        if not found:
            raise BundleError(f"{libraries / library} does not hold the library {library}")
        files |= found
    for name in MODULES_ONLY:
        files.pop(name, None)
    for wheel in wheel_files:
        files |= dict(unpacked(wheel))
    return files


def digest_of(files: dict[str, bytes]) -> str:
    """Name these files, so that the same ones are known again."""
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(f"{name}\0{len(files[name])}\0".encode())
        total.update(files[name])
    return total.hexdigest()[:DIGITS]


def version_of(files: dict[str, bytes]) -> str:
    """Read the agent's version from its sources."""
    found = re.search(rb'^__version__ = "([^"]+)"$', files["piranha/__init__.py"], re.MULTILINE)
    if found is None:
        raise BundleError("piranha/__init__.py does not say its __version__")
    return found[1].decode()


def packed(files: dict[str, bytes]) -> bytes:
    """Give the archive's bytes."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(files[name]), MTIME, 0o644
            archive.addfile(entry, io.BytesIO(files[name]))
    return lzma.compress(raw.getvalue(), filters=PACKING)


def write(path: Path, data: bytes) -> None:
    """Write whole or not at all; a file that is right already is left alone."""
    if path.exists() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as file:
        file.write(data)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)


def make(checkout: Path, output: Path) -> dict[str, str]:
    """Write archive and card to `output`; gives the card."""
    agent = checkout / "files" / NAME
    wheel_files = wheels(agent / "requirements.txt", checkout / "build" / "wheels")
    files = contents(agent, checkout / "plugins" / "module_utils", wheel_files)
    version, digest = version_of(files), digest_of(files)
    files["VERSION"] = f"version {version}\ndigest {digest}\n".encode()
    data = packed(files)
    card = {"digest": digest, "sha256": hashlib.sha256(data).hexdigest(), "version": version}
    write(output / f"{NAME}.tar.xz", data)
    write(output / f"{NAME}.json", (json.dumps(card, indent=2, sort_keys=True) + "\n").encode())
    return card


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Make the archive that the role installs.")
    parser.add_argument(
        "--output",
        type=Path,
        default=CHECKOUT / "roles" / "piranha_router" / "files",
        metavar="DIR",
        help="where to write it (the role's files folder)",
    )
    options = parser.parse_args()
    try:
        card = make(CHECKOUT, options.output)
    except BundleError as why:
        print(f"bundle.py: {why}", file=sys.stderr)
        return 1
    except OSError as why:
        print(f"bundle.py: {why.filename or ''}: {why.strerror or why}", file=sys.stderr)
        return 1
    print(f"{NAME} {card['version']} {card['digest']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
