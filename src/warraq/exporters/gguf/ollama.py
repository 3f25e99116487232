"""The Modelfile by which Ollama builds the model from the merged folder, which keeps the vision part.

Of model.gguf and mmproj.gguf it has lost it (ollama/ollama issues 9967 and 10519).
"""

from pathlib import Path

from warraq.files import write_text

CONTEXT = 12000  # tokens of a page and its answer
GEMMA3 = (
    "<start_of_turn>user\n{{ if .System }}{{ .System }}\n\n{{ end }}{{ .Prompt }}<end_of_turn>\n"
    "<start_of_turn>model\n{{ .Response }}<end_of_turn>\n"
)


def write_modelfile(folder: Path, merged: str) -> None:
    """Write `folder`/Modelfile; `merged` is the model's folder as seen from there."""
    lines = [f"FROM {merged}", f'TEMPLATE """{GEMMA3}"""', f"PARAMETER num_ctx {CONTEXT}", "PARAMETER temperature 0",
             "PARAMETER stop <end_of_turn>"]  # fmt: skip
    write_text(folder / "Modelfile", "\n".join(lines) + "\n")
