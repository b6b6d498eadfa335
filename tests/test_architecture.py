"""docs/architecture.md is true: its layers, its modules, and what a module may look like."""

import ast
import re
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from nsbench.protocols.attacks import attacks
from nsbench.protocols.cifar import CIFAR10_C, CIFAR10_P

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "nsbench"
PAGE = ROOT / "docs" / "architecture.md"
LONGEST_MODULE = 300

Checker = Callable[[Path, str], list[str]]

KNOWN: tuple[tuple[str, frozenset[object], int, set[str]], ...] = (
    ("members of a benchmark", frozenset(CIFAR10_C.names + CIFAR10_P.names), 3, {"protocols", "corruptions", "noise"}),
    ("severities", frozenset(CIFAR10_C.severities), len(CIFAR10_C.severities), {"protocols"}),
    ("attacks", frozenset(attack.name for attack in attacks()), 3, {"protocols", "attacks"}),
)
"""What has a home, how many of them make a list, and the rooms that may hold one: those of the generators and of the
attacks' arithmetic, and RandAugment's in `noise`, whose operations are other things of the same names."""


def section(page: str, title: str) -> str:
    """The text under the heading `## title`."""
    return page.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def layers_of(page: str) -> dict[str, int]:
    """Each top-level name of the numbered list with its layer; 1 imports nothing of ours."""
    lines = re.findall(r"^(\d+)\. (.+)$", section(page, "Layers"), flags=re.MULTILINE)
    return {name: int(number) for number, names in lines for name in re.findall(r"`(\w+)`", names)}


def named_rooms(page: str) -> list[str]:
    """The name in bold that begins each paragraph of the tour, for example `data.cifar`."""
    return re.findall(r"^\*\*`([\w.]+)`\*\*", section(page, "Rooms"), flags=re.MULTILINE)


def rooms_of(package: Path) -> list[str]:
    """Every folder of modules in the package, by its dotted name."""
    return [".".join(path.parent.relative_to(package).parts) for path in sorted(package.rglob("*/__init__.py"))]


def modules_of(package: Path) -> dict[str, Path]:
    """Every module that is not an `__init__`, by its name inside the package."""
    return {
        ".".join(path.relative_to(package).with_suffix("").parts): path
        for path in sorted(package.rglob("*.py"))
        if path.name != "__init__.py"
    }


def imported_names(tree: ast.Module, importer: str) -> Iterator[str]:
    """Dotted absolute names of every import, those inside functions and under TYPE_CHECKING included.

    `from a import b` gives `a.b`, since `b` may be a module.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            folder = importer.split(".")[: -node.level] if node.level else []
            source = ".".join([*folder, *([node.module] if node.module else [])])
            yield from (f"{source}.{alias.name}" for alias in node.names)


def imports_of(package: Path) -> dict[str, set[str]]:
    """For each module, the modules of the package that it imports, both named without the package's name."""
    modules = modules_of(package)
    found: dict[str, set[str]] = {}
    for module, path in modules.items():
        names = imported_names(ast.parse(path.read_text(encoding="utf-8")), f"{package.name}.{module}")
        inner = [name.removeprefix(f"{package.name}.") for name in names if name.startswith(f"{package.name}.")]
        found[module] = {name if name in modules else name.rpartition(".")[0] or name for name in inner}
        found[module].discard("__version__")
    return found


def upward_imports(package: Path, page: str) -> list[str]:
    """Imports of a module that stands further down the list of layers, or on no layer."""
    layers = layers_of(page)
    return [
        f"{importer} imports {imported}"
        for importer, targets in imports_of(package).items()
        for imported in sorted(targets)
        if layers.get(imported.split(".")[0], len(layers)) > layers.get(importer.split(".")[0], 0)
    ]


def import_cycles(package: Path, page: str) -> list[str]:  # noqa: ARG001 - all checkers have one signature
    """The first circle of imports, as a chain of names."""
    try:
        TopologicalSorter(imports_of(package)).prepare()
    except CycleError as error:
        return [" -> ".join(error.args[1])]
    return []


def unnamed_modules(package: Path, page: str) -> list[str]:
    """Modules on no layer, and folders that the tour does not visit."""
    layers, named = layers_of(page), named_rooms(page)
    homeless = [name for name in modules_of(package) if name.split(".")[0] not in layers]
    return homeless + [room for room in rooms_of(package) if room not in named]


def missing_rooms(package: Path, page: str) -> list[str]:
    """Names on the page that are neither folder nor module, and rooms that the tour visits twice."""
    there, named = {*rooms_of(package), *modules_of(package)}, named_rooms(page)
    return [name for name in [*named, *layers_of(page)] if name not in there or named.count(name) > 1]


def speaking_inits(package: Path, page: str) -> list[str]:  # noqa: ARG001 - all checkers have one signature
    """Each `__init__.py` with more than a docstring; the package's own may set `__version__` and import lazily."""
    return [
        str(path.relative_to(package))
        for path in sorted(package.rglob("__init__.py"))
        for statement in ast.parse(path.read_text(encoding="utf-8")).body
        if not is_docstring(statement) and not (path.parent == package and is_allowed(statement))
    ]


def is_docstring(statement: ast.stmt) -> bool:
    """Whether the statement is a bare string."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def is_allowed(statement: ast.stmt) -> bool:
    """Whether the statement reads `__version__ = "..."`, or is the function that imports public names when asked."""
    if isinstance(statement, ast.FunctionDef):
        return statement.name == "__getattr__"
    return (
        isinstance(statement, ast.Assign)
        and isinstance(statement.value, ast.Constant)
        and [ast.unparse(target) for target in statement.targets] == ["__version__"]
    )


def long_modules(package: Path, page: str) -> list[str]:  # noqa: ARG001 - all checkers have one signature
    """Modules of more than `LONGEST_MODULE` lines, with their length."""
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules_of(package).items()}
    return [f"{name} has {length} lines" for name, length in lengths.items() if length > LONGEST_MODULE]


def repeated_names(package: Path, page: str) -> list[str]:  # noqa: ARG001 - all checkers have one signature
    """Modules that list names or severities that a room of their own is the home of, with the line."""
    return [
        f"{module}:{node.lineno} lists {what}"
        for module, path in modules_of(package).items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for what, names, least, homes in KNOWN
        if module.split(".")[0] not in homes and len(names & literals(node)) >= least
    ]


def literals(node: ast.AST) -> set[object]:
    """The constants in a tuple, list or set, or the keys of a dictionary; those of `Literal[...]` too."""
    found = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", [])
    return {one.value for one in found if isinstance(one, ast.Constant) and not isinstance(one.value, float)}


CHECKERS: list[Checker] = [
    upward_imports,
    import_cycles,
    unnamed_modules,
    missing_rooms,
    speaking_inits,
    long_modules,
    repeated_names,
]


@pytest.mark.parametrize("checker", CHECKERS)
def test_the_package_is_what_the_architecture_page_says(checker: Checker) -> None:
    assert checker(PACKAGE, PAGE.read_text(encoding="utf-8")) == []


def test_the_page_is_read_whole() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert layers_of(page)["errors"] == 1
    assert layers_of(page)["cli"] == max(layers_of(page).values())
    assert len(named_rooms(page)) == section(page, "Rooms").count("\n**")


SMALL_PAGE = """# Architecture

## Layers

1. `low`, `beside`
2. `high`

## Rooms

**`high`** stands above.
"""
SMALL_PACKAGE = {
    "__init__.py": '"""A package."""\n\n__version__ = "1"\n',
    "low.py": "import os\nfrom pack import __version__\n",
    "beside.py": "from pack.low import thing\n",
    "high/__init__.py": "",
    "high/top.py": "import numpy.linalg\nfrom pack import low\nfrom ..beside import thing\n",
}


def small_package(tmp_path: Path, **changed: str) -> Path:
    """A package that keeps every rule, but for the changed files (`high__top` is high/top.py)."""
    files = SMALL_PACKAGE | {f"{name.replace('__', '/')}.py": source for name, source in changed.items()}
    for name, source in files.items():
        path = tmp_path / "pack" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return tmp_path / "pack"


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_package_that_keeps_the_rules_passes(checker: Checker, tmp_path: Path) -> None:
    assert checker(small_package(tmp_path), SMALL_PAGE) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pack.high.top\n",
        "import pack.high\n",
        "from pack import high\n",
        "from pack.high import top\n",
        "from pack.high.top import thing\n",
        "from .high.top import thing\n",
        "from . import high\n",
        "def later():\n    from pack.high.top import thing\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pack.high.top import Thing\n",
    ],
)
def test_an_upward_import_is_found_however_it_is_written(source: str, tmp_path: Path) -> None:
    found = upward_imports(small_package(tmp_path, low=source), SMALL_PAGE)
    assert len(found) == 1
    assert found[0].startswith("low imports high")


def test_an_import_of_a_module_on_no_layer_counts_as_upward(tmp_path: Path) -> None:
    package = small_package(tmp_path, high__top="from pack.nowhere import thing\n")
    assert upward_imports(package, SMALL_PAGE) == ["high.top imports nowhere"]


def test_a_circle_of_imports_on_one_layer_is_found(tmp_path: Path) -> None:
    package = small_package(tmp_path, low="def later():\n    import pack.beside\n")
    assert upward_imports(package, SMALL_PAGE) == []
    assert len(import_cycles(package, SMALL_PAGE)) == 1


def test_a_room_that_the_tour_does_not_visit_is_found(tmp_path: Path) -> None:
    package = small_package(tmp_path)
    (package / "high" / "loft").mkdir()
    (package / "high" / "loft" / "__init__.py").touch()
    assert unnamed_modules(package, SMALL_PAGE) == ["high.loft"]


def test_a_module_that_stands_on_no_layer_is_found(tmp_path: Path) -> None:
    page = SMALL_PAGE.replace("1. `low`, `beside`", "1. `low`")
    assert unnamed_modules(small_package(tmp_path), page) == ["beside"]


def test_a_named_room_that_does_not_exist_is_found(tmp_path: Path) -> None:
    assert missing_rooms(small_package(tmp_path), f"{SMALL_PAGE}\n**`high.gone`** was here.\n") == ["high.gone"]


def test_a_layer_that_does_not_exist_is_found(tmp_path: Path) -> None:
    page = SMALL_PAGE.replace("1. `low`", "1. `gone`, `low`")
    assert missing_rooms(small_package(tmp_path), page) == ["gone"]


def test_an_init_that_reexports_is_found(tmp_path: Path) -> None:
    package = small_package(tmp_path)
    (package / "high" / "__init__.py").write_text("from pack.high.top import thing\n", encoding="utf-8")
    assert speaking_inits(package, SMALL_PAGE) == ["high/__init__.py"]


def test_the_packages_own_init_holds_nothing_but_its_version(tmp_path: Path) -> None:
    package = small_package(tmp_path)
    (package / "__init__.py").write_text('__version__ = "1"\nfrom pack.low import os\n', encoding="utf-8")
    assert speaking_inits(package, SMALL_PAGE) == ["__init__.py"]


def test_a_module_of_more_than_300_lines_is_found(tmp_path: Path) -> None:
    assert long_modules(small_package(tmp_path, low="x = 1\n" * 300), SMALL_PAGE) == []
    assert long_modules(small_package(tmp_path, low="x = 1\n" * 301), SMALL_PAGE) == ["low has 301 lines"]


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ('NAMES = ("fog", "snow", "frost")\n', "members of a benchmark"),
        ('def f():\n    return {"fog": 1, "tilt": 2, "snow": 3}\n', "members of a benchmark"),
        ('Name = Literal["fog", "snow", "frost"]\n', "members of a benchmark"),
        ("for one in [5, 4, 3, 2, 1]:\n    pass\n", "severities"),
        ('WORDS = {"pgd": "PGD", "bim": "BIM", "fgsm": "FGSM"}\n', "attacks"),
    ],
)
def test_a_list_of_what_has_another_home_is_found(source: str, what: str, tmp_path: Path) -> None:
    found = repeated_names(small_package(tmp_path, low=source), SMALL_PAGE)
    assert len(found) == 1
    assert found[0].endswith(f"lists {what}")
