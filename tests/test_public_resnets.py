"""The public CIFAR ResNets, whose errors are known: 8.27, 7.37, 6.90 and 6.61 %."""

import os
from pathlib import Path

import pytest

from nsbench.cli.app import main
from nsbench.results.quantities import metric
from nsbench.results.record import Results
from nsbench.results.store import load_results

REPORT = Path(__file__).parents[1] / "reports" / "public-resnets"
ERRORS = {"resnet20": 0.0827, "resnet32": 0.0737, "resnet44": 0.0690, "resnet56": 0.0661}


def errors(results: Results) -> dict[str, float | None]:
    return {name: results.number(name, "clean", "top1_error").value for name in ERRORS}


def test_the_committed_report_has_the_published_errors_with_intervals_and_comparisons() -> None:
    results = load_results(REPORT)
    assert errors(results) == pytest.approx(ERRORS)
    clean = [one for one in results.measurements if one.benchmark == "clean"]
    untested = {one.metric for one in clean if not metric(one.metric).tested}
    assert {one.metric for one in clean if one.ci_low is None} == untested
    assert all(one.note for one in clean if one.metric in untested)
    pairs = {frozenset((one.candidate, one.baseline)) for one in results.comparisons if one.benchmark == "clean"}
    assert len(pairs) == 6


@pytest.mark.slow
@pytest.mark.cifar
@pytest.mark.skipif(
    "NSBENCH_TEST_RESNETS" not in os.environ,
    reason="NSBENCH_TEST_RESNETS does not name a checkout of akamaster/pytorch_resnet_cifar10",
)
def test_an_evaluation_gives_the_published_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(os.environ["NSBENCH_TEST_RESNETS"])
    lines = ["[evaluation]", "fgsm_epsilons = []", "corruptions = []", "perturbations = []"]
    for name in ERRORS:
        (weights,) = [*folder.glob(f"{name}-*.th"), *folder.glob(f"pretrained_models/{name}-*.th")]
        lines += ["[[models]]", f"source = '{folder}/resnet.py:{name}'", f"weights = '{weights}'"]
        lines += ["mean = [0.485, 0.456, 0.406]", "std = [0.229, 0.224, 0.225]"]
    (tmp_path / "models.toml").write_text("\n".join(lines))
    monkeypatch.setattr(
        "sys.argv",
        ["nsbench", "evaluate", str(tmp_path / "models.toml"), "--trust-code", "--out", str(tmp_path / "out")],
    )
    monkeypatch.setenv("NSBENCH_DATA", os.environ["NSBENCH_TEST_CIFAR10"])

    with pytest.raises(SystemExit, match="0"):
        main()
    assert errors(load_results(tmp_path / "out")) == pytest.approx(ERRORS)
