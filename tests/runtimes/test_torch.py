"""The torch runtime asks each family as its own processor does."""

from pathlib import Path

import pytest
from PIL import Image
from tokenizers import Tokenizer, processors

from support import tiny
from warraq.runtimes import Request, build_messages
from warraq.runtimes.torch import TorchRuntime


@pytest.mark.parametrize("family", ["llava_1_5", "qwen2_5_vl"])
def test_prompts_are_those_of_the_chat_template(family: str, tmp_path: Path) -> None:
    """LLaVA's template leaves <s> to the tokenizer; without it the model is asked otherwise than it was trained."""
    folder = tiny.make_model(family, tmp_path / family)
    if family == "llava_1_5":  # as the published tokenizer.json has it
        words = Tokenizer.from_file(str(folder / "tokenizer.json"))
        start = [("<s>", words.token_to_id("<s>"))]
        words.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=start)
        words.save(str(folder / "tokenizer.json"))
    Image.new("RGB", (90, 120), "white").save(tmp_path / "page.png")
    request = Request((tmp_path / "page.png",), "Read it.")
    runtime = TorchRuntime(folder, dtype="float32")
    turns = build_messages(request)
    turns[0]["content"][0] |= {"path": str(tmp_path / "page.png")}
    expected = runtime.processor.apply_chat_template(
        turns, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )["input_ids"]
    asked = runtime._inputs([request])["input_ids"]
    assert asked.tolist() == expected.tolist()
    assert (asked[0, 0] == runtime.processor.tokenizer.bos_token_id) == (family == "llava_1_5")
    (answer,) = runtime.answer([request], 4)
    assert answer.tokens <= 4 and len(answer.logprobs) == answer.tokens
