"""A record of an earlier version read as one of this version, so that an old report still renders.

Version 1 named a model by four fields, and had a comparison as two measurements: `top1_error_difference` and
`mcnemar_p_value`. Version 2 had not yet fields that have a default now, and corrected over all its comparisons at once.
Up to version 3 a number was named by two texts, benchmark and metric, an attack was a kind of set,
and a method was an objective.
"""

from typing import Any

from nsbench.metrics.uncertainty import SMALLEST
from nsbench.results.compare.pair import corrected
from nsbench.results.key import KINDS, Key, own_protocol, parsed
from nsbench.results.measured import Comparison

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

    Raises KeyError where an entry of an earlier version has too few fields.
    """
    if is_version_1(content):
        content = _from_version_1(content)
    if isinstance(content, dict) and content.get("format_version") == 2:
        content = content | {"format_version": 3} | _never_zero(content)
    is_version_3 = isinstance(content, dict) and content.get("format_version") == 3
    return _with_keys(content) if is_version_3 else content


_KEYED = ("measurements", "comparisons", "seed_means", "seed_comparisons")


def _with_keys(content: Json) -> Json:
    """A record of version 3 with typed keys in place of texts."""
    data = content["data"]["name"]
    lists = {name: [_keyed(one, data) for one in content[name]] for name in _KEYED if name in content}
    networks = {"checkpoints": [_with_method(one) for one in content["checkpoints"]]}
    sets = {"benchmarks": [_typed(one, data) for one in content["benchmarks"]]}
    return content | lists | networks | sets | {"format_version": 4}


def _with_method(one: Json) -> Json:
    """A network whose way of learning was called its objective."""
    learnt = {"self-training": "noisy-student"}.get(one["objective"], one["objective"])
    return {name: value for name, value in one.items() if name != "objective"} | {"method": learnt}


def _keyed(one: Json, data: str) -> Json:
    rest = {name: value for name, value in one.items() if name not in ("benchmark", "metric")}
    return {"key": parsed(one["benchmark"], one["metric"], data).dumped()} | rest


def _typed(one: Json, data: str) -> Json:
    """A set of images whose kind may be the name of an attack."""
    kind = one["kind"]
    if kind not in KINDS:
        return one | {"kind": "attack", "attack": kind}
    return one | {"protocol": own_protocol(kind, data)}


def _never_zero(content: Json) -> Json:
    """Comparisons of a record of version 2, in which a p-value could be 0 where floating point ran out."""
    old = content.get("comparisons")
    if not isinstance(old, list) or not all(isinstance(one, dict) for one in old):
        return {}
    return {"comparisons": [one | {"p_value": SMALLEST} if one.get("p_value") == 0 else one for one in old]}


def _from_version_1(content: Json) -> Json:
    measurements = [_renamed(one) for one in content["measurements"]]
    kept = [one for one in measurements if one["metric"] not in (_DIFFERENCE, _P_VALUE)]
    comparisons = [_with_texts(one) for one in corrected(_comparisons(measurements))]
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


def _with_texts(one: Comparison) -> Json:
    """A comparison as version 3 had it, which is upgraded with all else."""
    rest = one.model_dump(mode="json", exclude={"key"})
    return rest | {"benchmark": one.key.benchmark, "metric": one.key.metric}


def _comparisons(measurements: list[Json]) -> list[Comparison]:
    values = {one["model"]: one["value"] for one in measurements if (one["benchmark"], one["metric"]) == _CLEAN}
    p_values = {(one["model"], one["baseline"]): one["value"] for one in measurements if one["metric"] == _P_VALUE}
    return [
        Comparison(
            candidate=one["model"],
            baseline=one["baseline"],
            key=Key("clean", "top1_error"),
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
