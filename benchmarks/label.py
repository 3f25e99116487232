"""The label stage against a server on loopback.

    python benchmarks/label.py CASE

Each case prints one line of figures. The server is that of the tests; `warraq` runs in a process of its own.
"""

import argparse
import os
import random
import re
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.gemini_server import KEY, GeminiServer  # noqa: E402
from support.label_project import Project, content_answer, draw_page  # noqa: E402
from warraq.teachers.remote.ledger import Ledger  # noqa: E402


def prepare_project(root: Path, server: GeminiServer, pages: int, in_flight: int) -> Project:
    os.environ |= {"GEMINI_API_KEY": KEY, "WARRAQ_GEMINI_URL": server.url, "WARRAQ_IN_FLIGHT": str(in_flight)}
    project = Project(root)
    project.add_cleared_pages(pages)
    return project


def count_double_payments(server: GeminiServer) -> int:
    """Pages of which more than one request was answered or may have been paid."""
    counts = Counter(request.images[0] for request in server.requests if request.case == "ok")
    return sum(count - 1 for count in counts.values())


def measure_interruptions(root: Path, number: signal.Signals) -> str:
    """600 pages, 16 in flight, four signals at random moments, then a run to the end and one more."""
    dice = random.Random(4)
    with GeminiServer(reply=content_answer, latency_s=0.2) as server:
        project = prepare_project(root, server, 600, 16)
        for _ in range(4):
            before = len(server.requests)
            with project.start("gemini", max_usd=1000.0, lane="standard") as process:
                server.await_requests(before + dice.randrange(30, 120))
                process.send_signal(number)
                process.wait()
        with project.start("gemini", max_usd=1000.0, lane="standard") as process:
            process.wait()
        requests = len(server.requests)
        with project.start("gemini", max_usd=1000.0, lane="standard") as process:
            process.wait()
        rows = project.rows()
        labels = sum(
            row.answer == content_answer(page.image_sha256) for row, page in zip(rows, project.pages, strict=True)
        )
        return (
            f"{number.name} x 4: {labels} labels of {len(rows)} rows, {len({row.page_id for row in rows})} pages, "
            f"{count_double_payments(server)} paid twice, next run {len(server.requests) - requests} requests"
        )


def measure_rate(root: Path, in_flight: int, pages: int = 400, rate: float = 20) -> str:
    """A server that takes 20 requests a second and answers in one."""
    with GeminiServer(reply=content_answer, latency_s=1, rate=rate) as server:
        project = prepare_project(root, server, pages, in_flight)
        with project.start("gemini", max_usd=1000.0, lane="standard") as process:
            process.wait()
        taken = [at for at, request in zip(server.times, server.requests, strict=True) if request.case == "ok"]
        refused = len(server.times) - len(taken)
        seconds = taken[-1] - taken[0] + 1
        middle = taken[len(taken) // 10 : -len(taken) // 10]
        steady = (len(middle) - 1) / (middle[-1] - middle[0])
        labels = sum(row.answer is not None for row in project.rows())
        return (
            f"{in_flight} in flight: {labels} labels of {pages}, {len(taken) / seconds:.2f}/s overall, {steady:.2f}/s "
            f"in the middle 80 % of a cap of {rate:.0f}/s, {refused} refused ({refused / len(server.times):.1%})"
        )


def measure_budget(root: Path, runs: int = 50) -> str:
    """Random prices, caps and places in flight: what the server's own account says against the cap."""
    dice = random.Random(7)
    closest, passed = 0.0, 0
    for number in range(runs):
        spent: list[float] = []
        rates = (round(dice.uniform(0.1, 4), 2), round(dice.uniform(0.4, 20), 2))

        def usage() -> dict[str, int]:
            read, written, thought = dice.randrange(1200, 3000), dice.randrange(50, 900), dice.randrange(0, 124)
            spent.append((read * rates[0] + (written + thought) * rates[1]) / 1e6)  # noqa: B023
            return {"promptTokenCount": read, "candidatesTokenCount": written, "thoughtsTokenCount": thought}

        with GeminiServer(reply=content_answer, usage=usage, latency_s=0.01) as server:
            cap = round(dice.uniform(0.01, 0.3), 3)
            project = prepare_project(root / str(number), server, 24, dice.choice((1, 4, 16)))
            prices = [{"model": "gemini-3.8-flash", "since": "2026-01-01", "input": rates[0], "output": rates[1]}]
            project.label(
                "gemini", max_usd=cap, max_output_tokens=1024, second_model=None, prices=prices, lane="standard"
            )
        passed += sum(spent) > cap
        closest = max(closest, sum(spent) / cap)
    return f"{runs} runs: the cap was passed {passed} times, the closest spent {closest:.0%} of it"


def measure_pilot(root: Path) -> str:
    """The expected cost after 20 pages against what the other 380 then cost; lengths are heavily skewed."""
    dice = random.Random(11)

    def usage() -> dict[str, int]:
        return {
            "promptTokenCount": dice.randrange(2000, 2600),
            "candidatesTokenCount": int(dice.lognormvariate(6.5, 0.6)),
        }

    with GeminiServer(reply=content_answer, usage=usage) as server:
        project = prepare_project(root, server, 400, 8)
        output = project.label("gemini", options=["--pilot", "20"], lane="standard", max_usd=100.0).output
        expected = float(re.search(r"about USD ([\d.]+)", output)[1])  # type: ignore[index]
        before = project.spent()
        project.label("gemini", lane="standard", max_usd=100.0)
        metered = project.spent() - before
    error = expected / metered - 1
    return f"380 pages after a pilot of 20: expected USD {expected:.2f}, metered {metered:.2f} ({error:+.0%})"


def measure_known_pages(root: Path, pages: int = 2000) -> str:
    """A run that finds every page in the ledger: reading, checks, rows."""
    words = ["محضر", "اجتماع", "اللجنة", "المالية", "وأقرت", "الميزانية", "إلى", "نهاية", "العام", "بحضور", "جميع"]
    dice = random.Random(2)
    with GeminiServer(reply=lambda _: content_answer(" ".join(dice.choices(words, k=400)))) as server:
        project = prepare_project(root, server, pages, 16)
        with project.start("gemini", max_usd=1000.0, lane="standard") as process:
            process.wait()
        asked, start = len(server.requests), time.process_time()
        project.label("gemini", max_usd=1000.0)
        seconds = time.process_time() - start
        assert len(server.requests) == asked and all(row.answer for row in project.rows())
    return f"{pages} known pages of 400 words: {seconds:.1f} s processor time, {seconds / pages * 1e3:.1f} ms a page"


def measure_ledger(root: Path, rows: int = 1_000_000) -> str:
    """Opening a ledger of a million attempts, each with its response, and reading one history."""
    project = Project(root)
    page = project.add_page(1)
    with Ledger.open(root / "ledger", write=True) as book:
        connection = book._connection
        connection.execute("BEGIN")
        for start in range(0, rows, 10_000):
            numbers = range(start + 1, start + 10_001)
            connection.executemany(
                "INSERT INTO attempt VALUES (?, ?, ?, 'content', 'm', 'flex', 'answered', 'STOP', NULL, NULL, 0.001, "
                "3270, 1800, 0.05, '2026-01-01T00:00:00Z', 12.5)",
                ((n, f"{n:064x}", page.page_id) for n in numbers),
            )
            connection.executemany("INSERT INTO response VALUES (?, ?)", ((n, os.urandom(1100)) for n in numbers))
        connection.execute("COMMIT")
    size = (root / "ledger/ledger.sqlite").stat().st_size / 1e9
    start_s = time.monotonic()
    with Ledger.open(root / "ledger", write=True) as book:
        spent = book.total_usd()
        opened_s = time.monotonic() - start_s
        start_s = time.monotonic()
        for n in range(1, 10_001):
            book._connection.execute("SELECT id FROM attempt WHERE key = ?", (f"{n * 97:064x}",)).fetchall()
        lookup_s = (time.monotonic() - start_s) / 10_000
    return (
        f"{rows} attempts, {size:.2f} GB: opened and summed ({spent:.0f} USD) in {opened_s:.2f} s, "
        f"a key in {lookup_s * 1e6:.0f} us"
    )


def measure_memory(root: Path, lane: str, pages: int) -> str:
    """Pages of 1 MB; the peak of the process that asks for them."""
    filler = os.urandom(1_000_000)
    with GeminiServer(reply=content_answer) as server:
        project = prepare_project(root, server, 0, 16)
        for number in range(600):  # the others are only queued: a page is read when it is asked about
            project.add_page(number, image=draw_page("page") + number.to_bytes(4, "big") + filler)
        for number in range(600, pages):
            name, digest = f"{number:012x}", f"{number:064x}"
            changes = {
                "page_id": f"{name}-p0001",
                "document": name,
                "files": (f"{number}.pdf",),
                "image_sha256": digest,
            }
            project.pages.append(project.pages[0].model_copy(update=changes))
        project.declare_public(range(pages))
        server.hold(after=500)
        with project.start("gemini", max_usd=100_000.0, lane=lane) as process:
            server.await_requests(500, seconds=500)
            status = Path(f"/proc/{process.pid}/status").read_text()
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]
        return f"{pages} pages of 1 MB queued, 500 asked by {lane}, 16 in flight: peak {int(peak) / 1024:.0f} MiB"


CASES: dict[str, Callable[[Path], str]] = {
    "kills": lambda root: measure_interruptions(root, signal.SIGKILL),
    "terms": lambda root: measure_interruptions(root, signal.SIGTERM),
    "rate": lambda root: "\n".join(measure_rate(root / str(most), most) for most in (24, 32)),
    "loop": lambda root: measure_rate(root, 1, pages=20),
    "budget": measure_budget,
    "pilot": measure_pilot,
    "again": measure_known_pages,
    "ledger": measure_ledger,
    "memory": lambda root: measure_memory(root, "standard", 10_000),
    "batch": lambda root: measure_memory(root, "batch", 600),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=CASES)
    case = parser.parse_args().case
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        print(CASES[case](Path(folder)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak of this process: {peak:.0f} MiB", file=sys.stderr)


if __name__ == "__main__":
    main()
