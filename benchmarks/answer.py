"""Answering: onnxruntime in each precision against transformers, same prompt and image, rounds alternating.

    python benchmarks/answer.py --merged models/nano/merged --onnx models/nano/onnx --page data/pages/<doc>/0001.png

`--onnx` must be graphs in fp32 (`export.precisions: [fp32]`).

Prints a table: time to the first token, tokens a second after it, the share of what the memory's bandwidth allows (each
token reads all of the decoder's weights once), size of the weights. Medians, because cores may be shared.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np

from warraq.runtimes import Request, Runtime, threads
from warraq.runtimes.onnx import OnnxRuntime
from warraq.students import precision

PROMPT = "You are a professional OCR details extractor. Task: content. Copy the page. Answer in JSON only."


def bandwidth() -> float:
    """Bytes a second that as many threads as a runtime has read from memory."""
    count = threads() or os.cpu_count() or 1
    numbers = np.ones((count, 2**27 // count), dtype=np.float32)  # 512 MiB: more than any cache
    best = 0.0
    with ThreadPoolExecutor(count) as pool:
        for _ in range(5):
            began = time.perf_counter()
            list(pool.map(np.sum, numbers))
            best = max(best, numbers.nbytes / (time.perf_counter() - began))
    return best


def once(runtime: Runtime, request: Request, tokens: int) -> tuple[float, float]:
    """Seconds to the first token, and tokens a second after it."""
    began = time.perf_counter()
    runtime.answer([request], 1)
    first = time.perf_counter() - began
    began = time.perf_counter()
    (answer,) = runtime.answer([request], tokens)
    rest = time.perf_counter() - began - first
    return first, max(answer.tokens - 1, 1) / max(rest, 1e-9)


def unstopped(runtime: OnnxRuntime) -> OnnxRuntime:
    """All answers are equally long."""
    runtime.stops = [-1]
    return runtime


def engines(onnx: Path, merged: Path | None, names: list[str], work: Path) -> dict[str, tuple[Runtime, int]]:
    """Name to runtime and the bytes of weights that a token reads."""
    found: dict[str, tuple[Runtime, int]] = {}
    for name in names:
        if name in ("fp32", "int8", "int8_dynamic", "int4"):
            folder = onnx
            if name != "fp32":
                folder = work / name
            if not folder.exists():
                shutil.copytree(onnx, folder, ignore=shutil.ignore_patterns("*.onnx*"))
                precision.write(onnx, folder, name)  # type: ignore[arg-type]
            size = (folder / "decoder_model_merged.onnx_data").stat().st_size
            found[f"onnxruntime {name}"] = unstopped(OnnxRuntime(folder)), size
        elif merged is not None:
            from warraq.runtimes.torch import TorchRuntime

            torch = TorchRuntime(merged, dtype={"torch": "float32", "torch_bf16": "bfloat16"}[name])
            torch.stops = [-1]
            text = torch.model.model.language_model
            found[f"transformers {name.removeprefix('torch_') if '_' in name else 'fp32'}"] = (
                torch,
                sum(weight.numel() * weight.element_size() for weight in text.parameters()),
            )
    return found


def main(write: Callable[[str], None] = print) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--onnx", type=Path, required=True, help="graphs in fp32")
    parser.add_argument("--merged", type=Path)
    parser.add_argument("--page", type=Path, required=True)
    parser.add_argument("--work", type=Path, help="folder that keeps the lower precisions; default: a temporary one")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", default="torch,torch_bf16,fp32,int8,int8_dynamic,int4")
    options = parser.parse_args()
    request = Request((options.page,), PROMPT)
    with tempfile.TemporaryDirectory() as work:
        found = engines(options.onnx, options.merged, options.engines.split(","), options.work or Path(work))
        limit = bandwidth()
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in found}
        for runtime, _ in found.values():
            runtime.answer([request], 2)
        for _ in range(options.rounds):
            for name, (runtime, _) in found.items():
                times[name].append(once(runtime, request, options.tokens))
    write(f"memory read by these threads: {limit / 1e9:.1f} GB/s; {options.tokens} tokens, {options.rounds} rounds\n")
    write("| engine | first token, ms | tokens/s | of the bandwidth | all, s | pages/min | weights a token, MB |")
    write("|---|---|---|---|---|---|---|")
    for name, (_, size) in found.items():
        first, speed = median(one for one, _ in times[name]), median(two for _, two in times[name])
        share, whole = speed * size / limit, first + (options.tokens - 1) / speed
        figures = f"{first * 1000:.0f} | {speed:.1f} | {share:.0%} | {whole:.2f} | {60 / whole:.0f}"
        write(f"| {name} | {figures} | {size / 1e6:.0f} |")


if __name__ == "__main__":
    main()
