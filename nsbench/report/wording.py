"""Sentences made from numbers, and headings that never claim more than was measured."""

from collections.abc import Iterable

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.report.cells import number_text, places
from nsbench.report.lookup import Lookup
from nsbench.report.stamp import TEST_SELECTED
from nsbench.results.record import BenchmarkSet

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


SIGNIFICANT = 0.05
"""A difference is called one when its 95 % interval excludes zero and its p-value is below this."""


def verdict(lookup: Lookup, student: CheckpointRecord, other: str) -> str:
    """What the paired difference with another checkpoint lets us say: better, worse, unclear or unknown."""
    difference = lookup.find(student, "clean", "top1_error_difference", other)
    if difference is None or difference.value is None or difference.ci_low is None or difference.ci_high is None:
        return "unknown"
    test = lookup.find(student, "clean", "mcnemar_p_value", other)
    if test is not None and test.value is not None and test.value >= SIGNIFICANT:
        return "unclear"
    if difference.ci_high < 0:
        return "better"
    return "worse" if difference.ci_low > 0 else "unclear"


OUTCOMES = {
    "better": "beat {other}",
    "worse": "did worse than {other}",
    "unclear": "is not shown to differ from {other}",
    "unknown": "cannot be compared with {other}",
}


READINGS = {
    "better": "better",
    "worse": "worse",
    "unclear": "no difference shown",
    "unknown": "not comparable",
}


def opponents(lookup: Lookup, student: CheckpointRecord) -> list[str]:
    """Checkpoints that a student's clean error was compared with: its teacher, the first one, baseline, control."""
    control = str(lookup.control(student) or "")
    names = dict.fromkeys([student.parent or "", lookup.first_teacher(student), lookup.results.baseline, control])
    return [name for name in names if lookup.find(student, "clean", "top1_error_difference", name)]


def comparisons(lookup: Lookup) -> list[str]:
    """Did each student beat its teacher, and the last one the first teacher, the baseline and the control?"""
    sentences = [comparison(lookup, student, student.parent or "") for student in lookup.students()]
    if lookup.students():
        last = lookup.last()
        sentences += [comparison(lookup, last, other) for other in opponents(lookup, last) if other != last.parent]
    return sentences


def opponent_words(lookup: Lookup, student: CheckpointRecord, other: str) -> str:
    """How prose calls a checkpoint that a student is compared with."""
    if other == student.parent:
        return "its teacher"
    if other == str(lookup.control(student)):
        return "the control"
    return "the baseline" if other == lookup.results.baseline else "the first teacher"


def stamp(lookup: Lookup, names: Iterable[str]) -> str:
    """What must follow a statement on these checkpoints if the weights of one were chosen on test images."""
    return f" ({TEST_SELECTED})" if any(lookup.test_selected(name) for name in names) else ""


def comparison(lookup: Lookup, student: CheckpointRecord, other: str) -> str:
    """One sentence on a student's clean error against another checkpoint's on the same images."""
    difference = lookup.find(student, "clean", "top1_error_difference", other)
    whom = opponent_words(lookup, student, other)
    if not lookup.test_selected(student):  # whose own name says it already
        whom += stamp(lookup, [other])
    who = f"{sentence_start(lookup.described(student))} {OUTCOMES[verdict(lookup, student, other)].format(other=whom)}"
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
    test = lookup.find(student, "clean", "mcnemar_p_value", other)
    if test is not None and test.value is not None:
        facts.insert(-1, f"McNemar {probability_text(test.value)}")
    caution = f" Caution: {difference.note}." if difference.note else ""
    return f"{who}: {change} ({', '.join(facts)}).{caution}"


def headline(lookup: Lookup) -> str:
    """The answer in one sentence: against the teachers, and against the same network without self-training."""
    students, answer = lookup.students(), against_teachers(lookup).removesuffix(".")
    if not students:
        return f"{answer}."
    last, found = lookup.last(), []
    others = [name for name in opponents(lookup, last) if name not in (last.parent, str(lookup.control(last)))]
    for other in others:
        outcome = OUTCOMES[verdict(lookup, last, other)]
        found.append(outcome.format(other=opponent_words(lookup, last, other)))
    if found:
        answer += f"; {'it' if len(students) == 1 else 'the last one'} {' and '.join(found)}"
    told = [*map(str, students), *(student.parent or "" for student in students), *others]
    return f"{answer}{stamp(lookup, told)}."


CONTROL = "the control, a network trained on the labelled images alone with the same noise and image budget"


def effect(lookup: Lookup) -> str:
    """What the teachers' labels did apart from noise, in one sentence; empty where no control was trained."""
    last = lookup.last()
    control = lookup.control(last)
    if control is None or not lookup.students():
        return ""
    taught = "distillation" if last.objective == "distillation" else "pseudo-labels"
    other = f"{CONTROL}{stamp(lookup, [str(last), str(control)])}."
    if taught == "pseudo-labels" and last.selection is not None and not any(last.selection.kept):
        return f"No pseudo-label was kept, so nothing but luck in training tells the last student from {other}"
    outcome = verdict(lookup, last, str(control))
    found = lookup.find(last, "clean", "top1_error_difference", str(control))
    if outcome not in ("better", "worse") or found is None or found.value is None:
        outcome_words = OUTCOMES[outcome].format(other=other)
        return f"No effect of {taught} apart from noise is shown: the last student {outcome_words}"
    points = f"{number_text(abs(found.value) * 100, places(found.n))} points"
    change, direction = ("gain", "less") if outcome == "better" else ("loss", "more")
    return (
        f"One training of each puts the {change} from {taught} at {points}: "
        f"the last student has that much {direction} error than {other}"
    )


def against_teachers(lookup: Lookup) -> str:
    """How many students beat the teachers that labelled their images."""
    students = lookup.students()
    if not students:
        return "No student was trained, so nothing is said about self-training."
    verdicts = [verdict(lookup, student, student.parent or "") for student in students]
    better, worse = verdicts.count("better"), verdicts.count("worse")
    if len(students) == 1:
        return f"The student {OUTCOMES[verdicts[0]].format(other='its teacher')}."
    if better == len(students):
        return f"{'Both' if better == 2 else f'All {numeral(better)}'} students beat their teacher."
    first = f"{numeral(better)} of {numeral(len(students))} students beat {'its' if better == 1 else 'their'} teacher"
    rest = [f"{numeral(worse)} did worse"] if worse else []
    rest += [f"for {numeral(n)} no difference is shown" for n in [verdicts.count("unclear")] if n]
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
        distilled = students[-1].objective == "distillation"
        taught = "its teacher's probabilities" if distilled else "the pseudo-labels its teacher was confident of"
        sentences.append(
            f"Starting from a supervised teacher, {plural(len(students), 'noisy student')} "
            f"{'was' if len(students) == 1 else 'were'} trained in turn, each on the labelled images and on {taught}."
        )
    chain = [checkpoint for checkpoint in lookup.checkpoints if not lookup.is_reference(checkpoint)]
    baseline, control = lookup.checkpoint(lookup.results.baseline), lookup.control(lookup.last())
    shown = [*chain[:1], *([lookup.last()] if students else []), *(one for one in (control, baseline) if one)]
    accuracies = [(lookup.described(one), accuracy_text(lookup, one)) for one in shown]
    told = [f"{text} for {label}" for label, text in accuracies if text is not None]
    if told:
        sentences.append(f"Top-1 accuracy on clean test images is {'; '.join(told)} (95 % intervals in brackets).")
    if baseline is not None:
        sentences.append("The baseline was trained on the labelled images only, without self-training.")
    if control is not None:
        sentences.append("The control was too, but with a student's noise and image budget.")
    return " ".join(sentences)
