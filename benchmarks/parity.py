r"""Equality: how many answers of the exported graphs are those of transformers, and what lower precisions cost.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/parity.py --merged models/nano/merged --dataset data/dataset \
      --pages data/pages

Graphs in fp32 are exported anew. Validation samples come first, then the others, until there are enough. Prints the
answers that are equal token for token in fp32, and of each lower precision the CER and field F1 it costs with interval.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from typing import get_args

from warraq import runtimes
from warraq.exporters import onnx
from warraq.exporters.configuration import write_full_config
from warraq.exporters.onnx import quantize
from warraq.exporters.selection import BATCH, pair_answers
from warraq.files import read_json, write_json
from warraq.metrics.degradation import measure_degradation
from warraq.runtimes import Answer, Request, Runtime
from warraq.runtimes.onnx import OnnxRuntime
from warraq.runtimes.torch import TorchRuntime
from warraq.views import PAGE


def answer_all(name: str, runtime: Runtime, requests: list[Request], tokens: int) -> list[Answer]:
    began, found = time.monotonic(), list[Answer]()
    for start in range(0, len(requests), BATCH):
        found += runtime.answer(requests[start : start + BATCH], tokens)
    seconds = time.monotonic() - began
    print(f"{name}: {len(found)} answers, {sum(one.tokens for one in found)} tokens, {seconds:.0f} s", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--merged", "--dataset", "--pages"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--answers", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--precisions", default="int8")
    parser.add_argument("--block", type=int, choices=get_args(quantize.Block), default=32, help="of int8 and int4")
    parser.add_argument("--views", default=PAGE, help="of the student, as in params.yaml")
    options = parser.parse_args()
    files = [options.dataset / f"{side}.json" for side in ("val", "test", "train")]
    sides = [runtimes.read_requests(path, options.pages, options.views) for path in files]
    chosen = [pair for side in sides for pair in side][: options.answers]
    requests = [request for _, request in chosen]
    torch = TorchRuntime(options.merged, dtype="float32")
    truth = answer_all("transformers fp32", torch, requests, options.tokens)
    with tempfile.TemporaryDirectory() as work:
        folders = {name: Path(work) / name for name in ("fp32", *options.precisions.split(","))}
        for name, folder in folders.items():
            if name == "fp32":
                folder.mkdir()
                kind = write_full_config(options.merged, folder).model_type
                onnx.load(kind).write(options.merged, folder)
                own = read_json(options.merged / "generation_config.json") | {"eos_token_id": torch.stops}
                write_json(folder / "generation_config.json", own)
            else:
                shutil.copytree(folders["fp32"], folder, ignore=shutil.ignore_patterns("*.onnx*"))
                quantize.quantize_graphs(folders["fp32"], folder, name, options.block)
            ours = answer_all(f"onnxruntime {name}", OnnxRuntime(folder), requests, options.tokens)
            equal = sum(one == other for one, other in zip(truth, ours, strict=True))
            pairs = [
                pair_answers(sample, one.text, other.text)
                for (sample, _), one, other in zip(chosen, truth, ours, strict=True)
            ]
            print(
                f"  equal to transformers token for token: {equal} of {len(chosen)}; {measure_degradation(pairs)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
