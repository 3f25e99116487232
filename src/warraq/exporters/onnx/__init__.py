"""A merged model -> ONNX graphs, one module a model family that has a way there."""

import importlib
import importlib.util
from pathlib import Path
from typing import Any, Protocol, cast


class Exporter(Protocol):
    """A module of this folder that bears a family's name."""

    def write(self, merged: Path, out: Path) -> None:
        """Write the three graphs of the model in `merged` to `out`, weights beside them, in fp32."""

    def sliding_window(self, config: Any) -> int | None:
        """Tokens that a sliding layer looks back; None where there is no such layer."""


def has_route(family: str) -> bool:
    """Whether a way to ONNX is proved right for a family."""
    return importlib.util.find_spec(f"warraq.exporters.onnx.{family}") is not None


def load(family: str) -> Exporter:
    """The exporter of a family that has a route."""
    return cast(Exporter, importlib.import_module(f"warraq.exporters.onnx.{family}"))
