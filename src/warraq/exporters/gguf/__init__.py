"""A merged model -> the two files of llama.cpp, `model.gguf` and `mmproj.gguf`, the latter its vision part."""

from typing import Literal

Precision = Literal["f32", "f16", "q8_0", "q4_0"]
"""As llama.cpp names them; the vision part is in f16 with f16, else in f32."""

EXACT: Precision = "f32"
FILES = ("model.gguf", "mmproj.gguf")
FAMILIES = ("gemma3",)
"""Whose answers through llama.cpp are proved to be those of transformers."""


def has_route(family: str) -> bool:
    """Whether a way to GGUF is proved right for a family."""
    return family in FAMILIES
