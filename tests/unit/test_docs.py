"""The tests that docs/reliability.md names exist, and links between pages lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_every_promise_names_tests_that_exist() -> None:
    """`file::test`; `::test` is in the file named before it."""
    rows = (ROOT / "docs/reliability.md").read_text(encoding="utf-8").splitlines()
    rows = [row for row in rows if row.startswith("| ") and not row.startswith("| promise")]
    assert len(rows) > 30
    missing = []
    for row in rows:
        names = re.findall(r"`([a-z0-9_/]*\.py)?(?:::(\w+))?`", row.rsplit(" | ", 1)[1])
        assert names, f"no test is named: {row}"
        content = ""
        for file, test in names:
            content = (ROOT / "tests" / file).read_text(encoding="utf-8") if file else content
            if test and f"def {test}(" not in content:
                missing.append(test)
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []
