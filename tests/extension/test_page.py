"""docs/extending.md shows the tested files and no others."""

import re
from pathlib import Path

from tests.extension.installation import PACKAGE

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


def blocks(language: str) -> set[str]:
    """The fenced blocks of the page in a language."""
    text = PAGE.read_text(encoding="utf-8")
    return set(re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL))


def test_the_page_shows_the_files_that_are_tested() -> None:
    modules = [path for path in (PACKAGE / "additions").glob("*.py") if path.stem != "__init__"]
    assert blocks("python") == {path.read_text(encoding="utf-8") for path in modules}
    assert blocks("toml") == {(PACKAGE / "pyproject.toml").read_text(encoding="utf-8")}
