"""Errors of the host side: each message is one sentence for a person, saying what is wrong and what to do.

BztokenError
  HomeError          data folder or key file missing, malformed or open to others
  RegistryError      the registry cannot be opened, read or written
    PageDamaged      a log page is broken or sealed with another key
    PageConflict     a page with a known number but other content
  FormatError        a file of others breaks its format (carries path and line)
  CaseError          a case cannot be recorded as asked
  PersonError        a person, a consent or a place cannot be recorded as asked
  NotAllowed         the operator's role does not allow it, or the password is wrong
  FollowUpError      a step with a contact cannot be recorded as asked
  ScoringError       a preset of the scoring is missing or wrong
  LakeError          a lake of encounters cannot be read or written as asked
  EngineError        the matching cannot run where it was asked to
  ReportError        a report cannot be made as asked
  LinkError          the cable, or the token at its end
    NotTrusted       a token of this registry that is not believed: revoked, wiped, or with a double
  PrintError         a page or label cannot be drawn or written
  BoardError         a board's file, or an image for it, is missing, wrong or impossible
  FlashError         a board cannot be flashed as asked
  DeployError        a developer's board cannot be given what was changed

No message carries a key, an ID or a name.
"""

from pathlib import Path


class BztokenError(Exception):
    """Base of everything that the command line shows as one sentence."""


class HomeError(BztokenError):
    """The data folder or a key file in it cannot be used."""


class RegistryError(BztokenError):
    """The registry cannot be opened, read or written."""


class PageDamaged(RegistryError):
    """A log page fails its checksum or its authentication."""


class PageConflict(RegistryError):
    """A page carries the number of a stored page but not its content."""


class FormatError(BztokenError):
    """A file breaks its format; `path` and `line` (1-based, None: the file as a whole) say where."""

    def __init__(self, path: Path, line: int | None, problem: str) -> None:
        place = f"{path}" if line is None else f"{path}, line {line}"
        super().__init__(f"{place}: {problem}")
        self.path = path
        self.line = line
        self.problem = problem

    def __reduce__(self) -> tuple[type["FormatError"], tuple[Path, int | None, str]]:
        """It may come from another process."""
        return FormatError, (self.path, self.line, self.problem)


class CaseError(BztokenError):
    """A case cannot be recorded as asked."""


class PersonError(BztokenError):
    """A person, a consent or a place cannot be recorded as asked."""


class NotAllowed(BztokenError):
    """The operator's role does not allow it, or the password is wrong; nothing was changed."""


class FollowUpError(BztokenError):
    """A step with a contact cannot be recorded as asked."""


class ScoringError(BztokenError):
    """A preset of the scoring is missing or wrong."""


class LakeError(BztokenError):
    """A lake of encounters cannot be read or written as asked."""


class EngineError(BztokenError):
    """The matching cannot run where it was asked to: a package, Java or a cluster is missing."""


class ReportError(BztokenError):
    """A report cannot be made as asked."""


class LinkError(BztokenError):
    """The cable, or the token at its end, does not do what it should."""


class NotTrusted(LinkError):
    """A token of this registry whose log must not be taken."""


class PrintError(BztokenError):
    """A page or label cannot be drawn or written."""


class BoardError(BztokenError):
    """A board's file, or an image for it, is missing, wrong or impossible."""


class FlashError(BztokenError):
    """A board cannot be flashed as asked; the sentence says whether something was written to it."""


class DeployError(BztokenError):
    """A developer's board cannot be given what was changed; the same command finishes what was begun."""
