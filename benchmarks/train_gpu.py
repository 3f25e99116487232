"""Training on a GPU: tokens a second, use of the card and memory of real LoRA steps at the shapes of real students.

    python benchmarks/train_gpu.py --out train_gpu.json

Models of the shapes of Gemma-3-4B and Qwen2.5-VL-7B get random weights on the card itself, so that no hub and no file
of weights is needed; text is cut by nano's tokenizer, pages are drawn. All else is what `warraq train` does: audit,
settings, contract and LLaMA-Factory's trainer, but with two batches an update and without evaluation. Each row of the
table is a process; all load their libraries at once and train one after the other. What fails is a row, too.

MFU is what the model needs (2 FLOP a weight and token forward, 2 more where a gradient passes, 2 more a trained weight;
neither attention scores nor what checkpointing computes again) over the card's own product of two 8192 x 8192 matrices
in bf16. Memory is the allocator's peak from the first step on, beside the estimate of `warraq doctor` for the longest
sample.
"""

import argparse
import contextlib
import importlib.metadata
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gpu_rows.bases import GEMMA, QWEN
from gpu_rows.training import WARM, Row, run_row
from warraq.errors import InputError
from warraq.files import read_json, write_json
from warraq.training import hardware

PLAIN = {"fused_loss": False, "checkpointing": "always"}
FUSED, WHOLE = {"fused_loss": True}, {"checkpointing": "never"}
ROWS = (
    Row("Gemma-3-4B, logits, checkpointed", GEMMA, PLAIN),
    Row("Gemma-3-4B, fused loss", GEMMA, PLAIN | FUSED),
    Row("Gemma-3-4B, not checkpointed", GEMMA, PLAIN | WHOLE),
    Row("Gemma-3-4B, both", GEMMA, FUSED | WHOLE),
    Row("Gemma-3-4B, both, batch 4", GEMMA, FUSED | WHOLE | {"batch_size": 4}),
    Row("Qwen2.5-VL-7B tier A, logits, checkpointed", QWEN, PLAIN),
    Row("Qwen2.5-VL-7B tier B, logits, checkpointed", QWEN, PLAIN, 2),
    Row("Qwen2.5-VL-7B tier A, fused loss", QWEN, PLAIN | FUSED),
)


def measure_product() -> float | None:
    """FLOP a second of a product of two 8192 x 8192 matrices in bf16; None without a GPU."""
    import torch

    if not torch.cuda.is_available():
        return None
    left, right = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    times = []
    for _ in range(33):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        left @ right
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) / 1000)
    del left, right
    torch.cuda.empty_cache()
    return float(2 * 8192**3 / statistics.median(times[3:]))


def describe_card() -> str:
    """The GPU, and what drives it."""
    import torch

    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("torch", "triton", "transformers")]
    return ", ".join([torch.cuda.get_device_name(), *versions])


def summarize(outcome: dict[str, Any], warm: int, product: float | None) -> dict[str, Any]:
    """Rates and memory of a row's timed updates."""
    timed = outcome.get("updates", [])[warm:]
    if not timed:
        return outcome | {"failed": outcome.get("failed", "its time ended before a timed step")}
    seconds = sum(update["seconds"] for update in timed)
    tokens = sum(update["tokens"] for update in timed)
    patches = sum(update["patches"] for update in timed)
    by_token, by_patch = outcome["flops"]
    rates = [update["tokens"] / update["seconds"] for update in timed]
    flops = tokens * by_token + patches * by_patch
    return outcome | {
        "tokens_per_second": tokens / seconds, "median_rate": statistics.median(rates), "timed": len(timed),
        "flops_per_second": flops / seconds, "mfu": flops / seconds / product if product else None,
        "padding": 1 - tokens / sum(update["padded"] for update in timed),
    }  # fmt: skip


def format_line(name: str, outcome: dict[str, Any]) -> str:
    """A line of the table."""
    if "tokens_per_second" not in outcome:
        return f"| {name} | {outcome['failed']} | | | | |"
    gib = [outcome["memory"].get(key, 0) / hardware.GIB for key in ("allocated", "reserved")]
    mfu = "" if outcome["mfu"] is None else f"{outcome['mfu']:.0%}"
    estimate = sum(outcome["estimate"].values()) / hardware.GIB
    note = f"; then {outcome['failed']}" if "failed" in outcome else ""
    rate = f"{outcome['tokens_per_second']:.0f} ({outcome['median_rate']:.0f}){note}"
    return f"| {name} | {rate} | {mfu} | {gib[0]:.1f} | {gib[1]:.1f} | {estimate:.1f} |"


HEAD = """| row | tokens/s (median update) | MFU | peak GiB | reserved GiB | estimate GiB |
| --- | ---: | ---: | ---: | ---: | ---: |"""


def start_rows(rows: Sequence[int], work: Path, tiny: bool) -> dict[int, "subprocess.Popen[str]"]:
    """Start a process for each row, which prepares and waits."""
    quiet = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "USE_TORCH": "1", "USE_TF": "0", "USE_FLAX": "0"}
    children = {}
    for number in rows:
        folder = work / str(number)
        folder.mkdir()
        command = [sys.executable, __file__, f"--row={number}", f"--folder={folder}", *(["--tiny"] if tiny else [])]
        with (folder / "log").open("w") as log:
            children[number] = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, text=True, start_new_session=True,
                env={**os.environ, **quiet, "HF_DATASETS_CACHE": str(folder / "cache")},
            )  # fmt: skip
    return children


def finish_row(child: "subprocess.Popen[str]", folder: Path, seconds: float) -> dict[str, Any]:
    """Let a process train for some seconds; what it says of it."""
    assert child.stdin is not None
    try:
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(f"{seconds}\n")
            child.stdin.close()
        child.wait(timeout=seconds + 20)
    except subprocess.TimeoutExpired:
        return {"failed": f"killed after {seconds + 20:.0f} s", "log": read_end(folder)}
    finally:
        end_row(child)
    try:
        outcome: dict[str, Any] = read_json(folder / "outcome.json")
    except InputError:
        return {"failed": f"exit code {child.returncode}: {read_end(folder)[-300:]}", "log": read_end(folder)}
    return outcome | ({"log": read_end(folder)} if "failed" in outcome else {})


def read_end(folder: Path) -> str:
    """What a row's process said last."""
    return (folder / "log").read_text(errors="replace")[-3000:]


def end_row(child: "subprocess.Popen[str]") -> None:
    """End a process and those that load its data."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def run_rows(options: argparse.Namespace) -> None:
    """Print the table, and write the figures of all that was measured so far after each row."""
    begun, outcomes = time.monotonic(), dict[str, Any]()
    end, warm = begun + options.minutes * 60, 1 if options.tiny else WARM
    chosen = [int(number) for number in options.rows.split(",")] if options.rows else list(range(len(ROWS)))
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as work:
        children = start_rows(chosen, Path(work), options.tiny)
        while time.monotonic() < begun + 120 and any(
            child.poll() is None and not (Path(work) / str(number) / "ready").exists()
            for number, child in children.items()
        ):
            time.sleep(0.2)
        print(f"libraries loaded, {time.monotonic() - begun:.0f} s", flush=True)
        product = measure_product()
        card = "CPU" if product is None else f"{describe_card()}, {product / 1e12:.0f} TFLOP/s in bf16"
        print(f"{card}\n\n{HEAD}", flush=True)
        for place, (number, child) in enumerate(children.items()):
            left = end - time.monotonic()
            seconds = min(options.row_seconds, left - 5)
            if seconds < 15:
                end_row(child)
                outcome: dict[str, Any] = {"failed": f"skipped: {options.minutes:g} minutes are over"}
            else:
                outcome = summarize(finish_row(child, Path(work) / str(number), seconds), warm, product)
            name = ROWS[number].name
            outcomes[name] = outcome
            print(format_line(name, outcome), flush=True)
            took = f"{time.monotonic() - begun:.0f} s, {len(children) - place - 1} rows to come"
            print(f"{name}: {took}", file=sys.stderr, flush=True)
            if options.out:
                write_json(options.out, {"card": card, "product_flops": product, "rows": outcomes})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    out = Path(os.environ["OUT"]) / "train_gpu.json" if "OUT" in os.environ else None
    parser.add_argument("--out", type=Path, default=out)
    parser.add_argument("--minutes", type=float, default=6)
    parser.add_argument("--row-seconds", type=float, default=50, help="of a row, its model's making included")
    parser.add_argument("--rows", help="numbers, from 0, by comma")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--row", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row is None:
        run_rows(options)
    else:
        run_row(ROWS[options.row], options.folder, options.tiny)


if __name__ == "__main__":
    main()
