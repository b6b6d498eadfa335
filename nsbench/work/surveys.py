"""Models of whatever origin measured into one folder: predictions, record and report."""

from collections import Counter
from collections.abc import Sequence

from nsbench.config.evaluation import check_evaluation
from nsbench.config.places import seen_from
from nsbench.config.resolve import to_toml
from nsbench.config.survey import SurveyConfig
from nsbench.data.images import Dataset, ImageSet
from nsbench.data.load import class_count, data_folder, load_dataset
from nsbench.devices import choose_device, prepare
from nsbench.errors import UserError
from nsbench.models.open import open_models
from nsbench.models.subject import Subject
from nsbench.predictions.further import open_further
from nsbench.predictions.shown import open_source
from nsbench.progress import Reporter
from nsbench.results.assemble import model_pairs
from nsbench.results.described import describe
from nsbench.results.record import Results
from nsbench.work.bench import Bench
from nsbench.work.checks import check_survey_folder
from nsbench.work.measuring import Measuring, find_baseline, measure
from nsbench.work.options import Options
from nsbench.work.reporting import write_shared_report
from nsbench.work.session import Session, enter_folder


def measure_models(config: SurveyConfig, options: Options, given: Sequence[Subject] = ()) -> Results:
    """Measure models and write `results.json`, `metrics.csv` and the report into a folder.

    What the folder has already is not computed again: a killed evaluation continues at the next cell, and another model
    or benchmark costs only what is new.

    Args:
        config: the models and what they are measured on.
        options: the folder, the data and the device.
        given: further models, already in memory.

    Raises:
        UserError: at once, when a model, the data or the folder cannot be used.
    """
    check_evaluation(config.evaluation)
    check_survey_folder(options.out)
    bench = Bench(options.out, choose_device(options.device), Reporter(quiet=options.quiet), options.claims)
    prepare(bench.device)
    what = survey(config, options, given)
    for note in what.source.notes:
        bench.reporter.say(note)
    enter_folder(options.claims, {"config.toml": to_toml(seen_from(config, options.out))})
    with Session(bench):
        results = measure(what, bench)
        write_shared_report(results, options.claims)
    return results


def survey(config: SurveyConfig, options: Options, given: Sequence[Subject] = ()) -> Measuring:
    """What an evaluation measures, with all that is checked before it; arguments and errors as of `measure_models`."""
    subjects = [*open_models(config.models, class_count(config.data, options.data), options.trust), *given]
    check_names(subjects)
    baseline = find_baseline(config.baseline, subjects)
    dataset = load_dataset(config.data, options.data)
    reporter = Reporter(quiet=options.quiet)
    held_out = last_images(dataset, config.evaluation.held_out_images)
    return Measuring(
        name=config.name,
        config=config.model_dump(mode="json", exclude={"models"}),
        seed=config.seed,
        evaluation=config.evaluation,
        dataset=dataset,
        data=describe(dataset, validation=len(held_out) if held_out else 0),
        held_out=held_out,
        source=open_source(config.evaluation, dataset, data_folder(options.data), reporter),
        subjects=subjects,
        baseline=baseline,
        pairs=model_pairs([subject.name for subject in subjects], baseline),
        further=open_further(config.evaluation, dataset, data_folder(options.data), reporter),
    )


def check_names(subjects: Sequence[Subject]) -> None:
    """Raise UserError unless there are models, each under a name of its own."""
    if not subjects:
        raise UserError("There is no model to measure: name at least one.")
    names = Counter(subject.name.lower() for subject in subjects)  # some file systems see no capitals
    for subject in subjects:
        if names[subject.name.lower()] > 1:
            raise UserError(f"Two models are called {subject.name!r}: give each a name of its own with --name.")


def last_images(dataset: Dataset, count: int) -> ImageSet | None:
    """The last training images, as held-out ones; None for 0."""
    if count > len(dataset.train):
        raise UserError(
            f"evaluation.held_out_images = {count:,} is more than the {len(dataset.train):,} training images: lower it."
        )
    if not count:
        return None
    return ImageSet(dataset.train.images[-count:], dataset.train.labels[-count:])
