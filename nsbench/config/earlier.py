"""Configurations of earlier versions read as those of this one.

Before methods had a section of their own, students were configured by `[pseudo_labels]`, `[distillation]` and
`study.objective`.
"""

from typing import Any

Table = dict[str, Any]

_SECTIONS = ("pseudo_labels", "distillation")
_SELF_TRAINING = "self-training"
_OF_LABELS = ("type", "smoothing", "temperature")
"""What a distilled student has no use for."""


def is_earlier(table: Table) -> bool:
    """Whether a configuration has a key that only earlier versions knew."""
    study = table.get("study")
    return any(name in table for name in _SECTIONS) or (isinstance(study, dict) and "objective" in study)


def modernised(table: Table) -> Table:
    """The same configuration in this version's words; what is malformed is left for the check of its values."""
    sections = {name: table.get(name, {}) for name in _SECTIONS}
    study, now = table.get("study", {}), table.get("method", {})
    if not is_earlier(table) or not all(isinstance(one, dict) for one in (*sections.values(), study, now)):
        return table
    kind = study.get("objective", now.get("kind", _SELF_TRAINING))
    settings = dict(sections["pseudo_labels"])
    if kind == "distillation":
        settings = {key: value for key, value in settings.items() if key not in _OF_LABELS}
        settings |= sections["distillation"]
    kept = {name: section for name, section in table.items() if name not in _SECTIONS}
    kept["study"] = {key: value for key, value in study.items() if key != "objective"}
    method = now | settings | {"kind": "noisy-student" if kind == _SELF_TRAINING else kind}
    return kept | {"method": method}
