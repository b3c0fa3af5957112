"""The cable: SMP over `smpclient`, the token's commands, the authenticated session."""
