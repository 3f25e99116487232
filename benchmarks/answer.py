"""Answering: onnxruntime in each precision against transformers, same prompt and image, rounds alternating.

    python benchmarks/answer.py --merged models/nano/merged --onnx models/nano/onnx --page data/pages/<doc>/0001.png

`--onnx` must be graphs in fp32 (`export.precisions: [fp32]`).

Prints a table: time to the first token, tokens a second after it, the share of what the memory's bandwidth allows (each
token reads all of the decoder's weights once), size of the weights. Medians, because cores may be shared. The peak of
memory is of a process of its own, which loads the engine and answers once, its libraries included.
"""

import argparse
import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import get_args

import numpy as np

from warraq.exporters.onnx import quantize
from warraq.runtimes import Request, Runtime, count_threads
from warraq.runtimes.onnx import OnnxRuntime

PROMPT = "You are a professional OCR details extractor. Task: content. Copy the page. Answer in JSON only."


def measure_bandwidth() -> float:
    """Bytes a second that as many threads as a runtime has read from memory."""
    count = count_threads() or os.cpu_count() or 1
    numbers = np.ones((count, 2**27 // count), dtype=np.float32)  # 512 MiB: more than any cache
    best = 0.0
    with ThreadPoolExecutor(count) as pool:
        for _ in range(40):  # at first both threads may share a core
            began = time.perf_counter()
            list(pool.map(np.max, numbers))
            best = max(best, numbers.nbytes / (time.perf_counter() - began))
    return best


def time_answer(runtime: Runtime, request: Request, tokens: int) -> tuple[float, float]:
    """Seconds to the first token, and tokens a second after it."""
    began = time.perf_counter()
    runtime.answer([request], 1)
    first = time.perf_counter() - began
    began = time.perf_counter()
    (answer,) = runtime.answer([request], tokens)
    rest = time.perf_counter() - began - first
    return first, max(answer.tokens - 1, 1) / max(rest, 1e-9)


TORCH = {
    "torch": ("transformers fp32", "float32"),
    "torch_bf16": ("transformers bf16", "bfloat16"),
    "torch_compile": ("transformers fp32, torch.compile", "float32"),
}


def open_engine(name: str, folder: Path) -> tuple[str, Runtime, int]:
    """The name in the table, the runtime, whose answers never stop, and the bytes of weights that a token reads."""
    if name not in TORCH:
        onnx = OnnxRuntime(folder)
        onnx.stops = [-1]
        return f"onnxruntime {name}", onnx, (folder / "decoder_model_merged.onnx_data").stat().st_size
    from warraq.runtimes.torch import TorchRuntime

    title, dtype = TORCH[name]
    torch = TorchRuntime(folder, dtype=dtype)
    torch.stops = [-1]
    if name == "torch_compile":
        import torch as library

        for part in (torch.model.model.language_model, torch.model.model.vision_tower):
            part.forward = library.compile(part.forward)
    weights = torch.model.model.language_model.parameters()
    size = sum(weight.numel() * weight.element_size() for weight in weights)
    return title, torch, size


def prepare_folders(names: list[str], onnx: Path, merged: Path | None, work: Path, block: int) -> dict[str, Path]:
    """Where each engine's model is; lower precisions are written to `work`."""
    found = {}
    for name in names:
        if name in TORCH and merged is not None:
            found[name] = merged
        elif name not in TORCH:
            found[name] = onnx if name == "fp32" else work / name
            if not found[name].exists():
                shutil.copytree(onnx, found[name], ignore=shutil.ignore_patterns("*.onnx*"))
                quantize.quantize_graphs(onnx, found[name], name, block)  # type: ignore[arg-type]
    return found


def measure_peak(name: str, folder: Path, request: Request, tokens: int) -> int:
    """Bytes of memory that this process had at most, which has answered once."""
    open_engine(name, folder)[1].answer([request], tokens)
    status = Path("/proc/self/status").read_text()  # ru_maxrss of a child begins with its parent's
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def main(write: Callable[[str], None] = print) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--onnx", type=Path, required=True, help="graphs in fp32")
    parser.add_argument("--merged", type=Path)
    parser.add_argument("--page", type=Path, required=True)
    parser.add_argument("--work", type=Path, help="folder that keeps the lower precisions; default: a temporary one")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", default="torch,torch_bf16,fp32,int8,int8_dynamic,int4")
    parser.add_argument(
        "--block",
        type=int,
        choices=get_args(quantize.Block),
        default=32,
        help="of int8 and int4; --work holds one block's precisions",
    )
    options = parser.parse_args()
    request = Request((options.page,), PROMPT)
    with tempfile.TemporaryDirectory() as work:
        where, names = options.work or Path(work), options.engines.split(",")
        places = prepare_folders(names, options.onnx, options.merged, where, options.block)
        peaks = []
        for name, folder in places.items():
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                peaks.append(pool.apply(measure_peak, (name, folder, request, options.tokens)))
        found = [open_engine(name, folder) for name, folder in places.items()]
        limit = measure_bandwidth()
        times: list[list[tuple[float, float]]] = [[] for _ in found]
        for _, runtime, _ in found:
            runtime.answer([request], 2)
        for _ in range(options.rounds):
            for own, (_, runtime, _) in zip(times, found, strict=True):
                own.append(time_answer(runtime, request, options.tokens))
    write(f"memory read by these threads: {limit / 1e9:.1f} GB/s; {options.tokens} tokens, {options.rounds} rounds\n")
    write("| engine | first token, ms | tokens/s | of the bandwidth | all, s | pages/min | MB a token | peak, MB |")
    write("|---|---|---|---|---|---|---|---|")
    for own, most, (name, _, size) in zip(times, peaks, found, strict=True):
        first, speed = median(one for one, _ in own), median(two for _, two in own)
        share, whole = speed * size / limit, first + (options.tokens - 1) / speed
        figures = f"{first * 1000:.0f} | {speed:.1f} | {share:.0%} | {whole:.2f} | {60 / whole:.0f}"
        write(f"| {name} | {figures} | {size / 1e6:.0f} | {most / 1e6:.0f} |")


if __name__ == "__main__":
    main()
