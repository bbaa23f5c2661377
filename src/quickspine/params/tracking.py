"""The section `tracking`: where MLflow keeps the runs."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from quickspine.params.section import Section

STORES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql")


class Tracking(Section):
    """Where MLflow keeps the runs."""

    enabled: bool
    experiment: Annotated[str, Field(min_length=1, max_length=200)]
    uri: Annotated[str, Field(min_length=1, max_length=4096)] | None
    system_metrics: bool

    @field_validator("uri")
    @classmethod
    def _of_a_store(cls, uri: str | None) -> str | None:
        if uri is None:
            return uri
        try:
            parts = urlsplit(uri)
            _ = parts.port
        except ValueError as error:
            raise ValueError(f"no URL ({error})") from None
        kind = parts.scheme.partition("+")[0]
        if kind not in STORES or (kind in ("http", "https") and not parts.hostname):
            listed = ", ".join(f"{each}://" for each in STORES)
            raise ValueError(f"not a store of MLflow's: it begins with one of {listed}")
        return uri
