"""MLflow's model registry: the best model of an evaluation as a version, and which is champion.

Every step may be repeated, however far an earlier try came: a version is found by the digest of its
model, and bears the decision before an alias moves.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from quickspine.tracking.champion import CHALLENGER, CHAMPION, Decision, decide
from quickspine.tracking.journal import Entry
from quickspine.tracking.store import FOLDER, Store

DECISION = "registry_decision"  # on the evaluation's run: the last thing that is written
VERSIONS = "mlflow.modelVersions"  # on a logged model: where its page looks for its versions
MODELS = "models:/"
WAIT_S = 60.0  # for another process's decision, which takes a second
DESCRIPTION = (
    "The best model, on validation, of each evaluation of the same images. The alias champion "
    "moves to one that is better there by more than one standard error of the difference; any "
    "other is challenger."
)


def put_forward(
    store: Store,
    candidate: Entry,
    evaluation: str,
    trainings: Sequence[tuple[Any, str | None]],
    root: Path,
) -> str:
    """Register a candidate and decide about it, once for an evaluation.

    Args:
        store: the open one.
        candidate: the journal's entry: `name` of the registered model, `label`, `model_digest`,
            `accuracy`, `drawings`, and the version's further `tags`.
        evaluation: id of its run, which gets the decision as a tag.
        trainings: the runs that trained the model, with the ids of their logged models.
        root: the project.

    Returns:
        The decision in words.

    Raises:
        Exception: whatever the registry raises.
    """
    client = store.client
    tags = client.get_run(evaluation).data.tags
    if DECISION in tags:
        return str(tags[DECISION])
    with _one_at_a_time(store, root):
        existing = [
            (run, model_id)
            for run, model_id in trainings
            if model_id is not None and _exists(client, MODELS + model_id)
        ]
        if existing:
            training, model_id = existing[0]
            text = _register(store, candidate, evaluation, training.info.run_id, model_id)
        else:  # it came out of DVC's cache, or its run or logged model was deleted
            digest = candidate["model_digest"][:12]
            text = f"none: no run with the model {digest} is recorded, so it is not registered"
    client.set_tag(evaluation, DECISION, text)
    return text


def _register(
    store: Store, candidate: Entry, evaluation: str, training_id: str, model_id: str
) -> str:
    client, name = store.client, candidate["name"]
    aliases = _registered(client, name)
    champion = aliases.get(CHAMPION)
    if champion is not None:
        source = client.get_model_version(name, champion).source
        champion = champion if _exists(client, source) else None
    version = _version(store, candidate, training_id, model_id)
    number, tags = str(version.version), version.tags
    if "decision" in tags and tags.get("evaluation") != evaluation and champion is not None:
        text = f"version {number}: unchanged; the same model again, version {champion} is champion"
    else:
        if "decision" in tags and tags.get("evaluation") == evaluation:
            decision = Decision(tags["decision"], tags["reason"])  # by a try that was cut off
        else:
            decision = _compare(client, candidate, champion)
            noted = {"evaluation": evaluation, "reason": decision.reason}
            for key, value in {**noted, "decision": decision.alias}.items():  # last: it counts
                client.set_model_version_tag(name, number, key, value)
        if decision.alias == CHAMPION and champion not in (None, number):
            client.set_model_version_tag(name, champion, "dethroned_by", number)
        if aliases.get(decision.alias) != number:
            client.set_registered_model_alias(name, decision.alias, number)
        text = f"version {number}: {decision.alias}; {candidate['label']}: {decision.reason}"
    client.set_registered_model_tag(name, "last_decision", text)
    return f"{name}, {text}"


def _registered(client: Any, name: str) -> dict[str, str]:
    """The aliases of the registered model, which is created where it is missing."""
    model = _found(client.get_registered_model, name)
    model = model or client.create_registered_model(name, description=DESCRIPTION)
    return {alias: str(version) for alias, version in model.aliases.items()}


def _version(store: Store, candidate: Entry, training_id: str, model_id: str) -> Any:
    """The version that holds this model, found by its digest, else created."""
    client, name, digest = store.client, candidate["name"], candidate["model_digest"]
    same = [
        version
        for version in client.search_model_versions(f"name = '{name}'")
        if version.tags.get("model_digest") == digest and _exists(client, version.source)
    ]
    version = min(same, key=lambda each: int(each.version), default=None)
    if version is None:
        with _named_globally(store):
            version = client.create_model_version(
                name,
                MODELS + model_id,
                run_id=training_id,
                model_id=model_id,
                tags={
                    **candidate["tags"],
                    "model_digest": digest,
                    "validation_accuracy": repr(float(candidate["accuracy"])),
                    "validation_drawings": str(candidate["drawings"]),
                },
                description=candidate["label"],
                await_creation_for=0,
            )
    # The logged model's page then names the version; servers do this themselves.
    own_id = str(version.source).removeprefix(MODELS)
    listed = json.loads(client.get_logged_model(own_id).tags.get(VERSIONS, "[]"))
    if not any(each["name"] == name for each in listed):
        entry = {"name": name, "version": version.version}
        client.set_logged_model_tags(own_id, {VERSIONS: json.dumps([*listed, entry])})
    return version


def _compare(client: Any, candidate: Entry, champion: str | None) -> Decision:
    accuracy, drawings = candidate["accuracy"], candidate["drawings"]
    if champion is None:
        return decide(accuracy, None, drawings)
    noted = client.get_model_version(candidate["name"], champion).tags.get("validation_accuracy")
    with contextlib.suppress(TypeError, ValueError):
        if 0 <= float(noted) <= 1:
            return decide(accuracy, float(noted), drawings)
    # A version of the user's own, made champion by hand.
    reason = f"the champion, version {champion}, has no tag validation_accuracy to compare with"
    return Decision(CHALLENGER, reason)


def _exists(client: Any, source: str) -> bool:
    """Whether a version's logged model is there; True for sources that are none."""
    if not str(source).startswith(MODELS):
        return True
    return _found(client.get_logged_model, str(source).removeprefix(MODELS)) is not None


def _found(get: Callable[[str], Any], name: str) -> Any:
    """What `get` finds under a name; None where there is nothing."""
    try:
        return get(name)
    except Exception as error:
        if getattr(error, "error_code", None) != "RESOURCE_DOES_NOT_EXIST":
            raise
    return None


@contextlib.contextmanager
def _one_at_a_time(store: Store, root: Path) -> Iterator[None]:
    """Hold back the other decisions on this machine."""
    place = root / FOLDER / "registry.lock"
    if store.database is not None:
        place = store.database.with_suffix(".registry.lock")
        # MLflow keeps connections for ever, to a file that may have been deleted since.
        store.client._get_registry_client().store.engine.dispose()
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place, timeout=WAIT_S):
        yield


@contextlib.contextmanager
def _named_globally(store: Store) -> Iterator[None]:
    """A database's registry looks for logged models in the global tracking URI only."""
    if store.uri.startswith(("http://", "https://")):
        yield
        return
    from mlflow.tracking._tracking_service.utils import _use_tracking_uri

    with _use_tracking_uri(store.uri):
        yield
