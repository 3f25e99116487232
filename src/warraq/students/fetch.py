"""A student -> its base model in models/<student>/base; and how anything is fetched from the Hugging Face hub."""

import shutil
from pathlib import Path
from typing import Any

from warraq.errors import InputError
from warraq.students import Student
from warraq.students.weights import verify_weights


def fetch_base(name: str, student: Student, folder: Path) -> None:
    """Download the pinned revision into `folder`; nothing is downloaded for the embedded student, which is verified.

    Raises:
        InputError: as of `download`; of the embedded student, its weights are others.
    """
    if student.base == "nano":
        verify_weights(student, folder)
        return
    patterns = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]
    download(student.base, student.revision, name, local_dir=folder, allow_patterns=patterns)
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # holds times, and the folder is an input that is hashed


def download(repository: str, revision: str, name: str, **options: Any) -> Path:
    """Download a repository of the hub at a commit; `options` are those of `huggingface_hub.snapshot_download`.

    Args:
        repository: owner and name.
        revision: the commit.
        name: what it is fetched for.
        options: where to, and which files.

    Raises:
        InputError: it asks for consent, is not there, or cannot be reached or written.
    """
    from httpx import HTTPError
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError

    try:
        return Path(snapshot_download(repository, revision=revision, **options))
    except GatedRepoError:
        raise InputError(
            f"{repository} is gated: accept its licence at https://huggingface.co/{repository} and set HF_TOKEN."
        ) from None
    except (HTTPError, OSError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{repository} at {revision} could not be fetched for {name}: {reason}") from None
