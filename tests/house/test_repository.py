"""What the repository holds at its top, what no file may mention, and that every module says what it is for."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP_LEVEL = {
    "firmware", "host", "boards", "tests", "Makefile", "README.md", "pyproject.toml", "CHANGELOG.md", "LICENSE",
    "SECURITY.md",
}  # fmt: skip
# Put together here so that this file does not hold them itself.
ELSEWHERE = ("../" + "shared", "/work" + "/", "pypi" + ".org", "python" + "hosted")


def files_of(repository: Path) -> Iterator[Path]:
    """Every file that is committed or would be: what git ignores is left out."""
    if not (repository / ".git").exists():
        pytest.skip("not a git checkout, so nothing tells our files from what was built here")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True).stdout
    for name in listed.split("\0"):
        path = repository / name
        if name and path.is_file():
            yield path


def test_the_top_level_holds_only_what_the_readme_maps(repository: Path) -> None:
    found = {path.relative_to(repository).parts[0] for path in files_of(repository)}
    assert {name for name in found if not name.startswith(".")} - TOP_LEVEL == set()


@pytest.mark.parametrize("name", sorted(TOP_LEVEL))
def test_what_the_top_level_promises_is_there(repository: Path, name: str) -> None:
    assert (repository / name).exists()


def test_no_file_mentions_a_place_outside_the_repository_or_a_registry(repository: Path) -> None:
    found = []
    for path in files_of(repository):
        text = path.read_text(encoding="utf-8", errors="ignore")
        found += [f"{path.relative_to(repository)}: {word}" for word in ELSEWHERE if word in text]
    assert found == []


def opens_with_docstring(source: str) -> bool:
    return bool(ast.get_docstring(ast.parse(source)))


def test_every_module_opens_with_a_docstring(repository: Path) -> None:
    modules = [path for path in files_of(repository) if path.suffix == ".py"]
    silent = [path for path in modules if not opens_with_docstring(path.read_text(encoding="utf-8"))]
    assert silent == []
    assert len(modules) > 20


def test_a_module_that_opens_with_a_comment_is_noticed() -> None:
    assert opens_with_docstring('"""Says why."""\nimport json\n')
    assert not opens_with_docstring('# says why\nimport json\n"""too late"""\n')
    assert not opens_with_docstring("")
