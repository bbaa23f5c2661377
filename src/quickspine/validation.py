"""Values out of a file that may have been edited by hand, against a model of what they must be."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from quickspine.errors import InputError
from quickspine.params.errors import explained

SHOWN = 3  # of what is wrong: the remedy is to run a stage again, whatever it is


class Facts(BaseModel):
    """What must be there, of the right types and in range; what else there is does not matter."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)


AnyFacts = TypeVar("AnyFacts", bound=Facts)


def checked(kind: type[AnyFacts], value: Any, path: Path, made_by: str) -> AnyFacts:
    """`value` as a `kind`.

    Args:
        kind: what it must be.
        value: what JSON made of the file.
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
