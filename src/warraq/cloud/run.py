"""`make repro` on a machine that may vanish at any time: what is there already is brought, what comes is sent at once.

Sent are finished stages with their line in `dvc.lock`, as soon as it is there, and unfinished work whenever a
checkpoint is new. A machine that is killed has lost what came since the last checkpoint, no more.
"""

import logging
import os
import signal
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

from warraq.cloud import branch, unfinished
from warraq.cloud.pack import MARK
from warraq.cloud.remote import OURS, RemoteFolder
from warraq.environment import read_seconds
from warraq.errors import InputError
from warraq.students import Student
from warraq.training.doctor import check_machine

logger = logging.getLogger(__name__)

TERMINATED = 143
"""The exit code of a run that was told to end: 128 + SIGTERM, as a shell says it."""

GRACE_S = 20  # that `make repro` has to end in; what matters is sent meanwhile


def check(root: Path, name: str, student: Student, *, own_host: bool) -> None:
    """Refuse what cannot come to its end, before anything is fetched.

    Raises:
        InputError: this checkout was not packed for other people's machines; the machine lacks something; it is on the
            way of another run.
    """
    if not own_host and not (root / MARK).exists():
        raise InputError(
            "this is a whole project, of which a rented machine would see every page; pack it (`warraq cloud pack`), "
            "or say --own-host if the machine is yours (docs/cloud.md)."
        )
    lacking = [text for right, text in check_machine(name, student, root / "models" / name / "base") if not right]
    if lacking:
        raise InputError(f"this machine will not do for {name}: {'; '.join(lacking)}.")


@dataclass
class Carrier:
    """Between a checkout and its remote."""

    root: Path
    student: str
    remote: RemoteFolder
    base: str  # the commit that the run began at, as every machine has it
    _sent: dict[str, object] = field(default_factory=dict)

    @classmethod
    def open(cls, root: Path, student: str) -> "Carrier":
        """For the default remote, which is written to once.

        Raises:
            InputError: there is none, it cannot be reached or written to, or this is no git checkout.
        """
        remote = RemoteFolder.of_project(root)
        try:
            remote.write(f"{OURS}/{student}/machine", os.uname().nodename.encode())
        except Exception as error:  # a library's own kind, of which each remote has another
            raise InputError(f"the DVC remote cannot be written to: {str(error) or type(error).__name__}") from error
        return cls(root, student, remote, branch.call_git(root, "rev-parse", "HEAD"))

    def bring(self) -> None:
        """What other machines have finished of this commit, the data of all that is recorded, and unfinished work."""
        if branch.receive_results(self.root, self.student, self.remote):
            logger.info("cloud: going on with the results on the remote")
        pull_recorded(self.root, self.student)
        if count := unfinished.restore(self.root, self.student, self.remote):
            logger.info("cloud: %d files of unfinished work are restored", count)

    def send_if_new(self) -> None:
        """Send what is new since the last time; a failure is told and the next time tries again."""
        for what, key, send in (
            ("finished stages", self._read_lock(), self.send_finished),
            ("unfinished work", self._list_work(), self.send_unfinished),
        ):
            if key != self._sent.get(what):
                try:
                    send()
                    self._sent[what] = key
                except Exception as error:  # as above; the run must not end of it
                    logger.warning("cloud: %s not sent (%s); trying again", what, str(error) or type(error).__name__)

    def send_finished(self) -> None:
        """Finished stages: their files by DVC, `dvc.lock` and metrics by git."""
        before = self._read_lock()
        push_recorded(self.root, self.student)
        if before == self._read_lock():  # else a stage ended meanwhile, whose files are not sent yet
            branch.commit_results(self.root, self.student)
            branch.send_results(self.root, self.student, self.base, self.remote)

    def send_unfinished(self) -> None:
        """Checkpoints and answers."""
        staging = self.root / "models" / self.student / "sending.part"
        if unfinished.send(self.root, self.student, self.remote, staging):
            logger.info("cloud: unfinished work is sent")

    def _read_lock(self) -> bytes:
        path = self.root / "dvc.lock"
        return path.read_bytes() if path.exists() else b""

    def _list_work(self) -> list[str]:
        """Names of checkpoints, and of answers with their size."""
        paths = unfinished.find_unfinished(self.root, self.student)
        return [f"{path} {(self.root / path).stat().st_size if path.parts[0] == 'reports' else ''}" for path in paths]


def pull_recorded(root: Path, student: str) -> None:
    """Bring what `dvc.lock` records for the student, and the dataset."""
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        targets = _list_recorded(repo, student)
        repo.pull(targets, allow_missing=True)


def push_recorded(root: Path, student: str) -> None:
    """Send what `dvc.lock` records for the student, also while a stage runs: nothing here changes what DVC locks."""
    from dvc.lock import LockNoop
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        repo.lock = LockNoop()
        repo.push(_list_recorded(repo, student))


def _list_recorded(repo: object, student: str) -> list[str]:
    """Stages that `dvc.lock` has, but those of other students."""
    stages = repo.index.stages  # type: ignore[attr-defined]
    shared = ("code", "render", "label", "dataset")
    return [
        stage.addressing
        for stage in stages
        if stage.is_data_source is False and any(out.hash_info for out in stage.outs)
        if stage.name.split("@")[0] in shared or stage.name.split("@")[-1].split("-")[0] == student
    ]


def run(root: Path, name: str, student: Student, *, own_host: bool) -> int:
    """Run the pipeline to the student's report; the exit code: 0, 1 where a stage failed, `TERMINATED`.

    Raises:
        InputError: nothing was begun, or the results are made and could not be sent.
    """
    os.environ.setdefault("DVC_SITE_CACHE_DIR", str((root / ".dvc/tmp/site").resolve()))  # dvc's own is shared by all
    check(root, name, student, own_host=own_host)
    carrier = Carrier.open(root, name)
    carrier.bring()
    told_to_end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told_to_end.set())
    interval_s = read_seconds("WARRAQ_SEND_EVERY", 20)
    command = ["make", "repro", f"STUDENT={name}"]
    with subprocess.Popen(command, cwd=root, start_new_session=True) as child:
        while child.poll() is None and not told_to_end.wait(interval_s):
            carrier.send_if_new()
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGTERM)
            carrier.send_unfinished()
            _end(child)
    return _finish(carrier, child.returncode, told_to_end.is_set())


def _end(child: "subprocess.Popen[bytes]") -> None:
    try:
        child.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)


def _finish(carrier: Carrier, code: int, was_told: bool) -> int:
    """Send the last of it; the exit code."""
    root, student = carrier.root, carrier.student
    try:
        carrier.send_finished()
        if code == 0:
            unfinished.forget(student, carrier.remote)
        elif not was_told:
            carrier.send_unfinished()
    except Exception as error:
        raise InputError(f"results of {student} are made and not sent: {error}; run the same command again.") from error
    if code == 0:
        pushed = branch.push_branch(root, student)
        logger.info("cloud: done; results are on the DVC remote, branch cloud/%s: %s", student, pushed)
        return 0
    return TERMINATED if was_told else 1


def collect(root: Path, student: str) -> bool:
    """Bring the results of a run home into the checkout that it began from; False where there are none yet.

    Raises:
        InputError: a file here was changed that they change.
    """
    is_new = branch.receive_results(root, student, RemoteFolder.of_project(root))
    if is_new:
        pull_recorded(root, student)
    return is_new
