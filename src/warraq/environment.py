"""Numbers and switches of the environment, which change speed and place, never a result."""

import math
import os

from warraq.errors import InputError

TELEMETRY_OFF = {
    "DISABLE_TELEMETRY": "1",  # huggingface_hub, with the two that follow
    "DO_NOT_TRACK": "1",  # whoever keeps to https://consoledonottrack.com
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DVC_NO_ANALYTICS": "1",
    "ITERATIVE_DO_NOT_TRACK": "1",  # DVC's library for it
    "GRADIO_ANALYTICS_ENABLED": "False",  # comes with LLaMA-Factory
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime, from 1.31 on
    "OTEL_SDK_DISABLED": "true",  # comes with wandb and FastAPI
    "RAY_USAGE_STATS_ENABLED": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "WANDB_ERROR_REPORTING": "false",
}
"""What keeps libraries from reporting to their makers. They read it as they are loaded, and every way to them leads
through this package, which sets it; Makefile, Dockerfile and compose.yaml say the same for programs beside it.
"""


def read_count(name: str, least: int = 1, rule: str = "") -> int | None:
    """A whole number from the variable `name`; None where it is not set or empty.

    Args:
        name: of the variable.
        least: the smallest number that is allowed.
        rule: what the number must be, for the message; else "a whole number of at least `least`".

    Raises:
        InputError: the variable holds anything else.
    """
    text = os.environ.get(name, "")
    if not text:
        return None
    if not text.isdecimal() or int(text) < least:
        raise InputError(f"{name} is {text!r}; it must be {rule or f'a whole number of at least {least}'}.")
    return int(text)


def read_seconds(name: str, default: float, positive: bool = True) -> float:
    """Seconds from the variable `name`; `default` where it is not set or empty.

    Raises:
        InputError: the variable holds no finite number, or one below 0, or 0 where it must be positive.
    """
    text = os.environ.get(name)
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf or (positive and seconds == 0):
        raise InputError(f"{name} is {text!r}; it must be a number of seconds{' above 0' if positive else ''}.")
    return seconds


def read_flag(name: str) -> bool:
    """Whether the variable `name` says yes: 1, true, t, yes, y or on, in any case."""
    return os.environ.get(name, "").lower() in ("1", "true", "y", "yes", "t", "on")
