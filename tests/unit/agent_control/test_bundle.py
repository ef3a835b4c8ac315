# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's archive: complete, reproducible, and only from pinned wheels."""

from __future__ import annotations

import fnmatch
import hashlib
import importlib.metadata
import importlib.util
import io
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

from roles.piranha_router.files import piranha_unpack
from tests.unit.imports import imported

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def bundle() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bundle", ROOT / "files/piranha-agent/bundle.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bundle"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    module.PACKING[0]["preset"] = 0  # a second sooner, and larger
    return module


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    folder = tmp_path / "build" / "wheels"
    folder.mkdir(parents=True)
    path = folder / "somelib-9.9-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("somelib/__init__.py", "FAKE = True\n")
        archive.writestr("somelib-9.9.dist-info/RECORD", "x\n")
        archive.writestr("somelib-9.9.dist-info/licenses/LICENSE", "x\n")
    return path


def pinned(wheel: Path) -> str:
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return f"# why\nsomelib==9.9 \\\n    --hash=sha256:{digest}\n"


@pytest.fixture
def checkout(tmp_path: Path, wheel: Path) -> Path:
    """A checkout as make() sees it: our own sources, a made-up dependency."""
    agent = tmp_path / "files" / "piranha-agent"
    agent.mkdir(parents=True)
    (agent / "requirements.txt").write_text(pinned(wheel), encoding="utf-8")
    (agent / "src").symlink_to(ROOT / "files/piranha-agent/src")
    (tmp_path / "plugins").symlink_to(ROOT / "plugins")
    return tmp_path


def test_same_input_gives_the_same_bytes(bundle: ModuleType, checkout: Path) -> None:
    first = bundle.make(checkout, checkout / "one")
    for path in (checkout / "build").rglob("*"):
        os.utime(path, (1, 1))
    second = bundle.make(checkout, checkout / "two")
    assert first == second
    for name in ("piranha-agent.tar.xz", "piranha-agent.json"):
        assert (checkout / "one" / name).read_bytes() == (checkout / "two" / name).read_bytes()
    assert (
        first["sha256"]
        == hashlib.sha256((checkout / "one" / "piranha-agent.tar.xz").read_bytes()).hexdigest()
    )


def test_the_archive_is_whole_and_runs_alone(bundle: ModuleType, checkout: Path) -> None:
    card = bundle.make(checkout, checkout / "out")
    with tarfile.open(checkout / "out" / "piranha-agent.tar.xz") as archive:
        entries = archive.getmembers()
        archive.extractall(checkout / "unpacked")  # noqa: S202 - made three lines above
    names = [entry.name for entry in entries]
    assert names == sorted(names)
    for name in ("VERSION", "piranha/cli.py", "piranha/core/ipvs/plan.py", "somelib/__init__.py"):
        assert name in names
    assert "somelib-9.9.dist-info/licenses/LICENSE" in names
    assert not [n for n in names if "__pycache__" in n]
    assert {(e.mode, e.uid, e.gid, e.uname, e.mtime) for e in entries} == {
        (0o644, 0, 0, "", bundle.MTIME)
    }
    version = (checkout / "unpacked" / "VERSION").read_text(encoding="utf-8")
    assert version == f"version {card['version']}\ndigest {card['digest']}\n"
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); "
        "from piranha.core.lvs_cf import api; from piranha.core.ipvs import plan; "
        "from piranha.cli import main; print(api.__file__); sys.exit(main(['version']))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(checkout / "unpacked")],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        str(checkout / "unpacked/piranha/core/lvs_cf/api.py"),
        f"piranha {card['version']}",
    ]


def test_any_change_gives_another_digest(bundle: ModuleType) -> None:
    files = {"a": b"1", "b": b"2"}
    others = [{"a": b"1"}, {"a": b"1", "b": b"3"}, {"a": b"12", "b": b""}, {"a": b"1", "c": b"2"}]
    digests = {bundle.digest_of(f) for f in [files, *others]}
    assert len(digests) == 5
    assert bundle.digest_of(dict(reversed(files.items()))) == bundle.digest_of(files)


def test_a_wheel_with_other_content_is_not_taken(
    bundle: ModuleType, checkout: Path, wheel: Path
) -> None:
    pin = bundle.pins(pinned(wheel))[0]
    assert bundle.wheel_of(pin, wheel.parent) == wheel
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    assert bundle.wheel_of(pin, wheel.parent) is None


@pytest.mark.parametrize("line", ["somelib", "somelib>=0.9", "somelib==0.9.7"])
def test_what_is_not_pinned_is_refused(bundle: ModuleType, line: str) -> None:
    with pytest.raises(bundle.BundleError, match="not pinned by version and hash"):
        bundle.pins(line + "\n")


def test_the_requirements_are_what_the_sources_import(bundle: ModuleType) -> None:
    """Neither a dependency that no target has, nor one that nobody needs."""
    found = imported(ROOT / "files/piranha-agent/src")
    assert "asyncio" in found
    text = (ROOT / "files/piranha-agent/requirements.txt").read_text(encoding="utf-8")
    pinned_names = {pin.name for pin in bundle.pins(text)}
    needed = found - set(sys.stdlib_module_names) - {"piranha"}
    for name in pinned_names:
        needed |= needs_of(name)
    assert needed - {ONLY_FOR_NAMES} == pinned_names


ONLY_FOR_NAMES = "idna"
"""anyio imports it to connect to names beyond ASCII, and the page connects nowhere."""


def needs_of(name: str) -> set[str]:
    """What a package needs on the oldest Python of a router, without its extras."""
    found = set()
    for text in importlib.metadata.requires(name) or ():
        wish = Requirement(text)
        if wish.marker is None or wish.marker.evaluate({"python_version": "3.11", "extra": ""}):
            found.add(wish.name.lower().replace("-", "_"))
    return found


def test_the_tests_run_with_the_versions_of_the_archive(bundle: ModuleType) -> None:
    text = (ROOT / "files/piranha-agent/requirements.txt").read_text(encoding="utf-8")
    have = {pin.name: importlib.metadata.version(pin.name) for pin in bundle.pins(text)}
    assert have == {pin.name: pin.version for pin in bundle.pins(text)}


IMPORT_ALL = """
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
import piranha.gui
for module in pkgutil.iter_modules(piranha.gui.__path__, "piranha.gui."):
    importlib.import_module(module.name)
from piranha.gui import server
server.configured(lambda scope, receive, send: None, "127.0.0.1", 0, "", "")
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""


def test_the_page_does_without_what_stays_out(bundle: ModuleType, tmp_path: Path) -> None:
    """Of the same versions as in the archive; the page's own layer drives a browser on it."""
    text = (ROOT / "files/piranha-agent/requirements.txt").read_text(encoding="utf-8")
    names = [pin.name for pin in bundle.pins(text)]
    unmatched = set(bundle.UNUSED)
    for name in names:
        kept = [f for f in importlib.metadata.files(name) or () if not bundle.unused(str(f))]
        assert any("license" in str(file).lower() for file in kept), f"{name} without its licence"
        for file in importlib.metadata.files(name) or ():
            unmatched -= {p for p in bundle.UNUSED if fnmatch.fnmatchcase(str(file), p)}
            if file.suffix == ".py" and not bundle.unused(str(file)):
                target = tmp_path / file
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(Path(str(file.locate())))
    assert unmatched == set()
    (tmp_path / "piranha").symlink_to(ROOT / "files/piranha-agent/src/piranha")
    argv = [sys.executable, "-I", "-S", "-c", IMPORT_ALL, str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    # What Python has had itself since 3.13 is carried for those before.
    spare = {"typing_extensions"} if sys.version_info >= (3, 13) else set()
    assert set(names) - spare <= set(done.stdout.split())


def test_a_router_unpacks_and_compiles_it(bundle: ModuleType, tmp_path: Path) -> None:
    files = {"piranha/__init__.py": b"x = 1\n", "VERSION": b"version 1\n"}
    archive = tmp_path / "agent.tar.xz"
    archive.write_bytes(bundle.packed(files))
    assert piranha_unpack.main([str(archive), str(tmp_path)]) == 0
    assert not archive.exists()
    found = {str(p.relative_to(tmp_path)): p for p in tmp_path.rglob("*") if p.is_file()}
    (compiled,) = set(found) - set(files)
    assert compiled.startswith("piranha/__pycache__/__init__.cpython-")
    assert {name: found[name].read_bytes() for name in files} == files
    # Bytes 4 to 7 say whether the source is compared: 1 is "never".
    assert found[compiled].read_bytes()[4:8] == b"\1\0\0\0"


def test_a_damaged_archive_is_refused_in_one_sentence(
    bundle: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "agent.tar.xz"
    whole = bundle.packed({"piranha/__init__.py": b"x = 1\n" * 1000})
    for damaged in (whole[: len(whole) // 2], b"not an archive", b""):
        archive.write_bytes(damaged)
        assert piranha_unpack.main([str(archive), str(tmp_path)]) == 1
        said = capsys.readouterr().err
        assert said.startswith(f"{archive} is damaged (")
        assert said.endswith("; install the collection anew\n")
        assert archive.exists()


def test_the_agent_imports_nothing_of_what_only_modules_use(bundle: ModuleType) -> None:
    folders = (ROOT / "files/piranha-agent/src", ROOT / "plugins/module_utils")
    names = [Path(name).stem for name in bundle.MODULES_ONLY]
    loads = re.compile(rf"(?m)^ *(from|import) .*\b(ipvs|[.])[. ](import )?({'|'.join(names)})\b")
    users = {
        str(path.relative_to(folder))
        for folder in folders
        for path in folder.rglob("*.py")
        if loads.search(path.read_text(encoding="utf-8"))
    }
    assert users
    assert {name.partition("/")[0] for name in users} == {"_module"}


def test_what_cannot_be_compiled_is_refused(
    bundle: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "agent.tar.xz"
    archive.write_bytes(bundle.packed({"x.py": b"no python\n"}))
    assert piranha_unpack.main([str(archive), str(tmp_path)]) == 1
    assert "cannot compile what is in" in capsys.readouterr().err


def test_compiled_parts_stay_out(bundle: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "markupsafe-1-cp311-cp311-linux.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("__init__.py", "_native.py", "_speedups.cpython-311.so", "_speedups.c"):
            archive.writestr(f"markupsafe/{name}", "x")
    names = [name for name, _content in bundle.unpacked(path)]
    assert names == ["markupsafe/__init__.py", "markupsafe/_native.py"]
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/fast.so", "x")
    with pytest.raises(bundle.BundleError, match="must run anywhere"):
        list(bundle.unpacked(path))


def test_an_entry_cannot_be_larger_than_said(bundle: ModuleType) -> None:
    data = bundle.packed({"x": b"content", "y/z": b""})
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        member = archive.extractfile("x")
        assert member is not None
        assert member.read() == b"content"
