"""Turn pydantic's errors into lines that name the key, what was received, and what would do."""

from __future__ import annotations

import datetime
import difflib
import json
import re
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

USER = re.compile(r"://[^\s/?#]*@")
MAX_SHOWN = 20  # lines of an error, or categories in one: a whole file of them helps nobody


def explained(details: list[ErrorDetails], model: type[BaseModel]) -> list[str]:
    """Describe how many values are wrong, then each in a line, `MAX_SHOWN` at most."""
    details = _without_repeats(details)
    lines = [_explain(detail, model) for detail in details[:MAX_SHOWN]]
    if len(details) > MAX_SHOWN:
        lines.append(f"and {len(details) - MAX_SHOWN} more")
    return [f"{len(details)} wrong", *lines]


def _without_repeats(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Drop "too short" of a list whose entries are wrong: pydantic counts the right ones only."""
    parents = {detail["loc"][:-1] for detail in details}
    return [d for d in details if d["type"] != "too_short" or d["loc"] not in parents]


def shown(value: Any) -> str:
    """Format a value as it stands in the file, without user names and passwords, cut if long."""
    if isinstance(value, datetime.date):
        return f"{value}, a date; put it in quotes"
    try:
        text = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    except (TypeError, ValueError):  # keys that are dates; numbers of thousands of digits
        text = f"a {type(value).__name__}"
    text = USER.sub("://***@", text)
    return text if len(text) <= 80 else text[:77] + "..."


def _fields(location: tuple[str | int, ...], model: Any) -> list[str]:
    for part in location:
        field = model.model_fields.get(part) if isinstance(part, str) else None
        model = field.annotation if field else None
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return []
    return list(model.model_fields)


def _explain(detail: ErrorDetails, model: type[BaseModel]) -> str:
    location = detail["loc"]
    key = ".".join(str(part) for part in location) or "params"
    key = (key if key.isprintable() else repr(key))[:200]
    if detail["type"] == "extra_forbidden":
        fields = _fields(location[:-1], model)
        close = difflib.get_close_matches(str(location[-1]), fields, n=1, cutoff=0.5)
        remedy = f"did you mean {close[0]}?" if close else f"known here: {', '.join(fields)}"
        return f"{key}: unknown key; {remedy}"
    if detail["type"] == "missing":
        return f"{key}: missing; add it (presets/default.yaml has every key)"
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "tuple_type":
        message = "Input should be a list in brackets, such as [a, b]"
    elif detail["type"] == "too_short":
        message = f"needs {detail['ctx']['min_length']} or more entries"
    elif detail["type"].startswith("model_"):
        message = f"Input should be keys and values: {', '.join(_fields(location, model))}"
    message = message.replace("Tuple", "list", 1)
    message = message[:1].lower() + message[1:] if message.startswith("Input") else message
    return f"{key}: {message}. Received: {shown(detail['input'])}"
