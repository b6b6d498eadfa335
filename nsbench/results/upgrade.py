"""A record of an earlier version read as one of this version, so that an old report still renders.

Version 1 named a model by four fields, and had a comparison as two measurements: `top1_error_difference` and
`mcnemar_p_value`. Version 2 lacked fields that have a default now, and corrected over all its comparisons at once.
"""

from typing import Any

from nsbench.metrics.uncertainty import SMALLEST
from nsbench.results.compare.pair import corrected
from nsbench.results.record import Comparison

Json = dict[str, Any]

_NAME = ("study", "generation", "network", "seed")
_DIFFERENCE, _P_VALUE = "top1_error_difference", "mcnemar_p_value"


def is_version_1(content: Any) -> bool:
    """Whether the content of a results file is a record of version 1."""
    return (
        isinstance(content, dict)
        and content.get("format") == "nsbench-results"
        and content.get("format_version") == 1
        and all(isinstance(content.get(key), list) for key in ("measurements", "diagnostics"))
    )


def upgraded(content: Json) -> Json:
    """The same record as this version; what is malformed is left for the record's own check.

    Raises KeyError where an entry of version 1 lacks a field.
    """
    if is_version_1(content):
        content = _from_version_1(content)
    is_version_2 = isinstance(content, dict) and content.get("format_version") == 2
    return content | {"format_version": 3} | _never_zero(content) if is_version_2 else content


def _never_zero(content: Json) -> Json:
    """Comparisons of a record of version 2, in which a p-value could be 0 where floating point ran out."""
    old = content.get("comparisons")
    if not isinstance(old, list) or not all(isinstance(one, dict) for one in old):
        return {}
    return {"comparisons": [one | {"p_value": SMALLEST} if one.get("p_value") == 0 else one for one in old]}


def _from_version_1(content: Json) -> Json:
    measurements = [_renamed(one) for one in content["measurements"]]
    kept = [one for one in measurements if one["metric"] not in (_DIFFERENCE, _P_VALUE)]
    comparisons = [one.model_dump(mode="json") for one in corrected(_comparisons(measurements))]
    return content | {
        "format_version": 2,
        "models": [],
        "measurements": kept,
        "comparisons": comparisons,
        "seed_means": [],
        "diagnostics": [_renamed(one) for one in content["diagnostics"]],
    }


def _renamed(one: Json) -> Json:
    name = f"{one['study']}/seed{one['seed']}/gen{one['generation']}-{one['network']}"
    return {"model": name} | {key: value for key, value in one.items() if key not in _NAME}


def _comparisons(measurements: list[Json]) -> list[Comparison]:
    values = {one["model"]: one["value"] for one in measurements if (one["benchmark"], one["metric"]) == _CLEAN}
    p_values = {(one["model"], one["baseline"]): one["value"] for one in measurements if one["metric"] == _P_VALUE}
    return [
        Comparison(
            candidate=one["model"],
            baseline=one["baseline"],
            benchmark="clean",
            metric="top1_error",
            candidate_value=values[one["model"]],
            baseline_value=values[one["baseline"]],
            difference=one["value"],
            ci_low=one["ci_low"],
            ci_high=one["ci_high"],
            test="McNemar",
            p_value=max(SMALLEST, p_values[one["model"], one["baseline"]]),
            p_holm=None,
            verdict="no evidence",
            n=one["n"],
        )
        for one in measurements
        if one["metric"] == _DIFFERENCE
    ]


_CLEAN = ("clean", "top1_error")
