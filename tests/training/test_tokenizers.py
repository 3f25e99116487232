"""Published tokenizers, where `WARRAQ_TOKENIZERS` names a folder of them: CONTRIBUTING.md says how it is made."""

import os
from pathlib import Path

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from warraq.files import read_json
from warraq.records import Sample, Turn
from warraq.students import families
from warraq.training.audit import TokenCounter
from warraq.views import PAGE

FOLDER = Path(os.environ.get("WARRAQ_TOKENIZERS") or "no folder")
PUBLISHED = {"gemma3": "gemma3", "qwen3_vl": "qwen3"}
ANSWER = '{"invoice_number":"A-1","sender":{"name":"مكتبة النور"},"total":"٣٫٥٠","notes":null}'

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="WARRAQ_TOKENIZERS names no folder")


def sample(answer: str) -> Sample:
    turns = (Turn(role="user", content="<image>Read the page. أجب."), Turn(role="assistant", content=answer))
    return Sample(page_id="p", document="d", task="t", reference="gold", images=("p.png",), conversations=turns)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_pieces_of_a_chat_count_as_the_chat_does(name: str) -> None:
    folder, family = FOLDER / PUBLISHED[name], families.load(name)
    prompt, target, special = TokenCounter(folder, family).count(sample(ANSWER), PAGE)
    chat = family.render_chat("<image>Read the page. أجب.", ANSWER)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    whole = tokenizer.encode("".join([*chat.prompt, *chat.target]), add_special_tokens=False).ids
    assert (prompt + target, special) == (len(whole), None)
    assert tokenizer.decode(whole, skip_special_tokens=False).endswith("".join(chat.target))


@pytest.mark.parametrize(("name", "mark"), [("gemma3", "<end_of_turn>"), ("qwen3_vl", "<|im_end|>")])
def test_a_control_token_in_a_text_is_found(name: str, mark: str) -> None:
    counter = TokenCounter(FOLDER / PUBLISHED[name], families.load(name))
    assert counter.count(sample(f'{{"notes":"{mark}"}}'), PAGE)[2] == mark


def test_gemma3_is_asked_as_its_own_template_asks() -> None:
    template = read_json(FOLDER / "gemma3/tokenizer_config.json")["chat_template"]
    content = [{"type": "image"}, {"type": "text", "text": "Read."}]
    text = ImmutableSandboxedEnvironment().from_string(template).render(
        messages=[{"role": "user", "content": content}], bos_token="<bos>", add_generation_prompt=True
    )  # fmt: skip
    image = "\n\n<start_of_image><image_soft_token><end_of_image>\n\n"  # as its processor spells an image
    asked = "".join(families.load("gemma3").render_chat("<image>Read.", "").prompt)
    assert asked == text.replace("<start_of_image>", image)
