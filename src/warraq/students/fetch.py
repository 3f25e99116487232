"""A student -> its base model in models/<student>/base."""

import shutil
from pathlib import Path

from warraq.errors import InputError
from warraq.students import Student
from warraq.students.weights import verify_weights


def fetch_base(name: str, student: Student, folder: Path) -> None:
    """Download the pinned revision into `folder`; nothing is downloaded for the embedded student, which is verified."""
    if student.base == "nano":
        verify_weights(student, folder)
        return
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    patterns = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]
    try:
        snapshot_download(student.base, revision=student.revision, local_dir=folder, allow_patterns=patterns)
    except GatedRepoError:
        raise InputError(
            f"{student.base} is gated: accept its licence at https://huggingface.co/{student.base} and set HF_TOKEN."
        ) from None
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError) as error:
        raise InputError(
            f"{student.base} at {student.revision} could not be fetched for {name}: {str(error).splitlines()[0]}"
        ) from None
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # holds times, and the folder is an input that is hashed
