"""The hosts under which a machine reaches itself, and nobody else reaches it."""

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
