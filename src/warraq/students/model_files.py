"""The files of a model's folder beside its weights, for all who copy, check or hash them."""

CONFIGURATION = ("config.json", "generation_config.json")
PROCESSOR = (
    "added_tokens.json", "chat_template.jinja", "chat_template.json", "merges.txt", "preprocessor_config.json",
    "processor_config.json", "special_tokens_map.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json",
    "video_preprocessor_config.json", "vocab.json",
)  # fmt: skip
"""How a model of any family is asked; no family has all of them."""

GRAPHS = ("preprocessor_config.json", "tokenizer.json", "tokenizer_config.json")
"""Those of the processor that onnxruntime cannot do without."""

WRITTEN = (*GRAPHS, "chat_template.jinja", "processor_config.json")
"""What transformers of today writes of a processor, and onnxruntime reads."""
