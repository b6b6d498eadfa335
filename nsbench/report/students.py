"""What self-training did, in sentences: students against teachers, baseline and control."""

from collections.abc import Iterable

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.report.cells import number_text, places
from nsbench.report.comparisons import evidence, reading
from nsbench.report.lookup import Lookup
from nsbench.report.stamp import TEST_SELECTED
from nsbench.report.wording import accuracy_text, numeral, plural, sentence_start


def verdict(lookup: Lookup, student: CheckpointRecord, other: str) -> str:
    """What the paired difference in clean error with another checkpoint lets us say, `unknown` without one."""
    found = lookup.comparison(student, other)
    return "unknown" if found is None else reading(found)


OUTCOMES = {
    "better": "beat {other}",
    "worse": "did worse than {other}",
    "no evidence": "is not shown to differ from {other}",
    "unknown": "cannot be compared with {other}",
}


def opponents(lookup: Lookup, student: CheckpointRecord) -> list[str]:
    """Checkpoints that a student's clean error was compared with: its teacher, the first one, baseline, control."""
    control = str(lookup.control(student) or "")
    first, baseline = lookup.first_teacher(student), lookup.results.baseline or ""
    names = dict.fromkeys([student.parent or "", first, baseline, control])
    return [name for name in names if lookup.comparison(student, name)]


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
    found = lookup.comparison(student, other)
    whom = opponent_words(lookup, student, other)
    if not lookup.test_selected(student):  # whose own name says it already
        whom += stamp(lookup, [other])
    who = f"{sentence_start(lookup.described(student))} {OUTCOMES[verdict(lookup, student, other)].format(other=whom)}"
    if found is None:
        return f"{who}: the difference was not measured."
    if found.difference is None:
        return f"{who}: the difference is undefined."
    change = number_text(found.difference * 100, places(found.n), signed=True)
    return f"{who}: top-1 error {change} points ({evidence(found)})."


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
    found = lookup.comparison(last, control)
    if outcome not in ("better", "worse") or found is None or found.difference is None:
        outcome_words = OUTCOMES[outcome].format(other=other)
        return f"No effect of {taught} apart from noise is shown: the last student {outcome_words}"
    points = f"{number_text(abs(found.difference) * 100, places(found.n))} points"
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
    rest += [f"for {numeral(n)} no difference is shown" for n in [verdicts.count("no evidence")] if n]
    rest += [f"{numeral(n)} cannot be compared" for n in [verdicts.count("unknown")] if n]
    return f"{sentence_start(first)}; {', '.join(rest)}."


def summary(lookup: Lookup) -> str:
    """What was run and how accurate the ends of the chain are."""
    data, students = lookup.results.data, lookup.students()
    if not lookup.trained_here:
        networks = (
            "network that nsbench trained was" if len(lookup.checkpoints) == 1 else "networks that nsbench trained were"
        )
        return (
            f"{sentence_start(numeral(len(lookup.checkpoints)))} {networks} measured on {data.title}: "
            f"{plural(data.test, 'test image')}. What each was trained on is in the report of its own run."
        )
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
