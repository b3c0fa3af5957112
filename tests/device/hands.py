"""What only somebody at the desk can see, hear or press: asks them, and keeps their answers for the record sheet.

Questions go to the terminal past pytest's capturing; answers come from there, or from a file that is piped in.
"""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CHECKLIST = "By hand"
_ITEM = re.compile(r"- (?:\[[ x]\] )?(.+)")


@dataclass
class Hands:
    """Somebody at the desk. answers: what was said so far, as the record sheet takes it."""

    capture: Any  # pytest's manager of captured output, which has no public type
    answers: list[str] = field(default_factory=list)

    def ask(self, question: str, about: str) -> bool:
        """True for yes. Skips the test when they cannot tell; about: the answer's name in the record."""
        said = self._said(f"\n{question}\n[y]es, [n]o or [s]kip, then a remark if you like: ")
        word, _, remark = said.strip().partition(" ")
        answer = {"y": "yes", "n": "no"}.get(word[:1].lower(), "not looked at")
        self.answers.append(f"{about}: {answer}" + (f" ({remark.strip()})" if remark.strip() else ""))
        if answer not in ("yes", "no"):
            pytest.skip(f"nobody could tell: {about}")
        return answer == "yes"

    def tell(self, sentence: str) -> None:
        """Something to do now."""
        self._uncaptured(lambda: print(f"\n{sentence}", flush=True))

    def _said(self, prompt: str) -> str:
        try:
            return str(self._uncaptured(lambda: input(prompt)))
        except EOFError:  # nobody there after all
            return ""

    def _uncaptured(self, act: Callable[[], Any]) -> Any:
        self.capture.suspend_global_capture(in_=True)
        try:
            return act()
        finally:
            sys.stdout.flush()
            self.capture.resume_global_capture()


def checklist(sheet: Path) -> list[str]:
    """The items under "By hand" of a board's record sheet; none where there is no sheet."""
    if not sheet.exists():
        return []
    found: list[str] = []
    heading = ""
    for line in sheet.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = line.lstrip("#").strip()
        match = _ITEM.match(line)
        if match and heading.startswith(CHECKLIST):
            found.append(match[1].strip())
    return found
