"""How often the intervals of `evaluate` cover the truth, and how often its verdict claims a gain that is none.

    python benchmarks/evaluate_coverage.py [WORLDS]

Three tables. Coverage of a mean over documents: nominal 95 %, for scores that are spread evenly, by log-normal sizes of
documents, or that are 1 on a few of them (loops). False gains: two models that are exchangeable, that write texts drawn
from the same words, or of which the tuned one is better by GAIN except that it loops on 8 % of the documents, which
makes it no better on the whole. Power: how often the difference shows that is printed as the smallest visible.
Beside each stands what a percentile bootstrap of the ratio of sums would have said.
"""

import argparse
import random
from collections.abc import Callable

import numpy as np

from warraq.metrics.statistics import Weighings, count_documents_needed, holm
from warraq.metrics.text import compare_word_bags

DRAWINGS = 4000
TESTS = 4  # primary scores that are tested together
LOOPS = 0.08
GAIN = 0.08  # of a model that loops on LOOPS of the documents and then loses 0.9: no better on the whole
Documents = tuple[np.ndarray, np.ndarray]  # errors and lengths of each


def draw_even(generator: np.random.Generator, documents: int) -> Documents:
    lengths = generator.integers(500, 2500, documents).astype(float)
    return lengths * generator.beta(2, 18, documents), lengths


def draw_log_normal(generator: np.random.Generator, documents: int) -> Documents:
    """Sizes and error rates are log-normal, and long documents have more errors."""
    sizes = generator.normal(0, 1, documents)
    rates = np.minimum(np.exp(-2.8 + 0.5 * sizes + generator.normal(0, 0.6, documents)), 1)
    return 1000 * np.exp(sizes) * rates, 1000 * np.exp(sizes)


def draw_loops(generator: np.random.Generator, documents: int) -> Documents:
    errors, lengths = draw_even(generator, documents)
    return np.where(generator.random(documents) < LOOPS, 5 * lengths, errors), lengths


def bootstrap_ratio(errors: np.ndarray, lengths: np.ndarray, generator: np.random.Generator) -> tuple[float, float]:
    """The percentile interval of a ratio of sums, documents drawn."""
    drawn = generator.integers(0, len(errors), (1000, len(errors)))
    lo, hi = np.quantile(errors[drawn].sum(axis=1) / lengths[drawn].sum(axis=1), [0.025, 0.975])
    return float(lo), float(hi)


def measure_coverage(draw: Callable[[np.random.Generator, int], Documents], documents: int, worlds: int) -> list[float]:
    """The shares of worlds in which the mean over documents is covered, and the ratio of sums by its bootstrap."""
    errors, lengths = draw(np.random.default_rng(0), 2_000_000)
    mean, ratio = np.minimum(errors / lengths, 1).mean(), errors.sum() / lengths.sum()
    generator, hits = np.random.default_rng(documents), np.zeros(2)
    for seed in range(worlds):
        errors, lengths = draw(generator, documents)
        found = Weighings({"a": list(np.minimum(errors / lengths, 1))}, DRAWINGS, seed).estimate("a")
        lo, hi = bootstrap_ratio(errors, lengths, generator)
        hits += [found.lo is not None and found.hi is not None and found.lo <= mean <= found.hi, lo <= ratio <= hi]
    return list(hits / worlds)


def draw_exchangeable(generator: np.random.Generator, documents: int) -> list[np.ndarray]:
    """Differences of four scores, of either sign alike."""
    signs = generator.choice([-1, 1], documents)
    return [signs * generator.beta(1, 6, documents) for _ in range(TESTS)]


def draw_texts(generator: np.random.Generator, documents: int) -> list[np.ndarray]:
    """Words found and true of two texts that are drawn from the same words as the reference, each word by chance."""
    dice = random.Random(int(generator.integers(2**31)))
    words = [f"w{number}" for number in range(300)]
    found, true = [], []
    for _ in range(documents):
        reference = dice.choices(words, k=dice.randint(5, 120))
        bags = [
            compare_word_bags(reference, [w if dice.random() < 0.8 else dice.choice(words) for w in reference])
            for _ in range(2)
        ]
        shares = [[bag[name][0] / bag[name][1] for name in ("words_found", "words_true")] for bag in bags]
        found.append(shares[0][0] - shares[1][0])
        true.append(shares[0][1] - shares[1][1])
    return [np.array(found), np.array(true)]


def draw_looping(generator: np.random.Generator, documents: int) -> list[np.ndarray]:
    """The tuned model is GAIN better, and loses 0.9 where it loops: on the whole 0.002 worse at best."""
    loops = generator.random(documents) < LOOPS
    return [np.where(loops, -0.9, GAIN + generator.normal(0, 0.02, documents)) - 0.01 for _ in range(2)]


def claims_gain(differences: list[np.ndarray], seed: int) -> bool:
    """Whether the verdict would be a gain: one score is better after Holm's correction, none is worse."""
    names = [f"score {index}" for index in range(len(differences))]
    if len(differences[0]) < count_documents_needed(len(names)):
        return False
    weighings = Weighings(dict(zip(names, map(list, differences), strict=True)), DRAWINGS, seed)
    chances = holm({name: weighings.compute_p_value(name) for name in names})
    signs = {
        np.sign(weighings.estimate(name, worst=-1.0).value or 0)
        for name, chance in chances.items()
        if chance is not None and chance <= 0.05
    }
    return signs == {1.0}


def would_flatter(differences: list[np.ndarray], generator: np.random.Generator) -> bool:
    """Whether the percentile bootstrap of the mean lies above 0, as a plain comparison would have it."""
    drawn = generator.integers(0, len(differences[0]), (1000, len(differences[0])))
    return bool(np.quantile(differences[0][drawn].mean(axis=1), 0.025) > 0)


def measure_power(documents: int, spread: float, worlds: int) -> tuple[float, float]:
    """The mean of what is printed as the smallest visible difference, and how often just that shows."""
    generator = np.random.default_rng(documents)
    printed = [
        Weighings({"a": list(generator.normal(0.1, spread, documents))}, DRAWINGS, seed).compute_detectable("a", TESTS)
        for seed in range(30)
    ]
    smallest = float(np.mean([one for one in printed if one is not None]))
    shown = 0
    for seed in range(worlds):
        values = list(generator.normal(smallest, spread, documents).clip(-1, 1))
        chance = Weighings({"a": values}, 2 * DRAWINGS, seed).compute_p_value("a")
        shown += chance is not None and chance <= 0.05 / TESTS
    return smallest, shown / worlds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("worlds", type=int, nargs="?", default=500)
    worlds = parser.parse_args().worlds
    print("coverage of a nominal 95 % interval: ours, percentile bootstrap of the ratio of sums")
    for documents in (2, 5, 10, 20, 40, 100):
        shares = [measure_coverage(draw, documents, worlds) for draw in (draw_even, draw_log_normal, draw_loops)]
        cells = ", ".join(f"{ours:.3f} {theirs:.3f}" for ours, theirs in shares)
        print(f"{documents:4} documents (even, log-normal, loops): {cells}", flush=True)
    print("false gains: ours, percentile bootstrap")
    for documents in (8, 12, 20, 40, 100):
        rates = []
        for draw in (draw_exchangeable, draw_texts, draw_looping):
            generator, ours, theirs = np.random.default_rng(documents), 0, 0
            for seed in range(worlds):
                differences = draw(generator, documents)
                ours += claims_gain(differences, seed)
                theirs += would_flatter(differences, generator)
            rates.append(f"{ours / worlds:.3f} {theirs / worlds:.3f}")
        print(f"{documents:4} documents (exchangeable, texts, loops): {', '.join(rates)}", flush=True)
    print(f"power at the smallest visible difference, {TESTS} tests")
    for documents, spread in ((20, 0.1), (40, 0.1), (40, 0.2), (100, 0.1)):
        smallest, power = measure_power(documents, spread, worlds)
        print(f"{documents:4} documents, standard deviation {spread}: {smallest:.3f} shows {power:.3f}", flush=True)


if __name__ == "__main__":
    main()
