"""A model behind HTTP that answers as it is told, and what makes a folder a model that was trained here."""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from warraq import tasks
from warraq.rendering.settings import RenderSettings, recipe_of
from warraq.runtimes import manifest
from warraq.runtimes.manifest import Sight, TaskPrompt, hash_schema
from warraq.stages.render import Render
from warraq.views import PAGE, Views, hash_recipe

RENDER = Render(
    long_side_px=400, colour="rgb", contrast="none", autocontrast_cutoff_percent=0.0, deskew=False, crop=False,
    max_pages=50, max_seconds=20, max_memory_mib=1024, max_output_mib=4096,
)  # fmt: skip
CONTENT = '{"blocks":[{"kind":"paragraph","text":"وزارة المالية","level":null,"language":null}]}'
INVOICE = (
    '{"invoice_number":"1001","customer_id":null,"status":null,"date":null,"due_date":null,'
    '"sender":{"name":null,"address":null,"tax_id":null},'
    '"recipient":{"name":null,"address":null,"tax_id":null},"items":[],"currency":null,"subtotal":null,'
    '"tax_rate":null,"tax_amount":null,'
    '"total":null,"notes":null}'
)


def describe_model(folder: Path, *names: str, views: Views = PAGE, sight: Sight | None = None) -> Path:
    """`folder` as a model that was trained for these tasks on pages of RENDER."""
    look = {name: getattr(RENDER, name) for name in RenderSettings.model_fields}
    questions = {}
    for name in names:
        module = tasks.load(name)
        schema = hash_schema(module.schema)
        questions[name] = TaskPrompt(prompt=module.prompt, schema_sha256=schema)
    manifest.write_manifest(folder, look, hash_recipe(recipe_of(RENDER), views), questions, views, sight)
    return folder


class ScriptedModel(ThreadingHTTPServer):
    """Answers chat completions by `reply`, which gets the prompt and whether a schema was given."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reply: Callable[[str, bool], tuple[str, str]] = lambda prompt, _: (
            INVOICE if "invoice" in prompt else CONTENT,
            "stop",
        )
        self.logprob: float | None = None  # of every token, which are the letters; None: not told
        self.doubtful = ""  # letters of an answer that are no more likely than not
        self.asked: list[dict[str, Any]] = []

    def measure_letters(self, text: str) -> list[dict[str, Any]]:
        start = text.find(self.doubtful) if self.doubtful else -1
        unsure = range(start, start + len(self.doubtful) if start >= 0 else start)
        return [
            {"token": letter, "logprob": -0.7 if place in unsure else self.logprob} for place, letter in enumerate(text)
        ]


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedModel

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        prompt = body["messages"][0]["content"][-1]["text"]
        text, reason = self.server.reply(prompt, "response_format" in body)
        choice: dict[str, Any] = {"message": {"content": text}, "finish_reason": reason}
        if body["logprobs"] and self.server.logprob is not None:
            choice["logprobs"] = {"content": self.server.measure_letters(text)}
        data = json.dumps({"choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass
