"""A Java is installed where none is, only where that can be done, and a build server without one is a failure."""

from pathlib import Path

import pytest
from tests.house.java_there import PACKAGES, main

# Stands for apt-get: writes down what it was asked, and installs the package named last into the folder beside it.
APT_GET = """\
#!/bin/sh
echo "$*" >>"{asked}"
for package; do :; done
if [ "$package" = "{has}" ]; then
  mkdir -p "{installed}/java/bin"
  printf '#!/bin/sh\\necho "openjdk version \\\\"{version}\\\\"" >&2\\n' >"{installed}/java/bin/java"
  chmod +x "{installed}/java/bin/java"
elif [ "$package" != update ]; then
  echo "E: Unable to locate package $package"
  exit 100
fi
"""


class System:
    """A computer without a Java. installed: where one would be put; asked: what apt-get was asked."""

    def __init__(self, folder: Path) -> None:
        self.installed, self._asked, self._programs = folder / "jvm", folder / "asked", folder / "bin"
        self._programs.mkdir()
        for name in ("sh", "mkdir", "chmod"):
            (self._programs / name).symlink_to(f"/bin/{name}")
        self.path = str(self._programs)

    def apt_get(self, has: str, version: str = "17.0.15") -> None:
        program = self._programs / "apt-get"
        program.write_text(APT_GET.format(asked=self._asked, has=has, installed=self.installed, version=version))
        program.chmod(0o755)

    def asked(self) -> list[str]:
        return self._asked.read_text().splitlines() if self._asked.exists() else []


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    made = System(tmp_path)
    monkeypatch.setenv("PATH", made.path)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv("CI", raising=False)
    return made


def test_a_missing_java_is_installed_and_one_sentence_says_so(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    system.apt_get(PACKAGES[0])
    assert main(system.installed, is_root=True) == 0
    update, install = system.asked()
    assert update.endswith(" update") and install.endswith(f" install -y --no-install-recommends {PACKAGES[0]}")
    assert capsys.readouterr().out == f"No Java for Spark yet: installing {PACKAGES[0]} with apt-get.\n"


def test_a_java_that_is_there_is_left_alone(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    system.apt_get(PACKAGES[0])
    main(system.installed, is_root=True)
    before = system.asked()
    capsys.readouterr()
    assert main(system.installed, is_root=True) == 0
    assert system.asked() == before and capsys.readouterr().out == ""


def test_a_newer_system_has_it_under_another_name(system: System) -> None:
    system.apt_get(PACKAGES[1], version="21.0.8")
    assert main(system.installed, is_root=True) == 0
    assert len(system.asked()) == 3


def test_who_may_not_install_is_told_and_goes_on(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    system.apt_get(PACKAGES[0])
    assert main(system.installed, is_root=False) == 0
    assert system.asked() == []
    said = capsys.readouterr().out
    assert said.startswith("The tests of Spark will be skipped: ") and "-jre-headless" in said
    assert said.count("\n") == 1


def test_a_system_without_apt_get_goes_on(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(system.installed, is_root=True) == 0
    assert "will be skipped" in capsys.readouterr().out


@pytest.mark.parametrize("version", ["1.8.0_412", "11.0.2"])
def test_a_build_server_without_a_new_enough_java_fails(
    system: System, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], version: str
) -> None:
    system.apt_get(PACKAGES[0], version)
    monkeypatch.setenv("CI", "true")
    assert main(system.installed, is_root=True) == 1
    said = capsys.readouterr().err
    assert f"Unable to locate package {PACKAGES[1]}" in said and "The tests of Spark cannot run" in said
