"""params.yaml: what is wrong in it stops every command with one sentence and exit code 2."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from support import PARAMS
from warraq import params
from warraq.cli.main import main


def refused(folder: Path, old: str, new: str) -> str:
    text = PARAMS.read_text(encoding="utf-8")
    assert old in text
    (folder / "params.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    arguments = ["--params", str(folder / "params.yaml"), "predict"]
    options = [f"--{name}={folder / name}" for name in ("model", "dataset", "pages", "out")]
    result = CliRunner().invoke(main, [*arguments, *options])
    assert result.exit_code == 2, result.output
    assert result.output.count("\n") == 1
    return result.output


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "rank: 96",
            "rank: 9600",
            "students.gemma3_4b.tiers.0.rank is 9600: input should be less than or equal to 1024",
        ),
        ("rank: 96", "rank: true", "students.gemma3_4b.tiers.0.rank is True"),
        ("rank: 96", "rnk: 96", "students.gemma3_4b.tiers.0.rnk is not a parameter; did you mean rank?"),
        (
            "revision: 093f9f388b31de276ce2de164bdc2081324b9767",
            "revision: main",
            "revision is 'main': a branch may",
        ),
        ("    revision: 093f9f388b31de276ce2de164bdc2081324b9767\n", "", "students.gemma3_4b.revision is missing"),
        ("  - language: true  #", "  - language: false  #", "trains nothing"),
        (
            "fused_loss: false\n    checkpointing",
            "fused_loss: true\n    checkpointing",
            "there is no fused loss for qwen3_vl",
        ),
        ("quantization: none  #", "quantization: nf4  #", "nf4 is for one LoRA tier in bf16"),
        ("    prompt: null", "    prompt: OCR", "prompt is for answers in another form than schema"),
        ("  colour: rgb", "  colour: blue", "render.colour is 'blue': input should be 'rgb' or 'grey'"),
        ("  test_share: 0.2", "  test_share: .nan", "dataset.test_share is nan"),
        ("tasks: [content", "tasks: [contents", "there is no task 'contents'"),
        ("  checkpoints: 2", "  seed: 2", "seed is given twice"),
        ("train:", "train: {", "is not YAML"),
        ("  checkpoints: 2", "\tcheckpoints: 2", "cannot start any token; indent with spaces, not with a tab"),
        ("train:", "? [train]\n:", "is not YAML: a key is no name"),
        ("train:", "\0train:", "is not text in UTF-8"),
        ("  nano:", "  na.no:", "students.na.no"),
        ("    base: nano", "", "students.nano.base is missing"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert said in refused(tmp_path, old, new)


def test_a_number_in_scientific_notation_is_a_number(tmp_path: Path) -> None:
    text = PARAMS.read_text(encoding="utf-8").replace("learning_rate: 1.0e-4", "learning_rate: 1e-4")
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    assert params.load(tmp_path / "params.yaml").students["gemma3_4b"].tiers[0].learning_rate == 1e-4


def test_no_params_file_is_told_with_the_remedy(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--params", str(tmp_path / "params.yaml"), "fetch", "nano"])
    assert result.exit_code == 2
    assert "run warraq from the project's folder" in result.output


@pytest.mark.parametrize(("start", "said"), [(b"# caf\xe9\n", "is not text in UTF-8"), (b"\xef\xbb\xbf", "")])
def test_bytes_that_are_no_text_are_told_and_a_byte_order_mark_is_no_fault(
    tmp_path: Path, start: bytes, said: str
) -> None:
    (tmp_path / "params.yaml").write_bytes(start + PARAMS.read_bytes().replace(b"\n", b"\r\n"))
    result = CliRunner().invoke(main, ["--params", str(tmp_path / "params.yaml"), "schema", "invoice"])
    assert result.exit_code == (2 if said else 0) and said in result.output


def test_a_folder_in_place_of_the_file_is_told(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--params", str(tmp_path), "schema", "invoice"])
    assert result.exit_code == 2 and "cannot be read (Is a directory); restore it from git" in result.output


def test_a_terminal_that_lacks_letters_is_shown_their_numbers() -> None:
    command = [sys.executable, "-m", "warraq", "--params", str(PARAMS), "schema", "metadata", "--template"]
    shown = {
        encoding: json.loads(
            subprocess.run(
                command, env={**os.environ, "PYTHONIOENCODING": encoding}, capture_output=True, check=True
            ).stdout
        )
        for encoding in ("utf-8", "ascii")
    }
    assert shown["ascii"] == shown["utf-8"]


def test_an_unknown_student_is_told_with_those_there_are() -> None:
    result = CliRunner().invoke(main, ["--params", str(PARAMS), "fetch", "gpt"])
    assert result.exit_code == 2
    assert "it has nano, gemma3_4b" in result.output


@pytest.mark.parametrize("arguments", ["['--help']", "['train', '--help']"])
def test_help_loads_no_heavy_library(arguments: str) -> None:
    heavy = "{'torch', 'transformers', 'onnxruntime', 'google.genai', 'pymupdf', 'numpy', 'PIL', 'pydantic'}"
    run = f"from warraq.cli.main import main; main({arguments}, standalone_mode=False)"
    code = f"import sys; {run}; sys.exit(str({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stderr.strip() == "set()"


def test_reading_params_loads_no_heavy_library() -> None:
    heavy = "{'torch', 'transformers', 'onnxruntime', 'google.genai', 'pymupdf', 'numpy', 'PIL'}"
    run = f"from pathlib import Path; from warraq import params; params.load(Path({str(PARAMS)!r}))"
    code = f"import sys; {run}; sys.exit(str({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stderr.strip() == "set()"


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    text = PARAMS.read_text(encoding="utf-8").replace("rank: 96", "rnk: 96", 1).replace("colour: rgb", "colour: 3", 1)
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    result = CliRunner().invoke(main, ["--params", str(tmp_path / "params.yaml"), "doctor", "nano"])
    first, *others = result.output.splitlines()
    assert result.exit_code == 2 and first.endswith("params.yaml has 2 errors:")
    assert "did you mean rank?" in others[0] and "render.colour is 3" in others[1]
