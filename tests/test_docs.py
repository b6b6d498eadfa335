"""The documentation names only commands, options, presets, targets and files that exist."""

import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import nsbench

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("reports/**/*.md")])
PRESETS = {path.stem for path in (ROOT / "nsbench" / "presets").glob("*.toml")}
COMMANDS = ["run-all", "train", "evaluate", "compare", "report", "verify", "data", "models"]

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@cache
def help_of(*command: str) -> str:
    """What `nsbench COMMAND --help` prints, on a terminal wide enough to show every option whole."""
    wide = {**os.environ, "COLUMNS": "300", "NO_COLOR": "1", "TERM": "dumb"}
    arguments = [sys.executable, "-m", "nsbench", *command, "--help"]
    done = subprocess.run(arguments, env=wide, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def shell_lines(text: str, program: str) -> list[str]:
    """Commands that start with `program` in fenced blocks and in code spans, comments and continuations resolved."""
    blocks = re.findall(r"^```(?:sh|bash|console)?\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
    return [line for line in lines + spans if line.split(" ")[0] == program and line != program]


def mistakes_in_command(line: str) -> list[str]:
    """What `nsbench --help` does not know of one command: the command, its options, the preset."""
    words = shlex.split(line, comments=True)[1:]
    options = {word.split("=")[0] for word in words if word.startswith("-")}
    depth = 2 if words[:1] == ["data"] else 1
    commands = [word for word in words[:depth] if not word.startswith("-")]
    text = help_of(*commands)
    if not text:
        return [f"{line}: no such command"]
    unknown = [option for option in sorted(options) if not re.search(rf"(?<![\w-]){option}(?![\w-])", text)]
    presets = [word for word in words[1:2] if commands == ["run-all"] and word.islower() and not word.startswith("-")]
    unknown += [word for word in presets if word not in PRESETS and not word.endswith(".toml")]
    return [f"{line}: {word} is unknown" for word in unknown]


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def broken_links(page: Path) -> list[str]:
    """Relative links of a page that lead to no file, or to no heading of it."""
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!\w+:)([^)\s]+)\)", text) + re.findall(r'(?:src|href)="(?!\w+:)([^"]+)"', text)
    return [target for target in targets if not resolves(page, target)]


def resolves(page: Path, target: str) -> bool:
    """Whether a relative link, with or without an anchor, leads somewhere."""
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    if not file.exists() or not anchor:
        return file.exists()
    headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return anchor in {slug(heading) for heading in headings}


@each_page
def test_every_nsbench_command_in_the_documentation_exists(page: Path) -> None:
    lines = shell_lines(page.read_text(encoding="utf-8"), "nsbench")
    assert [mistake for line in lines for mistake in mistakes_in_command(line)] == []


@each_page
def test_every_make_target_in_the_documentation_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    words = [line.split("#")[0].split()[1] for line in shell_lines(page.read_text(encoding="utf-8"), "make")]
    assert [word for word in words if not re.search(rf"^{re.escape(word)}:", makefile, flags=re.MULTILINE)] == []


@each_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    assert broken_links(page) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_the_readme_shows_every_command(command: str) -> None:
    assert help_of(command)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert any(line.split()[1] == command for line in shell_lines(readme, "nsbench"))


def test_the_readme_names_every_preset_and_no_other() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.split("\n## Presets\n", 1)[1].split("\n## ", 1)[0]
    assert set(re.findall(r"^\| `([\w-]+)` \|", table, flags=re.MULTILINE)) == PRESETS


def test_the_changelog_has_the_current_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## [{nsbench.__version__}]" in changelog


def test_the_citation_file_has_the_current_version_and_the_study() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {nsbench.__version__}\n" in citation
    assert "value: arXiv:1911.04252\n" in citation


def test_commands_are_found_in_blocks_and_in_spans() -> None:
    text = "Run `nsbench train` or:\n\n```sh\n$ nsbench run-all \\\n  --out X  # here\nmake demo\n```\n\n`nsbench`\n"
    assert [line.split() for line in shell_lines(text, "nsbench")] == [
        ["nsbench", "run-all", "--out", "X", "#", "here"],
        ["nsbench", "train"],
    ]
    assert shell_lines(text, "make") == ["make demo"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nsbench fly", "no such command"),
        ("nsbench run-all --fast", "--fast is unknown"),
        ("nsbench run-all --ou X", "--ou is unknown"),
        ("nsbench run-all cifar11", "cifar11 is unknown"),
    ],
)
def test_a_command_that_does_not_exist_is_found(line: str, said: str) -> None:
    assert [mistake.endswith(said) for mistake in mistakes_in_command(line)] == [True]


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One thing\n[a](page.md) [b](#one-thing) [c](https://x.y) [d](gone.md) [e](#gone)\n", encoding="utf-8"
    )
    assert broken_links(page) == ["gone.md", "#gone"]
