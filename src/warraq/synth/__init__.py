"""Synthetic documents with true answers."""

from pathlib import Path


def write(out: Path, documents: int, seed: int) -> None:
    raise NotImplementedError
