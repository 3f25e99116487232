"""The embedded student answers on a GPU as on the CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from support import NANO

pytestmark = [pytest.mark.slow, pytest.mark.gpu]
ASK = """
import json, sys
from pathlib import Path
from warraq.runtimes import Request
from warraq.runtimes.torch import TorchRuntime
runtime = TorchRuntime(Path(sys.argv[1]), dtype="float32")
(answer,) = runtime.answer([Request((Path(sys.argv[2]),), "Copy the page.")], 24)
print(json.dumps([runtime.model.device.type, answer.text, answer.tokens]))
"""


def ask(image: Path, **environment: str) -> tuple[str, str, int]:
    command = [sys.executable, "-c", ASK, str(NANO), str(image)]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
    device, text, tokens = json.loads(done.stdout)
    return device, text, tokens


def test_in_fp32_the_tokens_are_those_of_the_cpu(tmp_path: Path) -> None:
    image = Image.new("L", (310, 440), "white")
    ImageDraw.Draw(image).text((20, 20), "Total 42.50", "black", font_size=24)
    image.save(tmp_path / "page.png")
    here, there = ask(tmp_path / "page.png", CUDA_VISIBLE_DEVICES=""), ask(tmp_path / "page.png")
    assert (here[0], there[0]) == ("cpu", "cuda")
    assert here[1:] == there[1:]
