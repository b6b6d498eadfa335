"""What every part of a configuration is made of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from nsbench.plugins import load_plugins

Fraction = Annotated[float, Field(ge=0, le=1)]
Images = Annotated[int, Field(ge=1, le=10**10)]


@dataclass(frozen=True)
class OneOf:
    """Marks text as one of some names, looked up whenever it is checked: names that are registered later count too.

    A name that is unknown is looked for among installed packages before it is refused.
    """

    names: Callable[[], tuple[str, ...]]

    def check(self, name: str) -> str:
        """The name itself; ValueError unless it is one of them."""
        if name not in self.names():
            load_plugins()
        if name not in self.names():
            raise ValueError(f"{name!r} is none of {', '.join(self.names())}")
        return name

    def __get_pydantic_core_schema__(self, source: type[str], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Checked as text, then as one of the names."""
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """As pydantic describes a Literal."""
        return handler(schema) | {"enum": list(self.names())}


class Section(BaseModel):
    """Base of all parts: immutable, unknown keys refused, no silent conversion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
