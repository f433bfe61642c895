"""docs/security.md names the test that holds each door shut."""

import re

from conftest import ROOT

NAMED = re.compile(r"`(\w+(?:/\w+)*\.py)::(test_\w+)`")


def test_every_test_that_the_document_names_is_there():
    named = NAMED.findall((ROOT / "docs/security.md").read_text())
    assert len(set(named)) == len(named) > 30
    missing = [test for file, test in named if f"\ndef {test}(" not in (ROOT / "tests" / file).read_text()]
    assert missing == []


def test_every_door_names_a_test():
    rows = [line for line in (ROOT / "docs/security.md").read_text().splitlines() if line.startswith("| ")]
    doors = [row for row in rows if not row.startswith("| door ")]
    assert doors and all(NAMED.search(row.rsplit("|", 2)[1]) for row in doors)
