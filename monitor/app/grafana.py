"""`trigwatch grafana`: put the dashboards where people look at them."""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from pathlib import Path

from monitor.app.console import GOOD, NO, Commands, Unusable, command, group, say, warn


def add(commands: Commands) -> None:
    """Add the command."""
    example = "trigwatch grafana push dashboards/shifter.json --url http://127.0.0.1:3000 --token-file token"
    parts = group(commands, "grafana", text="put the dashboards where people look at them", example=example)
    send = command(
        parts,
        "push",
        push,
        text="write dashboards to a Grafana server",
        example=example,
    )
    send.add_argument("files", type=Path, nargs="+", help="dashboard JSON files")
    send.add_argument("--url", required=True)
    send.add_argument("--token-file", type=Path, help="file that holds a service account token")


def push(given: argparse.Namespace) -> int:
    """Write every dashboard, replacing the one with the same uid."""
    try:
        client = import_module("grafana_client")
    except ModuleNotFoundError as error:
        raise Unusable("pushing needs grafana-client: pip install 'trigwatch[grafana]'") from error
    try:
        dashboards = [json.loads(file.read_text(encoding="utf-8")) for file in given.files]
        token = given.token_file.read_text(encoding="utf-8").strip() if given.token_file else None
    except (OSError, ValueError) as error:
        raise Unusable(str(error)) from error
    grafana = client.GrafanaApi.from_url(given.url, credential=client.TokenAuth(token) if token else None)
    try:
        for file, dashboard in zip(given.files, dashboards, strict=True):
            answer = grafana.dashboard.update_dashboard({"dashboard": {**dashboard, "id": None}, "overwrite": True})
            say(f"{file}: {given.url.rstrip('/')}{answer.get('url', '')}")
    except (client.client.GrafanaException, OSError) as error:
        warn(f"{given.url}: {error}")
        return NO
    return GOOD
