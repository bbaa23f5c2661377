"""MLflow's model registry: the best model of an evaluation as a version, and who is champion.

Every step may be repeated, however far an earlier try came: a version is found by the digest of its
model, and bears the decision before an alias moves.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from quickspine.tracking.champion import CHALLENGER, CHAMPION, Decision, decide
from quickspine.tracking.found import Entry, model_of, runs_of
from quickspine.tracking.store import FOLDER, SQLITE, Store

DECISION = "registry_decision"  # on the evaluation's run: the last thing that is written
VERSIONS = "mlflow.modelVersions"  # on a logged model: where its page looks for its versions
WAIT_S = 60.0  # for another process's decision, which takes a second


class NotRecordedError(Exception):
    """No run with this model is recorded: there is nothing that could be registered."""


def put_forward(store: Store, candidate: Entry, evaluation: str, root: Path) -> None:
    """Register a candidate and decide about it, once for an evaluation.

    Args:
        store: the open one.
        candidate: the journal's entry: `name` of the registered model, `label`, `model_digest`,
            `accuracy`, `drawings`, and the version's further `tags`.
        evaluation: id of its run, which gets the decision.
        root: the project.

    Raises:
        NotRecordedError: where no training of the model, with the model, is recorded.
        Exception: whatever the registry has to say.
    """
    client = store.client
    if DECISION in client.get_run(evaluation).data.tags:
        return
    digest = candidate["model_digest"]
    trainings = [run for run in runs_of(store, digest) if model_of(run) is not None]
    if not trainings:
        raise NotRecordedError(f"no run of model {digest[:12]} is recorded")
    with _alone(store, root):
        aliases = _registered(client, candidate)
        version = _version(store, candidate, trainings[0])
        text = _decided(client, candidate, version, aliases, evaluation)
        client.set_registered_model_tag(candidate["name"], "last_decision", text)
    client.set_tag(evaluation, DECISION, f"{candidate['name']}, {text}")


def _registered(client: Any, candidate: Entry) -> dict[str, str]:
    """The aliases of the registered model, which is made where it is missing."""
    name = candidate["name"]
    try:
        found = client.get_registered_model(name)
    except Exception as error:
        if getattr(error, "error_code", None) != "RESOURCE_DOES_NOT_EXIST":
            raise
        described = (
            "The best model, on validation, of each evaluation of the same drawings. The alias "
            "champion moves to one that is better there by more than one standard error of the "
            "difference; any other is challenger."
        )
        with _unless_there(client, name):
            client.create_registered_model(name, description=described)
        found = client.get_registered_model(name)
    return {alias: str(version) for alias, version in found.aliases.items()}


@contextlib.contextmanager
def _unless_there(client: Any, name: str) -> Iterator[None]:
    """Pass over the error of making what another machine made a moment before."""
    try:
        yield
    except Exception as error:
        if getattr(error, "error_code", None) != "RESOURCE_ALREADY_EXISTS":
            raise


def _version(store: Store, candidate: Entry, training: Any) -> Any:
    """The version that holds this model, found by its digest, else made."""
    client, name, digest = store.client, candidate["name"], candidate["model_digest"]
    known = client.search_model_versions(f"name = '{name}'")
    same = [each for each in known if each.tags.get("model_digest") == digest]
    model_id = model_of(training)
    with _named_globally(store):
        version = min(same, key=lambda each: int(each.version), default=None)
        version = version or client.create_model_version(
            name,
            f"models:/{model_id}",
            run_id=training.info.run_id,
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
    _tell_the_model(client, version)
    return version


def _tell_the_model(client: Any, version: Any) -> None:
    """Its page then names the version; servers do it themselves, a database does not."""
    model_id = str(version.source).removeprefix("models:/")
    told = json.loads(client.get_logged_model(model_id).tags.get(VERSIONS, "[]"))
    entry = {"name": version.name, "version": version.version}
    if not any(each["name"] == version.name for each in told):
        client.set_logged_model_tags(model_id, {VERSIONS: json.dumps([*told, entry])})


def _decided(
    client: Any,
    candidate: Entry,
    version: Any,
    aliases: Mapping[str, str],
    evaluation: str,
) -> str:
    """Decide, write the decision down, move the alias; returns the decision in words."""
    name, own, tags = candidate["name"], str(version.version), version.tags
    champion = aliases.get(CHAMPION)
    begun = tags.get("evaluation") == evaluation and "decision" in tags
    if "decision" in tags and not begun:
        now = "no version" if champion is None else f"version {champion}"
        return f"version {own}: unchanged; the same model again, {now} is champion"
    if begun and champion in (own, tags["champion_before"] or None):
        decision = Decision(tags["decision"], tags["reason"])  # by a try that was cut off
    else:
        decision = _compared(client, candidate, champion)
        noted = {
            "evaluation": evaluation,
            "champion_before": champion or "",
            "reason": decision.reason,
            "decision": decision.alias,  # last: with it the others count
        }
        for key, value in noted.items():
            client.set_model_version_tag(name, own, key, value)
    if decision.alias == CHAMPION and champion not in (None, own):
        client.set_model_version_tag(name, champion, "dethroned_by", own)
    if aliases.get(decision.alias) != own:
        client.set_registered_model_alias(name, decision.alias, own)
    return f"version {own}: {decision.alias}; {candidate['label']}: {decision.reason}"


def _compared(client: Any, candidate: Entry, champion: str | None) -> Decision:
    accuracy, drawings = candidate["accuracy"], candidate["drawings"]
    if champion is None:
        return decide(accuracy, None, drawings)
    told = client.get_model_version(candidate["name"], champion).tags.get("validation_accuracy")
    try:
        return decide(accuracy, float(told), drawings)
    except (TypeError, ValueError):  # a version of the user's own, made champion by hand
        reason = f"the champion, version {champion}, has no tag validation_accuracy to compare with"
        return Decision(CHALLENGER, reason)


@contextlib.contextmanager
def _alone(store: Store, root: Path) -> Iterator[None]:
    """One decision at a time on this machine, whatever stages, relays and syncs go on."""
    place = root / FOLDER / "registry.lock"
    if store.uri.startswith(SQLITE):
        place = Path(store.uri.removeprefix(SQLITE)).with_suffix(".registry.lock")
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
