"""The base class of all sections of the params, and the ranges of their values."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from quickspine.params.errors import MAX_SHOWN, shown

MOST_UNITS, MOST_LAYERS, MOST_SUB_LAYERS = 65_536, 8, 64  # of a head
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, le=10)]
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
Units = Annotated[int, Field(ge=1, le=MOST_UNITS)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Epochs = Annotated[int, Field(ge=1, le=100_000)]
Factor = Annotated[float, Field(gt=0, lt=1)]


class Section(BaseModel):
    """A frozen, strict part of the params: no unknown keys, no silent conversions."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


def twins(values: tuple[Any, ...]) -> str:
    """Describe values that are listed more than once; empty where there are none."""
    twins = [value for value, count in Counter(values).items() if count > 1]
    return f"holds {listed(twins)} more than once; list each once" if twins else ""


def listed(values: list[Any]) -> str:
    """Format the first values as they stand in the file, and how many more there are."""
    more = f" and {len(values) - MAX_SHOWN} more" if len(values) > MAX_SHOWN else ""
    return ", ".join(map(shown, values[:MAX_SHOWN])) + more
