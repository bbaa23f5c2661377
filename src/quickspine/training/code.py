"""Names the code behind a result, so that none made by older code is taken for new."""

from __future__ import annotations

from pathlib import Path

import quickspine
from quickspine.files import digest, sha256

PACKAGE = Path(quickspine.__file__).parent


def code_digest(*places: str) -> str:
    """Hex sha256 of Python files.

    Args:
        places: files, or folders with all below them, relative to the package.
    """
    roots = [PACKAGE / place for place in places]
    files = {file for root in roots for file in ([root] if root.is_file() else root.rglob("*.py"))}
    return digest({file.relative_to(PACKAGE).as_posix(): sha256(file) for file in files})
