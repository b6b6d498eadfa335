"""Behind every entry of docs/security.md stand tests: which, and that they are there."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "security.md"

EVIDENCE = {
    "The packages that nsbench depends on": "extension/test_names.py::test_a_package_that_fails_is_named",
    "Python code that you name yourself": "models/test_trust.py::test_python_asks_for_trust",
    "Code that a file names": "models/test_trust.py::test_code_that_a_file_names_is_not_imported",
    "A `.pt2`, which is code": "models/test_trust.py::test_a_program_is_refused_unread "
    "models/test_trust.py::test_a_program_whose_guards_hold_code_writes_nothing",
    "No file can give that trust": "models/test_trust.py::test_code_that_a_file_names_is_not_imported",
    "weights": "models/test_model_weights.py::test_a_file_that_needs_unpickling "
    "models/test_model_weights.py::test_what_does_not_fit_is_counted "
    "models/test_hostile_models.py::test_weights_that_would_unpack_to_more",
    "`.onnx`": "models/test_onnx_models.py::test_weights_outside_the_folder "
    "models/test_onnx_models.py::test_an_operator_that_is_not_onnxs_own",
    "a model's answers": "predictions/test_failing_models.py::test_nan_on_a_corruption "
    "predictions/test_failing_models.py::test_infinity_on_a_clean_image "
    "predictions/test_failing_models.py::test_whatever_a_model_does_but_give_logits",
    "`checkpoint.json`": "checkpoints/test_damaged.py::test_every_flipped_bit_of_a_description "
    "checkpoints/test_damaged.py::test_other_weights_under_the_right_checksum "
    "checkpoints/test_damaged.py::test_a_sealed_description_of_another_network",
    "`plan.json`": "checkpoints/test_damaged.py::test_a_plan_of_strange_folders_cycles_or_duplicates "
    "test_verify_run.py::test_a_plan_that_calls_a_network_what_it_is_not",
    "saved training": "training/test_damaged_state.py::test_a_saved_training_with_one_flipped_bit "
    "training/test_damaged_state.py::test_a_saved_training_that_cannot_be_this_ones",
    "predictions": "predictions/test_damaged.py::test_no_byte_of_a_file_can_change_unseen "
    "predictions/test_damaged.py::test_a_sealed_cell_that_no_model_made_is_never_a_number "
    "results/test_compare.py::test_other_labels_of_the_same_images",
    "`results.json`": "results/test_hostile_records.py::test_a_record_that_is_garbage "
    "results/test_hostile_records.py::test_a_number_beyond_its_range "
    "results/test_hostile_records.py::test_a_number_that_no_model_has",
    "`config.toml`, `--set`": "config/test_hostile_settings.py::test_a_hostile_setting_is_refused "
    "config/test_hostile_settings.py::test_a_hostile_file_is_refused",
    "CIFAR's pickles": "data/test_cifar10.py::test_a_pickle_that_runs_a_command_is_refused_by_its_checksum "
    "data/test_cifar10.py::test_the_unpickler_refuses_any_other_global",
    "`.npy` files": "data/test_hostile_files.py::test_a_crafted_header_is_refused_unread "
    "predictions/test_sources.py::test_an_official_file_that_is_not_the_recorded_one "
    "predictions/test_sources.py::test_official_files_of_which_no_checksum_is_known",
    "Parquet files and pictures": "data/test_hostile_files.py::test_a_crafted_parquet_file "
    "data/test_hostile_files.py::test_a_picture_that_would_fill_the_memory "
    "data/test_hostile_files.py::test_a_photograph_of_frost_that_starts_a_program",
    "archives": "data/test_archive.py::test_anything_but_files_and_folders_condemns_a_tar "
    "data/test_archive.py::test_whatever_the_name_nothing_is_written_outside",
    "servers": "data/test_hostile_downloads.py::test_a_hostile_answer_is_one_line "
    "data/test_hostile_downloads.py::test_headers_that_come_byte_by_byte "
    "data/test_hostile_downloads.py::test_a_server_that_drips "
    "data/test_hostile_downloads.py::test_a_server_that_sends_a_few_bytes",
    "descriptions of generated sets": "data/test_hostile_files.py::test_a_crafted_description "
    "corruptions/test_shared_folder.py::test_an_array_that_is_damaged_is_made_again "
    "predictions/test_sources.py::test_an_array_of_a_made_set_that_is_not_as_it_was_made",
    "No name read from a file": "results/test_hostile_records.py::test_a_name_that_no_configuration_could_ask_for "
    "checkpoints/test_damaged.py::test_a_strangers_study_that_is_a_path_writes_nothing",
    "No folder that nsbench writes to": "test_run_folder.py::test_a_folder_that_is_a_link "
    "test_run_folder.py::test_a_report_is_not_written_through_a_link",
    "A report embeds only": "results/test_hostile_records.py::test_an_example_image_that_is_a_link_out",
    "Text from a record": "report/test_report.py::test_hostile_names_stay_text_on_the_page "
    "report/test_report.py::test_hostile_names_add_no_column "
    "results/test_hostile_records.py::test_text_of_a_record_is_no_formula",
    "No control character": "test_boundary.py::test_control_characters_reach_no_terminal "
    "data/test_hostile_files.py::test_names_of_files_reach_the_terminal",
    "An empty name of a folder": "test_boundary.py::test_an_empty_name_of_a_folder_is_refused",
    "Only regular files": "models/test_hostile_models.py::test_what_is_no_model_is_refused "
    "config/test_hostile_settings.py::test_what_is_no_file_is_not_opened",
    "Temporary files are deleted only": "test_files.py::test_leftovers_of_a_killed_run_are_removed "
    "test_files.py::test_what_a_living_process_is_writing_is_no_leftover",
    "A report deletes only": "report/test_stale.py::test_what_a_user_added_or_changed_beside_a_report_stays "
    "report/test_stale.py::test_a_list_that_names_other_files",
    "Only what can be written is begun": "test_run_folder.py::test_a_folder_without_permission "
    "test_run_folder.py::test_a_path_too_long",
    "Several processes may work in one folder": "test_claims.py::test_two_commands_on_one_run_folder "
    "corruptions/test_shared_folder.py::test_three_processes_share_the_arrays",
    "What a killed process held": "test_kills.py::test_a_run_killed_at_random_moments "
    "test_claims.py::test_a_second_command_takes_over",
    "Damaged predictions and a damaged saved training": "training/test_damaged_state.py::"
    "test_a_training_whose_saved_state_was_damaged predictions/test_damaged.py::test_a_damaged_cell_is_said",
    "A model that fails loses nothing": "predictions/test_failing_models.py::test_the_models_beside_one_that_fails",
    "`report/files.json` has": "test_verify_run.py::test_a_report_of_another_record",
    "`nsbench verify` compares": "test_verify_run.py::test_a_plan_that_leaves_a_network_out",
    "`nsbench verify RUN`": "test_verify_run.py::test_what_is_damaged_or_missing_is_named "
    "test_verify_run.py::test_the_command_that_it_names_makes_all_of_it_again",
    "It counts the errors": "test_verify_run.py::test_an_error_that_the_predictions_do_not_give",
    "`environment.json` may be edited": "test_run_folder.py::test_an_environment_file_that_was_edited",
    "What a user can mend": "test_boundary.py::test_what_the_machine_or_the_user_did "
    "test_permissions.py::test_a_run_that_may_not_be_read",
    "So is whatever a user's own code raises": "test_boundary.py::test_an_error_in_a_users_own_code "
    "training/test_trainer.py::test_a_method_of_a_user_that_raises "
    "models/test_hostile_models.py::test_a_model_whose_code_fails_in_whatever_way",
    "A bug in nsbench": "test_boundary.py::test_a_bug_has_an_exit_status_of_its_own",
    "Ctrl-C is one sentence": "test_boundary.py::test_control_c_is_said_from_the_first_moment",
    "Memory that runs out": "training/test_memory.py::test_memory_that_runs_out_on_a_cpu_halves",
}
"""The beginning of each entry of the page, and the beginnings of its tests' names."""


def entries() -> list[str]:
    """Every item of the page's lists, and the first cell of every row of its table."""
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \|", text, flags=re.MULTILINE)
    return [*re.findall(r"^- (.+)$", text, flags=re.MULTILINE), *(row for row in rows if row != "file")]


@cache
def names_in(file: str) -> list[str]:
    return re.findall(r"^def (test_\w+)", (ROOT / "tests" / file).read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.mark.parametrize("entry", entries())
def test_an_entry_of_the_page_has_its_tests(entry: str) -> None:
    assert [start for start in EVIDENCE if entry.startswith(start)], "say in EVIDENCE which tests show it"


@pytest.mark.parametrize("start", EVIDENCE)
def test_the_tests_of_an_entry_are_there_and_the_entry_too(start: str) -> None:
    assert [entry for entry in entries() if entry.startswith(start)], "the page has no such entry any more"
    for place in EVIDENCE[start].split():
        file, _, name = place.partition("::")
        assert [test for test in names_in(file) if test.startswith(name)], place
