"""Configuration: presets, files, --set, and mistakes reported in one sentence."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsbench.config.evaluation import EvaluationConfig
from nsbench.config.method import method_config
from nsbench.config.resolve import (
    fingerprint,
    first_difference,
    from_table,
    load_file,
    preset_names,
    resolve,
    run_from_table,
    to_toml,
)
from nsbench.config.schema import Config
from nsbench.config.survey import SurveyConfig
from nsbench.errors import UserError
from nsbench.protocols import attacks
from nsbench.protocols.cifar import CIFAR10_C, CIFAR10_P


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_survives_being_written_and_read(name: str, tmp_path: Path) -> None:
    config = resolve(name)
    path = tmp_path / "config.toml"
    path.write_text(to_toml(config))
    assert load_file(path) == config
    assert config.name == name


def test_the_paper_preset_is_the_published_protocol() -> None:
    config = resolve("paper")
    assert config.study.networks == ("resnet20", "resnet26", "resnet32", "resnet38")
    assert (config.data.name, config.data.labeled_fraction) == ("cifar10", 0.1)
    assert (config.input_noise.operations, config.input_noise.magnitude) == (2, 27)
    assert (config.input_noise.crop_padding, config.input_noise.flip) == (4, True)
    assert (config.model_noise.dropout, config.model_noise.survival) == (0.5, 0.8)
    labels = config.method
    assert (labels.type, labels.confidence_threshold) == ("hard", 0.8)
    assert (labels.min_images_per_class, labels.max_class_gap) == (4000, 1000)
    training = config.training
    budgets = (training.teacher_images, training.student_images, training.baseline_images)
    assert budgets == (5_000_000, 15_000_000, 5_000_000)
    assert (training.batch_size, training.learning_rate, training.momentum) == (512, 0.1, 0.9)
    assert (training.weight_decay, training.milestones, training.decay) == (1e-4, (0.5, 0.75), 0.1)
    assert config.baseline_network == "resnet38"


def test_every_field_says_what_it_means_and_may_be() -> None:
    text = to_toml(Config()).splitlines()
    keys = [line for line in text if " = " in line and not line.startswith("#")]
    for key in keys:
        comment = text[text.index(key) - 1]
        assert comment.startswith("# "), key
        assert ": " in comment, key
    assert len(keys) > 30


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        (
            "input_noise.magnitud=3",
            "Unknown key 'input_noise.magnitud' in the configuration: did you mean 'input_noise.magnitude'?",
        ),
        ("magnitude=3", "did you mean 'input_noise.magnitude'?"),
        (
            "input_noise.magnitude=31",
            "input_noise.magnitude = 31 is not allowed: input_noise.magnitude (RandAugment magnitude, M) "
            "must be a whole number from 0 to 30.",
        ),
        (
            "training.batch_size=many",
            'training.batch_size = "many" is not allowed: training.batch_size (images per step) '
            "must be a whole number from 2 to 65,536.",
        ),
        ("training.batch_size=1.5", "must be a whole number"),
        ("data.labeled_fraction=0", "must be a number above 0 and at most 1."),
        (
            "data.name=mnist",
            'data.name = "mnist" is not allowed: data.name (data set) must be one of digits, cifar10, cifar100.',
        ),
        ("input_noise.flip=1", "must be true or false."),
        ("study.networks=[]", "must be a list of at least one, each text."),
        ("evaluation.corruptions=['smog']", 'evaluation.corruptions = "smog" is not allowed'),
        ("training.learning_rate=nan", "training.learning_rate = NaN is not allowed"),
        ("training=3", "training must be a section."),
        ("seed", "--set 'seed' is not of the form dotted.key=value."),
        ("name.x=1", "--set 'name.x=1': name is a value, not a section."),
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_key_and_the_remedy(setting: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        resolve("quick", [setting])
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_preset_names_the_nearest_one() -> None:
    with pytest.raises(UserError, match=r"There is no preset 'quik': use one of .*quick.*Did you mean quick\?"):
        resolve("quik")


def test_a_file_that_is_missing_or_not_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"missing\.toml cannot be read"):
        resolve(str(tmp_path / "missing.toml"))
    broken = tmp_path / "broken.toml"
    broken.write_text("seed = = 3")
    with pytest.raises(UserError, match=r"broken\.toml is not valid TOML"):
        resolve(str(broken))


def test_set_takes_toml_values_and_bare_words() -> None:
    config = resolve("quick", ["seed=7", "study.name=soft", "training.milestones=[0.25]", "input_noise.flip=true"])
    assert (config.seed, config.study.name, config.training.milestones, config.input_noise.flip) == (
        7,
        "soft",
        (0.25,),
        True,
    )


def test_the_first_difference_is_named_with_both_values() -> None:
    quick = resolve("quick")
    assert first_difference(quick, quick) is None
    assert first_difference(quick, resolve("quick", ["training.batch_size=32"])) == ("training.batch_size", 64, 32)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(
    seed=st.integers(0, 2**31 - 1),
    fraction=st.floats(0, 1, exclude_min=True),
    epsilons=st.lists(st.floats(0, 1), min_size=1, max_size=5),
)
def test_any_valid_configuration_survives_toml(seed: int, fraction: float, epsilons: list[float]) -> None:
    table = {"seed": seed, "data": {"labeled_fraction": fraction}, "evaluation": {"fgsm_epsilons": epsilons}}
    config = run_from_table(table)
    assert run_from_table(tomllib.loads(to_toml(config))) == config


@pytest.mark.parametrize("kind", ["supervised", "noisy-student", "distillation"])
def test_every_method_survives_toml_with_its_own_settings(kind: str) -> None:
    config = resolve("quick", [f"method.kind={kind}"])
    assert run_from_table(tomllib.loads(to_toml(config))) == config
    assert config.method == method_config(kind)(**config.method.model_dump())


def test_settings_of_another_method_than_the_chosen_one_are_refused_and_those_of_the_preset_left_out() -> None:
    assert resolve("cifar10-small", ["method.kind=distillation"]).method.max_class_gap == 500
    with pytest.raises(UserError, match=r"Unknown key 'method\.type'"):
        resolve("quick", ["method.kind=distillation", "method.type=soft"])
    with pytest.raises(UserError, match=r"There is no method 'distilation': .* Did you mean distillation\?"):
        resolve("quick", ["method.kind=distilation"])


def test_a_configuration_of_an_earlier_version_means_what_it_meant() -> None:
    earlier = ["pseudo_labels.type=soft", "pseudo_labels.temperature=2.0", "distillation.weight=0.4"]
    assert resolve("quick", earlier).method == resolve("quick", ["method.type=soft", "method.temperature=2.0"]).method
    earlier += ["study.objective=distillation", "pseudo_labels.confidence_threshold=0.3"]
    assert resolve("quick", ["pseudo_labels.max_class_gap=7"]).method.max_class_gap == 7
    distilled = ["method.kind=distillation", "method.weight=0.4", "method.confidence_threshold=0.3"]
    assert resolve("quick", earlier) == resolve("quick", distilled)


def test_an_evaluation_survives_toml_with_all_its_models() -> None:
    models = [{"source": "a.py:f", "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2]}, {"source": "runs/quick"}]
    config = from_table({"baseline": "f", "models": models}, SurveyConfig)
    assert from_table(tomllib.loads(to_toml(config)), SurveyConfig) == config


def test_a_mistake_in_a_model_is_reported_with_its_key() -> None:
    with pytest.raises(UserError, match=r"Unknown key 'models.weight' .*: did you mean 'models.weights'\?"):
        from_table({"models": [{"source": "a.py:f", "weight": "w"}]}, SurveyConfig)
    with pytest.raises(UserError, match=r"models.inside = \"yes\" is not allowed: .* must be true or false"):
        from_table({"models": [{"source": "a.py:f", "inside": "yes"}]}, SurveyConfig)


def test_a_fingerprint_changes_with_any_value() -> None:
    quick = resolve("quick")
    assert fingerprint(quick.training) == fingerprint(quick.training)
    assert fingerprint(quick.training) != fingerprint(resolve("quick", ["training.momentum=0.8"]).training)
    assert fingerprint("a", "b") != fingerprint("ab")


def test_the_paper_preset_computes_as_the_study_did_and_trains_a_control_for_each_student() -> None:
    paper = resolve("paper")
    assert paper.training.precision == "float32"
    assert paper.study.control


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "evaluation.corruptions=['fog', 'smog']",
            'evaluation.corruptions = "smog" is not allowed: evaluation.corruptions (each at severities 1 to 5; '
            "speckle_noise, gaussian_blur, spatter and saturate are never averaged) must be a list, each one of "
            "gaussian_noise, shot_noise, impulse_noise,",
        ),
        ("evaluation.perturbations=['fog']", 'evaluation.perturbations = "fog" is not allowed'),
        (
            "evaluation.attacks=['fgsm']",
            'evaluation.attacks = "fgsm" is not allowed: evaluation.attacks (stronger attacks, by foolbox) '
            "must be a list, each one of pgd, bim, deepfool, noise.",
        ),
        ("evaluation.attacks=[3]", "evaluation.attacks = 3 is not allowed"),
    ],
)
def test_a_name_that_is_none_of_those_known_is_refused_by_naming_them(setting: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        resolve("quick", [setting])
    assert str(caught.value).startswith(message)


def test_an_attack_that_is_registered_later_is_allowed_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attacks, "_REGISTERED", dict(attacks._REGISTERED))
    attacks.register_attack(attacks.Attack("steep", "Steep", "the steep attack", "steep"))
    assert resolve("quick", ["evaluation.attacks=['steep']"]).evaluation.attacks == ("steep",)
    with pytest.raises(UserError, match=r"each one of pgd, bim, deepfool, noise, steep\."):
        resolve("quick", ["evaluation.attacks=['steeper']"])


def test_what_is_measured_by_default_is_what_was_published() -> None:
    default = EvaluationConfig()
    assert default.corruptions == CIFAR10_C.names
    assert default.perturbations == CIFAR10_P.counted
