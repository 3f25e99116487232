"""A student's shape -> a base of random weights, pages and answers for it to learn."""

import random
from collections.abc import Sequence
from pathlib import Path

from warraq import tasks
from warraq.files import read_json, write_json
from warraq.image_settings import read_image_settings
from warraq.records import Sample, Turn

ROOT = Path(__file__).parents[2]
NANO = ROOT / "models/nano/base"
GEMMA, QWEN = "gemma3_4b", "qwen2_5_vl_7b_tableqa"
QWEN_TOKENS = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
    "<|video_pad|>",
]  # fmt: skip


def write_base(student: str, folder: Path, tiny: bool) -> None:
    """Write configuration, tokenizer and processor of a student of params.yaml."""
    folder.mkdir()
    (_write_gemma if student == GEMMA else _write_qwen)(folder, tiny)


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
