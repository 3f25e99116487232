"""The pieces of the tasks' answers and a seed -> the embedded student's folder, the same bytes every time.

nano is a whole Gemma-3 in small: SigLIP tower, pooling projector, sliding and full attention, tied embeddings, the same
special tokens and chat format, so what works on it works on google/gemma-3-4b-it. Two things are its own:

* The tokenizer spells text in single characters, and bytes where a character is not in its list, so that nothing is
  lost and a value is read letter by letter. Only what the tasks repeat on every page is one token: a JSON key with what
  stands around it, and a sentence of a prompt.
* Embeddings start at a spread of width^-0.5. Smaller ones cannot sharpen the logits while they are frozen, which is why
  LoRA on a model with the usual 0.02 stays at the loss it starts with.
"""

from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import BaseModel

if TYPE_CHECKING:
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration, Gemma3Processor, PreTrainedTokenizerFast

SPECIAL = (
    "<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>",
    "<start_of_image>", "<end_of_image>", "<image_soft_token>",
)  # fmt: skip
CHARACTERS = (
    "\n\t"
    + "".join(map(chr, [*range(0x20, 0x7F), *range(0xA0, 0x180), *range(0x600, 0x700)]))  # Latin, Arabic
    + "\u200b\u200c\u200d\u200e\u200f‐‑‒–—―‘’‚“”„†‡•…‰′″‹›⁄₪€₺₹№™←↑→↓↔−√∞≈≠≤≥■□▪▫▲▼◆◇○●★☆☐☑☒✓✔✗✘⟦⟧﴾﴿ﷲﷺ﷼"
)
TABLE = (
    "<table><tr><th>", "</th><th>", "</th></tr><tr><td>", "<table><tr><td>", "</td><td>", "</td></tr><tr><td>",
    "</td></tr></table>",
)  # fmt: skip
CHAT_TEMPLATE = """\
{%- macro written(content) -%}
    {%- if content is string -%}
        {{ content }}
    {%- else -%}
        {%- for part in content -%}
            {{ '<start_of_image>' if part['type'] == 'image' else part['text'] }}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro -%}
{{ bos_token }}
{%- set turn = namespace(before='') -%}
{%- for message in messages -%}
    {%- if message['role'] == 'system' -%}
        {%- set turn.before = written(message['content']) + '\\n\\n' -%}
    {%- else -%}
        {%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}
        {{ '<start_of_turn>' + role + '\\n' + turn.before + written(message['content']) + '<end_of_turn>\\n' }}
        {%- set turn.before = '' -%}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{ '<start_of_turn>model\\n' }}
{%- endif -%}
"""


def collect_pieces(answers: list[type[BaseModel]], prompts: list[str]) -> list[str]:
    """What becomes one token each: the constant parts of the answers as compact JSON, the sentences of the prompts."""
    pieces = {piece for answer in answers for piece in _object_pieces(answer, "{")}
    pieces.update(TABLE)
    for prompt in prompts:
        sentences = prompt.split(". ")
        pieces.update(sentence + ". " for sentence in sentences[:-1])
        pieces.add(sentences[-1])
    return sorted(pieces)


def _object_pieces(answer: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in answer.model_fields.items():
        yield from _value_pieces(field.annotation, f'{prefix}"{name}":')
        prefix = ","


def _value_pieces(annotation: Any, key: str) -> Iterator[str]:
    """The ways a value of this type can begin after `key`."""
    if annotation is NoneType:
        yield key + "null"
    elif annotation is bool:
        yield from (key + "true", key + "false")
    elif annotation is str:
        yield key + '"'
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _object_pieces(annotation, key + "{")
    elif get_origin(annotation) is Literal:
        yield from (f'{key}"{name}"' for name in get_args(annotation))
    elif get_origin(annotation) is list:
        yield from (key + "[", key + "[]", *_item_pieces(*get_args(annotation)))
    elif get_args(annotation):
        for option in get_args(annotation):
            yield from _value_pieces(option, key)
    else:
        yield key


def _item_pieces(annotation: Any) -> Iterator[str]:
    """The ways an item of a list can begin."""
    if get_origin(annotation) is Literal:
        yield from (f'"{name}"' for name in get_args(annotation))
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from (piece for prefix in ("{", ",{") for piece in _object_pieces(annotation, prefix))


def build_tokenizer(pieces: list[str]) -> "PreTrainedTokenizerFast":
    """A tokenizer of `pieces` as whole tokens, else characters, else bytes; decoding gives back any text exactly."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, processors
    from transformers import PreTrainedTokenizerFast

    entries = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *CHARACTERS]
    vocabulary = {entry: index for index, entry in enumerate(entries)}
    model = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>", byte_fallback=True))
    model.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    model.post_processor = processors.TemplateProcessing("<bos> $A", None, [("<bos>", vocabulary["<bos>"])])
    model.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    model.add_tokens([AddedToken(piece, special=False, normalized=False) for piece in pieces])
    return PreTrainedTokenizerFast(
        tokenizer_object=model,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
        extra_special_tokens={
            "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>",
        },
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        padding_side="left",
        model_max_length=8192,
    )  # fmt: skip


def build_config(vocabulary: int) -> "Gemma3Config":
    """The architecture, with every size that is ours to choose; `vocabulary` is the tokenizer's length."""
    from transformers import Gemma3Config, Gemma3TextConfig, SiglipVisionConfig

    image_px, patch_px = 320, 16  # less than two letters of the documents of `warraq synth` a patch
    tokens_per_image = (image_px // patch_px) ** 2  # one a patch: pooling mixes letters
    vision_width, text_width = 192, 128
    ids = {token: index for index, token in enumerate(SPECIAL)}
    stops = [ids["<eos>"], ids["<end_of_turn>"]]
    vision = SiglipVisionConfig(
        image_size=image_px,
        patch_size=patch_px,
        hidden_size=vision_width,
        intermediate_size=3 * vision_width,
        num_hidden_layers=3,
        num_attention_heads=6,
        vision_use_head=False,
    )
    text = Gemma3TextConfig(
        vocab_size=-(-vocabulary // 64) * 64,
        hidden_size=text_width,
        intermediate_size=3 * text_width,
        num_hidden_layers=5,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        query_pre_attn_scalar=32,
        layer_types=[f"{kind}_attention" for kind in ("sliding", "full", "sliding", "full", "full")],
        sliding_window=4096,  # a whole page: images, prompt and answer
        max_position_embeddings=8192,
        rope_theta=100_000.0,
        pad_token_id=ids["<pad>"],
        bos_token_id=ids["<bos>"],
        eos_token_id=stops,
    )
    return Gemma3Config(
        text_config=text,
        vision_config=vision,
        mm_tokens_per_image=tokens_per_image,
        boi_token_index=ids["<start_of_image>"],
        eoi_token_index=ids["<end_of_image>"],
        image_token_index=ids["<image_soft_token>"],
        pad_token_id=ids["<pad>"],
        bos_token_id=ids["<bos>"],
        eos_token_id=stops,
    )


def build_processor(tokenizer: "PreTrainedTokenizerFast", config: "Gemma3Config") -> "Gemma3Processor":
    """Images are resized to the student's square and scaled to -1..1; one image token a patch."""
    from transformers import Gemma3ImageProcessor, Gemma3Processor

    side_px = config.vision_config.image_size
    images = Gemma3ImageProcessor(
        size={"height": side_px, "width": side_px},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
        image_seq_length=config.mm_tokens_per_image,
    )
    return Gemma3Processor(images, tokenizer, chat_template=CHAT_TEMPLATE, image_seq_length=config.mm_tokens_per_image)


def build_model(config: "Gemma3Config", seed: int) -> "Gemma3ForConditionalGeneration":
    """The untrained weights in bfloat16, drawn by NumPy, whose streams are the same on every machine."""
    import numpy
    import torch
    from transformers import Gemma3ForConditionalGeneration, GenerationConfig

    model = Gemma3ForConditionalGeneration(config)
    rng = numpy.random.default_rng(seed)
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            if weight.ndim == 1:
                one = "vision_tower" in name and name.endswith("weight")  # Gemma's own norms scale by 1 + weight
                weight.fill_(1.0 if one else 0.0)
                continue
            if "embed" in name and weight.ndim == 2:
                width = weight.shape[1]
            else:
                width = weight.shape[0] if "projection_weight" in name else weight[0].numel()
            weight.copy_(torch.from_numpy(rng.standard_normal(weight.shape, dtype=numpy.float32)) * width**-0.5)
    model.generation_config = GenerationConfig(
        do_sample=False,
        max_new_tokens=1024,  # its pages are small
        pad_token_id=config.pad_token_id,
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
    )
    return model.bfloat16()


def build_student(folder: Path, pieces: list[str], seed: int) -> None:
    """Write the whole untrained student into `folder`."""
    tokenizer = build_tokenizer(pieces)
    config = build_config(len(tokenizer))
    save_student(folder, build_model(config, seed), config, tokenizer)


def save_student(
    folder: Path, model: "Gemma3ForConditionalGeneration", config: "Gemma3Config", tokenizer: "PreTrainedTokenizerFast"
) -> None:
    """Write weights, configuration and processor."""
    from transformers.conversion_mapping import get_model_conversion_mapping

    model._weight_conversions = get_model_conversion_mapping(model)  # by the names of a Gemma-3 that was loaded
    model.save_pretrained(folder)
    config.dtype = "float32"  # to compute in; bfloat16 is for the file alone
    config.save_pretrained(folder)
    build_processor(tokenizer, config).save_pretrained(folder)
