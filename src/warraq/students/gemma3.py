"""The Gemma-3 family: google/gemma-3-4b-it and its kin, and the embedded nano."""

from pathlib import Path

from warraq.records import InputError, Sample, read_json

TEMPLATE = "gemma3"
COMPONENTS = {"language": "language_model.", "projector": "multi_modal_projector.", "vision": "vision_tower."}
MODULES = {  # pattern of a stored tensor's name -> its module's name in transformers 4.57
    r"^language_model\.model": "model.language_model",
    r"^vision_tower": "model.vision_tower",
    r"^multi_modal_projector": "model.multi_modal_projector",
}
PROCESSOR = (
    "chat_template.jinja", "chat_template.json", "preprocessor_config.json", "processor_config.json",
    "added_tokens.json", "special_tokens_map.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json",
)  # fmt: skip


def lengths(base: Path, samples: list[Sample]) -> list[int]:
    """Tokens of each sample as the trainer counts them: prompt, image and answer, prompt and answer spelled apart.

    An image is always the same number of tokens, whatever its size.
    """
    from tokenizers import Tokenizer

    path = base / "tokenizer.json"
    if not path.exists():
        raise InputError(f"{path} is missing; fetch the base model (`warraq fetch`).")
    tokenizer = Tokenizer.from_file(str(path))
    per_image = read_json(base / "processor_config.json")["image_seq_length"]
    image = f"\n\n<start_of_image>{'<image_soft_token>' * per_image}<end_of_image>\n\n"

    def spelled(sample: Sample) -> list[str]:
        texts = ["<bos>"]
        for turn in sample.conversations:
            if turn.role == "user":
                text = turn.content.replace("<image>", image)
                texts.append(f"<start_of_turn>user\n{text}<end_of_turn>\n<start_of_turn>model\n")
            else:
                texts.append(f"{turn.content}<end_of_turn>\n")
        return texts

    return [
        sum(len(tokenizer.encode(text, add_special_tokens=False).ids) for text in spelled(sample)) for sample in samples
    ]
