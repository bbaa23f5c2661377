"""Evaluations as parents of trainings, and the registry: who is champion, and what can go wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from quickspine.files import sha256
from quickspine.params import Params
from quickspine.tracking import attach, tracked_run
from quickspine.tracking.champion import Candidate
from quickspine.tracking.found import runs_of
from quickspine.tracking.sync import sync
from tests.func.tracked import (
    NeverRecorded,
    client,
    configured,
    journals,
    only_run,
    runs,
    sync_killed,
)
from tests.func.tracking_server import door

DATA = "da7a" * 16
NAME = "quickspine-doodles-da7ada7a"
DRAWINGS = 400
HEADS = ("dense", "spinal")
REGISTRY = ("registered-models", "model-versions")  # in the paths of its requests
recorded_here = pytest.mark.usefixtures("recorded_here")


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
            attach(params.tracking, each.model_digest, {"test_accuracy": each.accuracy})
        run.propose(candidates, source="doodles", data_digest=DATA, drawings=DRAWINGS)
    return str(run.run_id)


def parents(**changes: Any) -> dict[str, str | None]:
    """The parent of every run, by its id."""
    tag = "mlflow.parentRunId"
    return {run.info.run_id: run.data.tags.get(tag) for run in runs(**changes)}


def compared(run_id: str, **changes: Any) -> set[str]:
    """The models that an evaluation's run has as inputs; a search for runs does not tell."""
    return {each.model_id for each in client(**changes).get_run(run_id).inputs.model_inputs}


def by_name(name: str, **changes: Any) -> Any:
    """The run of this name."""
    (run,) = (run for run in runs(**changes) if run.info.run_name == name)
    return run


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


# Parents


@recorded_here
def test_trainings_are_nested_under_the_evaluation_that_compared_them(project: Path) -> None:
    params = configured()
    both = [trained(params, 0.5, head) for head in ("dense", "spinal")]
    trained(params, 0.9, "linear")
    evaluation = evaluated(params, both)
    found = {run.info.run_name: run for run in runs()}
    for head, parent in (("dense", evaluation), ("spinal", evaluation), ("linear", None)):
        assert parents()[found[f"train-{head}-1"].info.run_id] == parent
    assert parents()[evaluation] is None
    made = [found[f"train-{head}-1"].outputs.model_outputs[0].model_id for head in HEADS]
    assert compared(evaluation) == set(made)
    later = evaluated(params, both[:1])
    assert parents()[found["train-dense-1"].info.run_id] == later
    assert parents()[found["train-spinal-1"].info.run_id] == evaluation


def test_the_later_evaluation_is_the_parent_in_whatever_order_they_are_recorded(
    project: Path, recorded_here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = configured()
    model = trained(params, 0.5)
    with monkeypatch.context() as patch:
        patch.setattr("quickspine.tracking.run.Background", NeverRecorded)
        evaluated(params, [model])
    later = evaluated(params, [model])
    assert sync(params.tracking) == 0
    (training,) = (run for run in runs() if run.info.run_name == "train-spinal-1")
    assert parents()[training.info.run_id] == later
    assert len(runs()) == 3
    for run in runs():
        assert len(compared(run.info.run_id)) == (run.info.run_name == "evaluate")


@recorded_here
def test_a_parent_that_is_gone_is_replaced(project: Path) -> None:
    params = configured()
    model = trained(params, 0.5)
    training = only_run().info.run_id
    gone = client().create_run("1", start_time=2**40 * 2)  # long after this one
    client().set_tag(training, "mlflow.parentRunId", gone.info.run_id)
    client().delete_run(gone.info.run_id)
    assert parents()[training] == gone.info.run_id
    evaluation = evaluated(params, [model])
    assert parents()[training] == evaluation
    client().set_tag(training, "mlflow.parentRunId", "f" * 32)  # of no run at all
    evaluation = evaluated(params, [model])
    assert parents()[training] == evaluation


# The registry


@recorded_here
def test_the_alias_moves_by_the_rule_and_every_decision_is_told(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = configured()
    first = trained(params, 0.80, "dense")
    worse = trained(params, 0.70)
    begun = evaluated(params, [worse, first])
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "note: tracking: train-dense-1, the best on validation, goes to the model regis" in (
        said.err
    )
    assert NAME in said.err
    assert aliases() == {"champion": "1"}
    (version,) = versions().values()
    training = by_name("train-dense-1")
    assert version.run_id == training.info.run_id
    assert version.source == f"models:/{training.outputs.model_outputs[0].model_id}"
    expected = {
        "stage": "train",
        "head": "dense",
        "seed": "1",
        "model_digest": first.model_digest,
        "params_digest": "p" * 64,
        "validation_accuracy": "0.8",
        "validation_drawings": "400",
        "decision": "champion",
    }
    assert expected.items() <= version.tags.items()
    reason = "there is no champion yet; right on 80.00 % of 400 validation drawings"
    assert version.tags["reason"] == reason
    told = f"version 1: champion; train-dense-1: {reason}"
    assert decision(begun) == f"{NAME}, {told}"
    assert client().get_registered_model(NAME).tags["last_decision"] == told
    logged = client().get_logged_model(training.outputs.model_outputs[0].model_id)
    assert json.loads(logged.tags["mlflow.modelVersions"]) == [{"name": NAME, "version": 1}]

    close = trained(params, 0.82, seed=2)  # less than sqrt((0.8 * 0.2 + 0.82 * 0.18) / 400) above
    evaluated(params, [close])
    assert aliases() == {"champion": "1", "challenger": "2"}
    assert versions()["2"].tags["decision"] == "challenger"
    assert "+2.00 points, not more than one standard error" in versions()["2"].tags["reason"]

    better = trained(params, 0.85, seed=3)
    evaluated(params, [close, better])
    assert aliases() == {"champion": "3", "challenger": "2"}
    assert versions()["3"].tags["decision"] == "champion"
    assert "85.00 % right against the champion's 80.00 %" in versions()["3"].tags["reason"]
    assert versions()["1"].tags["dethroned_by"] == "3"
    assert versions()["1"].tags["decision"] == "champion"  # what was decided then

    for again, number in ((better, "3"), (first, "1")):
        before = {number: each.tags for number, each in versions().items()}
        run_id = evaluated(params, [again])
        assert aliases() == {"champion": "3", "challenger": "2"}
        assert {number: each.tags for number, each in versions().items()} == before
        said_so = f"version {number}: unchanged; the same model again, version 3 is champion"
        assert decision(run_id) == f"{NAME}, {said_so}"
    assert journals(project) == []


@recorded_here
def test_a_model_without_a_run_is_not_registered(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    restored = Candidate("train", "dense", 1, "c" * 64, "p" * 64, 0.9, 0.1)
    run_id = evaluated(configured(), [restored])
    assert decision(run_id) == "none: no run of model cccccccccccc is recorded"
    assert client().search_registered_models() == []
    assert journals(project) == []
    assert "warning" not in capsys.readouterr().err


@recorded_here
def test_a_champion_of_the_user_s_own_stays(project: Path) -> None:
    params = configured()
    evaluated(params, [trained(params, 0.5)])
    own = client().create_model_version(NAME, "/somewhere/else", tags={"made": "by hand"})
    client().set_registered_model_alias(NAME, "champion", own.version)
    evaluated(params, [trained(params, 0.99, seed=2)])
    assert aliases() == {"champion": "2", "challenger": "3"}
    assert versions()["3"].tags["reason"].startswith("the champion, version 2, has no tag")


def test_a_training_that_waits_is_waited_for(
    project: Path, recorded_here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = configured()
    with monkeypatch.context() as patch:
        patch.setattr("quickspine.tracking.run.Background", NeverRecorded)
        model = trained(params, 0.5)
    evaluation = evaluated(params, [model])
    assert (only_run().info.run_id, only_run().info.status) == (evaluation, "FINISHED")
    assert decision(evaluation) is None
    assert len(journals(project)) == 2
    assert sync(params.tracking) == 0
    assert aliases() == {"champion": "1"}
    assert str(decision(evaluation)).startswith(f"{NAME}, version 1: champion")
    assert parents()[by_name("train-spinal-1").info.run_id] == evaluation
    assert len(runs()) == 2


def test_a_kill_after_any_call_to_the_store_and_another_sync_decide_once(
    project: Path, recorded_here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = configured()
    evaluated(params, [trained(params, 0.5)])
    model = trained(params, 0.9, "dense")
    with monkeypatch.context() as patch:
        patch.setattr("quickspine.tracking.run.Background", NeverRecorded)
        evaluated(params, [model])
    shutil.copytree(project / "mlruns", project / "kept")
    fatal = 1
    while sync_killed(monkeypatch, fatal):
        assert sync(params.tracking) == 0
        assert_dethroned(project)
        shutil.rmtree(project / "mlruns")
        shutil.copytree(project / "kept", project / "mlruns")
        fatal += 1
    assert fatal > 25  # a run, its parts, a version, its tags, the alias, the decision
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


RECORD = """
import sys
from pathlib import Path
from quickspine.params import load
from quickspine.tracking.pending import claimed
from quickspine.tracking.quiet import load as load_mlflow
from quickspine.tracking.recording import record_left
tracking = load(sys.argv[1]).tracking
load_mlflow()
print("ready", flush=True)
sys.stdin.readline()
with claimed(Path(sys.argv[2])) as journal:
    print(record_left(journal, tracking, Path.cwd()))
"""


def test_two_evaluations_at_once_agree_on_one_champion(
    project: Path, recorded_here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = configured()
    evaluated(params, [trained(params, 0.5)])
    models = [trained(params, accuracy, seed=seed) for seed, accuracy in ((2, 0.9), (3, 0.99))]
    monkeypatch.setattr("quickspine.tracking.run.Background", NeverRecorded)
    for model in models:
        evaluated(params, [model])
    place = Path(__file__).parents[2] / "params.yaml"
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", RECORD, str(place), str(journal)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for journal in journals(project)
    ]
    assert len(started) == 2
    for child in started:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in started:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in started:
        out, error = child.communicate(timeout=120)
        assert "left=[], refused=[]" in out, out + error
    found = versions()
    assert len(found) == 3
    (best,) = (number for number, each in found.items() if each.tags["seed"] == "3")
    assert aliases()["champion"] == best
    assert found[best].tags["decision"] == "champion"
    # Who came second was compared with who came first, not with the champion before both.
    (other,) = (number for number, each in found.items() if each.tags["seed"] == "2")
    came_first = found[other].tags["decision"] == "champion"
    assert found[best].tags["champion_before"] == (other if came_first else "1")
    assert aliases().get("challenger") == (None if came_first else other)
    assert journals(project) == []


def test_what_another_look_meets_is_not_lost_with_the_fault(
    project: Path, recorded_here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metrics that waited for a training, when the store fails in the midst of the next look."""
    params = configured()
    with monkeypatch.context() as patch:
        patch.setattr("quickspine.tracking.run.Background", NeverRecorded)
        models = [trained(params, 0.5, head) for head in HEADS]
    (waiting, _) = journals(project)
    kept = shutil.copytree(waiting, project / "kept")
    shutil.rmtree(waiting)
    assert sync(params.tracking) == 0  # the second one
    shutil.copytree(kept, waiting)
    calls: list[Any] = []

    def failing(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 3:  # two are sent, the first of the two is looked at again
            raise ConnectionError("gone for a moment")
        return runs_of(*arguments)

    monkeypatch.setattr("quickspine.tracking.delivery.runs_of", failing)
    with tracked_run(params, stage="evaluate") as run:
        for model in models:
            attach(params.tracking, model.model_digest, {"test_accuracy": 0.5})
    assert run.run_id
    assert len(journals(project)) == 2  # the metrics still wait with the training
    assert len(calls) > 3


# On a server


@pytest.fixture
def fresh(served: int, empty: Path) -> Iterator[int]:
    """The server's port; its registry is emptied afterwards."""
    yield served
    with door(behind=served) as server:
        found = client(uri=server.url)
        for each in found.search_registered_models():
            found.delete_registered_model(each.name)


@recorded_here
def test_a_server_s_registry_decides_alike(fresh: int, empty: Path) -> None:
    with door(behind=fresh) as server:
        place = {"uri": server.url}
        params = configured(**place)
        first = evaluated(params, [trained(params, 0.5)])
        evaluated(params, [trained(params, 0.501, seed=2)])
        best = trained(params, 0.9, seed=3)
        last = evaluated(params, [best])
        assert aliases(**place) == {"champion": "3", "challenger": "2"}
        assert versions(**place)["1"].tags["dethroned_by"] == "3"
        again = evaluated(params, [best])
        assert len(versions(**place)) == 3
        assert "unchanged; the same model again" in str(decision(again, **place))
        assert "version 3: champion" in str(decision(last, **place))
        training = by_name("train-spinal-3", **place).info.run_id
        assert parents(**place)[training] == again
        assert first in parents(**place).values()
        (model,) = by_name("train-spinal-3", **place).outputs.model_outputs
        tags = client(**place).get_logged_model(model.model_id).tags
        assert NAME in tags["mlflow.modelVersions"]
    assert journals(empty) == []


@recorded_here
def test_a_server_without_a_registry_has_the_run_all_the_same(
    fresh: int, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with door(behind=fresh) as server:
        server.fault, server.only = "404", REGISTRY
        place = {"uri": server.url, "experiment": "no registry"}
        params = configured(**place)
        evaluation = evaluated(params, [trained(params, 0.5)])
        said = capsys.readouterr().err.splitlines()
        assert [line.partition(" ")[0] for line in said] == ["note:", "warning:"]
        assert "cannot record all of evaluate (candidate (" in said[1]
        assert "the rest is there" in said[1]
        found = client(**place).get_run(evaluation)
        assert found.info.status == "FINISHED"
        assert len(compared(evaluation, **place)) == 1
    assert journals(empty) == []


@recorded_here
def test_a_registry_that_fails_is_asked_again_by_sync(
    fresh: int, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with door(behind=fresh) as server:
        server.fault, server.only = "500", REGISTRY
        place = {"uri": server.url, "experiment": "quickspine"}
        params = configured(**place)
        evaluation = evaluated(params, [trained(params, 0.5, "linear", seed=9)])
        assert "kept in mlruns/pending" in capsys.readouterr().err
        assert client(**place).get_run(evaluation).info.status == "FINISHED"
        assert decision(evaluation, **place) is None
        assert sync(params.tracking) == 1
        server.fault = None
        assert sync(params.tracking) == 0
        assert "version 1: champion" in str(decision(evaluation, **place))
        assert aliases(**place) == {"champion": "1"}
    assert journals(empty) == []
