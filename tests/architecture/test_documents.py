"""Documents that are made from the code say what the code says."""

import re
from pathlib import Path

from monitor.app.cli import parser
from monitor.decide.table import as_markdown

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def test_the_transition_table_in_the_docs_is_the_one_that_judges():
    """After a change, put what `as_markdown` returns in the place of the table."""
    written = (DOCS / "reference" / "verdicts.md").read_text()
    assert written.endswith("\n\n" + as_markdown().strip() + "\n")


def test_every_call_that_the_settings_file_names_is_whole():
    calls = re.findall(r"`trigwatch ([^`]+)`", (ROOT / "deploy" / "trigwatch.toml").read_text())
    assert len(calls) == 3
    for call in calls:
        assert parser().parse_args(call.split()).command is not None, call
