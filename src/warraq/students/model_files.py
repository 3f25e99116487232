"""The files of a model's folder beside its weights, for all who copy, check or hash them."""

from pathlib import Path

from warraq.files import hash_file

ADAPTER_CONFIG = "adapter_config.json"
CONFIGURATION = ("config.json", "generation_config.json")
PROCESSOR = (
    "added_tokens.json", "chat_template.jinja", "chat_template.json", "merges.txt", "preprocessor_config.json",
    "processor_config.json", "special_tokens_map.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json",
    "video_preprocessor_config.json", "vocab.json",
)  # fmt: skip
"""How a model of any family is asked; no family has all of them."""

GRAPHS = ("tokenizer.json", "tokenizer_config.json")
"""Those of the processor that onnxruntime cannot do without, beside the settings of images."""

WRITTEN = (*GRAPHS, "chat_template.jinja", "processor_config.json")
"""What transformers writes of a processor, and onnxruntime reads."""


def hash_settings(folder: Path) -> dict[str, str]:
    """SHA-256 of a model's configuration and processor, by file."""
    return {name: hash_file(folder / name) for name in (*CONFIGURATION, *PROCESSOR) if (folder / name).exists()}
