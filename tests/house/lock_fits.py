"""Does the lock file fit pyproject.toml? Every dependency named there must be locked, in range, with a hash.

Works without the network, so it cannot see that a newer release exists; it sees the forgotten `make lock`.
Run: `python tests/house/lock_fits.py [ROOT]`; `make lock-check` does.
"""

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCKED_EXTRAS = ("desk", "virtual", "province", "spark", "dev")
_ENTRY = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)[^\n]*(?P<hashes>(?:\n\s+--hash=\S+[ \\]*)*)", re.M
)


def locked_versions(lock: str) -> dict[str, str]:
    """Version of each package in the lock that carries at least one hash."""
    return {canonicalize_name(m["name"]): m["version"] for m in _ENTRY.finditer(lock) if m["hashes"]}


def named_requirements(pyproject: str) -> list[str]:
    """Every requirement that the lock was made from: an extra that takes another one in names no package to lock."""
    project = tomllib.loads(pyproject)["project"]
    extras = project.get("optional-dependencies", {})
    named = [*project["dependencies"], *(line for extra in LOCKED_EXTRAS for line in extras.get(extra, []))]
    own = canonicalize_name(project["name"])
    return [line for line in named if canonicalize_name(Requirement(line).name) != own]


def misfits(requirements: Iterable[str], locked: dict[str, str]) -> list[str]:
    """One sentence for each requirement that the lock does not meet."""
    said = []
    for line in requirements:
        requirement = Requirement(line)
        version = locked.get(canonicalize_name(requirement.name))
        if version is None:
            said.append(f"{requirement.name} is in pyproject.toml but not in the lock: run `make lock`")
        elif not requirement.specifier.contains(version, prereleases=True):
            said.append(f"{requirement.name} {version} in the lock is not {requirement.specifier}: run `make lock`")
    return said


def main(arguments: list[str]) -> int:
    root = Path(arguments[0] if arguments else ".")
    lock = (root / ".ci/requirements.lock").read_text(encoding="utf-8")
    pyproject = (root / "pyproject.toml").read_text(encoding="utf-8")
    said = misfits(named_requirements(pyproject), locked_versions(lock))
    print("\n".join(said) or "the lock fits pyproject.toml")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
