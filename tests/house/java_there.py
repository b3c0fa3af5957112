"""Is there a Java that Spark runs on? If not, and if this system lets us, install one with apt-get.

Looks where the host tools look (`find_java`), so that the two never disagree. Without a Java the tests that need one
are skipped and say so; on a build server (CI is set) it is a failure.
Run: `python tests/house/java_there.py`; `make java` does.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from bztoken.errors import EngineError
from bztoken.matching.engines.java import find_java

# The second is for systems newer than Debian 12, which have left the first behind.
PACKAGES = ("openjdk-17-jre-headless", "default-jre-headless")
INSTALLED = Path("/usr/lib/jvm")
_WAIT_S = 300  # somebody else may be installing


def main(installed: Path = INSTALLED, is_root: bool | None = None) -> int:
    """Exit code: 0, or 1 if no Java is there on a build server. `installed`: where each folder is one Java."""
    missing = missing_java(installed)
    if missing is not None and may_install(is_root):
        print(f"No Java for Spark yet: installing {PACKAGES[0]} with apt-get.", flush=True)
        missing = installed_one(installed)
    if missing is None:
        return 0
    if os.environ.get("CI"):
        print(f"The tests of Spark cannot run: {missing}.", file=sys.stderr)
        return 1
    print(f"The tests of Spark will be skipped: {missing}.")
    return 0


def missing_java(installed: Path) -> str | None:
    """Why there is none, in one sentence without its full stop; None if there is one."""
    try:
        find_java(installed)
    except EngineError as error:
        return str(error).rstrip(".")
    return None


def may_install(is_root: bool | None) -> bool:
    """Only as root: nobody is asked for a password in the middle of the tests."""
    return (os.geteuid() == 0 if is_root is None else is_root) and shutil.which("apt-get") is not None


def installed_one(installed: Path) -> str | None:
    """What is missing still. Only a Java that is found counts as installed, whatever apt-get says."""
    said = apt_get("update")
    for package in PACKAGES:
        said += apt_get("install", "-y", "--no-install-recommends", package)
        missing = missing_java(installed)
        if missing is None:
            return None
    print(said.strip(), file=sys.stderr)
    return missing


def apt_get(*words: str) -> str:
    """Run it without questions; what it said if it failed."""
    ran = subprocess.run(
        ["apt-get", "-qq", "-o", f"DPkg::Lock::Timeout={_WAIT_S}", *words],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return ran.stdout if ran.returncode else ""


if __name__ == "__main__":
    sys.exit(main())
