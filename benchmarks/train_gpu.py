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
import math
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from warraq import params, tasks
from warraq.errors import InputError
from warraq.files import read_json, write_json
from warraq.image_settings import read_image_settings
from warraq.records import Sample, Turn
from warraq.stages.dataset import dataset_info
from warraq.students import Student, families
from warraq.training import audit, hardware, llamafactory, trainable_modules, trainer, workdir
from warraq.training.audit import SampleSize
from warraq.training.trainer_contract import make_contract
from warraq.views import PAGE as PAGE_ALONE

ROOT = Path(__file__).parents[1]
NANO = ROOT / "models/nano/base"
WARM, TIMED, ACCUMULATION = 3, 8, 2
PAGE = (1240, 1754)  # px: A4 at 150 dpi
ANSWER = (600, 2300)  # tokens of the shortest and the longest answer
GEMMA, QWEN = "gemma3_4b", "qwen2_5_vl_7b_tableqa"
QWEN_TOKENS = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
    "<|video_pad|>",
]  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A line of the table: a student of params.yaml, what of it is changed, and its tier."""

    name: str
    student: str
    changed: dict[str, Any]
    tier: int = 1


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


# The model and what it learns


def write_base(row: Row, folder: Path, tiny: bool) -> None:
    """Write configuration, tokenizer and processor of the row's student."""
    folder.mkdir()
    (_write_gemma if row.student == GEMMA else _write_qwen)(folder, tiny)


def _write_gemma(folder: Path, tiny: bool) -> None:
    for path in NANO.iterdir():
        if path.suffix in (".json", ".jinja"):
            (folder / path.name).write_bytes(path.read_bytes())
    if tiny:
        return
    tokens, side = 256, 896
    config = read_json(NANO / "config.json") | {"mm_tokens_per_image": tokens, "dtype": "bfloat16"}
    config["text_config"] |= {
        "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34, "num_attention_heads": 8,
        "num_key_value_heads": 4, "head_dim": 256, "query_pre_attn_scalar": 256, "vocab_size": 262_208,
        "max_position_embeddings": 131_072,
        "rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        },
        "layer_types": ["full_attention" if layer % 6 == 5 else "sliding_attention" for layer in range(34)],
    }  # fmt: skip
    config["vision_config"] |= {
        "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16,
        "image_size": side, "patch_size": 14,
    }  # fmt: skip
    write_json(folder / "config.json", config)
    settings = read_image_settings(NANO)
    settings |= {"image_seq_length": tokens, "size": {"height": side, "width": side}}
    write_json(folder / "preprocessor_config.json", settings)
    write_json(folder / "processor_config.json", {"image_seq_length": tokens, "processor_class": "Gemma3Processor"})


def _write_qwen(folder: Path, tiny: bool) -> None:
    import transformers
    from tokenizers import Tokenizer

    words = Tokenizer.from_file(str(NANO / "tokenizer.json"))
    words.add_special_tokens(QWEN_TOKENS)
    words.save(str(folder / "tokenizer.json"))
    tokenizer = transformers.Qwen2TokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), eos_token="<|im_end|>", pad_token="<|endoftext|>",
        unk_token=None, additional_special_tokens=QWEN_TOKENS[1:],
    )  # fmt: skip
    images = transformers.Qwen2VLImageProcessor(min_pixels=56 * 56, max_pixels=12_845_056)
    transformers.Qwen2_5_VLProcessor(images, tokenizer, transformers.Qwen2VLVideoProcessor()).save_pretrained(folder)
    text = {
        "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
        "num_key_value_heads": 4, "max_position_embeddings": 128_000, "rope_theta": 1e6, "vocab_size": 152_064,
        "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}, "rms_norm_eps": 1e-6,
    }  # fmt: skip
    vision = {
        "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584,
        "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31], "tokens_per_second": 2,
    }  # fmt: skip
    if tiny:
        text |= {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
                 "num_key_value_heads": 2, "vocab_size": words.get_vocab_size()}  # fmt: skip
        text["rope_scaling"] = {"type": "mrope", "mrope_section": [1, 1, 2]}
        vision = {"depth": 6, "hidden_size": 32, "intermediate_size": 48, "num_heads": 4, "out_hidden_size": 32,
                  "fullatt_block_indexes": [1, 3]}  # fmt: skip
    names = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>",
             "vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>"}  # fmt: skip
    ids = {key: words.token_to_id(token) for key, token in names.items()}
    config = transformers.Qwen2_5_VLConfig(text_config=text, vision_config=vision, **ids)
    config.dtype = None if tiny else "bfloat16"
    config.save_pretrained(folder)


def read_random_shapes(base: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every parameter by its name, of a model without weights."""
    import torch
    import transformers

    with torch.device("meta"):
        model = transformers.AutoModelForImageTextToText.from_config(transformers.AutoConfig.from_pretrained(base))
    return {name: tuple(weight.shape) for name, weight in model.named_parameters()}


def draw_pages(folder: Path, count: int, size: tuple[int, int]) -> list[str]:
    """Write pages of grey lines, as high as text."""
    from PIL import Image, ImageDraw

    folder.mkdir()
    for number in range(count):
        page = Image.new("RGB", size, "white")
        pen = ImageDraw.Draw(page)
        for y in range(100, size[1] - 100, 40):
            pen.rectangle((100, y, size[0] - 100 - (y * 37 + number * 61) % 300, y + 20), "black")
        page.save(folder / f"{number}.png")
    return [f"{number}.png" for number in range(count)]


def make_samples(images: Sequence[str], count: int, answer: tuple[int, int]) -> list[Sample]:
    """Samples whose answers have from the fewest to the most tokens, in any order."""
    from tokenizers import Tokenizer

    tokenizer, dice = Tokenizer.from_file(str(NANO / "tokenizer.json")), random.Random(1)
    letters = "ابتثجحخدذرزسشصضطظعغفقكلمنهوي"
    words = ["".join(dice.choices(letters, k=dice.randint(2, 8))) for _ in range(answer[1])]
    ends = [end for _, end in tokenizer.encode(" ".join(words), add_special_tokens=False).offsets]
    lengths = [answer[0] + (answer[1] - answer[0]) * number // max(count - 1, 1) for number in range(count)]
    dice.shuffle(lengths)
    question = f"<image>{tasks.load('content').prompt}"
    return [
        Sample(
            page_id=f"{number:012x}-p0001", document=f"{number:012x}", task="content", reference="gold",
            images=(images[number % len(images)],),
            conversations=(
                Turn(role="user", content=question),
                Turn(role="assistant", content=" ".join(words)[: ends[length - 1]].strip()),
            ),
        )
        for number, length in enumerate(lengths)
    ]  # fmt: skip


# One row, in its own process


class StopError(Exception):
    """All steps are timed; the trainer is left."""


class Stopwatch:
    """Counts tokens and patches of each update, and times it."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds
        self.updates: list[dict[str, float]] = []
        self.now = {"tokens": 0.0, "patches": 0.0, "padded": 0.0}
        self.memory: dict[str, int] = {}
        self.losses: list[float] = []

    def callback(self) -> Any:
        """For the trainer."""
        import torch
        from transformers import TrainerCallback

        gpu = torch.cuda.is_available()

        class TimingCallback(TrainerCallback):
            def on_train_begin(_, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:  # noqa: N805
                model.register_forward_pre_hook(self.count, with_kwargs=True)
                print(f"  {type(model).__name__} built, training begins", file=sys.stderr, flush=True)
                if gpu:
                    torch.cuda.empty_cache()
                    torch.cuda.reset_peak_memory_stats()

            def on_log(_, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:  # noqa: N805
                self.losses += [logs["loss"]] if "loss" in logs else []

            def on_step_begin(_, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: N805
                if gpu:
                    torch.cuda.synchronize()
                self.now = {"tokens": 0.0, "patches": 0.0, "padded": 0.0, "begin": time.monotonic()}

            def on_step_end(_, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: N805
                if gpu:
                    torch.cuda.synchronize()
                    self.memory = {
                        "allocated": torch.cuda.max_memory_allocated(), "reserved": torch.cuda.max_memory_reserved()
                    }  # fmt: skip
                self.now["seconds"] = time.monotonic() - self.now.pop("begin")
                self.updates.append({key: float(value) for key, value in self.now.items()})
                if state.global_step >= state.max_steps or time.monotonic() > self.end:
                    raise StopError

        return TimingCallback()

    def count(self, _: Any, __: Any, inputs: dict[str, Any]) -> None:
        """A batch's tokens that are no padding, all of them, and its patches of images."""
        pixels = inputs["pixel_values"]
        self.now["tokens"] += inputs["attention_mask"].sum()
        self.now["padded"] += inputs["input_ids"].numel()
        self.now["patches"] += pixels.shape[0] * (pixels[0, 0].numel() // 14**2 if pixels.dim() == 4 else 1)


def count_flops(row: Row, student: Student, shapes: dict[str, tuple[int, ...]], trained: int) -> tuple[float, float]:
    """What the model needs of FLOP a token and a patch."""
    family, tier = families.load(student.family), student.tiers[row.tier - 1]
    table = trainable_modules.tabulate(shapes, family, {})
    embedding = next(math.prod(shape) for name, shape in shapes.items() if name.endswith("embed_tokens.weight"))
    language = table["language"]["weights"] - (embedding if "lm_head.weight" in shapes else 0)  # a tied one is the head
    blocks = {name.split(".blocks.")[1].split(".")[0] for name in shapes if ".blocks." in name}
    share = tier.vision_attention_last / len(blocks) if tier.vision_attention_last else 0
    vision = table["vision"]["weights"] * (2 + 2 * share)
    return 4.0 * language + (6.0 * trained if tier.language else 0), vision + (0 if tier.language else 6.0 * trained)


def prepare_row(row: Row, folder: Path, tiny: bool) -> tuple[dict[str, Any], Any, dict[str, Any]]:
    """Settings and contract of the trainer, and what is known before it runs."""
    student = params.load(ROOT / "params.yaml").find_student(row.student)
    changes: dict[str, Any] = {"accumulation": ACCUMULATION, "views": PAGE_ALONE, **row.changed}
    if tiny:
        changes |= {"precision": "fp32", "batch_size": 1, "image_max_pixels": None, "min_line_px": 0}
    student = student.model_copy(update=changes)
    write_base(row, folder / "base", tiny)
    updates = 2 if tiny else WARM + TIMED
    count = updates * ACCUMULATION * student.batch_size
    images = draw_pages(folder / "pages", 2, (112, 112) if tiny else PAGE)
    train = make_samples(images, count, (20, 40) if tiny else ANSWER)
    samples: audit.Samples = {"train": train, "val": train[:1]}
    shapes, family = read_random_shapes(folder / "base"), families.load(student.family)
    measure = audit.SampleMeasure(folder / "base", student, folder / "pages")
    sizes = audit.measure_samples(measure, samples, student.views)
    write_json(folder / "dataset_info.json", dataset_info())
    workdir.write_workdir(folder / "work", folder / "base", folder, folder / "pages", student, samples)
    tier, targets = student.tiers[row.tier - 1], trainable_modules.choose_targets(shapes, student)[row.tier - 1]
    trained = sum(trainable_modules.count_tier_weights(shapes, family, tier, targets).values())
    settings = llamafactory.training_settings(
        student, tier, targets, sizes, largest_px=PAGE[0] * PAGE[1], seed=1, checkpoints=1
    )
    alone = ("early_stopping_steps", "metric_for_best_model", "greater_is_better", "load_best_model_at_end",
             "restore_callback_states_from_checkpoint", "eval_steps", "save_steps")  # fmt: skip
    settings = {key: value for key, value in settings.items() if key not in alone}
    settings |= {
        "model_name_or_path": "work/base", "dataset_dir": "work/data", "media_dir": "work/pages",
        "train_from_scratch": True, "max_steps": updates, "eval_strategy": "no", "save_strategy": "no",
        "logging_steps": 1, "plot_loss": False, "dataloader_num_workers": 0 if tiny else 8,
    }  # fmt: skip
    longest = max(size.tokens for size in sizes)
    is_checkpointed = hardware.choose_checkpointing(shapes, student, longest)
    options = (one.split("=", 1) for one in llamafactory.checkpointing_options(student, tier, is_checkpointed))
    settings |= {key: yaml.safe_load(value) for key, value in options}
    estimate = hardware.estimate_memory(shapes, student, trained, longest, checkpointed=is_checkpointed)
    known = {"trained": trained, "estimate": estimate, "flops": count_flops(row, student, shapes, trained)}
    return settings, make_contract(student, tier, targets, sizes, train[:1]), known | describe_lengths(sizes)


def describe_lengths(sizes: Sequence[SampleSize]) -> dict[str, int]:
    """Tokens of the shortest, the median and the longest sample."""
    tokens = sorted(size.tokens for size in sizes if size.split == "train")
    return {"shortest": tokens[0], "median": int(statistics.median(tokens)), "longest": tokens[-1]}


def build_on(device: str) -> None:
    """Have the trainer's models made on a device, of random weights."""
    import torch
    import transformers
    from transformers.initialization import no_init_weights

    automatic = transformers.AutoModelForImageTextToText
    build = automatic.from_config

    def build_there(config: Any, **options: Any) -> Any:
        with torch.device(device), no_init_weights():
            model = build(config, **options)
        model.tie_weights()
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                torch.nn.init.normal_(weight, std=0.02)
            else:
                torch.nn.init.constant_(weight, 1.0 if name.endswith("weight") else 0.0)
        return model

    automatic.from_config = staticmethod(build_there)


def run_row(row: Row, folder: Path, tiny: bool) -> None:
    """Prepare, say so, wait for a line with seconds, train; the outcome stands in outcome.json."""
    settings, contract, known = prepare_row(row, folder, tiny)
    import torch
    from llamafactory.data.processor import supervised
    from llamafactory.train import tuner

    supervised.SupervisedDatasetProcessor.print_data_example = lambda *_: None
    os.chdir(folder)
    Path("ready").touch()
    watch = Stopwatch(float(sys.stdin.readline()))
    outcome: dict[str, Any] = known
    try:
        build_on("cuda" if torch.cuda.is_available() else "cpu")
        tuner.run_exp(dict(settings), callbacks=[trainer.make_callback(contract), watch.callback()])
        outcome["failed"] = "the trainer ended without its steps"
    except StopError:
        pass
    except BaseException as error:
        traceback.print_exc()
        outcome["failed"] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    outcome |= {"losses": watch.losses, "updates": watch.updates, "memory": watch.memory, "settings": settings}
    write_json(Path("outcome.json"), outcome)
    os._exit(0)  # whatever threads of the trainer are left


# All rows


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
    parser = argparse.ArgumentParser()
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
