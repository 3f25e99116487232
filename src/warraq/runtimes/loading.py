"""A model's folder -> the runtime that it is for, and how long its answers may be.

Apart from the package, so that who asks a model through one runtime depends on no other.
"""

from pathlib import Path

from warraq.errors import InputError
from warraq.files import read_json
from warraq.runtimes import Runtime

HELD = {"onnx": "decoder_model_merged.onnx", "gguf": "model.gguf"}
"""What a folder for another runtime than torch holds."""


def read_token_limit(folder: Path, limit: int) -> int:
    """Tokens that an answer may have: `limit`, or the `max_new_tokens` of the model's generation_config.json, if less;
    a baseline that is not in the folder has none."""
    if "runtime" in read_json(folder / "config.json"):
        return limit
    return min(limit, int(read_json(folder / "generation_config.json").get("max_new_tokens", limit)))


def load_runtime(folder: Path, name: str | None = None) -> Runtime:
    """The runtime for a model's folder: the one that its config.json names, for a baseline; onnxruntime where it holds
    graphs, llama.cpp where it holds GGUF, else transformers.

    Raises:
        InputError: the folder is for another runtime than `name`.
    """
    held = {kind for kind, name in HELD.items() if (folder / name).exists()}
    kind = read_json(folder / "config.json").get("runtime") or next(iter(held), "torch")
    if kind == "none":
        raise InputError(f"{folder} holds no model; its config.json says why.")
    if name not in (kind, None):
        raise InputError(f"{folder} is for the runtime {kind}, not for {name}; name another folder.")
    if kind == "tesseract":
        from warraq.runtimes.tesseract import TesseractRuntime

        return TesseractRuntime(folder)
    if kind == "endpoint":
        from warraq.runtimes.endpoint import EndpointRuntime

        return EndpointRuntime(folder)
    if kind == "gguf":
        from warraq.runtimes.gguf import GgufRuntime

        return GgufRuntime(folder)
    if kind == "onnx":
        from warraq.runtimes.onnx import OnnxRuntime

        return OnnxRuntime(folder)
    from warraq.runtimes.torch import TorchRuntime

    return TorchRuntime(folder)
