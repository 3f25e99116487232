"""What DVC knows of a checkout, and what it needs before it starts: no lock cut off, no result lost to a lost cache."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import yaml

from warraq.errors import InputError

logger = logging.getLogger(__name__)

LOCK = ".dvc/tmp/rwlock"
CACHE = ".dvc/cache/files"


def prepare_checkout(root: Path) -> None:
    """Mend what an interrupted run or a lost cache left, and bring the files of people where they are versioned.

    Raises:
        InputError: the checkout cannot be written; data/raw is neither there nor versioned, or cannot be brought; or it
            is no folder.
    """
    if not os.access(root, os.W_OK):
        raise InputError(f"{root.resolve()} cannot be written; allow this user to, or copy the checkout elsewhere.")
    fit_to_git(root)
    if mend_lock(root):
        logger.info("%s was cut off by an interrupted run and is removed.", LOCK)
    for stage in commit_intact(root):
        logger.info("%s is whole and was in no cache; it need not run again.", stage)
    for name in ("data/raw", "data/reviews"):
        if not (root / name).exists() and (root / f"{name}.dvc").exists():
            pull(root, name)
    raw = root / "data/raw"
    if not raw.is_dir():
        state = "no folder; remove it and" if raw.exists() or raw.is_symlink() else "missing;"
        raise InputError(f"data/raw is {state} put your files there: `cp -r YOUR_FILES data/raw`.")
    reviews = root / "data/reviews"
    reviews.mkdir(exist_ok=True)
    if not any(reviews.iterdir()):
        (reviews / ".gitkeep").touch()  # of an empty folder DVC warns each time; .dvcignore keeps it out of hashes


def pull(root: Path, name: str) -> None:
    """Bring a folder that is versioned by `<name>.dvc` from DVC's cache, else its remote.

    Raises:
        InputError: it is in neither.
    """
    for verb in ("checkout", "pull"):
        done = call_dvc(root, verb, f"{name}.dvc")
        if done.returncode == 0 and (root / name).exists():
            return
    raise InputError(f"{name} is versioned by {name}.dvc and cannot be brought: {read_last_line(done)}")


def list_stale_stages(root: Path, student: str) -> list[str]:
    """The stages up to the student's report that `dvc repro` would run, in the order of dvc.yaml.

    `code`, which runs whenever anything of the source has changed, is none of them. Where DVC cannot tell, as while
    another run is under way, that is warned of; without DVC there are none.
    """
    done = call_dvc(root, "status", "--json", "--with-deps", f"evaluate@{student}")
    if done.returncode != 0:
        if (root / ".dvc").exists():
            logger.warning("what is to run cannot be told: %s", read_last_line(done))
        return []
    order = list(yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"])
    names = [name for name in json.loads(done.stdout) if name != "code"]
    return sorted(names, key=lambda name: (order.index(name.partition("@")[0]), name))


def fit_to_git(root: Path) -> None:
    """Let DVC work without git where there is none, say in a container that was given files alone; only there."""
    from dvc.config import Config

    folder = root.resolve()
    without = not any((one / ".git").exists() for one in (folder, *folder.parents))
    config = Config(str(root / ".dvc"))
    if without == bool(config["core"].get("no_scm")):
        return
    with config.edit("local") as local:
        core = local.setdefault("core", {})
        core.pop("no_scm", None)
        if without:
            core["no_scm"] = True


def mend_lock(root: Path) -> bool:
    """Remove DVC's list of readers and writers where it is cut off; every later command of DVC would end at it.

    DVC writes it in place when a stage begins and ends: killed amid that, it leaves an empty file.
    """
    path = root / LOCK
    try:
        json.loads(path.read_bytes())
    except FileNotFoundError:
        return False
    except ValueError:
        path.unlink(missing_ok=True)
        return True
    return False


def commit_intact(root: Path) -> list[str]:
    """Put results that stand as dvc.lock has them and are in no cache into it; return their stages, which need not run.

    It is looked for where the whole cache is gone: the results of all stages are there, and DVC would make them anew.
    """
    if (root / CACHE).exists() or not (root / "dvc.lock").exists():
        return []
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        intact = [
            stage.addressing
            for stage in repo.index.stages
            if any(out.use_cache and out.hash_info and out.exists and out.changed_cache() for out in stage.outs)
            and not any(out.workspace_status() for out in stage.outs)
            and not any(dependency.workspace_status() for dependency in stage.deps)
        ]
        for name in intact:
            repo.commit(name)
    return intact


def call_dvc(root: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of DVC in a checkout."""
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def read_last_line(done: "subprocess.CompletedProcess[str]") -> str:
    """The last thing that a command said of itself, mostly why it failed."""
    return (done.stderr.strip() or "no reason given").splitlines()[-1].removeprefix("ERROR: ")
