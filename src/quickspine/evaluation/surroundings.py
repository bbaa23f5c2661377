"""What the models were measured on, for the report: nothing in it changes from run to run."""

from __future__ import annotations

from quickspine.tracking.environment import environment, versions

SHOWN = ("tensorflow", "keras", "numpy", "scipy", "matplotlib", "pillow")


def surroundings() -> dict[str, str]:
    """Device and versions, name to value; the same on the same machine with the same packages.

    No date, no git commit, no path: those would change the report's bytes where nothing that it
    reports has changed.
    """
    found = environment()
    processor = f"{found['processor'] or found['machine']}, {found['processors']} processors"
    return {
        "device": ", ".join(found["gpus"]) or processor,
        "Python": str(found["python"]),
        **versions("quickspine", *SHOWN),
    }
