"""Reviews as files of others and back: JSON Lines, CSV, Label Studio's JSON; and folders of texts or answers as gold.

A file that was exported and imported again gives the same bytes. What is not taken is counted with its reason.
"""

import csv
import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from warraq.errors import InputError, first_problem
from warraq.files import JsonObject, parse_strict_json
from warraq.records import Review, dump_row
from warraq.reviewing.project import ReviewProject

Format = Literal["jsonl", "csv", "label-studio"]
COLUMNS = ("page_id", "task", "status", "reviewer", "at", "seconds", "seen", "reason", "answer")
IMPORTED = "imported"  # the reviewer where a file names none


def export_reviews(project: ReviewProject, form: Format) -> str:
    """All rows of all tasks that can be read, in their order."""
    project.refresh()
    rows = [row for log in project.logs.values() for row in log.rows if row.status != "invalid"]
    return write_reviews(rows, {page.page_id: page.image for page in project.pages.values()}, form)


def write_reviews(rows: Sequence[Review], images: Mapping[str, str], form: Format) -> str:
    """Rows as a file; `images` are those of the pages by id, relative to the folder that Label Studio serves."""
    if form == "jsonl":
        return "".join(map(dump_row, rows))
    return _write_csv(rows) if form == "csv" else _write_label_studio(rows, images)


def _write_csv(rows: Iterable[Review]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n", quoting=csv.QUOTE_ALL)  # a lone CR too
    writer.writeheader()
    for row in rows:
        cells = {name: getattr(row, name) for name in COLUMNS}
        answer = None if row.answer is None else json.dumps(row.answer, ensure_ascii=False)
        writer.writerow({name: "" if cell is None else cell for name, cell in (cells | {"answer": answer}).items()})
    return stream.getvalue()


def _write_label_studio(rows: Iterable[Review], images: Mapping[str, str]) -> str:
    by_page: dict[str, list[Review]] = defaultdict(list)
    for row in rows:
        by_page[row.page_id].append(row)
    pages = []
    for page_id, part in sorted(by_page.items()):
        data = {"page_id": page_id, "image": f"/data/local-files/?d={images.get(page_id, '')}"}
        pages.append({"data": data, "annotations": [_write_annotation(row) for row in part]})
    return json.dumps(pages, ensure_ascii=False, indent=1) + "\n"


def _write_annotation(row: Review) -> JsonObject:
    text = None if row.answer is None else json.dumps(row.answer, ensure_ascii=False)
    value = {"from_name": row.task, "to_name": "page", "type": "textarea", "value": {"text": [text]}}
    meta = row.model_dump(mode="json", exclude={"page_id", "answer"})
    return {"was_cancelled": row.answer is None, "result": [value] if text else [], "meta": meta}


def import_reviews(project: ReviewProject, source: Path, reviewer: str) -> Counter[str]:
    """Append what a file or folder holds to the reviews.

    Returns:
        how many rows were `added`, and how many not, by reason.

    Raises:
        InputError: it is not there, or no such file.
    """
    if not source.exists():
        raise InputError(f"{source} is missing; name a file of reviews, or a folder of texts or answers.")
    project.refresh()
    if source.is_dir():
        counts: Counter[str] = Counter()
        for path in sorted(path for path in source.rglob("*") if path.suffix.lower() in (".txt", ".json")):
            row = _read_plain(project, source, path, reviewer or IMPORTED)
            counts[row if isinstance(row, str) else _add(project, row, keep_reviewed=True)] += 1
        return counts
    return Counter(_add(project, row, keep_reviewed=False) for row in read_file(source))


def read_file(path: Path) -> Iterator[Review]:
    """The rows of a file in any of the formats. Raises InputError where it is none."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
        if text.lstrip().startswith("["):
            rows = list(_read_label_studio(parse_strict_json(text)))
        elif text.lstrip('"').startswith("page_id"):
            rows = list(_read_csv(text))
        else:
            rows = [Review.model_validate_json(line) for line in text.split("\n") if line.strip()]
    except ValidationError as error:
        raise InputError(f"{path} holds what is no review: {first_problem(error)}; correct or remove it.") from None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(f"{path} cannot be read as JSON Lines, CSV or Label Studio's JSON ({error}).") from None
    yield from rows


def _read_csv(text: str) -> Iterator[Review]:
    for cells in csv.DictReader(io.StringIO(text, newline="")):
        row: JsonObject = {name: cell for name, cell in cells.items() if cell}
        if "answer" in row:
            row["answer"] = parse_strict_json(row["answer"])
        yield Review.model_validate(row)


def _read_label_studio(pages: list[JsonObject]) -> Iterator[Review]:
    for page in pages:
        for annotation in page["annotations"]:
            results, meta = annotation["result"], annotation.get("meta") or {}
            for result in results or [None]:
                answer = None if result is None else parse_strict_json("".join(result["value"]["text"]))
                task = meta.get("task") if result is None else result["from_name"]
                if task is None:
                    continue  # an empty annotation of a person of Label Studio says nothing
                who = annotation.get("completed_by")
                name = who.get("email") if isinstance(who, dict) else who
                row = {"reviewer": str(name or IMPORTED), "status": "answered", **meta, "task": task}
                yield Review.model_validate(row | {"page_id": page["data"]["page_id"], "answer": answer})


def _add(project: ReviewProject, row: Review, *, keep_reviewed: bool) -> str:
    """Append a row; `added`, or the reason why not."""
    log = project.logs.get(row.task)
    if log is None:
        return "of a task that params.yaml does not have"
    if row.page_id not in project.pages:
        return "of a page that is not there"
    row = log.upgrade(row)
    if row.answer is not None:
        try:
            log.task.validate_label(row.answer)
        except ValidationError:
            return "do not fit the task"
    current = log.current.get(row.page_id)
    if row in log.rows or (keep_reviewed and current is not None and current.answer == row.answer):
        return "there already"
    if keep_reviewed and current is not None:
        return "of a page that has a review"
    last = log.find_last(row.page_id, row.status)
    if last is not None and (row.at or "") < (last.at or ""):
        return "older than what is there"
    with log.lock() as append:
        append(row)
    return "added"


def _read_plain(project: ReviewProject, folder: Path, path: Path, reviewer: str) -> Review | str:
    """A text or an answer in a file that is named like its page, or the reason why it is none."""
    from warraq.reviewing.candidates import paragraphs_answer

    pages = find_pages(project, path.relative_to(folder).with_suffix("").as_posix())
    if len(pages) != 1:
        return "named like several pages" if pages else "named like no page"
    try:
        text = path.read_text(encoding="utf-8-sig")
        value = parse_strict_json(text) if path.suffix.lower() == ".json" else None
    except (UnicodeDecodeError, ValueError):
        return "no JSON or text in UTF-8"
    if value is None:
        return Review(page_id=pages[0], task="content", answer=paragraphs_answer(text), reviewer=reviewer)
    fitting = []
    for name, task in project.tasks.items():
        try:
            task.validate_label(value, strict=True)
            fitting.append(name)
        except ValidationError:
            continue
    if len(fitting) != 1:
        return "the answer to no task"
    return Review(page_id=pages[0], task=fitting[0], answer=value, reviewer=reviewer)


def find_pages(project: ReviewProject, name: str) -> list[str]:
    """The pages that a file's name without its ending may mean: an id, or a document's file with the page's number
    behind it (`letters/a-2`, `a_p0002`), which a document of one page does without."""
    if name.rpartition("/")[2] in project.pages:
        return [name.rpartition("/")[2]]
    sizes = Counter(page.document for page in project.pages.values())
    found: dict[bool, set[str]] = {True: set(), False: set()}  # by whether the folders agree too
    for page in project.pages.values():
        for file in page.files:
            for stem in (file, file.rpartition(".")[0]):
                names = {
                    f"{stem}{mark}{page.page:0{width}}"
                    for mark in ("-p", "_p", "-", "_", ".")
                    for width in (1, 2, 3, 4)
                }
                names |= {stem} if sizes[page.document] == 1 else set()
                bare = {one.rpartition("/")[2] for one in names}
                if name in names or name.rpartition("/")[2] in bare:
                    found[name in names].add(page.page_id)
    return sorted(found[True] or found[False])
