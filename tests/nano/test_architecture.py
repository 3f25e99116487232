"""The embedded student: built again to the same bytes, spelled without loss, asked as LLaMA-Factory trains it."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from support import NANO, PARAMS
from warraq import params as tree
from warraq import tasks
from warraq.errors import InputError
from warraq.nano import architecture, evaluation
from warraq.records import Sample, Turn
from warraq.students.families.gemma3 import GEMMA3
from warraq.students.fetch import fetch_base
from warraq.training.audit import TokenCounter
from warraq.views import PAGE

TASKS = [tasks.load(name) for name in ("content", "metadata", "invoice")]
SPELLED = Tokenizer.from_file(str(NANO / "tokenizer.json"))
ANSWER = {
    "invoice_number": "A-1", "customer_id": None, "status": None, "date": "١٢/٣", "due_date": None,
    "sender": {"name": 'مكتبة "النور"\n', "address": None, "tax_id": None},
    "recipient": {"name": None, "address": None, "tax_id": None},
    "items": [{"description": "قلم", "quantity": "2", "unit_price": None, "tax_rate": "5%", "tax_amount": None,
               "total": "3", "currency": None}] * 2,
    "currency": "JOD", "subtotal": None, "tax_rate": None, "tax_amount": None, "total": "3.00",
    "notes": None,
}  # fmt: skip


def test_the_files_beside_the_weights_are_what_the_code_makes(tmp_path: Path) -> None:
    made = architecture.collect_pieces([task.answer for task in TASKS], [task.prompt for task in TASKS])
    architecture.build_student(tmp_path, made, seed=1)
    learned = {"model.safetensors", "README.md", "curve.jsonl"}
    shipped = {path.name: path.read_bytes() for path in NANO.iterdir() if path.name not in learned}
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name not in learned} == shipped
    assert (NANO / "model.safetensors").stat().st_size == (tmp_path / "model.safetensors").stat().st_size < 6_000_000


@pytest.mark.slow
def test_the_weights_read_as_well_as_their_card_says() -> None:
    card = (NANO / "README.md").read_text(encoding="utf-8")
    told = {key: float(value) for key, value in re.findall(r"^\| (?:.*) (\S+) \| ([\d.]+) \|$", card, re.MULTILINE)}
    (seed,) = map(int, re.findall(r"--seed (\d+)", card))
    side_px = json.loads((NANO / "config.json").read_text())["vision_config"]["image_size"]
    scores = evaluation.score_student(NANO, evaluation.make_held_out_pages(seed, side_px))
    assert {key: pytest.approx(told[key], abs=0.01) for key in scores} == scores  # tall pages take minutes


def spelled(text: str) -> list[str]:
    return [SPELLED.id_to_token(index) for index in SPELLED.encode(text, add_special_tokens=False).ids]


@given(st.text())
def test_any_text_is_spelled_without_loss(text: str) -> None:
    ids = SPELLED.encode(text, add_special_tokens=False).ids
    assert SPELLED.decode(ids, skip_special_tokens=False) == text


@pytest.mark.parametrize(
    "text", ["", "<0x41>", " a  b ", "\r\n\x00", "👨‍👩‍👧 日本語", "e\u0301", "‏١٢٣ كَتَبَ", '"ar","en"', "<unk"]
)
def test_text_that_looks_like_tokens_is_spelled_without_loss(text: str) -> None:
    ids = SPELLED.encode(text, add_special_tokens=False).ids
    assert SPELLED.decode(ids, skip_special_tokens=False) == text


def test_what_is_the_same_on_every_page_is_one_token_and_a_value_is_letters() -> None:
    made = architecture.collect_pieces([task.answer for task in TASKS], [task.prompt for task in TASKS])
    tokenizer = architecture.build_tokenizer(made)
    tokens = tokenizer.tokenize(tasks.dumps(ANSWER))
    assert tokens[:6] == ['{"invoice_number":"', "A", "-", "1", '"', ',"customer_id":null']
    assert (
        sum(len(token) > 1 for token in tokens) == 32
    )  # one a key, save that an object's first key takes the outer one
    assert [len(tokenizer.tokenize(task.prompt)) for task in TASKS] == [4, 4, 4]


def test_an_image_and_its_window_fit() -> None:
    config = json.loads((NANO / "config.json").read_text())
    assert config["mm_tokens_per_image"] <= config["text_config"]["sliding_window"]
    assert {"sliding_attention", "full_attention"} == set(config["text_config"]["layer_types"])
    assert json.loads((NANO / "processor_config.json").read_text())["image_seq_length"] == config["mm_tokens_per_image"]


def test_llama_factory_and_the_processor_see_the_same_tokens() -> None:
    from llamafactory.data.template import TEMPLATES
    from PIL import Image
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(NANO, backend="pil")
    prompt, answer = TASKS[2].prompt, tasks.dumps(ANSWER)
    template = TEMPLATES[GEMMA3.template]
    turns = [{"role": "user", "content": "<image>" + prompt}, {"role": "assistant", "content": answer}]
    told = template.mm_plugin.process_messages(turns, [Image.new("RGB", (9, 9))], [], [], processor)
    asked, answered = template.encode_oneturn(processor.tokenizer, told)

    content = [{"type": "image", "image": Image.new("RGB", (9, 9))}, {"type": "text", "text": prompt}]
    ids = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=True, return_dict=True
    )["input_ids"][0]  # fmt: skip
    assert ids == asked
    conversation = tuple(Turn.model_validate(turn) for turn in turns)
    sample = Sample(
        page_id="p", document="d", task="invoice", reference="gold", images=("p.png",), conversations=conversation
    )
    prompt_tokens, target_tokens, special = TokenCounter(NANO, GEMMA3).count(sample, PAGE)
    assert (prompt_tokens - 1 + 400, target_tokens, special) == (len(asked), len(answered), None)


def test_a_system_message_stands_before_the_first_question() -> None:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    template = ImmutableSandboxedEnvironment().from_string(architecture.CHAT_TEMPLATE)
    turns = [("system", "Be brief."), ("user", "Why?"), ("assistant", "So."), ("user", " And? ")]
    text = template.render(
        messages=[{"role": role, "content": content} for role, content in turns],
        bos_token="<bos>", add_generation_prompt=True,
    )  # fmt: skip
    assert text == (
        "<bos><start_of_turn>user\nBe brief.\n\nWhy?<end_of_turn>\n<start_of_turn>model\nSo.<end_of_turn>\n"
        "<start_of_turn>user\n And? <end_of_turn>\n<start_of_turn>model\n"
    )


def test_fetch_refuses_other_weights(tmp_path: Path) -> None:
    student = tree.load(PARAMS).find_student("nano")
    fetch_base("nano", student, NANO)
    shutil.copytree(NANO, tmp_path / "base")
    (tmp_path / "base/model.safetensors").write_bytes(b"other")
    with pytest.raises(InputError, match="has SHA-256"):
        fetch_base("nano", student, tmp_path / "base")


FILES = {"config.json": b"{}", "model.safetensors": b"weights", "README.md": b"not asked for"}


@pytest.fixture
def hub() -> Iterator[str]:
    """A Hugging Face hub on loopback with one revision of one model."""
    revision = tree.load(PARAMS).find_student("gemma3_4b").revision
    path = "/google/gemma-3-4b-it/resolve/" + revision

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, headers = b"", {}
            if self.path.startswith(f"/api/models/google/gemma-3-4b-it/revision/{revision}"):
                body = json.dumps({"id": "google/gemma-3-4b-it", "sha": revision}).encode()
            elif self.path.startswith(f"/api/models/google/gemma-3-4b-it/tree/{revision}"):
                entries = [{"type": "file", "path": name, "size": len(FILES[name]), "oid": name} for name in FILES]
                body = json.dumps(entries).encode()
            elif self.path.startswith(path):
                body = FILES[self.path.rsplit("/", 1)[1]]
                headers = {"ETag": f'"{len(body)}"', "X-Repo-Commit": revision}
            self.send_response(200 if body else 404)
            for key, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815  # as http.server calls it

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def fetched(folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "warraq", "--params", str(PARAMS), "fetch", "gemma3_4b"]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
    places = {"HF_HOME": str(folder / "home")}
    return subprocess.run(command, cwd=folder, env={**clean, **places, **environment}, capture_output=True, text=True)


def test_fetch_takes_the_pinned_revision_from_the_hub(hub: str, tmp_path: Path) -> None:
    result = fetched(tmp_path, HF_ENDPOINT=hub)
    assert result.returncode == 0, result.stderr
    base = tmp_path / "models/gemma3_4b/base"
    names = ("config.json", "model.safetensors")
    assert {path.name: path.read_bytes() for path in base.iterdir()} == {name: FILES[name] for name in names}


@pytest.mark.parametrize("environment", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}])
def test_fetch_without_a_network_is_one_sentence(tmp_path: Path, environment: dict[str, str]) -> None:
    result = fetched(tmp_path, **environment)
    assert (result.returncode, "google/gemma-3-4b-it" in result.stderr) == (2, True)
    assert "Traceback" not in result.stderr
