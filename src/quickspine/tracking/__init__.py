"""MLflow, and nothing else in quickspine knows MLflow.

Files first, tracking second: nothing that goes wrong in here leaves this room as an exception.
A run is written into a journal first; a process beside the training, the relay, tells MLflow, and
`make sync` later, where that fails. MLflow itself (seconds) is never imported by a training.

Example:
    with tracked_run(params, stage="train", head="spinal", seed=1, sections=["train"]) as run:
        for epoch in range(epochs):
            run.log_epoch(epoch, {"loss": loss, "val_accuracy": accuracy})
        run.log_model(Path("models/train-spinal-1"), input_shape=(28, 28, 1), classes=24)
"""

from quickspine.tracking.block import tracked_run
from quickspine.tracking.later import attach
from quickspine.tracking.run import TrackedRun
from quickspine.tracking.stale import sweep
from quickspine.tracking.store import project_root, store_uri

__all__ = ["TrackedRun", "attach", "project_root", "store_uri", "sweep", "tracked_run"]
