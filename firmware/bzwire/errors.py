"""Errors of the wire formats, and the numbers a token answers with.

WireError
  Truncated        bytes end too early
  Malformed        bytes are there but break the format
  BadChecksum      CRC or authentication tag does not fit
  OutOfRange       a value does not fit its field (struct would cut it silently on MicroPython)

No message carries a key, an ID or a name.
"""


class WireError(ValueError):
    """Base of everything this package raises about bytes."""


class Truncated(WireError):
    """The bytes end before the format does."""


class Malformed(WireError):
    """The bytes break the format."""


class BadChecksum(WireError):
    """A CRC or an authentication tag does not match."""


class OutOfRange(WireError):
    """A value does not fit into its field."""


# Error numbers of the token group (SMP version 2: {"err": {"group": GROUP_TOKEN, "rc": n}}). Never renumber.
RC_NOT_PROVISIONED = 1
RC_ALREADY_PROVISIONED = 2
RC_NOT_AUTHENTICATED = 3
RC_BAD_MAC = 4
RC_REPLAY = 5
RC_BAD_REQUEST = 6
RC_BAD_CURSOR = 7
RC_NOT_CONSENTED = 8
RC_STORAGE = 9
RC_EXPIRED = 10
RC_NOT_ALLOWED = 11
RC_OLDER = 12
RC_BAD_ARCHIVE = 13
RC_WRONG_BUILD = 14

# Error numbers of the standard MCUmgr groups that we answer with (MGMT_ERR_* of the SMP specification).
MGMT_EUNKNOWN = 1
MGMT_EINVAL = 3
MGMT_ENOTSUP = 8
MGMT_EACCESSDENIED = 11
