"""MLflow, and nothing else in quickspine knows MLflow.

Files first, tracking second: no fault in here reaches the caller as an exception. A run is written
into a journal first; a process beside the training, the relay, delivers the journal to MLflow, and
`make sync` delivers later what a relay could not. A training never imports MLflow.

Example:
    with tracked_run(params, stage="train", head="spinal", seed=1, sections=["train"]) as run:
        for epoch in range(epochs):
            run.log_epoch(epoch, {"loss": loss, "val_accuracy": accuracy})
        run.log_model(Path("models/train-spinal-1"), input_shape=(28, 28, 1), classes=24)
"""

from quickspine.tracking.run import TrackedRun, tracked_run
from quickspine.tracking.store import store_uri

__all__ = ["TrackedRun", "store_uri", "tracked_run"]
