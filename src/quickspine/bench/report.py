"""The whole of bench/results.json in Markdown, for people and for the docs."""

from __future__ import annotations

from typing import Any

from quickspine.bench.sections import section


def markdown(results: dict[str, Any]) -> str:
    """A line about the machine, then a heading and tables a section."""
    machine, size = results["environment"], results["size"]
    packages = ", ".join(
        f"{name} {machine['packages'][name]}"
        for name in ("tensorflow", "keras", "numpy")
        if name in machine["packages"]
    )
    minutes = sum(results["seconds"].values()) / 60
    commit = results.get("git_commit", "")[:12]
    dirty = " with changes" if results.get("dirty") == "true" else ""
    lines = [
        f"Measured {results['started'][:10]} on {machine['processor'] or machine['machine']}, "
        f"{results['threads']} threads for everybody, {machine['memory_gib']:g} GiB; Python "
        f"{machine['python']}, {packages}" + (f"; commit {commit}{dirty}." if commit else "."),
        f"Medians of {size['rounds']} rounds in turn, with the slowest and the fastest; ratios "
        "are of medians, with the least and the greatest within a round. The whole took "
        f"{minutes:.0f} minutes.",
    ]
    if results["quick"]:
        lines.append("**A quick look: these numbers are not to be quoted.**")
    parts = ["\n".join(lines)]
    for name, found in results["sections"].items():
        one = section(name)
        parts.append(f"## {one.TITLE}\n\n{one.markdown(found)}")
    return "\n\n".join(parts) + "\n"
