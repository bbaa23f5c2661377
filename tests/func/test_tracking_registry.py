"""The registry: who is champion, what is said about it, and what can go wrong."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from quickspine.files import sha256
from quickspine.params import Params
from quickspine.tracking import tracked_run
from quickspine.tracking.champion import Candidate
from quickspine.tracking.sync import sync
from tests.func.tracked import (
    KilledError,
    NeverDelivered,
    client,
    configured,
    failing_store,
    journals,
    only_run,
    runs,
)
from tests.func.tracking_server import door

DATA = "da7a" * 16
NAME = "quickspine-doodles-da7ada7a"
DRAWINGS = 400
REGISTRY = ("registered-models", "model-versions")  # in the paths of its requests
pytestmark = pytest.mark.usefixtures("delivered_here")


def trained(params: Params, accuracy: float, head: str = "spinal", seed: int = 1) -> Candidate:
    """A tracked training, and what is known of its model."""
    file = Path("models") / f"train-{head}-{seed}" / "model.keras"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(f"{head} {seed} {accuracy}".encode())  # MLflow does not look inside
    with tracked_run(params, stage="train", head=head, seed=seed, data_digest=DATA) as run:
        run.log_model(file, input_shape=(28, 28, 1), classes=3)
    return Candidate("train", head, seed, sha256(file), "p" * 64, accuracy, 1 - accuracy)


def evaluated(params: Params, candidates: Sequence[Candidate]) -> str:
    """A tracked evaluation of these models; the id of its run."""
    with tracked_run(params, stage="evaluate", data_digest=DATA) as run:
        for each in candidates:
            run.attach(each.model_digest, {"test_accuracy": each.accuracy})
        run.propose(candidates, source="doodles", data_digest=DATA, drawings=DRAWINGS)
    return str(run.run_id)


def keep_only(patch: pytest.MonkeyPatch) -> None:
    """Let runs wait for `make sync`."""
    patch.setattr("quickspine.tracking.run.Relay", NeverDelivered)


def by_name(name: str, **changes: Any) -> Any:
    """The run of this name."""
    (run,) = (run for run in runs(**changes) if run.info.run_name == name)
    return run


def model_of(name: str, **changes: Any) -> str:
    """The id of the model that the run of this name logged."""
    return str(by_name(name, **changes).outputs.model_outputs[0].model_id)


def compared(run_id: str, **changes: Any) -> set[str]:
    """The models that an evaluation's run has as inputs; a search for runs does not tell."""
    return {each.model_id for each in client(**changes).get_run(run_id).inputs.model_inputs}


def versions(**changes: Any) -> dict[str, Any]:
    """The versions of the one registered model, by number."""
    found = client(**changes).search_model_versions(f"name = '{NAME}'")
    return {str(each.version): each for each in found}


def aliases(**changes: Any) -> dict[str, str]:
    """Which version bears which alias."""
    found = client(**changes).get_registered_model(NAME).aliases
    return {alias: str(version) for alias, version in found.items()}


def decision(run_id: str, **changes: Any) -> str | None:
    """What an evaluation's run says of the registry."""
    tags: dict[str, str] = client(**changes).get_run(run_id).data.tags
    return tags.get("registry_decision")


@pytest.mark.slow
def test_the_alias_moves_by_the_rule_and_every_decision_is_told(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = configured()
    first = trained(params, 0.80, "dense")
    worse = trained(params, 0.70)
    begun = evaluated(params, [worse, first])
    reason = "there is no champion yet; right on 80.00 % of 400 validation images"
    told = f"version 1: champion; train-dense-1: {reason}"
    assert capsys.readouterr().err == f"note: tracking: model registry: {NAME}, {told}\n"
    assert aliases() == {"champion": "1"}
    (version,) = versions().values()
    training = by_name("train-dense-1")
    assert compared(begun) == {model_of("train-dense-1"), model_of("train-spinal-1")}
    assert training.data.tags["mlflow.parentRunId"] == begun
    assert version.run_id == training.info.run_id
    assert version.source == f"models:/{model_of('train-dense-1')}"
    expected = {
        "stage": "train",
        "head": "dense",
        "seed": "1",
        "model_digest": first.model_digest,
        "params_digest": "p" * 64,
        "validation_accuracy": "0.8",
        "validation_drawings": "400",
        "decision": "champion",
        "reason": reason,
    }
    assert expected.items() <= version.tags.items()
    assert decision(begun) == f"{NAME}, {told}"
    assert client().get_registered_model(NAME).tags["last_decision"] == told
    logged = client().get_logged_model(model_of("train-dense-1"))
    assert json.loads(logged.tags["mlflow.modelVersions"]) == [{"name": NAME, "version": 1}]

    close = trained(params, 0.82, seed=2)  # less than sqrt((0.8 * 0.2 + 0.82 * 0.18) / 400) above
    evaluated(params, [close])
    assert aliases() == {"champion": "1", "challenger": "2"}
    assert "+2.00 points, not more than one standard error" in versions()["2"].tags["reason"]

    better = trained(params, 0.85, seed=3)
    evaluated(params, [close, better])
    assert aliases() == {"champion": "3", "challenger": "2"}
    assert "85.00 % right against the champion's 80.00 %" in versions()["3"].tags["reason"]
    assert versions()["1"].tags["dethroned_by"] == "3"

    for again, number in ((better, "3"), (first, "1")):
        before = {number: each.tags for number, each in versions().items()}
        run_id = evaluated(params, [again])
        assert aliases() == {"champion": "3", "challenger": "2"}
        assert {number: each.tags for number, each in versions().items()} == before
        said_so = f"version {number}: unchanged; the same model again, version 3 is champion"
        assert decision(run_id) == f"{NAME}, {said_so}"
    assert journals(project) == []


def test_a_model_without_a_run_is_not_registered(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    restored = Candidate("train", "dense", 1, "c" * 64, "p" * 64, 0.9, 0.1)
    run_id = evaluated(configured(), [restored])
    words = "none: no run with the model cccccccccccc is recorded"
    assert str(decision(run_id)).startswith(words)
    assert client().search_registered_models() == []
    assert journals(project) == []
    assert words in capsys.readouterr().err


def test_a_logged_model_that_was_deleted_makes_room_for_a_new_version(project: Path) -> None:
    params = configured()
    model = trained(params, 0.8)
    evaluated(params, [model])
    client().delete_logged_model(model_of("train-spinal-1"))
    run_id = evaluated(params, [model])  # nothing to register: said, and no failure for ever
    assert "is not registered" in str(decision(run_id))
    client().delete_run(by_name("train-spinal-1").info.run_id)
    trained(params, 0.8)  # the same bytes
    run_id = evaluated(params, [model])
    assert f"{NAME}, version 2: champion" in str(decision(run_id))
    assert aliases() == {"champion": "2"}
    assert versions()["2"].source == f"models:/{model_of('train-spinal-1')}"
    assert journals(project) == []


def test_a_champion_of_the_user_s_own_stays(project: Path) -> None:
    params = configured()
    evaluated(params, [trained(params, 0.5)])
    own = client().create_model_version(NAME, "/somewhere/else", tags={"made": "by hand"})
    client().set_registered_model_alias(NAME, "champion", own.version)
    evaluated(params, [trained(params, 0.99, seed=2)])
    assert aliases() == {"champion": "2", "challenger": "3"}
    assert versions()["3"].tags["reason"].startswith("the champion, version 2, has no tag")


def test_metrics_and_candidates_wait_for_a_training_that_waits(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = configured()
    with monkeypatch.context() as patch:
        keep_only(patch)
        model = trained(params, 0.5)
    evaluation = evaluated(params, [model])
    assert (only_run().info.run_id, only_run().info.status) == (evaluation, "FINISHED")
    assert decision(evaluation) is None
    assert len(journals(project)) == 2
    assert sync(params.tracking) == 0
    assert aliases() == {"champion": "1"}
    assert str(decision(evaluation)).startswith(f"{NAME}, version 1: champion")
    training = by_name("train-spinal-1")
    assert training.data.tags["mlflow.parentRunId"] == evaluation
    assert training.data.metrics["test_accuracy"] == 0.5
    assert len(runs()) == 2


@pytest.mark.faults
@pytest.mark.slow
def test_a_kill_after_any_call_to_the_registry_and_another_sync_decide_once(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = configured()
    evaluated(params, [trained(params, 0.5)])
    model = trained(params, 0.9, "dense")
    with monkeypatch.context() as patch:
        keep_only(patch)
        evaluated(params, [model])
    shutil.copytree(project / "mlruns", project / "kept")
    with monkeypatch.context() as patch:
        calls = failing_store(patch, 0, KilledError())
        assert sync(params.tracking) == 0
    assert_dethroned(project)
    for at in range(calls.index("get_registered_model"), len(calls) + 1):
        shutil.rmtree(project / "mlruns")
        shutil.copytree(project / "kept", project / "mlruns")
        with monkeypatch.context() as patch:
            failing_store(patch, at, KilledError())
            with pytest.raises(KilledError):
                sync(params.tracking)
        assert sync(params.tracking) == 0
        assert_dethroned(project)


def assert_dethroned(project: Path) -> None:
    """The second evaluation's model is champion, once, by the reason that counted."""
    assert journals(project) == []
    assert aliases() == {"champion": "2"}
    old, new = (versions()[number] for number in ("1", "2"))
    assert len(versions()) == 2
    assert (old.tags["dethroned_by"], new.tags["decision"]) == ("2", "champion")
    assert "against the champion's 50.00 %" in new.tags["reason"]
    told = [decision(run.info.run_id) for run in runs() if run.data.tags["stage"] == "evaluate"]
    assert len(told) == 2
    assert f"{NAME}, version 2: champion; train-dense-1: {new.tags['reason']}" in told


def test_one_decision_at_a_time_on_a_machine(project: Path) -> None:
    params = configured()
    model = trained(params, 0.5)
    with FileLock(project / "mlruns" / "mlflow.registry.lock"):  # by another process
        thread = threading.Thread(target=evaluated, args=(params, [model]))
        thread.start()
        thread.join(2)
        assert client().search_registered_models() == []
    thread.join()
    assert aliases() == {"champion": "1"}


# On a server


@pytest.fixture
def fresh(served: int, empty: Path) -> Iterator[int]:
    """The server's port; its registry is emptied afterwards."""
    yield served
    with door(behind=served) as server:
        found = client(uri=server.url)
        for each in found.search_registered_models():
            found.delete_registered_model(each.name)


@pytest.mark.faults
def test_a_server_s_registry_decides_alike_and_what_it_could_not_is_decided_by_sync(
    fresh: int, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with door(behind=fresh) as server:
        server.fault, server.only = "500", REGISTRY
        place = {"uri": server.url, "experiment": "quickspine"}
        params = configured(**place)
        first = evaluated(params, [trained(params, 0.5)])
        assert "kept in mlruns/pending" in capsys.readouterr().err
        assert client(**place).get_run(first).info.status == "FINISHED"
        assert decision(first, **place) is None
        assert sync(params.tracking) == 1
        server.fault = None
        assert sync(params.tracking) == 0
        assert "version 1: champion" in str(decision(first, **place))
        evaluated(params, [trained(params, 0.501, seed=2)])
        best = trained(params, 0.9, seed=3)
        last = evaluated(params, [best])
        assert aliases(**place) == {"champion": "3", "challenger": "2"}
        assert versions(**place)["1"].tags["dethroned_by"] == "3"
        again = evaluated(params, [best])
        assert len(versions(**place)) == 3
        assert "unchanged; the same model again" in str(decision(again, **place))
        assert "version 3: champion" in str(decision(last, **place))
        assert by_name("train-spinal-3", **place).data.tags["mlflow.parentRunId"] == again
        tags = client(**place).get_logged_model(model_of("train-spinal-3", **place)).tags
        assert NAME in tags["mlflow.modelVersions"]
    assert journals(empty) == []


@pytest.mark.faults
def test_a_server_without_a_registry_has_the_run_all_the_same(
    fresh: int, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with door(behind=fresh) as server:
        server.fault, server.only = "404", REGISTRY
        place = {"uri": server.url, "experiment": "no registry"}
        params = configured(**place)
        evaluation = evaluated(params, [trained(params, 0.5)])
        (said,) = capsys.readouterr().err.splitlines()
        assert "cannot record all of evaluate (candidate (" in said
        assert "the rest is there" in said
        assert client(**place).get_run(evaluation).info.status == "FINISHED"
        assert len(compared(evaluation, **place)) == 1
    assert journals(empty) == []
