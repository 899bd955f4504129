"""What is in deploy/ is accepted by the programs that read it, and the checks notice when it is broken."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.services.programs import ROOT, run

pytestmark = pytest.mark.services
DEPLOY = ROOT / "deploy"


def test_prometheus_accepts_its_configuration_and_rules():
    outcome = run("promtool", "check", "config", DEPLOY / "prometheus/prometheus.yml")
    assert outcome.returncode == 0, outcome.stdout
    assert "14 rules found" in outcome.stdout


def test_the_alert_rules_do_what_their_tests_say():
    outcome = run("promtool", "test", "rules", "rules_test.yml", cwd=DEPLOY / "prometheus")
    assert outcome.returncode == 0, outcome.stdout


REMEMBERS = """          or (max by (stream) (last_over_time(trigwatch_stream_level[6h])) == 2
              unless on (stream) trigwatch_stream_level)
"""


@pytest.mark.parametrize(
    ("sound", "naive"),
    [
        (REMEMBERS, ""),
        ("absent(trigwatch_up) or ", ""),
        ("        for: 15m\n", ""),
        (">= 0\n", ">= -1e9\n"),
        ("keep_firing_for: 2m", "keep_firing_for: 20m"),
    ],
)
def test_the_tests_notice_a_naive_rule(sound: str, naive: str, tmp_path: Path):
    shutil.copytree(DEPLOY / "prometheus", tmp_path, dirs_exist_ok=True)
    rules = tmp_path / "rules.yml"
    assert sound in rules.read_text()
    rules.write_text(rules.read_text().replace(sound, naive))
    outcome = run("promtool", "test", "rules", "rules_test.yml", cwd=tmp_path)
    assert outcome.returncode != 0
    assert "exp:" in outcome.stdout, "the rule itself must still be readable"


def test_alertmanager_accepts_its_configuration():
    outcome = run("amtool", "check-config", DEPLOY / "alertmanager/alertmanager.yml")
    assert outcome.returncode == 0, outcome.stdout
    assert "3 inhibit rules" in outcome.stdout


@pytest.mark.parametrize(("severity", "receiver"), [("page", "pager"), ("ticket", "tickets")])
def test_pages_wake_and_tickets_wait(severity: str, receiver: str):
    configuration = f"--config.file={DEPLOY / 'alertmanager/alertmanager.yml'}"
    outcome = run("amtool", "config", "routes", "test", configuration, f"severity={severity}", "alertname=X")
    assert outcome.stdout.splitlines()[-1] == receiver


def test_the_container_file_is_clean_and_the_linter_sees():
    outcome = run("hadolint", DEPLOY / "Containerfile")
    assert (outcome.returncode, outcome.stdout) == (0, "")
    broken = run("hadolint", "-", input="FROM python:latest\nRUN cd /tmp && sudo pip install x\n")
    assert broken.returncode != 0


def test_the_container_copies_only_what_is_there():
    for line in (DEPLOY / "Containerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source


def test_compose_accepts_the_house_and_every_mounted_file_is_there():
    outcome = run("docker-compose", "-f", DEPLOY / "compose.yaml", "config", "-q")
    assert (outcome.returncode, outcome.stdout) == (0, "")
    whole = run("docker-compose", "-f", DEPLOY / "compose.yaml", "config", "--format", "json").stdout
    mounted = [line.split('"source": "')[1].rstrip('",') for line in whole.splitlines() if f'"source": "{ROOT}' in line]
    assert len(mounted) == 4
    assert [place for place in mounted if not Path(place).exists()] == []


def test_compose_opens_nothing_to_the_outside():
    whole = run("docker-compose", "-f", DEPLOY / "compose.yaml", "config").stdout
    assert whole.count("published:") == whole.count("host_ip: 127.0.0.1") == 4


def unit(tmp_path: Path, text: str) -> str:
    """Return what systemd says about the unit; its program is replaced by one that is on every machine."""
    place = tmp_path / "trigwatch.service"
    place.write_text(text.replace("/opt/trigwatch/bin/trigwatch", "/bin/true"))
    outcome = run("systemd-analyze", "verify", "--man=no", place)
    return f"{outcome.returncode}{outcome.stdout}"


def test_systemd_accepts_the_unit_without_a_word_and_says_something_about_a_broken_one(tmp_path: Path):
    text = (DEPLOY / "systemd/trigwatch.service").read_text()
    assert unit(tmp_path, text) == "0"
    # systemd-analyze answers 0 on an unknown key: its words count, not its status.
    assert "ProtectEverything" in unit(tmp_path, text.replace("ProtectHome=", "ProtectEverything="))


def test_the_unit_is_hardened(tmp_path: Path):
    place = tmp_path / "trigwatch.service"
    place.write_text((DEPLOY / "systemd/trigwatch.service").read_text())
    outcome = run("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", place)
    assert outcome.returncode == 0, outcome.stdout


EXAMPLES = DEPLOY / "examples"
ARGO = ("--schemafile", ROOT / "tests/services/argo.schema.json")
GITLAB = ("--builtin-schema", "vendor.gitlab-ci")


@pytest.mark.parametrize(
    ("example", "schema"),
    [
        ("gitlab/.gitlab-ci.yml", GITLAB),
        ("argo/eventsource.yaml", ARGO),
        ("argo/sensor.yaml", ARGO),
        ("argo/workflow.yaml", ARGO),
    ],
)
def test_the_examples_for_retraining_have_the_documented_form(example: str, schema: tuple[str | Path, ...]):
    outcome = run("check-jsonschema", *schema, EXAMPLES / example)
    assert outcome.returncode == 0, outcome.stdout


@pytest.mark.parametrize(
    ("example", "schema", "sound", "broken"),
    [
        ("gitlab/.gitlab-ci.yml", GITLAB, "resource_group: retraining", "resource_group: [retraining]"),
        ("argo/eventsource.yaml", ARGO, 'port: "12000"', "port: 12000"),
        ("argo/eventsource.yaml", ARGO, "webhook:", "webhooks:"),
        ("argo/sensor.yaml", ARGO, "eventName:", "event:"),
        ("argo/sensor.yaml", ARGO, "type: string", "type: text"),
        ("argo/sensor.yaml", ARGO, "operation: append", "operation: add"),
        ("argo/sensor.yaml", ARGO, "workflowTemplateRef:", "templateRef:"),
        ("argo/workflow.yaml", ARGO, "hooks:", "hook:"),
        ("argo/workflow.yaml", ARGO, "template: start", "templates: start"),
        ("argo/workflow.yaml", ARGO, "kind: WorkflowTemplate", "kind: WorkFlowTemplate"),
    ],
)
def test_the_forms_notice_a_broken_example(
    example: str, schema: tuple[str | Path, ...], sound: str, broken: str, tmp_path: Path
):
    text = (EXAMPLES / example).read_text()
    assert sound in text
    place = tmp_path / Path(example).name
    place.write_text(text.replace(sound, broken))
    outcome = run("check-jsonschema", *schema, place)
    assert outcome.returncode == 1, outcome.stdout
    assert "Schema validation errors" in outcome.stdout


def test_a_workflow_is_named_by_what_the_event_source_and_the_sensor_say():
    source, sensor, workflow = (
        yaml.safe_load((EXAMPLES / "argo" / name).read_text())
        for name in ("eventsource.yaml", "sensor.yaml", "workflow.yaml")
    )
    (dependency,) = sensor["spec"]["dependencies"]
    assert dependency["eventSourceName"] == source["metadata"]["name"]
    assert dependency["eventName"] in source["spec"]["webhook"]
    trigger = sensor["spec"]["triggers"][0]["template"]["argoWorkflow"]
    submitted = trigger["source"]["resource"]["spec"]
    assert submitted["workflowTemplateRef"]["name"] == workflow["metadata"]["name"]
    assert submitted["arguments"]["parameters"][0]["name"] == workflow["spec"]["arguments"]["parameters"][0]["name"]
    assert {each["src"]["dependencyName"] for each in trigger["parameters"]} == {dependency["name"]}
    names = {each["name"] for each in workflow["spec"]["templates"]}
    assert workflow["spec"]["entrypoint"] in names
    steps = [step for row in workflow["spec"]["templates"][0]["steps"] for step in row]
    hooks = [hook for step in steps for hook in step.get("hooks", {}).values()]
    assert {each["template"] for each in (*steps, *hooks)} <= names
