"""Validate values read from a file that may have been edited by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from quickspine.errors import InputError
from quickspine.params.errors import explained

SHOWN = 3  # errors in a message: the remedy is to run a stage again, whatever they are


class Facts(BaseModel):
    """Required fields, validated strictly; unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)


AnyFacts = TypeVar("AnyFacts", bound=Facts)


def checked(kind: type[AnyFacts], value: Any, path: Path, made_by: str) -> AnyFacts:
    """Return `value` as a `kind`.

    Args:
        kind: the model.
        value: the parsed content of the file.
        path: the file.
        made_by: the stage to run again.

    Raises:
        InputError: naming the file, the first keys that are wrong, and the stage.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        lines = explained(error.errors(include_url=False), kind)[1:]
    more = f"; and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    raise InputError(
        f"{path}: damaged ({'; '.join(lines[:SHOWN])}{more}); run: dvc repro -f {made_by}"
    )
