"""What self-training did, in sentences: students against their controls first, then teachers and baseline."""

from collections.abc import Iterable

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.report.lookup import CLEAN, Lookup
from nsbench.report.prose.headlines import Standing, named, outcome, short_name, standing, trainings_text
from nsbench.report.prose.wording import listed, sentence_start
from nsbench.report.quantities import quantity
from nsbench.report.stamp import TEST_SELECTED
from nsbench.report.tables.comparisons import change, compact, evidence, missable, reading
from nsbench.report.tables.table import thousands
from nsbench.results.measured import unseeded_name

OUTCOMES = {
    "better": "makes fewer errors on clean images than {other}",
    "worse": "makes more errors on clean images than {other}",
    "no evidence": "is not shown to differ from {other} in clean error",
    "unknown": "cannot be compared with {other} in clean error",
}
DETAILS = {
    "better": "Better than {other}",
    "worse": "Worse than {other}",
    "no evidence": "Not shown to differ from {other}",
}


def opponents(lookup: Lookup, student: CheckpointRecord) -> list[Standing]:
    """Networks that a student was compared with: its control, its teacher, the first one, the baseline of its seed."""
    others = [lookup.control(student), lookup.checkpoint(student.parent)]
    others += [lookup.checkpoint(lookup.first_teacher(student)), lookup.own_baseline(student)]
    once = {str(one): one for one in others if one is not None}
    return [found for one in once.values() if (found := standing(lookup, student, one))]


def leading(lookup: Lookup) -> Standing | None:
    """What the report leads with: the last student against its control, else the baseline, else a teacher."""
    if not lookup.students():
        return None
    last = lookup.last()
    against = {str(one.other): one for one in opponents(lookup, last)}
    order = [lookup.control(last), lookup.own_baseline(last), lookup.checkpoint(last.parent)]
    found = [against[str(one)] for one in order if str(one) in against]
    return next(iter([*found, *against.values()]), None)


def one_of_each(lookup: Lookup) -> list[CheckpointRecord]:
    """The students; the first of those that differ only in their seed."""
    return [one for one in lookup.students() if lookup.first_alike(one) is one]


def opponent_words(lookup: Lookup, student: CheckpointRecord, other: CheckpointRecord) -> str:
    """How prose calls a network that a student is compared with."""
    if str(other) == student.parent:
        return "its teacher"
    if other is lookup.control(student):
        return "its control"
    return "the baseline" if other is lookup.own_baseline(student) else "the first teacher"


def stamp(lookup: Lookup, names: Iterable[str]) -> str:
    """What must follow a statement about these checkpoints if the weights of one were chosen on test images."""
    return f" ({TEST_SELECTED})" if any(lookup.test_selected(name) for name in names) else ""


def headline(lookup: Lookup) -> str:
    """The answer in one sentence: every headline number of the last student against the fairest opponent."""
    if not lookup.students():
        return "No student was trained, so the report says nothing about self-training."
    last, found = lookup.last(), leading(lookup)
    control = lookup.control(last)
    who = "the student" if len(one_of_each(lookup)) == 1 else "the last student"
    before = "" if control is not None else "no control of equal size, noise and image budget was trained; "
    if found is None:
        return sentence_start(f"{before}{who} was compared with no other network.")
    against = opponent_words(lookup, last, found.other)
    if control is not None and found.other is not control:
        before = "no comparison with its control was made; "
    stamped = stamp(lookup, [str(last), str(found.other)])
    text = f"{before}against {against} {who} is {outcome(lookup, found)} ({trainings_text(found.trainings)}){stamped}."
    return sentence_start(text)


def effect(lookup: Lookup) -> str:
    """What separates the two networks of the headline, in one sentence or two; empty without a comparison."""
    found = leading(lookup)
    if found is None:
        return ""
    taught = "distillation" if found.student.method == "distillation" else "the pseudo-labels"
    if found.other is not lookup.control(found.student):
        return (
            f"That difference mixes {taught.removeprefix('the ')} with {listed(differing(found.student, found.other))}."
        )
    chosen = found.student.selection
    if taught != "distillation" and chosen is not None and not any(chosen.kept):
        return "No pseudo-label was kept, so nothing but luck in training separates the student from its control."
    rest = sized(found.student, found.other) or "with the same noise and image budget"
    luck = ", and with one training run each also luck in training" if found.trainings == 1 else ""
    return (
        f"The control is the same network trained on the labelled images alone, {rest}. "
        f"What separates the two is {taught}{luck}."
    )


def sized(student: CheckpointRecord, other: CheckpointRecord) -> str:
    """Size and budget of a control other than its student's, as records of earlier versions allow; else empty."""
    if size(student) == size(other):
        return ""
    return f"but it has {size_text(other)} and the student {size_text(student)}"


def differing(student: CheckpointRecord, other: CheckpointRecord) -> list[str]:
    """What besides labels sets a student apart from a network that is not its control."""
    pairs = [
        ("size", "parameters", student.parameters, other.parameters),
        ("image budget", "images seen", student.images_seen, other.images_seen),
    ]
    differences = [
        f"{name} ({thousands(own)} against {thousands(its)} {unit})" for name, unit, own, its in pairs if own != its
    ]
    return ["noise", *differences] if other.role != "student" else differences or ["the noise of another training run"]


def size(one: CheckpointRecord) -> tuple[int, int]:
    """Parameters and images seen."""
    return one.parameters, one.images_seen


def size_text(one: CheckpointRecord) -> str:
    """Size and budget in words."""
    return f"{thousands(one.parameters)} parameters, {thousands(one.images_seen)} images seen"


def comparisons(lookup: Lookup) -> list[str]:
    """The headline in numbers, then each student against its teacher, then the last one against all others."""
    sentences, lead = [], leading(lookup)
    if lead is not None:
        sentences = [details(lookup, lead, verdict) for verdict in DETAILS if lead.where(verdict)]
    for student in one_of_each(lookup):
        for found in opponents(lookup, student):
            to_teacher = str(found.other) == student.parent
            from_last = unseeded_name(student) == unseeded_name(lookup.last()) and (
                lead is None or found.other is not lead.other
            )
            if to_teacher or from_last:
                sentences.append(comparison(lookup, found))
    return sentences


def details(lookup: Lookup, found: Standing, verdict: str) -> str:
    """All numbers of one verdict, each with its difference, interval and p-value."""
    other = opponent_words(lookup, found.student, found.other)
    parts = []
    for one in found.where(verdict):
        shown = quantity(lookup, one.key, one.n)
        missed = missable(one, shown) if verdict == "no evidence" else ""
        parts.append(f"{short_name(lookup, one)} {compact(one, shown)}{missed}")
    text = f"{DETAILS[verdict].format(other=other)}: {'; '.join(parts)}"
    stamped = stamp(lookup, [str(found.student), str(found.other)])
    return f"{text} ({trainings_text(found.trainings)}; 95 % intervals, p after Holm's correction){stamped}."


def comparison(lookup: Lookup, found: Standing) -> str:
    """One sentence on a student's clean error against another network's, with the size and budget of both."""
    student, other = found.student, found.other
    clean = next((one for one in found.found if one.key == CLEAN), None)
    unequal = size(student) != size(other)
    whom = opponent_words(lookup, student, other) + (f" ({other.network}, {size_text(other)})" if unequal else "")
    if not lookup.test_selected(student):  # whose own name says it already
        whom += stamp(lookup, [str(other)])
    name = lookup.unseeded(student).replace("gen ", "generation ") if found.trainings > 1 else None
    who = f"{name} ({student.network})" if name else lookup.described(student)
    if unequal:
        who = who.removesuffix(")") + f", {size_text(student)})"
    who = f"{sentence_start(who)} {OUTCOMES['unknown' if clean is None else reading(clean)].format(other=whom)}"
    if clean is None:
        return f"{who}: the difference was not measured."
    if clean.difference is None:
        return f"{who}: the difference is undefined."
    shown = quantity(lookup, CLEAN, clean.n)
    text = f"{who}: top-1 error {change(clean, shown)} ({evidence(clean, shown)}, {trainings_text(found.trainings)})"
    return "; ".join([text, *beyond(lookup, found)]) + "."


def beyond(lookup: Lookup, found: Standing) -> list[str]:
    """The other headline numbers in which the two are distinguished."""
    apart = []
    for verdict in ("better", "worse"):
        rest = [one for one in found.where(verdict) if one.key != CLEAN]
        apart += [f"{verdict} in {named(lookup, rest)}"] if rest else []
    return apart
