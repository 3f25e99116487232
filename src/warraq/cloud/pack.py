"""A project -> one of its own for a rented machine, made of cleared pages alone, and pushed to an empty DVC remote.

What travels is chosen page by page and everything else is made of that: labels and reviews of these pages, the dataset
anew, a git repository without history. So nothing of a page that stays can be in it. Code is copied by name, not by
what there is. Stages that ran at home are recorded and not run again.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from warraq import code
from warraq.cloud.branch import PROJECT, call_git
from warraq.cloud.clearing import Consignment, choose_pages
from warraq.cloud.remote import RemoteFolder
from warraq.datasets.splits import format_splits, read_splits
from warraq.dvc_repo import call_dvc
from warraq.errors import InputError
from warraq.files import write_json, write_text
from warraq.params import Params
from warraq.records import Label, read_rows, write_rows
from warraq.reviews import read_review_rows
from warraq.stages import dataset
from warraq.stages.render import count_pages
from warraq.teachers.label_counts import count_outcomes

CODE = (
    "Makefile", "pyproject.toml", "requirements.lock", "README.md", "LICENSE", ".gitignore", ".dvcignore",
    "dvc.yaml", "params.yaml", "src", "cloud", "models/nano/base",
)  # fmt: skip
MARK = "cloud/cleared.json"
"""Says that a checkout was packed, and what is in it."""


def pack(root: Path, out: Path, url: str, params: Params, *, own_host: bool) -> Consignment:
    """Make the project `out` and push it to the remote at `url`.

    Raises:
        InputError: `out` is there; the remote has files that are not this project's; a page has no label yet; no page
            may travel.
    """
    if out.exists():
        raise InputError(f"{out} is there; name a folder that is not, or remove it.")
    url = url if "://" in url else str(Path(url).resolve())
    refuse_known_remote(root, url)
    consignment = choose_pages(root, own_host=own_host)
    if not consignment.pages:
        raise InputError("no page may travel: data/raw/documents.csv calls no document public (docs/privacy.md).")
    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    copy_code(root, part)
    write_data(root, part, params, consignment)
    drop_names(part / "params.yaml", consignment)
    tree = {"documents": len(consignment.documents), "pages": len(consignment.pages), "own_host": own_host}
    write_json(part / MARK, tree)
    make_dataset(part, params)
    call_git(part, "init", "--quiet", "--initial-branch", "main")
    record_stages(part, url, params.tasks)
    call_git(part, "add", "--all")
    call_git(part, "commit", "--quiet", "--no-verify", "--message", "The project as it travels")
    push(part, url)
    part.replace(out)
    return consignment


def refuse_known_remote(root: Path, url: str) -> None:
    """Refuse a remote of the project itself, which has every page, and any place within it or around it."""
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        known = [str(remote["url"]) for remote in repo.config["remote"].values()]
    place = f"{url.rstrip('/')}/"
    for other in known:
        if place.startswith(around := f"{other.rstrip('/')}/") or around.startswith(place):
            raise InputError(f"{url} is in a remote of the project, {other}, which has every page; name another place.")


def copy_code(root: Path, out: Path) -> None:
    """Copy what git tracks of `CODE`, as it stands."""
    for name in call_git(root, "ls-files", "-z", "--", *CODE).split("\0"):
        if name:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, out / name)


def write_data(root: Path, out: Path, params: Params, consignment: Consignment) -> None:
    """Write pages, labels and reviews of what travels; of a page its image, of a review no name and no time."""
    home, data = root / "data", out / "data"
    documents, ids = consignment.documents, consignment.ids
    pages = []
    for page in consignment.pages:
        (data / "pages" / page.image).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(home / "pages" / page.image, data / "pages" / page.image)
        carriers = tuple(one for one in page.containers if one in documents)
        pages.append(page.model_copy(update={"text": None, "containers": carriers}))
    write_rows(data / "pages/pages.jsonl", pages, lambda row: (row.document, row.page, row.part))
    write_text(data / "pages/rejected.jsonl", "")
    write_json(data / "pages/summary.json", count_pages(pages, []))
    shutil.copyfile(home / "pages/settings.json", data / "pages/settings.json")
    write_text(data / "raw/documents.csv", "file,sensitivity\n")
    write_text(data / "reviews/.gitkeep", "")
    for task in params.tasks:
        labels = [row for row in read_rows(home / f"labels/{task}.jsonl", Label) if row.page_id in ids]
        if missing := ids - {row.page_id for row in labels}:
            raise InputError(f"{min(missing)} has no row in data/labels/{task}.jsonl; run `dvc repro dataset` first.")
        write_rows(data / f"labels/{task}.jsonl", labels, lambda row: row.page_id)
        write_json(out / f"reports/labels/{task}.json", count_outcomes(labels))
        reviews = [row for row in read_review_rows(home / f"reviews/{task}.jsonl", task) if row.page_id in ids]
        nameless = {"reviewer": "person", "seen": None, "at": None, "seconds": None}
        lines = [row.model_copy(update=nameless).model_dump_json(exclude_defaults=True) for row in reviews]
        if lines:
            write_text(data / f"reviews/{task}.jsonl", "".join(f"{line}\n" for line in lines))
    known = {one: side for one, side in read_splits(home / "splits.csv").items() if one in documents}
    write_text(data / "splits.csv", format_splits(known))


def drop_names(path: Path, consignment: Consignment) -> None:
    """Leave documents that stay out of the lists in params.yaml."""
    from dvc.utils.serialize import modify_yaml

    known = consignment.documents | {file for page in consignment.pages for file in page.files}
    with modify_yaml(str(path)) as tree:
        for key in ("validation_documents", "test_documents"):
            tree["dataset"][key] = [name for name in tree["dataset"][key] if name in known]


def make_dataset(out: Path, params: Params) -> None:
    """Write the code's digests and the dataset, as their stages do."""
    from warraq.params import load

    data, branch = out / "data", load(out / "params.yaml").dataset
    code.run(source=out / "src/warraq", lock=out / "requirements.lock", out=out / "code", tasks=params.tasks)
    dataset.run(
        pages=data / "pages", labels=data / "labels", reviews=data / "reviews", splits=data / "splits.csv",
        out=data / "dataset", tasks=params.tasks, parameters=branch,
    )  # fmt: skip


def record_stages(out: Path, url: str, tasks: Sequence[str]) -> None:
    """Have DVC take what is there for the result of the stages up to the dataset."""
    _run_dvc(out, "init", "--quiet")
    for key, value in {"core.analytics": "false", "core.check_update": "false"}.items():
        _run_dvc(out, "config", key, value)
    _run_dvc(out, "remote", "add", "--quiet", "--default", "store", url)
    _run_dvc(out, "commit", "--force", "code", "render", *(f"label@{task}" for task in tasks), "dataset")
    _run_dvc(out, "add", "data/raw", "data/reviews")


def _run_dvc(folder: Path, *arguments: str) -> None:
    done = call_dvc(folder, *arguments)
    if done.returncode:
        raise InputError(f"dvc {arguments[0]} failed in {folder}: {done.stderr.strip()}.")


def push(out: Path, url: str) -> None:
    """Push the project to its remote.

    Raises:
        InputError: the remote has what is not of this project; nothing is sent.
    """
    remote = RemoteFolder.of_url(url)
    cache = out / ".dvc/cache"
    own = {path.relative_to(cache).as_posix() for path in cache.rglob("*") if path.is_file()} | {PROJECT}
    if others := sorted(set(remote.list_files()) - own):
        raise InputError(
            f"{url} has {len(others)} files that are not of this project, {others[0]} among them; name an empty place, "
            "since a rented machine could read them."
        )
    _run_dvc(out, "push")
    bundle = out.with_name(f"{out.name}.bundle")
    call_git(out, "bundle", "create", "--quiet", str(bundle), "HEAD", "main")
    remote.put(PROJECT, bundle)
    bundle.unlink()
