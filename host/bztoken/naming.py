"""The label of a token that is being provisioned: one that somebody chose, or the next number of a batch."""

from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.orm import Session

from bztoken.errors import LinkError, RegistryError
from bztoken.registry import batch_labels, provision_batches, tokens
from bztoken.registry.models import ProvisionBatch, Token


class Naming(Protocol):
    """Both are called within a transaction."""

    @property
    def role(self) -> str:
        """Of every token that gets its label here."""

    def reserve(self, session: Session, uid: bytes, board: str, now_s: int) -> Token:
        """A pending row for a blank token. Raises RegistryError."""

    def adopt(self, session: Session, token: Token) -> None:
        """A token of a pending row has turned up: give it the label. Raises LinkError or RegistryError."""


@dataclass(frozen=True)
class OneLabel:
    """A label that somebody chose, for one token. place: name of a site."""

    label: str
    role: str
    place: str | None = None

    def reserve(self, session: Session, uid: bytes, board: str, now_s: int) -> Token:
        """A pending row under the label that had it gives it up."""
        self._require_no_typo(session)
        self._free_label(session)
        token = tokens.create(session, self.label, uid, self.role, board, now_s)
        token.state = tokens.STATE_PENDING
        token.place = self.place
        session.flush()
        return token

    def adopt(self, session: Session, token: Token) -> None:
        """Whatever label it was begun under; it keeps the role that it was told then."""
        if token.role == tokens.ROLE_SITE:
            token.place = self.place or token.place
        if token.label == self.label:
            return
        self._require_no_typo(session)
        self._free_label(session)
        if tokens.by_label(session, self.label) is not None:
            raise RegistryError("another token has this label: choose a label that is used nowhere else")
        provision_batches.leave(token)
        tokens.rename(session, token, self.label)

    def _require_no_typo(self, session: Session) -> None:
        """A label that was printed for a batch checks itself; one that somebody thought up only looks like one."""
        if batch_labels.has_wrong_digit(self.label) and provision_batches.has_prefix_of(session, self.label):
            raise RegistryError(
                "this looks like the label of a batch, and its last digit, which checks the others, does not fit: a "
                "digit is wrong, look at the label again"
            )

    def _free_label(self, session: Session) -> None:
        """A pending row gives up its label, never its number: its token may turn up yet."""
        token = tokens.by_label(session, self.label)
        if token is not None and token.state == tokens.STATE_PENDING:
            provision_batches.leave(token)
            tokens.give_up_label(session, token, "unfinished")


@dataclass(frozen=True)
class BatchNumbers:
    """The running numbers of a batch."""

    batch: ProvisionBatch

    @property
    def role(self) -> str:
        """Of the batch."""
        return self.batch.role

    def reserve(self, session: Session, uid: bytes, board: str, now_s: int) -> Token:
        """Under the next number."""
        return provision_batches.reserve(session, self.batch, uid, board, now_s)

    def adopt(self, session: Session, token: Token) -> None:
        """It keeps the number under which it was begun."""
        if token.batch_id != self.batch.id:
            raise LinkError(
                "This token was begun outside this batch and left half done: it was not changed; the batch in which it "
                "was begun finishes it, or `bztoken provision --port .. --label ..`."
            )
