"""Names as fields of configurations and records, in the forms of `nsbench.names`."""

from typing import Annotated

from pydantic import Field

from nsbench.names import CHOSEN, FOLDER, MODEL, NAME, NETWORK, OPTIONAL, SAMPLE

ChosenName = Annotated[str, Field(pattern=CHOSEN)]
Name = Annotated[str, Field(pattern=NAME)]
OptionalName = Annotated[str, Field(pattern=OPTIONAL)]
ModelName = Annotated[str, Field(pattern=MODEL, max_length=250)]
NetworkName = Annotated[str, Field(pattern=NETWORK)]
FolderName = Annotated[str, Field(pattern=FOLDER)]
SampleFile = Annotated[str, Field(pattern=SAMPLE)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
