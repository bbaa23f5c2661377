"""MLflow without its chatter, its telemetry and its patience; its faults as one line."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import urllib.parse
import warnings
from collections.abc import Iterator
from typing import Any

# Set where the user has not: a dead server costs seconds, not minutes, of a training.
DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds an answer may take
    # A request that was given up may have been done: the relay looks before it asks again.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_PRINT_MODEL_URLS_ON_CREATION": "false",
}
LONGEST = 300  # characters of a reason
USER = re.compile(r"://(\S*:\S*|[^\s/?#]*)@")
SECRET = re.compile(
    r"([?&][^=&\s]*(?:token|key|password|secret|signature|credential)[^=&\s]*=)[^&\s]+",
    re.IGNORECASE,
)


def load() -> Any:
    """The module `mlflow`, imported at the first call, with `DEFAULTS` in the environment."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    import mlflow

    if "MLFLOW_LOGGING_LEVEL" not in os.environ:
        # Its faults reach us as exceptions; its log would print each of them a second time.
        logging.getLogger("mlflow").setLevel(logging.CRITICAL)
        logging.getLogger("alembic").setLevel(logging.CRITICAL)
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # "Retrying (…)"
    return mlflow


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings that MLflow raises about itself and its libraries."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def masked(text: str, uri: str | None = None) -> str:
    """`text` without users, passwords and keys in URLs, and without the password of `uri`."""
    text = SECRET.sub(r"\1***", USER.sub("://***@", text))
    try:
        secret = urllib.parse.urlsplit(uri or "").password or ""
    except ValueError:
        secret = ""
    for form in {secret, urllib.parse.unquote(secret)} - {""}:
        text = text.replace(form, "***")
    return text


def brief(error: BaseException, uri: str | None) -> str:
    """Why something failed: one line of bounded length without secrets."""
    name, reason = type(error).__name__, " ".join(str(error).split())
    reason = masked(f"{name}: {reason}" if reason else name, uri)
    if len(reason) > LONGEST:  # what failed stands at the start, why it did at the end
        reason = f"{reason[: LONGEST // 2 - 5]} ... {reason[-LONGEST // 2 :]}"
    return reason


def warn(doing: str, error: BaseException | str, uri: str | None, outcome: str) -> None:
    """Print the one line about a fault: what was being done, why it failed, what happens now."""
    reason = error if isinstance(error, str) else brief(error, uri)
    with contextlib.suppress(OSError, ValueError):  # a closed stderr is no reason to stop either
        print(f"warning: tracking: cannot {doing} ({reason}); {outcome}", file=sys.stderr)


def note(text: str) -> None:
    """Print one line that is no fault."""
    with contextlib.suppress(OSError, ValueError):
        print(f"note: tracking: {text}", file=sys.stderr)
