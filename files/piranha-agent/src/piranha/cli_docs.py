# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line described for others: a manual page for man, completion for bash.

Both are made from the parser of cli.py, so that nothing is written twice. Pure: parser in, text
out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

Parser = argparse.ArgumentParser


def commands(parser: Parser, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Parser]]:
    """Give (words after the program, parser) of every command, nested ones after their parent."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield " ".join((*words, name)), below
                yield from commands(below, (*words, name))


NAMES_OF_THEIR_OWN = ("passwd",)
"""Commands that are also called as piranha-COMMAND."""


def completion(parser: Parser) -> str:
    """Give a completion script for bash."""
    cases, values, others = [], [], ""
    for words, below in [("", parser), *commands(parser)]:
        offered = " ".join(_offered(below))
        cases.append(f"        '{words}') offered='{offered}' ;;")
        for action in below._actions:
            if action.choices and action.option_strings:
                names = "|".join(f"'{words} {option}'" for option in action.option_strings)
                chosen = " ".join(map(str, action.choices))
                values.append(f"        {names}) offered='{chosen}' ;;")
    known = " ".join(f"'{words}'" for words, _unused in commands(parser))
    for name in NAMES_OF_THEIR_OWN:
        others += _BASH_OTHER.format(prog=parser.prog, name=name)
    told = {"cases": "\n".join(cases), "values": "\n".join(values), "known": known}
    return _BASH.format(prog=parser.prog, **told) + others


def manual(parser: Parser, version: str) -> str:
    """Give a manual page in roff (section 8)."""
    lines = [
        f'.TH {parser.prog.upper()} 8 "" "{parser.prog} {version}" "Linux Virtual Server"',
        ".SH NAME",
        rf"{parser.prog} \- {roff((parser.description or '').rstrip('.'))}",
        ".SH SYNOPSIS",
        f".B {parser.prog}",
        r".I COMMAND",
        r"[options]",
        ".SH COMMANDS",
    ]
    for words, below in commands(parser):
        if any(isinstance(a, argparse._SubParsersAction) for a in below._actions):
            continue
        usage = " ".join(below.format_usage().split()[1:])
        lines += [".TP", rf"\fB{roff(usage)}\fR", roff(below.description or _help(parser, words))]
        for action in _arguments(below):
            lines += [".RS", ".TP", rf"\fI{roff(_names(action))}\fR", roff(_text(below, action))]
            lines.append(".RE")
        if below.epilog and below.epilog != parser.epilog:
            lines += [".IP", roff(below.epilog[0].upper() + below.epilog[1:] + ".")]
    lines += [".SH EXIT STATUS", roff((parser.epilog or "").partition(": ")[2])]
    lines += [".SH SEE ALSO", r"\fBlvs.cf\fR(5), \fBipvsadm\fR(8)"]
    return "\n".join(line for line in lines if line) + "\n"  # roff frowns on empty lines


_BASH = """\
# bash completion for {prog}; made by `{prog} completion`
_{prog}() {{
    local word words='' offered='' known
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        for known in {known}; do
            if [ "${{words:+$words }}$word" = "$known" ]; then words=$known; fi
        done
    done
    case "$words" in
{cases}
    esac
    case "$words ${{COMP_WORDS[COMP_CWORD-1]}}" in
{values}
    esac
    mapfile -t COMPREPLY < <(compgen -W "$offered" -- "${{COMP_WORDS[COMP_CWORD]}}")
}}
complete -o default -F _{prog} {prog}
"""

_BASH_OTHER = """\
_{prog}_{name}() {{
    local COMP_WORDS=('{prog}' '{name}' "${{COMP_WORDS[@]:1}}") COMP_CWORD=$((COMP_CWORD + 1))
    _{prog}
}}
complete -o default -F _{prog}_{name} {prog}-{name}
"""


def _offered(parser: Parser) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices
        yield from action.option_strings
        yield from getattr(action, "offers", tuple)()  # the words that an argument may be


def _arguments(parser: Parser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if not isinstance(action, argparse._HelpAction) and action.help is not argparse.SUPPRESS:
            yield action


def _names(action: argparse.Action) -> str:
    value = str(action.metavar or action.dest.upper())
    if not action.option_strings:
        return value
    joined = ", ".join(action.option_strings)
    return joined if action.nargs == 0 else f"{joined} {value}"


def _text(parser: Parser, action: argparse.Action) -> str:
    return parser._get_formatter()._expand_help(action) if action.help else ""


def _help(parser: Parser, words: str) -> str:
    """Give the one line about a command that its parent lists."""
    for word in words.split():
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                told = {choice.dest: choice.help for choice in action._choices_actions}
                parser, found = action.choices[word], told.get(word)
                break
    return found or ""


def roff(text: str) -> str:
    """Escape a text for roff; not for what stands in a macro's line."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped
