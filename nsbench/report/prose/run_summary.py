"""What a run was, in sentences: its data, its chain, how accurate the ends of the chain are."""

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.report.lookup import CLEAN, Lookup
from nsbench.report.prose.wording import accuracy_text, listed, numeral, plural, sentence_start
from nsbench.report.tables.table import number_text, places


def summary(lookup: Lookup) -> str:
    """What was run and how accurate the ends of the chain are."""
    data = lookup.results.data
    if not lookup.trained_here:
        one = len(lookup.checkpoints) == 1
        return (
            f"{sentence_start(numeral(len(lookup.checkpoints)))} {'network' if one else 'networks'} that nsbench "
            f"trained {'was' if one else 'were'} measured on {data.title}: {plural(data.test, 'test image')}. "
            "What each was trained on is in the report of its own run."
        )
    split = f"{plural(data.labeled, 'labelled image')} and {plural(data.unlabeled, 'unlabelled image')}"
    sentences = [f"This run used {data.title}: {split} to train on, {plural(data.test, 'image')} to test on."]
    sentences += chain(lookup)
    shown = [one for one in ends(lookup) if accuracy(lookup, one) is not None]
    if shown:
        accuracies = "; ".join(f"{accuracy(lookup, one)} for {name(lookup, one)}" for one in shown)
        sentences.append(f"Top-1 accuracy on clean test images is {accuracies} (95 % intervals in brackets).")
    if lookup.checkpoint(lookup.results.baseline) is not None:
        sentences.append("The baseline was trained on the labelled images only, without self-training.")
    if lookup.control(lookup.last()) is not None:
        sentences.append("The control was too, but with a student's noise and image budget.")
    return " ".join(sentences)


def lesson(students: list[CheckpointRecord]) -> str:
    """What students learn from their teachers beside the labels."""
    if students[-1].method == "distillation":
        return "its teacher's probabilities"
    filtered = any(one.selection is not None and one.selection.confidence_threshold > 0 for one in students)
    return "the pseudo-labels its teacher was confident about" if filtered else "its teacher's pseudo-labels"


def chain(lookup: Lookup) -> list[str]:
    """How many students were trained, on what, and from how many seeds."""
    students = [one for one in lookup.students() if lookup.first_alike(one) is one]
    if not students:
        return []
    taught = lesson(students)
    who = (
        "a noisy student was trained"
        if len(students) == 1
        else f"{len(students)} noisy students were trained in turn, each"
    )
    sentence = f"Starting from a supervised teacher, {who} on the labelled images and on {taught}."
    seeds = [str(one.seed) for one in lookup.groups.get(lookup.group_of(lookup.last()) or "", [])]
    again = [f"Everything was trained {numeral(len(seeds))} times, from seeds {listed(seeds)}."] if seeds else []
    return [sentence, *again]


def ends(lookup: Lookup) -> list[CheckpointRecord]:
    """The first teacher, the last student, its control and the baseline."""
    chain = [one for one in lookup.checkpoints if not lookup.is_reference(one)]
    others = [lookup.control(lookup.last()), lookup.checkpoint(lookup.results.baseline)]
    last = [lookup.last()] if lookup.students() else []
    return [*chain[:1], *last, *(one for one in others if one is not None)]


def name(lookup: Lookup, one: CheckpointRecord) -> str:
    """A network as prose has it, without its seed where its number is a mean over seeds."""
    group = lookup.group_of(one)
    if group is None or lookup.seed_mean(group, CLEAN) is None:
        return lookup.described(one)
    article = "the " if lookup.is_reference(one) else ""
    return f"{article}{lookup.group_label(group).replace('gen ', 'generation ').replace(' · ', ' (')})"


def accuracy(lookup: Lookup, one: CheckpointRecord) -> str | None:
    """Top-1 accuracy with its interval, averaged over seeds where there are several; None where it was not measured."""
    mean = lookup.seed_mean(lookup.group_of(one) or "", CLEAN)
    if mean is None:
        return accuracy_text(lookup, one)
    if mean.value is None or mean.ci_low is None or mean.ci_high is None:
        return None
    value, low, high = (number_text((1 - end) * 100, places(mean.n)) for end in (mean.value, mean.ci_high, mean.ci_low))
    return f"{value} % [{low}, {high}]"
