"""Sentences made from numbers, and headings that never claim more than was measured."""

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.report.cells import number_text, places
from nsbench.report.lookup import Lookup
from nsbench.results.record import BenchmarkSet, Measurement

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


def coverage(benchmark: BenchmarkSet) -> str:
    """Which members a mean is over; a mean over a subset never goes without these words."""
    total = len(benchmark.counted) + len(benchmark.missing)
    subset = "" if benchmark.missing else f", on a subset of {plural(benchmark.images, 'image')}"
    return f"mean of {len(benchmark.counted)} of the {total}{subset}"


def set_text(benchmark: BenchmarkSet) -> str:
    """What a set counts, shows and lacks, in words."""
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


def verdict(difference: Measurement | None) -> str:
    """What an interval of student error minus teacher error lets us say: better, worse, unclear or unknown."""
    if difference is None or difference.value is None or difference.ci_low is None or difference.ci_high is None:
        return "unknown"
    if difference.ci_high < 0:
        return "better"
    return "worse" if difference.ci_low > 0 else "unclear"


OUTCOMES = {
    "better": "beat its teacher",
    "worse": "did worse than its teacher",
    "unclear": "is not shown to differ from its teacher (the interval includes zero)",
    "unknown": "cannot be compared with its teacher",
}


READINGS = {
    "better": "beat its teacher",
    "worse": "did worse",
    "unclear": "no difference shown",
    "unknown": "not comparable",
}


def against_teacher(lookup: Lookup, student: CheckpointRecord) -> Measurement | None:
    """Student error minus teacher error on the same images."""
    return lookup.find(student, "clean", "top1_error_difference", student.parent)


def comparison(lookup: Lookup, student: CheckpointRecord) -> str:
    """One sentence: did this student beat its teacher?"""
    difference = against_teacher(lookup, student)
    outcome = OUTCOMES[verdict(difference)]
    who = f"{sentence_start(lookup.described(student))} {outcome}"
    if difference is None:
        return f"{who}: the difference was not measured."
    if difference.value is None:
        return f"{who}: {difference.note or 'the difference is undefined'}."
    decimals = places(difference.n)
    change = f"top-1 error {number_text(difference.value * 100, decimals, signed=True)} points"
    facts = [f"n = {difference.n:,}"]
    if difference.ci_low is not None and difference.ci_high is not None:
        ends = (number_text(end * 100, decimals, signed=True) for end in (difference.ci_low, difference.ci_high))
        facts.insert(0, "95 % interval " + " to ".join(ends))
    test = lookup.find(student, "clean", "mcnemar_p_value", student.parent)
    if test is not None and test.value is not None:
        facts.insert(-1, f"McNemar {probability_text(test.value)}")
    caution = f" Caution: {difference.note}." if difference.note else ""
    return f"{who}: {change} ({', '.join(facts)}).{caution}"


def headline(lookup: Lookup) -> str:
    """The answer in one sentence."""
    students = lookup.students()
    if not students:
        return "No student was trained, so nothing is said about self-training."
    verdicts = [verdict(against_teacher(lookup, student)) for student in students]
    better, worse = verdicts.count("better"), verdicts.count("worse")
    if len(students) == 1:
        return f"The student {OUTCOMES[verdicts[0]]}."
    if better == len(students):
        return f"All {numeral(len(students))} students beat their teacher."
    first = f"{numeral(better)} of {numeral(len(students))} students beat {'its' if better == 1 else 'their'} teacher"
    rest = [f"{numeral(worse)} did worse"] if worse else []
    rest += [f"for {numeral(n)} the interval includes zero" for n in [verdicts.count("unclear")] if n]
    rest += [f"{numeral(n)} cannot be compared" for n in [verdicts.count("unknown")] if n]
    return f"{sentence_start(first)}; {', '.join(rest)}."


def accuracy_text(lookup: Lookup, checkpoint: CheckpointRecord) -> str | None:
    """Top-1 accuracy with its interval, in words; None where it was not measured."""
    error = lookup.find(checkpoint, "clean", "top1_error")
    if error is None or error.value is None:
        return None
    decimals = places(error.n)
    text = f"{number_text((1 - error.value) * 100, decimals)} %" + (f" (caution: {error.note})" if error.note else "")
    if error.ci_low is None or error.ci_high is None:
        return text
    return f"{text} [{', '.join(number_text((1 - end) * 100, decimals) for end in (error.ci_high, error.ci_low))}]"


def summary(lookup: Lookup) -> str:
    """What was run and how accurate the ends of the chain are."""
    data, students = lookup.results.data, lookup.students()
    split = f"{plural(data.labeled, 'labelled image')} and {plural(data.unlabeled, 'unlabelled image')}"
    sentences = [f"This run used {data.title}: {split} to train on, {plural(data.test, 'image')} to test on."]
    if students:
        sentences.append(
            f"Starting from a supervised teacher, {plural(len(students), 'noisy student')} "
            f"{'was' if len(students) == 1 else 'were'} trained in turn, each on the labelled images and on "
            "the pseudo-labels its teacher was confident of."
        )
    chain = [checkpoint for checkpoint in lookup.checkpoints if not lookup.is_baseline(checkpoint)]
    baseline = lookup.checkpoint(lookup.results.baseline)
    shown = [*chain[:1], *([lookup.last()] if students else []), *([baseline] if baseline else [])]
    accuracies = [(lookup.described(one), accuracy_text(lookup, one)) for one in shown]
    told = [f"{text} for {label}" for label, text in accuracies if text is not None]
    if told:
        sentences.append(f"Top-1 accuracy on clean test images is {'; '.join(told)} (95 % intervals in brackets).")
    if baseline is not None:
        sentences.append("The baseline was trained on the labelled images only, without self-training.")
    return " ".join(sentences)


def limits(lookup: Lookup) -> list[tuple[str, str]]:
    """What the numbers can and cannot say, as pairs of a topic and its explanation."""
    n = lookup.results.data.test
    margin = number_text(196 * (0.25 / max(n, 1)) ** 0.5, 1)
    corruption, perturbation = lookup.benchmark("corruption"), lookup.benchmark("perturbation")
    topics = [
        (
            "Sampling error.",
            f"With {plural(n, 'test image')} an accuracy is known to within ±{margin} points at worst (95 %). "
            "Checkpoints are compared on the same images, so read the interval of a difference, not whether two "
            "intervals overlap.",
        ),
        seed_topic(lookup),
        (
            "Weights.",
            "The weights kept are those of the last epoch unless Table 1 says otherwise: nothing was selected on "
            "test images. Published numbers often keep the epoch that is best on test and come out higher.",
        ),
        (
            "Top-5.",
            "On ten classes top-5 accuracy is close to its ceiling. It is shown and never used to rank.",
        ),
        (
            "Calibration.",
            "Expected calibration error has a noise floor even for a perfectly calibrated model: about 0.3 points at "
            "10,000 images and 0.6 at 2,000, higher for fewer. Negative log-likelihood and the Brier score have no "
            "bins and stand beside it.",
        ),
        (
            "FGSM.",
            "One gradient step is a weak attack. Label smoothing, mixup and saturated outputs can hide the gradient "
            "(gradient masking) and look strong here while a stronger attack succeeds on every image. Accuracy under "
            "FGSM is not robustness.",
        ),
    ]
    if corruption is not None:
        topics += corruption_topics(corruption)
    if perturbation is not None:
        topics.append(
            (
                "Flips.",
                "A flip is a change of prediction, right or wrong; no label is used. A model that always answers the "
                "same has zero flips, so flip probability is printed beside accuracy.",
            )
        )
    return topics


def seed_topic(lookup: Lookup) -> tuple[str, str]:
    """How far intervals cover the luck of training."""
    seeds = len({checkpoint.seed for checkpoint in lookup.checkpoints})
    if seeds > 1:
        return (
            "Seeds.",
            f"Each configuration was trained with {numeral(seeds)} seeds; an interval covers one trained network.",
        )
    return (
        "One seed.",
        "Each network was trained once. Intervals cover the choice of test images, not the luck of "
        "initialisation, data order and noise; another seed can move any number by more than its interval.",
    )


def corruption_topics(benchmark: BenchmarkSet) -> list[tuple[str, str]]:
    """Cautions about corruption errors, in words that fit the set measured."""
    relative = "Relative mCE" if benchmark.complete else "Relative corruption error"
    return [
        (
            "Corrupted images.",
            f"Measured on {benchmark.name}. Images that nsbench generates follow the published recipes but are not the "
            "official files, and a mean over a subset of corruptions does not compare with a mean over all of them.",
        ),
        (
            f"{relative}.",
            "It divides by how much the baseline's error grows under a corruption. Where that growth is small the "
            "ratio is ill-conditioned, and a model with a high clean error has less left to lose: lower is not "
            "simply better.",
        ),
    ]
