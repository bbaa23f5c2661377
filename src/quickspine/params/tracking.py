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
        if kind == "sqlite" and (problem := _sqlite_problem(uri)):
            raise ValueError(f"{problem}; make it sqlite:/// and the path of a file")
        return uri


def _sqlite_problem(uri: str) -> str | None:
    """What MLflow or SQLite would take for something else than a plain path."""
    path = uri.removeprefix("sqlite:///")
    if path == uri or path in ("", ":memory:"):
        return "it names no file"
    if "?" in path or "%" in path:
        return "options (?) and escapes (%) are not supported in the path"
    if path.startswith("~") and not path.startswith("~/"):
        return "~ is the home folder only before a slash"
    return None
