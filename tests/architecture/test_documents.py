"""Documents that are made from the code say what the code says."""

from pathlib import Path

from monitor.decide.table import as_markdown

DOCS = Path(__file__).parents[2] / "docs"


def test_the_transition_table_in_the_docs_is_the_one_that_judges():
    """After a change, put what `as_markdown` returns in the place of the table."""
    written = (DOCS / "reference" / "verdicts.md").read_text()
    assert written.endswith("\n\n" + as_markdown().strip() + "\n")
