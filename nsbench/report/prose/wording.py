"""Sentences made from numbers, and headings that never claim more than was measured."""

from nsbench.report.lookup import CLEAN, Entry, Lookup
from nsbench.report.tables.table import number_text, places
from nsbench.results.measured import BenchmarkSet

NUMERALS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def numeral(value: int) -> str:
    """Small counts in words."""
    return NUMERALS[value] if value < len(NUMERALS) else f"{value:,}"


def plural(value: int, noun: str) -> str:
    """A count and its noun.

    >>> plural(1, "image"), plural(1200, "image")
    ('1 image', '1,200 images')
    """
    return f"{value:,} {noun}" + ("" if value == 1 else "s")


def sentence_start(text: str) -> str:
    """`text` with a capital."""
    return text[:1].upper() + text[1:]


def listed(parts: list[str]) -> str:
    """Parts as prose lists them.

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    return " and ".join([*([", ".join(parts[:-1])] if parts[1:] else []), *parts[-1:]])


def coverage(benchmark: BenchmarkSet) -> str:
    """Which members a mean is over; a mean over a subset never goes without these words."""
    total = len(benchmark.counted) + len(benchmark.missing)
    subset = "" if benchmark.missing else f", on a subset of {plural(benchmark.images, 'image')}"
    return f"mean of {len(benchmark.counted)} of the {total}{subset}"


def set_text(benchmark: BenchmarkSet) -> str:
    """What a set counts, what it shows and what is missing, in words."""
    members = "corruptions" if benchmark.kind == "corruption" else "perturbations"
    total = len(benchmark.counted) + len(benchmark.missing)
    counted = f"{len(benchmark.counted)} of the {total} {members} enter the means"
    sentences = [f"Measured on {benchmark.name}: {counted}."]
    if benchmark.missing:
        sentences.append(f"Not measured: {', '.join(benchmark.missing)}.")
    if benchmark.shown:
        sentences.append(f"Validation only, shown apart and never averaged: {', '.join(benchmark.shown)}.")
    return " ".join(sentences)


def mean_heading(benchmark: BenchmarkSet, full: str, partial: str) -> str:
    """`full` for the complete set; `partial` and its coverage for anything less."""
    return full if benchmark.complete else f"{partial}, {coverage(benchmark)}"


def probability_text(value: float) -> str:
    """A p-value; never 0.000."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def accuracy_text(lookup: Lookup, one: Entry) -> str | None:
    """Top-1 accuracy with its interval, in words; None where it was not measured."""
    error = lookup.find(one, CLEAN)
    if error is None or error.value is None:
        return None
    decimals = places(error.n)
    text = f"{number_text((1 - error.value) * 100, decimals)} %" + (f" (caution: {error.note})" if error.note else "")
    if error.ci_low is None or error.ci_high is None:
        return text
    return f"{text} [{', '.join(number_text((1 - end) * 100, decimals) for end in (error.ci_high, error.ci_low))}]"
