"""Accuracy under attack: FGSM beside stronger attacks, and the signs that it misleads."""

from nsbench.report.lookup import Entry, Lookup
from nsbench.report.quantities import attack_text
from nsbench.report.tables.robustness import INTERVALS, fitted
from nsbench.report.tables.table import Column, Notes, Row, Table, measured, places, words
from nsbench.results.key import Key, strength_text
from nsbench.results.measured import Measurement

UNLIKE = "Not all attacks were tried on the same images: a difference between two of them may come from the images."
MASKING = "Signs of gradient masking"


def attacked_images(lookup: Lookup, attack: str) -> int:
    """How many images an attack was tried on."""
    benchmark = lookup.benchmark("attack", attack)
    return benchmark.images if benchmark is not None else lookup.results.data.test


def attack(lookup: Lookup) -> Table | None:
    """Accuracy under attack, one row for each strength and attack, one column a model."""
    attacks = lookup.attacks()
    if not attacks:
        return None
    notes = Notes()
    strengths = sorted({eps for found in attacks.values() for eps in found})
    order = [(eps, name) for eps in strengths for name, found in attacks.items() if eps in found]
    rows = [strength_row(lookup, eps, name, notes) for eps, name in order]
    zero = [lookup.find(one, Key("attack", "zero_gradients", member="fgsm")) for one in lookup.entries]
    if any(one is not None for one in zero):
        cells = [measured(one, notes, places(attacked_images(lookup, "fgsm"))) for one in zero]
        heading = "Share of images whose gradient is all zero"
        rows.append(Row([words("zero gradients"), words(attack_text("fgsm")), *cells], "aside", heading))
    columns = [Column("Strength", numeric=False), Column("Attack", numeric=False)]
    columns += [Column(lookup.label(one), "%", marks=overshoot(lookup, one, notes)) for one in lookup.entries]
    caption = (
        f"Top-1 accuracy on attacked images; {INTERVALS}. ε is the largest change of a pixel in [0, 1]. "
        f"{' '.join(measured_on(lookup, attacks))} FGSM is one step: its accuracies are upper bounds, and a stronger "
        "attack at the same ε says more. An image whose gradient is all zero cannot be attacked this way."
    )
    return fitted(lookup, Table("attack", "Accuracy under attack", caption, columns, rows, notes.marked()), naming=2)


def strength_row(lookup: Lookup, eps: float, name: str, notes: Notes) -> Row:
    """One attack at one strength."""
    key = Key("attack", "top1_error", member=name, strength=eps)
    found: list[Measurement | None] = [lookup.find(one, key) for one in lookup.entries]
    digits = places(attacked_images(lookup, name))
    cells = [measured(one, notes, digits, complement=True) for one in found]
    return Row([words(f"ε = {strength_text(eps)}"), words(attack_text(name)), *cells])


def measured_on(lookup: Lookup, attacks: dict[str, list[float]]) -> list[str]:
    """What each attack was measured on, its steps and its restarts, as the record says; a sentence each."""
    sentences = []
    for name in attacks:
        benchmark = lookup.benchmark("attack", name)
        if benchmark is not None:
            known = "" if benchmark.name.startswith(attack_text(name)) else f"{attack_text(name)}: "
            sentences.append(f"{known}{benchmark.name}, n = {benchmark.images:,}.")
    return [*sentences, *([UNLIKE] if unlike(lookup, attacks) else [])]


def unlike(lookup: Lookup, attacks: dict[str, list[float]]) -> bool:
    """Whether some attacks were tried on fewer images than others."""
    return len({attacked_images(lookup, name) for name in attacks}) > 1


def overshoot(lookup: Lookup, one: Entry, notes: Notes) -> tuple[str, ...]:
    """Footnote marks of a model under which a single step does less at a larger eps."""
    found = lookup.diagnostics(one)
    return tuple(mark for text in found.overshoot for mark in notes.mark(text)) if found is not None else ()


def masking(lookup: Lookup) -> list[tuple[str, str]]:
    """Signs that an attack was blinded rather than withstood, as pairs of a model's label and a sentence."""
    found = [(one, diagnostics) for one in lookup.entries if (diagnostics := lookup.diagnostics(one)) is not None]
    return [(lookup.label(one), sign) for one, diagnostics in found for sign in diagnostics.masking]
