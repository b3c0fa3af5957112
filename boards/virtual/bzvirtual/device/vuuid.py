"""`bluetooth.UUID`: 16 bits from a number, 128 bits from text. `little` is what goes over the air."""


class UUID:
    def __init__(self, value):
        if isinstance(value, int):
            self.little = value.to_bytes(2, "little")
        elif isinstance(value, str):
            digits = bytes.fromhex(value.replace("-", ""))
            if len(digits) != 16:
                raise ValueError("invalid UUID")
            self.little = bytes(reversed(digits))
        else:
            self.little = bytes(value)

    def __eq__(self, other):
        return isinstance(other, UUID) and other.little == self.little

    def __hash__(self):
        return hash(self.little)

    def __repr__(self):
        big = bytes(reversed(self.little)).hex()
        if len(big) == 4:
            return f"UUID(0x{big})"
        return f"UUID('{big[:8]}-{big[8:12]}-{big[12:16]}-{big[16:20]}-{big[20:]}')"
