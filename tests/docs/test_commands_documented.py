"""Every command of the program is in host/README.md, and every command line in the READMEs is one that it has."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from bztoken.cli.main import app

READMES = ("README.md", "host/README.md", "boards/README.md", "firmware/README.md")
_LINE = re.compile(r"(?:^|\s)(?:\$ |\.venv/bin/|`)bztoken ([^`\n#&]+)", re.MULTILINE)


def root() -> TyperGroup:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return group


def command_paths(group: TyperGroup, prefix: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            found |= command_paths(command, (*prefix, name))
        else:
            found.add((*prefix, name))
    return found


def resolve(words: list[str]) -> tuple[tuple[str, ...], Any, list[str]]:
    """(path, command, remaining words); stops at the first word that names no command."""
    group: Any = root()
    path: tuple[str, ...] = ()
    while words and isinstance(group, TyperGroup) and words[0] in group.commands:
        group = group.commands[words[0]]
        path = (*path, words[0])
        words = words[1:]
    return path, group, words


def lines_in(repository: Path) -> list[tuple[str, str]]:
    return [
        (name, line.strip())
        for name in READMES
        for line in _LINE.findall((repository / name).read_text(encoding="utf-8"))
        if not line.strip().endswith("..")
    ]


def faults(line: str) -> list[str]:
    path, command, rest = resolve(shlex.split(line))
    options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    if isinstance(command, TyperGroup) and not all(word.startswith("--") for word in rest):
        return [f"no such command: {line}"]
    return [
        f"{word} is no option of {' '.join(path)}" for word in rest if word.startswith("--") and word not in options
    ]


def test_the_readmes_show_only_commands_that_exist(repository: Path) -> None:
    lines = lines_in(repository)
    assert len(lines) > 20
    assert [(name, fault) for name, line in lines for fault in faults(line)] == []


def test_every_command_is_in_the_host_readme(repository: Path) -> None:
    text = (repository / "host/README.md").read_text(encoding="utf-8")
    documented = {resolve(shlex.split(line))[0] for line in _LINE.findall(text)}
    assert command_paths(root()) - documented == set()


def groups(group: TyperGroup, name: str = "bztoken") -> dict[str, TyperGroup]:
    """By their names, with this one."""
    found = {name: group}
    for word, command in group.commands.items():
        if isinstance(command, TyperGroup):
            found |= groups(command, f"{name} {word}")
    return found


@pytest.mark.parametrize("name", groups(root()))
def test_the_summary_of_a_command_is_a_whole_phrase_on_80_columns(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    group = groups(root())[name]
    listed = group.get_help(typer.Context(group, info_name=name)).partition("Commands:")[2].splitlines()
    lines = [line for line in listed if line.strip()]
    assert len(lines) == len(group.commands)  # one line each: none is broken into two
    assert [line for line in lines if not line.endswith(".") or line.endswith("..")] == []


@pytest.mark.parametrize("line", ["nothing --port P", "sync --prot P", "fleet fly"])
def test_a_wrong_line_is_seen(line: str) -> None:
    assert faults(line)
