"""Tiny models of each family, with random weights and a tokenizer of single bytes, made on the spot.

The chat templates are those of the families' own models, as far as one question with one image goes.
"""

import shutil
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from support import NANO

QWEN = (
    "{% for message in messages %}SYSTEM<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SYSTEM = "{% if loop.first %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
LLAVA = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}{% for part in message['content'] "
    "| selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}{% for part in message['content'] "
    "| selectattr('type', 'equalto', 'text') %}{{ part['text'] + ' ' }}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
GEMMA4 = (
    "{{ bos_token }}{% for message in messages %}{{ '<|turn>' + message['role'] + '\n' }}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<|image|>{% else %}{{ part['text'] | trim }}"
    "{% endif %}{% endfor %}<turn|>\n{% endfor %}{% if add_generation_prompt %}{{ '<|turn>model\n' }}{% endif %}"
)
SPECIAL = {
    "gemma4": ["<pad>", "<eos>", "<bos>", "<unk>", "<|turn>", "<turn|>", "<|image>", "<|image|>", "<image|>",
               "<|video|>", "<|audio>", "<|audio|>", "<audio|>", "<|think|>", "<|channel>", "<channel|>"],
    "qwen": ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
             "<|video_pad|>"],
    "llava": ["<unk>", "<s>", "</s>", "<pad>", "<image>"],
}  # fmt: skip
TEXT = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 8192}  # fmt: skip
CLIP = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 6, "num_attention_heads": 4, "image_size": 56,
        "patch_size": 14, "projection_dim": 32}  # fmt: skip


def _tokenizer(kind: str, folder: Path) -> dict[str, int]:
    vocabulary = {letter: index for index, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    words = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    words.add_special_tokens(SPECIAL[kind])
    folder.mkdir(parents=True, exist_ok=True)
    words.save(str(folder / "tokenizer.json"))
    return {token: words.token_to_id(token) for token in SPECIAL[kind]} | {"size": words.get_vocab_size()}


def make_model(family: str, folder: Path, seed: int = 1) -> Path:
    """Write a model of `family` to `folder`."""
    torch.manual_seed(seed)
    ids = _tokenizer(next((kind for kind in SPECIAL if family.startswith(kind)), ""), folder)
    made = {"gemma4": _gemma4, "qwen2_5_vl": _qwen2_5, "qwen3_vl": _qwen3, "llava_1_5": _llava, "llava_next": _next}
    model, processor = made[family](ids, str(folder / "tokenizer.json"))
    stops = [ids[token] for token in ("<|im_end|>", "<|endoftext|>", "<turn|>", "</s>") if token in ids]
    pad = ids.get("<|endoftext|>", ids.get("<pad>"))
    model.generation_config = transformers.GenerationConfig(
        eos_token_id=stops, pad_token_id=pad, bos_token_id=None, do_sample=False, max_new_tokens=512
    )
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    if family == "gemma4":
        _store_unused(folder)
    return folder


def _gemma4(ids: dict[str, int], path: str) -> tuple[Any, Any]:
    places = {"image_token_id": "<|image|>", "boi_token_id": "<|image>", "eoi_token_id": "<image|>",
              "video_token_id": "<|video|>", "audio_token_id": "<|audio|>", "boa_token_id": "<|audio>",
              "eoa_token_index": "<audio|>", "pad_token_id": "<pad>"}  # fmt: skip
    config = transformers.Gemma4Config(
        text_config={**TEXT, "num_hidden_layers": 4, "vocab_size": ids["size"], "head_dim": 8, "global_head_dim": 16,
                     "vocab_size_per_layer_input": ids["size"], "hidden_size_per_layer_input": 8,
                     "num_kv_shared_layers": 2, "layer_types": ["sliding_attention", "full_attention"] * 2,
                     "final_logit_softcapping": 30.0},
        vision_config={"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 6, "num_attention_heads": 4,
                       "num_key_value_heads": 4, "head_dim": 8, "position_embedding_size": 256,
                       "use_clipped_linears": True},
        audio_config={"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "output_proj_dims": 32,
                      "subsampling_conv_channels": [8, 8]},
        **{key: ids[token] for key, token in places.items()},
    )  # fmt: skip
    marks = {"image_token": "<|image|>", "boi_token": "<|image>", "eoi_token": "<image|>", "audio_token": "<|audio|>",
             "boa_token": "<|audio>", "eoa_token": "<audio|>", "think_token": "<|think|>"}  # fmt: skip
    words = transformers.PreTrainedTokenizerFast(
        tokenizer_file=path, bos_token="<bos>", eos_token="<eos>", unk_token="<unk>", pad_token="<pad>",
        extra_special_tokens=marks, padding_side="left",
    )  # fmt: skip
    processor = transformers.Gemma4Processor(
        transformers.Gemma4AudioFeatureExtractor(), transformers.Gemma4ImageProcessor(), words,
        transformers.Gemma4VideoProcessor(), chat_template=GEMMA4,
    )  # fmt: skip
    return transformers.Gemma4ForConditionalGeneration(config), processor


def _store_unused(folder: Path) -> None:
    """Keys and values of the layers that take those of others, as the published files hold them."""
    tensors = load_file(folder / "model.safetensors")
    for layer in (2, 3):
        for name in ("k_proj.weight", "v_proj.weight", "k_norm.weight"):
            tensors[f"model.language_model.layers.{layer}.self_attn.{name}"] = torch.ones(3, 5)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def _qwen_tokenizer(path: str) -> Any:
    return transformers.Qwen2TokenizerFast(
        tokenizer_file=path, eos_token="<|im_end|>", pad_token="<|endoftext|>", unk_token=None,
        additional_special_tokens=SPECIAL["qwen"][1:],
    )  # fmt: skip


def _qwen2_5(ids: dict[str, int], path: str) -> tuple[Any, Any]:
    config = transformers.Qwen2_5_VLConfig(
        text_config={**TEXT, "vocab_size": ids["size"], "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]}},
        vision_config={"depth": 6, "hidden_size": 32, "intermediate_size": 48, "num_heads": 4, "out_hidden_size": 32,
                       "patch_size": 14, "spatial_merge_size": 2, "window_size": 56, "fullatt_block_indexes": [1, 3]},
        **_places(ids),
    )  # fmt: skip
    images = transformers.Qwen2VLImageProcessor(min_pixels=56 * 56, max_pixels=12_845_056)
    videos = transformers.Qwen2VLVideoProcessor()
    processor = transformers.Qwen2_5_VLProcessor(
        images, _qwen_tokenizer(path), videos, chat_template=QWEN.replace("SYSTEM", SYSTEM)
    )
    return transformers.Qwen2_5_VLForConditionalGeneration(config), processor


def _qwen3(ids: dict[str, int], path: str) -> tuple[Any, Any]:
    rope = {"rope_type": "default", "mrope_section": [2, 1, 1], "mrope_interleaved": True}
    config = transformers.Qwen3VLConfig(
        text_config={**TEXT, "num_hidden_layers": 3, "vocab_size": ids["size"], "head_dim": 8, "rope_scaling": rope},
        vision_config={"depth": 6, "hidden_size": 32, "intermediate_size": 48, "num_heads": 4, "out_hidden_size": 32,
                       "patch_size": 16, "num_position_embeddings": 16, "deepstack_visual_indexes": [0, 1]},
        **_places(ids),
    )  # fmt: skip
    images = transformers.Qwen2VLImageProcessor(
        size={"shortest_edge": 65_536, "longest_edge": 16_777_216}, patch_size=16
    )
    processor = transformers.Qwen3VLProcessor(
        images, _qwen_tokenizer(path), transformers.Qwen3VLVideoProcessor(), chat_template=QWEN.replace("SYSTEM", "")
    )
    return transformers.Qwen3VLForConditionalGeneration(config), processor


def _places(ids: dict[str, int]) -> dict[str, int]:
    names = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>",
             "vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>"}  # fmt: skip
    return {key: ids[token] for key, token in names.items()} | {"vocab_size": ids["size"]}


def _vicuna(path: str) -> Any:
    return transformers.PreTrainedTokenizerFast(
        tokenizer_file=path, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>",
        extra_special_tokens={"image_token": "<image>"}, padding_side="left",
        model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def _llava(ids: dict[str, int], path: str) -> tuple[Any, Any]:
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**CLIP),
        text_config=transformers.LlamaConfig(**TEXT, vocab_size=ids["size"]),
        image_token_index=ids["<image>"], image_seq_length=16,
    )  # fmt: skip
    images = transformers.CLIPImageProcessor(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56})
    processor = transformers.LlavaProcessor(
        images, _vicuna(path), patch_size=14, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=LLAVA,
    )  # fmt: skip
    return transformers.LlavaForConditionalGeneration(config), processor


def _next(ids: dict[str, int], path: str) -> tuple[Any, Any]:
    grid = [[56, 112], [112, 56], [112, 112], [168, 56]]
    config = transformers.LlavaNextConfig(
        vision_config=transformers.CLIPVisionConfig(**CLIP),
        text_config=transformers.LlamaConfig(**TEXT, vocab_size=ids["size"]),
        image_token_index=ids["<image>"], image_grid_pinpoints=grid, image_seq_length=16,
    )  # fmt: skip
    images = transformers.LlavaNextImageProcessor(
        size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}, image_grid_pinpoints=grid
    )
    processor = transformers.LlavaNextProcessor(
        images, _vicuna(path), patch_size=14, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=LLAVA,
    )  # fmt: skip
    return transformers.LlavaNextForConditionalGeneration(config), processor


def make_small_nano(folder: Path) -> None:
    """The base of nano cut to two layers of the decoder and one of the vision tower, with its processor; its window is
    that of Gemma 3 4B, a quarter of nano's, and what is longer than two of them takes a sixteenth of the time."""
    ignored = shutil.ignore_patterns("*.safetensors", "*.md", "*.jsonl")
    shutil.copytree(NANO, folder, ignore=ignored)
    model = transformers.Gemma3ForConditionalGeneration.from_pretrained(NANO, dtype="float32")
    decoder, vision = model.model.language_model, model.model.vision_tower.encoder
    decoder.layers, vision.layers = decoder.layers[:2], vision.layers[:1]
    decoder.config.num_hidden_layers, decoder.config.layer_types = 2, ["sliding_attention", "full_attention"]
    model.config.vision_config.num_hidden_layers = 1
    decoder.config.sliding_window = 1024
    model.save_pretrained(folder)
