"""What a reader sees is plain English: no word that a native would not use, no description without its noun."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "benchmarks").glob("*.md")),
)
CODE = tuple(sorted(path for folder in ("nsbench", "benchmarks") for path in (ROOT / folder).rglob("*.py")))
TEMPLATES = tuple(path for path in sorted((ROOT / "nsbench").rglob("*")) if path.suffix in (".j2", ".toml"))

BANNED = {
    "told": "a program says, shows or reports",
    "tell": "likewise",
    "tells": "likewise",
    "wish": "a user asks, a model is configured",
    "wishes": "likewise",
    "what of": "which part of",
    "anybody": "any model, any user",
    "nobody": "it is unknown, it is not published",
    "lack": "it is missing, it does not have",
    "lacks": "likewise",
    "lacked": "likewise",
    "alike often": "equally often",
    "made do": "managed with",
    "in words that": "in a form that",
}
"""A word or phrase, and what to write instead; names in the code count, as `told_apart`."""

# A letter before or after makes another word, such as black; a dot before it is the method `header.tell()` of a file.
_FOUND = re.compile(rf"(?<![a-z.])({'|'.join(BANNED)})(?![a-z])", re.IGNORECASE)


def described(tree: ast.Module) -> Iterator[str]:
    """Every docstring of a module, and every `description` and `help` that it gives a field or an option."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value
        if isinstance(node, ast.keyword) and node.arg in ("description", "help"):
            yield beginning(node.value)


def beginning(text: ast.expr) -> str:
    """The first words of a string or an f-string; nothing of what is computed."""
    first = text.values[0] if isinstance(text, ast.JoinedStr) else text
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def without_noun(text: str) -> list[str]:
    """Parts of a docstring or a description that say `of` what, and not what: `seed: of the split`."""
    return re.findall(r"\Aof [^\n]*|^ *\w+: of [^\n]*", text, re.IGNORECASE | re.MULTILINE)


@pytest.mark.parametrize("path", [*PAGES, *CODE, *TEMPLATES], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_message_or_name_has_a_banned_word(path: Path) -> None:
    lines = enumerate(path.read_text("utf-8").splitlines(), 1)
    found = [(f"line {number}: {one}", BANNED[one.lower()]) for number, line in lines for one in _FOUND.findall(line)]
    assert not found


def test_every_description_names_what_it_describes() -> None:
    found = {
        str(path.relative_to(ROOT)): bare
        for path in CODE
        if (bare := [line for text in described(ast.parse(path.read_text("utf-8"))) for line in without_noun(text)])
    }
    assert not found, "name the thing, as in `seed of the split`"


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("Of the network, with gradients.", 1),
        ("Train.\n\n    Args:\n        seed: of the split.\n", 1),
        ("of Beta(alpha, alpha)", 1),
        ("A list\n    of networks.", 0),
        ("seed of the split", 0),
    ],
)
def test_a_description_that_begins_with_a_bare_of_is_found(text: str, bare: int) -> None:
    assert len(without_noun(text)) == bare


@pytest.mark.parametrize(
    "text", ["as told", "Told apart", "told_apart", "_told", "NOBODY", "it lacks one", "what of it"]
)
def test_a_banned_word_is_found_in_prose_and_in_names(text: str) -> None:
    assert _FOUND.search(text)


@pytest.mark.parametrize("text", ["black", "header.tell()", "stellar", "slack", "intellect"])
def test_a_banned_word_inside_another_is_not_one(text: str) -> None:
    assert not _FOUND.search(text)
