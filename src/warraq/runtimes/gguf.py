"""A folder written by `gguf`, asked through llama.cpp in this process; neither torch nor transformers is imported.

llama.cpp is asked as a server on a port of its own, since it leaves out what the `endpoint` runtime mends.
"""

import secrets
from pathlib import Path

from warraq.errors import InputError
from warraq.runtimes import count_threads
from warraq.runtimes.endpoint import ServedModel

CONTEXT = 16384  # tokens of prompt and answer
PROMPT_BATCH = 2048  # tokens read at once; an image whose tokens see each other must fit in
EXACT_CACHE = 0  # ggml's number of fp32
OFF = 0  # flash attention, which is up to 0.2 off in a token's log-probability on a CPU
PACKAGE = "xllamacpp==2026.10.11549"


class GgufRuntime(ServedModel):
    """Raises InputError where llama.cpp is not installed or cannot load the files."""

    def __init__(self, folder: Path) -> None:
        try:
            import xllamacpp
        except ImportError:
            raise InputError(f"llama.cpp is not installed; `uv pip install {PACKAGE}`, or read with torch.") from None
        key, parameters = secrets.token_hex(), xllamacpp.CommonParams()
        parameters.model.path, parameters.mmproj.path = str(folder / "model.gguf"), str(folder / "mmproj.gguf")
        parameters.n_ctx, parameters.n_batch, parameters.n_ubatch = CONTEXT, PROMPT_BATCH, PROMPT_BATCH
        parameters.cache_type_k = parameters.cache_type_v = EXACT_CACHE
        parameters.flash_attn_type = OFF
        parameters.cache_prompt, parameters.cache_ram_mib = False, 0  # sums of a part would be rounded otherwise
        parameters.api_keys, parameters.cors_origins = [key], ""
        parameters.endpoint_slots = parameters.ui = parameters.warmup = False
        parameters.verbosity = 0
        if count := count_threads():
            parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = count
        try:
            self._server = xllamacpp.Server(parameters)
        except (RuntimeError, ValueError) as error:
            raise InputError(f"llama.cpp cannot load {folder} ({error}); write it again.") from None
        super().__init__(f"{self._server.listening_address}/v1", folder.name, folder, key)
        self._is_near = True
