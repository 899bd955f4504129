"""The reference page of the metrics, written from the catalogue: `python -m monitor.serve.reference`."""

from __future__ import annotations

import sys

from monitor.serve import catalogue
from monitor.serve.metrics import SERIES

HEAD = f"""# Metrics

What `/metrics` shows; `python -m monitor.serve.reference` writes it from the catalogue, `monitor/serve/catalogue.py`.
Dashboards and alert rules are tested against the same list. Run, lumisection and fill are never labels. A page has at
most {SERIES:,} series; a full page keeps them in the order of this table and counts the others in
`{catalogue.DROPPED_SERIES.full}`. Prometheus gets OpenMetrics if it asks for it.

| metric | type | labels | unit | meaning |
|---|---|---|---|---|
"""

TAIL = "\nAbout the process itself, under their usual names: {names}.\n"


def markdown() -> str:
    """Return the page."""
    rows = [
        f"| `{metric.full}` | {metric.type} | {_codes(metric.labels)} | {metric.unit} | {metric.help} |\n"
        for metric in catalogue.CATALOGUE
    ]
    return HEAD + "".join(rows) + TAIL.format(names=_codes(catalogue.PROCESS_METRICS))


def _codes(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    sys.stdout.write(markdown())
