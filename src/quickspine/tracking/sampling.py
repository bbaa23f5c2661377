"""System metrics (processor, memory, GPUs) of the machine while a run goes on."""

from __future__ import annotations

from typing import Any

LAST_S = 1.0  # what the last sample may take


class Sampling:
    """MLflow's own monitor, a thread, kept alive as long as the run is."""

    def __init__(self, uri: str, every_s: float | None) -> None:
        """Prepare; `every_s`: seconds between two samples, none are taken where None."""
        self._uri, self._every_s = uri, every_s
        self._monitor: Any = None
        self._run_id: str | None = None

    def keep_on(self, run_id: str | None) -> None:
        """Sample for this run; begin again where a fault ended it."""
        if self._every_s is None or run_id is None:
            return
        thread = self._monitor._process if self._monitor is not None else None
        if thread is not None and thread.is_alive() and run_id == self._run_id:
            return
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        self.stop()
        self._run_id = run_id
        self._monitor = SystemMetricsMonitor(
            run_id,
            sampling_interval=self._every_s,
            tracking_uri=self._uri,
            resume_logging=self._monitor is not None,
        )
        self._monitor.start()

    def stop(self) -> None:
        """No samples any more; a store that does not answer is not waited for."""
        if self._monitor is not None and self._monitor._process is not None:
            self._monitor._shutdown_event.set()
            self._monitor._process.join(LAST_S)
