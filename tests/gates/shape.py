# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the house that need understanding of Python.

Sizes; a head that tells what a file is for; and the name that ansible-test's pylint refuses,
which takes minutes to say so when it starts cold.

Lines of code are counted without blank lines, comments and docstrings; a module's DOCUMENTATION,
EXAMPLES and RETURN count as docstrings. Beyond the wish it is a remark, beyond the limit a fault.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

from .machine import ROOT, main_guarded, say
from .stage import tracked_files

FILE_WISH, FILE_LIMIT = 400, 500
FUNCTION_WISH, FUNCTION_LIMIT = 50, 60
DOCUMENTS = ("DOCUMENTATION", "EXAMPLES", "RETURN")
QUIET = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
    tokenize.ENCODING, tokenize.ENDMARKER,
}


@dataclass(frozen=True)
class Finding:
    """A place and what is wrong there; ``fault`` fails the gate."""

    text: str
    fault: bool


def code_lines(source: str, tree: ast.Module) -> set[int]:
    """The numbers of the lines that hold code."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in QUIET:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Expr, ast.Assign)):
            continue
        documents = isinstance(node, ast.Expr) or (
            isinstance(node.targets[0], ast.Name) and node.targets[0].id in DOCUMENTS
        )
        if documents and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def look(name: str) -> Iterator[Finding]:
    """The findings of one Python file."""
    source = (ROOT / name).read_text(encoding="utf-8")
    if not source.strip():
        return
    tree = ast.parse(source, filename=name)
    lines = code_lines(source, tree)
    if len(lines) > FILE_WISH:
        yield Finding(f"{name}: {len(lines)} lines of code (wish {FILE_WISH}, limit {FILE_LIMIT})",
                      len(lines) > FILE_LIMIT)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            size = len(lines & set(range(node.lineno, (node.end_lineno or node.lineno) + 1)))
            if size > FUNCTION_WISH:
                wish = f"wish {FUNCTION_WISH}, limit {FUNCTION_LIMIT}"
                text = f"{name}:{node.lineno}: {node.name}() has {size} lines of code ({wish})"
                yield Finding(text, size > FUNCTION_LIMIT)
        if isinstance(node, ast.Name) and node.id == "_" and isinstance(node.ctx, ast.Store):
            text = "ansible-test's pylint refuses the name _; call it _unused or what it is"
            yield Finding(f"{name}:{node.lineno}: {text}", True)
    module = name.startswith("plugins/modules/") or name.startswith("plugins/doc_fragments/")
    if not module and ast.get_docstring(tree) is None:
        yield Finding(f"{name}: begins without telling what the file is for", True)


def main() -> int:
    """Print the findings; 1 if one of them is a fault."""
    names = [name for name in tracked_files() if name.endswith(".py")]
    found = [finding for name in names for finding in look(name)]
    for finding in found:
        say(f"{'FAULT' if finding.fault else 'remark'}: {finding.text}")
    faults = sum(finding.fault for finding in found)
    say(f"{len(names)} Python files, {len(found) - faults} remarks, {faults} faults")
    return int(bool(faults))


if __name__ == "__main__":
    main_guarded(main)
