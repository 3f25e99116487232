"""A teacher that is a model behind HTTP: requests and their limits, price and ledger, and how responses are read."""
