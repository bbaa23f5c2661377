"""The sections of the report, one a module: `section(evidence)` returns it, or None without it."""
