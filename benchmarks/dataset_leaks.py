"""How long it takes to find near-duplicates among many pages, and the memory that it takes.

    python benchmarks/dataset_leaks.py [PAGES]

A tenth of the pages are copies of one form with other numbers, a tenth copies of single pages with a word more; the
rest are of words of their own. The pages' texts alone are compared.
"""

import argparse
import random
import resource
import time

from warraq.metrics.duplicates import Fingerprint, cluster_documents, hash_shingles

WORDS = 200


def make_text(generator: random.Random, number: int, pages: int) -> str:
    """Text of page `number`: of the form, a copy of another page, or its own."""
    if number % 10 == 0:
        return " ".join(f"form{place}" for place in range(WORDS)) + f" number {number}"
    if number % 10 == 1 and number > 10:
        return make_text(random.Random(number - 8), number - 8, pages) + " copy"
    generator = random.Random(number)
    return " ".join(f"w{generator.randrange(20_000)}" for _ in range(WORDS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", type=int, nargs="?", default=100_000)
    pages = parser.parse_args().pages
    start = time.perf_counter()
    prints = {
        f"{number:012x}-p0001": Fingerprint(hash_shingles(make_text(random.Random(number), number, pages)), None)
        for number in range(pages)
    }
    hashed = time.perf_counter()
    leaders = cluster_documents(prints, {page: page.partition("-")[0] for page in prints})
    groups = pages - len(set(leaders.values()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{pages} pages: {hashed - start:.1f} s to hash, {time.perf_counter() - hashed:.1f} s to compare, "
        f"{groups} pages of a group beside its first, {peak:.0f} MiB"
    )


if __name__ == "__main__":
    main()
