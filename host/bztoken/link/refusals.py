"""What can go wrong between the two ends of a cable, each with its sentence.

LinkError
  NotAToken        what is at the port does not answer as one
  LineNoisy        no whole answer came, however often it was asked for
  AnswerLost       one answer did not come: nothing is known of its question and of those asked after it
  TokenRefused     the token said no; `code` says why
  TokenTooOld      its firmware does not have the command
"""

from bztoken.errors import LinkError
from bztoken.link.requests import TokenRefusal


class NotAToken(LinkError):
    """Nothing at this port answers as a token."""


class LineNoisy(LinkError):
    """No whole answer came, however often it was asked for."""


class TokenRefused(LinkError):
    """The token answered with a refusal; `code` says which."""

    def __init__(self, code: TokenRefusal | None) -> None:
        self.code = code
        super().__init__(_REFUSALS.get(code, "The token refused the request: update the token or this program."))


class TokenTooOld(LinkError):
    """The token's firmware does not have this command."""

    def __init__(self) -> None:
        super().__init__("The token's firmware is too old for this command: update it, or ask a technician to.")


_REFUSALS: dict[TokenRefusal | None, str] = {
    TokenRefusal.NOT_PROVISIONED: "This token is not provisioned: give it to somebody with `bztoken provision` first.",
    TokenRefusal.ALREADY_PROVISIONED: "This token belongs to a registry already: it was not changed.",
    TokenRefusal.NOT_AUTHENTICATED: "The token restarted in between: run the command again.",
    TokenRefusal.BAD_MAC: "The token does not accept this registry's key: it belongs to another registry.",
    TokenRefusal.STORAGE: "The token cannot write its flash: keep it, and ask a technician to read it out.",
    TokenRefusal.EXPIRED: "The courier's pass is over, says the token's clock: fetch a new one at the clinic.",
    TokenRefusal.NOT_ALLOWED: "The token does not do this for a courier: bring it to the clinic.",
    TokenRefusal.OLDER: "The token runs a newer version than this one: it was not changed.",
    TokenRefusal.BAD_ARCHIVE: "The application arrived damaged, or is none: the token goes on with the one it has.",
    TokenRefusal.WRONG_BUILD: "The application is built for another chip: the token goes on with the one it has.",
}


class AnswerLost(LinkError):
    """An answer did not come, or not whole: nothing is known of this question and of those sent after it."""
