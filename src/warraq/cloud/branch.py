"""The results of a run as commits on `cloud/<student>`, and their way home: a git bundle on the DVC remote.

Git has `dvc.lock`, metrics and the sides of documents; everything else is DVC's. A host needs no right to push to git.
"""

import os
import subprocess
import tempfile
from pathlib import Path

from warraq.cloud.remote import OURS, RemoteFolder
from warraq.errors import InputError

PROJECT = f"{OURS}/project.bundle"
RESULTS = ("dvc.lock", "reports", "data/splits.csv")
AUTHOR = ("-c", "user.name=warraq", "-c", "user.email=warraq@localhost", "-c", "commit.gpgsign=false")


def call_git(root: Path, *arguments: str) -> str:
    """What git says.

    Raises:
        InputError: it fails; with its last line.
    """
    done = _try_git(root, *arguments)
    if done.returncode:
        said = (done.stderr.strip() or "no reason given").splitlines()[-1]
        raise InputError(f"git {arguments[0]} failed in {root.resolve()}: {said}.")
    return done.stdout.strip()


def _try_git(root: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    command = ["git", *AUTHOR, *arguments]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


def name_branch(student: str) -> str:
    """The branch of a student's results."""
    return f"cloud/{student}"


def commit_results(root: Path, student: str) -> bool:
    """Commit what is new of `RESULTS` on the student's branch, which is checked out; False where nothing is."""
    if call_git(root, "branch", "--show-current") != name_branch(student):
        call_git(root, "checkout", "--quiet", "-B", name_branch(student))
    present = [name for name in RESULTS if (root / name).exists()]
    call_git(root, "add", "--", *present)
    if _try_git(root, "diff", "--cached", "--quiet").returncode == 0:
        return False
    call_git(root, "commit", "--quiet", "--no-verify", "--message", f"Results of {student}")
    return True


def send_results(root: Path, student: str, base: str, remote: RemoteFolder) -> None:
    """Put the commits since `base` on the remote."""
    if call_git(root, "rev-list", f"{base}..{name_branch(student)}"):
        with tempfile.TemporaryDirectory() as folder:
            bundle = Path(folder) / "results.bundle"
            call_git(root, "bundle", "create", "--quiet", str(bundle), f"{base}..{name_branch(student)}")
            remote.put(_name_bundle(student), bundle)


def _name_bundle(student: str) -> str:
    return f"{OURS}/{student}/results.bundle"


def receive_results(root: Path, student: str, remote: RemoteFolder) -> bool:
    """Go on to the commits on the remote; False where there are none, or none that build on what is checked out.

    Raises:
        InputError: a file that they change is changed here, too.
    """
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "results.bundle"
        if not remote.get(_name_bundle(student), bundle):
            return False
        if _try_git(root, "fetch", "--quiet", str(bundle), name_branch(student)).returncode:
            return False
    is_ahead = _try_git(root, "merge-base", "--is-ancestor", "HEAD", "FETCH_HEAD").returncode == 0
    if is_ahead:
        call_git(root, "merge", "--quiet", "--ff-only", "FETCH_HEAD")
    return is_ahead


def push_branch(root: Path, student: str) -> str:
    """Push the branch where a git remote takes it; what became of it, in words."""
    if not _try_git(root, "remote").stdout.strip():
        return "there is no git remote"
    done = _try_git(root, "push", "--quiet", "--force", "origin", name_branch(student))
    return "pushed to origin" if done.returncode == 0 else "origin does not take it"
