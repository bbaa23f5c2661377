"""Records made by the stages' own code, to be measured with and thrown away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from quickspine import categories
from quickspine.params import Params

DOODLES: dict[str, Any] = {"source": "doodles", "categories": categories.DOODLES}


def records(params: Params, folder: Path, data: dict[str, Any]) -> Path:
    """Fetch, choose, write.

    Args:
        params: the whole of params.yaml.
        folder: where to.
        data: what is another one in the section `data`.

    Returns:
        The folder of the records.
    """
    from quickspine import sources
    from quickspine.dataset.prepare import subset
    from quickspine.dataset.records import write

    changed = params.data.model_copy(update={**data, "allow_fewer": False})
    params = params.model_copy(update={"data": changed})
    raw, chosen, shards = (folder / name for name in ("raw", "subset", "records"))
    sources.fetch(params.data, raw)
    subset.preprocess(params, raw, chosen)
    write.write(params.records, chosen, shards)
    return shards
