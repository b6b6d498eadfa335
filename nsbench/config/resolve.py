"""Presets, TOML files and `--set` combined into one configuration; a mistake is reported in one sentence."""

import difflib
import hashlib
import json
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import tomli_w
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from nsbench.config.bounds import DEEPEST, MOST_BYTES, TooDeepError, check_bounds, load_toml
from nsbench.config.earlier import modernised
from nsbench.config.method import method_config
from nsbench.config.schema import Config, config_for
from nsbench.errors import UserError, hint, shortened
from nsbench.files import read_regular

Table = dict[str, Any]
DEFAULT_METHOD = str(Config.model_fields["method"].default.kind)
Root = TypeVar("Root", bound=BaseModel)


def preset_names() -> list[str]:
    """Names of the presets in the package."""
    folder = resources.files("nsbench") / "presets"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def resolve(source: str, settings: Sequence[str] = ()) -> Config:
    """The configuration of a preset or a TOML file, with `--set` applied.

    Args:
        source: a preset's name, or the path of a file that ends in .toml.
        settings: `dotted.key=value`; the value is TOML, and bare words are strings.

    Raises:
        UserError: naming the key, its value, what is allowed and the nearest known key.
    """
    given = _read(source)
    preset = dict(given.get("method", {})) if isinstance(given.get("method"), dict) else {}
    table = modernised(with_settings(given, settings))
    return run_from_table(_without_other_method(table, preset))


def with_settings(table: Table, settings: Sequence[str]) -> Table:
    """The table with each `dotted.key=value` put in; the table itself is changed."""
    for setting in settings:
        _assign(table, setting)
    check_bounds(table)
    return table


def from_table(table: Table, root: type[Root]) -> Root:
    """Validate a nested table as the kind of configuration that `root` is.

    Raises UserError for the first thing wrong.
    """
    check_bounds(table)
    try:
        return root.model_validate_json(json.dumps(table, default=str))
    except ValidationError as error:
        raise UserError(_sentence(error.errors()[0], root)) from None


def _without_other_method(table: Table, preset: Table) -> Table:
    """The table without the preset's settings of another method than the one that `--set` chose."""
    method = table.get("method")
    if not isinstance(method, dict) or _kind(table) == preset.get("kind", DEFAULT_METHOD):
        return table
    known = method_config(_kind(table)).model_fields
    return table | {"method": {key: value for key, value in method.items() if key in known or key not in preset}}


def _kind(table: Table) -> str:
    method = table.get("method", {})
    return str(method.get("kind", DEFAULT_METHOD)) if isinstance(method, dict) else DEFAULT_METHOD


def run_from_table(table: Table) -> Config:
    """The configuration of a run; which settings its method may have follows from `method.kind`."""
    check_bounds(table)
    table = modernised(table)
    return from_table(table, config_for(_kind(table)))


def load_file(path: Path) -> Config:
    """The configuration of a run in a TOML file."""
    return run_from_table(read_toml(path))


def to_toml(config: BaseModel) -> str:
    """The complete configuration as TOML, each key under a comment that says what it means and may be."""
    lines = _section(config)
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            lines += ["", f"# {type(value).__doc__}", f"[{name}]", *_section(value)]
    return "\n".join(lines) + "\n"


def fingerprint(*parts: BaseModel | str | int | float | Sequence[str]) -> str:
    """SHA-256 of the parts that determine an output; any change of one gives another value."""
    plain = [part.model_dump(mode="json") if isinstance(part, BaseModel) else part for part in parts]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def first_difference(ours: Config, theirs: Config) -> tuple[str, Any, Any] | None:
    """The first dotted key in which two configurations differ, with both values."""
    left, right = dict(_flat(ours.model_dump(mode="json"))), dict(_flat(theirs.model_dump(mode="json")))
    return next(((key, left[key], right[key]) for key in left if left[key] != right[key]), None)


def _read(source: str) -> Table:
    if source in preset_names():
        return load_toml((resources.files("nsbench") / "presets" / f"{source}.toml").read_text())
    path = Path(source)
    if path.suffix == ".toml":
        return read_toml(path)
    known = preset_names()
    raise UserError(
        f"There is no preset {shortened(source)!r}: use one of {', '.join(known)}, or a file that ends in .toml."
        + hint(source, known)
    )


def read_toml(path: Path) -> Table:
    """The tables of a TOML file, not validated; raises UserError when it cannot be read."""
    name = shortened(str(path), 400)
    try:
        content = read_regular(path, MOST_BYTES)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"The configuration file {name} cannot be read ({reason}): check the path.") from None
    try:
        return load_toml(content.decode("utf-8-sig"))  # some editors begin a file with a byte order mark
    except ValueError as error:
        reason = shortened(str(error))
        raise UserError(f"The configuration file {name} is not valid TOML ({reason}): fix that place.") from None


def _assign(table: Table, setting: str) -> None:
    key, equals, text = setting.partition("=")
    shown, parts = shortened(repr(setting)), [part.strip() for part in key.split(".")]
    if not equals or not all(parts) or len(parts) > DEEPEST:
        raise UserError(f"--set {shown} is not of the form dotted.key=value.")
    *parents, last = parts
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise UserError(f"--set {shown}: {shortened(parent)} is a value, not a section.")
    table[last] = _value(text, shown)


def _value(text: str, shown: str) -> Any:
    """The value of a setting: TOML, else the bare words themselves."""
    try:
        found = load_toml(f"value = {text}")
    except TooDeepError as error:
        raise UserError(f"--set {shown} cannot be read ({error}): write it with fewer.") from None
    except ValueError:
        return text.strip()
    if len(found) > 1:
        raise UserError(f"--set {shown} sets more than one key: write --set again for each of them.")
    return found["value"]


def _sentence(error: ErrorDetails, root: type[BaseModel]) -> str:
    path = [part for part in error["loc"] if isinstance(part, str)]
    key = ".".join(path)
    if error["type"] == "extra_forbidden":
        near = _nearest(path, root)
        return f"Unknown key {shortened(key)!r} in the configuration" + (f": did you mean {near!r}?" if near else ".")
    field = _field(path, root)
    allowed = _allowed(field) if field else error["msg"]
    if error["type"] == "too_long":
        allowed = f"a list of at most {error['ctx']['max_length']:,}"
    meaning = f" ({field.description})" if field and field.description else ""
    value = shortened(json.dumps(error["input"], default=str))
    said = f"{key} = {value} is not allowed: {key}{meaning} must be {allowed}."
    return said + (hint(error["input"], _names(field)) if field and isinstance(error["input"], str) else "")


def _nearest(path: Sequence[str], root: type[BaseModel]) -> str | None:
    """The known key most like the unknown one: by the whole name, else by its last part."""
    known = list(_known_keys(root))
    whole = difflib.get_close_matches(".".join(path), known, n=1, cutoff=0.75)
    if whole:
        return whole[0]
    last = {key.rsplit(".", 1)[-1]: key for key in known}
    near = difflib.get_close_matches(path[-1], last, n=1, cutoff=0.5)
    return last[near[0]] if near else None


def _known_keys(root: type[BaseModel], prefix: str = "") -> Iterable[str]:
    for name, field in root.model_fields.items():
        yield prefix + name
        section = _section_of(field)
        if section is not None:
            yield from _known_keys(section, f"{prefix}{name}.")


def _field(path: Sequence[str], root: type[BaseModel]) -> FieldInfo | None:
    for name in path[:-1]:
        section = _section_of(root.model_fields[name])
        assert section is not None
        root = section
    return root.model_fields.get(path[-1])


def _section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The section that a field holds, or holds a list of."""
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _allowed(field: FieldInfo) -> str:
    """What a field accepts, in words, read off its JSON schema."""
    if _section_of(field) is not None:
        return "a section" if isinstance(field.annotation, type) else "a list of sections"
    return _words(_schema(field))


def _names(field: FieldInfo) -> list[str]:
    """The names that a field accepts, or each of its values; none where it accepts something else."""
    schema = {} if _section_of(field) is not None else _schema(field)
    return list(schema.get("items", schema).get("enum", []))


def _schema(field: FieldInfo) -> Table:
    kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return TypeAdapter[Any](kind).json_schema()


def _words(schema: Table) -> str:
    if "enum" in schema or "const" in schema:
        names = schema.get("enum", [schema.get("const")])
        return f"one of {', '.join(names)}" if names else "registered by a package (none is)"
    if schema.get("type") == "array":
        least = "a list of at least one, each " if schema.get("minItems") else "a list, each "
        return least + _words(schema["items"])
    kind = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "text"}[
        schema["type"]
    ]
    if "pattern" in schema:
        kind += f" of the form {schema['pattern']}"
    if "minimum" in schema and "maximum" in schema:
        return f"{kind} from {schema['minimum']:,} to {schema['maximum']:,}"
    words = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    ranges = [f"{word} {schema[bound]:,}" for bound, word in words.items() if bound in schema]
    return " ".join([kind, " and ".join(ranges)]).strip()


def _section(model: BaseModel) -> list[str]:
    lines = []
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if not isinstance(value, BaseModel):
            plain = model.model_dump(mode="json", include={name})
            lines += [f"# {field.description}: {_allowed(field)}", tomli_w.dumps(plain).strip()]
    return lines


def _flat(table: Table, prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
