"""Unfinished work (`.part`) of a student <-> a DVC remote: a snapshot is there whole or not at all.

Files are kept by their SHA-256, and the list of them is written last. So a machine that dies in the middle of sending
leaves the snapshot before; one that is read is held against its hashes.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from warraq.cloud.remote import OURS, RemoteFolder
from warraq.files import hash_file

MADE_ANEW = {"base", "pages", "bands", "final", "cache"}
"""Folders of an unfinished training that `train` makes again from its inputs."""


def find_unfinished(root: Path, student: str) -> Iterator[Path]:
    """The files, relative to `root`, with which another machine goes on: checkpoints that are whole, what the trainer
    has logged, answers of `predict`."""
    training = root / "models" / student / "adapter.part"
    whole = {folder for folder in training.glob("*/output/checkpoint-*") if _is_whole(folder)}
    for path in sorted(training.rglob("*")) if (training / "fingerprint").exists() else ():
        checkpoint = find_checkpoint(path)
        is_made_anew = path.is_symlink() or not MADE_ANEW.isdisjoint(path.relative_to(training).parts[:2])
        if path.is_file() and not is_made_anew and (checkpoint is None or checkpoint in whole):
            yield path.relative_to(root)
    for path in sorted((root / "reports" / student).glob("*/predictions.jsonl*.part")):
        yield path.relative_to(root)


def find_checkpoint(path: Path) -> Path | None:
    """The checkpoint that a file is of."""
    return next((folder for folder in path.parents if folder.name.startswith("checkpoint-")), None)


def _is_whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / "trainer_state.json").read_bytes())  # which the trainer writes last
    except (FileNotFoundError, ValueError):
        return False
    return True


def send(root: Path, student: str, remote: RemoteFolder, staging: Path) -> bool:
    """Bring the remote's snapshot up to date; False where nothing has changed.

    Args:
        root: the checkout.
        student: whose work it is.
        remote: where to.
        staging: a folder on the same disk, in which files are held while they are sent; it is removed.

    Raises:
        FileNotFoundError: a checkpoint was removed meanwhile, as the trainer wrote a newer one; try again.
    """
    shutil.rmtree(staging, ignore_errors=True)
    try:
        files: dict[str, str] = {}
        for path in find_unfinished(root, student):
            held = staging / path
            held.parent.mkdir(parents=True, exist_ok=True)
            if find_checkpoint(path):
                held.hardlink_to(root / path)  # which is not written to any more, and may be removed
            elif ".jsonl" in path.name:
                content = (root / path).read_bytes()
                held.write_bytes(content[: content.rfind(b"\n") + 1])  # a line may be half written
            else:
                shutil.copyfile(root / path, held)
            files[path.as_posix()] = hash_file(held)
        return _send_held(staging, files, student, remote)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _send_held(staging: Path, files: dict[str, str], student: str, remote: RemoteFolder) -> bool:
    place = f"{OURS}/{student}"
    content = json.dumps(files, indent=1).encode()
    if (remote.read(f"{place}/unfinished.json") or b"{}") == content:
        return False
    there = {name.rpartition("/")[2] for name in remote.list_files(f"{place}/objects")}
    for path, digest in files.items():
        if digest not in there:
            remote.put(f"{place}/objects/{digest}", staging / path)
            there.add(digest)
    remote.write(f"{place}/unfinished.json", content)
    remote.remove([f"{place}/objects/{digest}" for digest in there - set(files.values())])
    return True


def restore(root: Path, student: str, remote: RemoteFolder) -> int:
    """Bring the remote's snapshot here where nothing was begun; the number of files, 0 where it has none or one lacks.

    What is begun here already is further, or another's, and stays.
    """
    training = root / "models" / student / "adapter.part"
    listed = remote.read(f"{OURS}/{student}/unfinished.json")
    files: dict[str, str] = json.loads(listed) if listed else {}
    if training.exists() or not files:
        return 0
    fresh = training.with_name("adapter.restored.part")
    shutil.rmtree(fresh, ignore_errors=True)
    for path, digest in files.items():
        held = fresh / path
        if not remote.get(f"{OURS}/{student}/objects/{digest}", held) or hash_file(held) != digest:
            shutil.rmtree(fresh)
            return 0
    for path in files:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (fresh / path).replace(root / path)
    if training.exists():
        (training / "base").mkdir(exist_ok=True)  # as `train` expects of what was begun
    shutil.rmtree(fresh)
    return len(files)


def forget(student: str, remote: RemoteFolder) -> None:
    """Remove the snapshot, once the work is finished."""
    place = f"{OURS}/{student}"
    remote.remove([name for name in remote.list_files(place) if name == f"{place}/unfinished.json"])
    remote.remove(remote.list_files(f"{place}/objects"))
