"""A request that the token will not serve, as a number for the host (bzwire.errors)."""


class Refusal(Exception):
    """code: one of the RC_* numbers, or a MGMT_* number when `standard` is True."""

    def __init__(self, code: int, standard: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.standard = standard
