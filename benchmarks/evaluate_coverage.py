"""How often a nominal 95 % interval covers the truth, when pages of one document resemble each other.

    python benchmarks/evaluate_coverage.py [worlds]

Drawing documents, as evaluate does, against drawing pages.
"""

import sys

import numpy as np

from warraq.metrics.statistics import Bootstrap

RESAMPLES = 1000
MOST_PAGES = 20


def make_world(generator: np.random.Generator, documents: int) -> list[list[tuple[float, float]]]:
    """Documents of 1 to 20 pages that share an error rate: (errors, characters) of each page."""
    rows = []
    for rate in generator.beta(2, 18, documents):
        lengths = generator.integers(500, 2500, generator.integers(1, MOST_PAGES + 1))
        rows.append([(float(generator.binomial(length, rate)), float(length)) for length in lengths])
    return rows


def has_coverage(documents: list[dict[str, tuple[float, float]]], truth: float, seed: int) -> bool:
    estimate = Bootstrap(documents, RESAMPLES, seed).estimate("cer", share=False)
    return estimate.lo is not None and estimate.hi is not None and estimate.lo <= truth <= estimate.hi


def main() -> None:
    worlds = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    everything = [page for document in make_world(np.random.default_rng(0), 200_000) for page in document]
    truth = sum(errors for errors, _ in everything) / sum(length for _, length in everything)
    for documents in (6, 12, 20, 40, 60):
        generator = np.random.default_rng(documents)
        by_document = by_page = 0
        for seed in range(worlds):
            rows = make_world(generator, documents)
            summed = [{"cer": (sum(e for e, _ in pages), sum(n for _, n in pages))} for pages in rows]
            by_document += has_coverage(summed, truth, seed)
            by_page += has_coverage([{"cer": page} for pages in rows for page in pages], truth, seed)
        print(f"{documents} documents: {by_document / worlds:.3f} drawing documents, {by_page / worlds:.3f} pages")


if __name__ == "__main__":
    main()
