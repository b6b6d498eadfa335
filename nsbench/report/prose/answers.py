"""What a report answers first: about self-training where students were trained, about models where models were given.

For models: which has the lowest error, clean and corrupted, and whether paired comparisons set it apart.
"""

from nsbench.report.lookup import CLEAN, Entry, Lookup
from nsbench.report.prose import run_summary, students
from nsbench.report.prose.wording import accuracy_text, coverage, listed, numeral, plural, sentence_start
from nsbench.report.quantities import quantity
from nsbench.report.tables.comparisons import change, evidence, reading
from nsbench.report.tables.table import number_text, places
from nsbench.results.key import Key
from nsbench.results.measured import Comparison

MANY = 5
"""More names than this are counted instead of listed."""
MOST_SENTENCES = 8
REVERSED = {"better": "worse", "worse": "better", "no evidence": "no evidence", "unknown": "unknown"}
OUTCOMES = {
    "better": "makes fewer errors than {other}",
    "worse": "makes more errors than {other}",
    "no evidence": "is not shown to differ from {other}",
    "unknown": "cannot be compared with {other}",
}
Field = tuple[Key, str]
"""A number that models are ranked by, and its images in words."""
CLEAN_FIELD: Field = (CLEAN, "clean images")


def headline(lookup: Lookup) -> str:
    """The answer in one sentence."""
    if not lookup.results.models:
        return students.headline(lookup)
    found = [(key.kind, lookup.lowest(key)) for key, _ in fields(lookup)]
    best: dict[str, list[Entry]] = {kind: ones for kind, ones in found if ones}
    if len(lookup.entries) == 1 or "clean" not in best:
        return lone_headline(lookup)
    clean, corrupted = (names(lookup, best.get(kind, [])) for kind in ("clean", "corruption"))
    verb = "share" if len(best["clean"]) > 1 else "has"
    if not corrupted:
        answer = f"{clean} {verb} the lowest error on clean images"
    elif clean == corrupted:
        answer = f"{clean} {verb} the lowest error on clean images and on corrupted ones"
    else:
        second = "share" if len(best["corruption"]) > 1 else "has"
        answer = f"{clean} {verb} the lowest error on clean images, {corrupted} {second} the lowest on corrupted ones"
    return f"{answer}{borne_out(lookup, best['clean'], 'it' if corrupted in ('', clean) else clean)}."


def lone_headline(lookup: Lookup) -> str:
    """The clean accuracy of a single model, or that none was measured."""
    one = lookup.foremost()
    accuracy = accuracy_text(lookup, one)
    if len(lookup.entries) > 1 or accuracy is None:
        return f"{sentence_start(numeral(len(lookup.entries)))} models measured; clean accuracy was not."
    return f"{lookup.label(one)} is right on {accuracy} of the clean test images."


def borne_out(lookup: Lookup, best: list[Entry], pronoun: str) -> str:
    """Whether comparisons on clean images support the headline, as its last words; `pronoun` stands for the best."""
    if len(best) > 1:
        return ""
    verdicts = outcomes(lookup, best[0], CLEAN_FIELD)
    if even := verdicts.get("no evidence"):
        return f"; on clean images {pronoun} is not distinguished from {names(lookup, even, 'other')}"
    if apart := verdicts.get("better"):
        others = "every other" if len(verdicts) == 1 else names(lookup, apart, "other")
        return f"; paired comparisons on clean images distinguish {pronoun} from {others}"
    return ""


def fields(lookup: Lookup) -> list[Field]:
    """What models are ranked by: clean error, and error on corrupted images."""
    corruption = lookup.benchmark("corruption")
    mean = lookup.key("corruption", "mean_error")
    if corruption is None or not lookup.measured(mean):
        return [CLEAN_FIELD]
    reach = "" if corruption.complete else f" ({coverage(corruption)})"
    return [CLEAN_FIELD, (mean, f"corrupted images{reach}")]


def outcome(lookup: Lookup, one: Entry, other: Entry, field: Field) -> str:
    """The verdict on one model against another, whichever was the candidate; empty where they were not compared."""
    key, _ = field
    if found := lookup.comparison(one, other, key):
        return reading(found)
    found = lookup.comparison(other, one, key)
    return REVERSED[reading(found)] if found else ""


def outcomes(lookup: Lookup, first: Entry, field: Field) -> dict[str, list[Entry]]:
    """All other models by the verdict on the first one against them."""
    verdicts: dict[str, list[Entry]] = {}
    for one in lookup.entries:
        if one is not first:
            verdicts.setdefault(outcome(lookup, first, one, field), []).append(one)
    return verdicts


def effect(lookup: Lookup) -> str:
    """What separates the networks that a run's headline compares; empty where nothing was trained."""
    return students.effect(lookup) if lookup.checkpoints else ""


def standings(lookup: Lookup) -> list[str]:
    """Which models are first and what paired comparisons say of them; nothing where one stands alone."""
    if not lookup.results.models or len(lookup.entries) < 2:
        return []
    return [sentence for field in fields(lookup) if (sentence := standing(lookup, field))]


def standing(lookup: Lookup, field: Field) -> str:
    """The model with the lowest error of one kind, and from which others it is distinguished."""
    key, images = field
    best = lookup.lowest(key)
    if not best:
        return ""
    if len(best) > 1:
        return f"On {images} {names(lookup, best)} share the lowest error."
    found = lookup.find(best[0], key)
    error = "" if found is None else f" ({number_text((found.value or 0) * 100, places(found.n))} % error)"
    verdict = against_others(lookup, best[0], field)
    return f"On {images} {lookup.label(best[0])} is first{error}: {verdict}." if verdict else ""


def against_others(lookup: Lookup, first: Entry, field: Field) -> str:
    """The other models from which paired comparisons distinguish the first one, without a full stop."""
    verdicts = outcomes(lookup, first, field)
    apart, even, alone = (names(lookup, verdicts.get(name, []), "other") for name in ("better", "no evidence", ""))
    if apart:
        verdict = f"paired comparisons distinguish it from {apart}" + (f", not from {even}" if even else "")
    else:
        verdict = f"paired comparisons do not distinguish it from {even}" if even else ""
    return "; ".join(part for part in (verdict, f"it was not compared with {alone}" if alone else "") if part)


def names(lookup: Lookup, found: list[Entry], noun: str = "model") -> str:
    """Models by name, or their count where they are many."""
    labels = [lookup.label(one) for one in found]
    if len(labels) > MANY:
        return plural(len(labels), noun)
    return listed(labels)


def comparisons(lookup: Lookup) -> list[str]:
    """The comparisons in sentences: who is first, then students, then models, these on clean images."""
    sentences = standings(lookup) + (students.comparisons(lookup) if lookup.checkpoints else [])
    ours = {str(one) for one in lookup.checkpoints}
    found = [
        one for one in lookup.results.comparisons if one.key == CLEAN and not {one.candidate, one.baseline} <= ours
    ]
    if len(found) > MOST_SENTENCES and lookup.results.baseline is not None:
        found = [one for one in found if one.baseline == lookup.results.baseline] or found
    sentences += [comparison(lookup, one) for one in found[:MOST_SENTENCES]]
    left = len(found) - MOST_SENTENCES
    more = [f"{plural(left, 'more comparison')} of this kind in the table."] if left > 0 else []
    return [*sentences, *more]


def comparison(lookup: Lookup, found: Comparison) -> str:
    """One sentence on the clean errors of two models."""
    other = lookup.label_of(found.baseline) + (" (the baseline)" if found.baseline == lookup.results.baseline else "")
    who = f"{lookup.label_of(found.candidate)} {OUTCOMES[reading(found)].format(other=other)}"
    if found.difference is None:
        return f"{who}: the difference is undefined."
    shown = quantity(lookup, found.key, found.n)
    return f"{who}: top-1 error {change(found, shown)} ({evidence(found, shown)})."


def summary(lookup: Lookup) -> str:
    """What was measured, and how accurate it is."""
    if not lookup.results.models:
        return run_summary.summary(lookup)
    data, count = lookup.results.data, len(lookup.results.models)
    sentences = [run_summary.summary(lookup)] if lookup.checkpoints else []
    sentences.append(
        f"{sentence_start(numeral(count))} {'model' if count == 1 else 'models'} that nsbench did not train "
        f"{'was' if count == 1 else 'were'} measured on {data.title}: {plural(data.test, 'test image')}."
    )
    if text := accuracies(lookup):
        sentences.append(text)
    if lookup.baseline is not None and any(one.baseline for one in lookup.results.measurements):
        sentences.append(f"Corruption errors and flip rates are relative to {lookup.described(lookup.baseline)}.")
    return " ".join(sentences)


def accuracies(lookup: Lookup) -> str:
    """Clean accuracies, of all models or from the lowest to the highest where they are many."""
    found = [(one, lookup.find(one, CLEAN)) for one in lookup.results.models]
    ranked = sorted(
        ((error.value, place, one) for place, (one, error) in enumerate(found) if error and error.value is not None),
        reverse=True,
    )
    if not ranked:
        return ""
    kept = [one for _, _, one in ranked] if len(ranked) <= MANY else [ranked[0][2], ranked[-1][2]]
    texts = [f"{accuracy_text(lookup, one)} for {lookup.label(one)}" for one in kept]
    joined = "; ".join(texts) if len(ranked) <= MANY else f"from {' to '.join(texts)}"
    return f"Top-1 accuracy on clean test images is {joined} (95 % intervals in brackets)."
