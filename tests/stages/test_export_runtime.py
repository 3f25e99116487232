"""The runtime of exported graphs: the answers, pixels and stops of transformers, without it, on a cache in place."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.export_project import PROMPT, draw_page
from warraq.runtimes import Request, open_image, processor
from warraq.runtimes.onnx import OnnxRuntime, _Batch
from warraq.runtimes.torch import TorchRuntime

pytestmark = pytest.mark.slow


def test_the_cache_is_written_to_in_place(exportable: Path, exported: Path) -> None:
    """No step copies it, but for those where it grows."""
    runtime = OnnxRuntime(exported)
    run = _Batch(runtime, runtime.processor([Request((exportable / "pages/0123456789ab/0001.png",), PROMPT)]))
    run.read_prompt([-1])
    (name, cache), *_ = run.cache.items()
    before, place = cache.copy(), run.used
    run.add_tokens(np.array([7]))
    assert run.cache[name] is cache and np.abs(cache[:, :, place]).sum() > 0
    np.testing.assert_array_equal(np.delete(cache, place, axis=2), np.delete(before, place, axis=2))


def test_answers_equal_transformers_in_a_padded_batch(exportable: Path, exported: Path) -> None:
    requests = [
        Request((exportable / "pages/0123456789ab/0001.png",), PROMPT),
        Request((exportable / "pages/0123456789ab/0002.png",), f"{PROMPT} {PROMPT}"),
    ]
    together = OnnxRuntime(exported).answer(requests, 24)
    assert together == TorchRuntime(exportable / "merged", dtype="float32").answer(requests, 24)
    assert together == [answer for request in requests for answer in OnnxRuntime(exported).answer([request], 24)]


def test_stops_at_the_stop_token(exportable: Path, exported: Path) -> None:
    onnx, torch = OnnxRuntime(exported), TorchRuntime(exportable / "merged", dtype="float32")
    request = Request((exportable / "pages/0123456789ab/0001.png",), PROMPT)
    chosen = torch.trace([request], [0], 12).tokens[0].tolist()
    onnx.stops = torch.stops = [chosen[5]]
    (answer,) = onnx.answer([request], 12)
    assert answer == torch.answer([request], 12)[0]
    assert (answer.finish_reason, answer.tokens) == ("stop", chosen.index(chosen[5]))


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "P", "RGBA", "1"])
def test_pixels_equal_the_slow_processor(exported: Path, tmp_path: Path, mode: str) -> None:
    from transformers import AutoImageProcessor

    draw_page(tmp_path / "page.png", 4)
    Image.open(tmp_path / "page.png").convert(mode).save(tmp_path / "page.png")
    image = open_image(tmp_path / "page.png")
    truth = AutoImageProcessor.from_pretrained(exported, backend="pil")(image)["pixel_values"][0]
    (ours,) = processor.load_processor(exported).prepare_images([image])["pixel_values"]
    np.testing.assert_array_equal(ours, truth)


def test_runtime_needs_neither_torch_nor_transformers(exportable: Path, exported: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from warraq.runtimes import Request\n"
        "from warraq.runtimes.loading import load_runtime\n"
        f"answer, = load_runtime(Path({str(exported)!r})).answer([Request((), {PROMPT!r})], 4)\n"
        "print(answer.tokens, 'torch' in sys.modules, 'transformers' in sys.modules, 'onnx' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split()[1:] == ["False"] * 3
