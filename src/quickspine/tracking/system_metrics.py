"""System metrics (processor, memory, GPUs) of the machine while a run goes on."""

from __future__ import annotations

from typing import Any

PRIMING_S = 0.2  # before the first sample: a processor's load is that since the last look
LAST_S = 1.0  # what the last sample may take


class SystemMetrics:
    """MLflow's own monitor, a thread, kept alive as long as the run goes on."""

    def __init__(self, uri: str, every_s: float | None) -> None:
        """Prepare; `every_s`: seconds between two samples, None for no samples."""
        self._uri, self._every_s = uri, every_s
        self._monitor: Any = None

    def keep_on(self, run_id: str | None) -> None:
        """Take samples for this run; begin again where a fault ended the thread."""
        if self._every_s is None or run_id is None:
            return
        thread = getattr(self._monitor, "_process", None)
        if thread is not None and thread.is_alive() and self._monitor._run_id == run_id:
            return
        self.stop()
        self._monitor = _primed_monitor()(
            run_id,
            sampling_interval=self._every_s,
            tracking_uri=self._uri,
            resume_logging=self._monitor is not None,
        )
        self._monitor.start()

    def stop(self) -> None:
        """Take no more samples; a store that does not answer is not waited for."""
        if getattr(self._monitor, "_process", None) is not None:
            self._monitor._shutdown_event.set()
            self._monitor._process.join(LAST_S)


def _primed_monitor() -> Any:
    """MLflow's monitor, whose first sample of the processor is no 0.0.

    psutil measures the load since the last call in the same thread.
    """
    import psutil  # type: ignore[import-untyped] # ships no types
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    class Primed(SystemMetricsMonitor):  # type: ignore[misc] # MLflow ships no types
        def monitor(self) -> None:
            psutil.cpu_percent()
            self._shutdown_event.wait(PRIMING_S)
            super().monitor()

    return Primed
