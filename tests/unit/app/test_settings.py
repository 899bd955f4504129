"""Settings: everything wrong is said at once, with the remedy; nothing unknown passes."""

from pathlib import Path

import pytest

from monitor.app.settings import WrongSettings, build, load
from monitor.watch.canary import FAULTS

SMALLEST = {"tape": {"path": "x.tape"}, "streams": [{"name": "l1anomaly", "topic": "trigger-output"}]}


def test_the_smallest_settings_take_defaults():
    settings = build(SMALLEST)
    assert settings.http.host == "127.0.0.1"
    assert settings.site.site().name == "CMS"
    assert settings.alarms.false_pages_per_week == 1.0


def test_every_error_is_reported_at_once():
    wrong = {**SMALLEST, "http": {"port": 70_000, "hots": "x"}, "streams": [{"name": "a b", "topic": "t"}]}
    with pytest.raises(WrongSettings) as caught:
        build(wrong)
    message = str(caught.value)
    assert "3 error(s)" in message
    assert "http.port" in message
    assert "70000" in message
    assert "http.hots: no such setting; did you mean 'host'?" in message
    assert "streams.0.name" in message


def test_webhooks_keep_their_numbers_when_targets_are_added():
    given = {"urls": ["http://a"], "targets": [{"url": "http://b", "kinds": ["retrain"], "mode": "binary"}]}
    first, second = build({**SMALLEST, "webhook": given}).webhook.all()
    assert (first.url, first.kinds, first.mode) == ("http://a", ["verdict", "retrain"], "structured")
    assert (second.url, second.kinds, second.mode) == ("http://b", ["retrain"], "binary")
    for wrong in ({"url": "b"}, {"url": "http://b", "kinds": []}, {"url": "http://b", "kinds": ["page"]}):
        with pytest.raises(WrongSettings, match=r"webhook\.targets\.0"):
            build({**SMALLEST, "webhook": {"targets": [wrong]}})


def test_a_webhooks_token_can_stay_in_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TRIGWATCH_WEBHOOK__TARGETS", '[{"url": "https://b?token=t", "kinds": ["retrain"]}]')
    (target,) = build(SMALLEST).webhook.all()
    assert (target.url, target.kinds) == ("https://b?token=t", ["retrain"])


def test_a_daemon_reads_from_exactly_one_supply():
    with pytest.raises(WrongSettings, match=r"neither \[kafka\] nor \[tape\]"):
        build({"streams": SMALLEST["streams"]})
    with pytest.raises(WrongSettings, match=r"both \[kafka\] and \[tape\]"):
        build({**SMALLEST, "kafka": {"bootstrap": ["localhost:9092"]}})


def test_a_stream_has_its_name_for_itself():
    with pytest.raises(WrongSettings, match="configured 2 times"):
        build({**SMALLEST, "streams": SMALLEST["streams"] * 2})


def test_no_streams_is_an_error():
    with pytest.raises(WrongSettings, match="streams"):
        build({**SMALLEST, "streams": []})


def test_the_environment_overrides_the_file(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TRIGWATCH_HTTP__PORT", "9700")
    assert build({**SMALLEST, "http": {"port": 9600, "host": "::1"}}).http.port == 9700
    assert build({**SMALLEST, "http": {"port": 9600, "host": "::1"}}).http.host == "::1"


@pytest.mark.parametrize("name", ["TRIGWATCH_HTP__PORT", "TRIGWATCH_PORT", "TRIGWATCH_HTTP__PRT"])
def test_an_unknown_environment_variable_is_an_error(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(name, "9700")
    with pytest.raises(WrongSettings, match="no such setting"):
        build(SMALLEST)


def test_paths_are_taken_from_the_folder_of_the_file(tmp_path: Path):
    file = tmp_path / "trigwatch.toml"
    file.write_text('[tape]\npath = "day.tape"\n[[streams]]\nname = "a"\ntopic = "t"\n')
    settings = load(file)
    assert settings.tape is not None
    assert settings.tape.path == tmp_path / "day.tape"
    assert settings.state.path == tmp_path / "trigwatch.db"


@pytest.mark.parametrize("content", [b"[http", b"\xff\xfe"])
def test_a_file_that_is_not_toml_is_named(content: bytes, tmp_path: Path):
    file = tmp_path / "broken.toml"
    file.write_bytes(content)
    with pytest.raises(WrongSettings, match=r"broken\.toml: is not TOML"):
        load(file)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(WrongSettings, match=r"none\.toml: cannot be read"):
        load(tmp_path / "none.toml")


def test_a_site_of_ones_own_changes_words_and_clock_only_where_it_says_so():
    site = build({**SMALLEST, "site": {"profile": "atlas", "name": "MINE", "crossings": 100}}).site.site()
    assert (site.name, site.crossings, site.lumisection_word) == ("MINE", 100, "luminosity block")


def test_the_canary_knows_every_fault():
    assert set(build(SMALLEST).canary.faults) == set(FAULTS)
    with pytest.raises(WrongSettings, match=r"canary\.faults\.0"):
        build({**SMALLEST, "canary": {"faults": ["dead-cat"]}})


@pytest.mark.parametrize(
    ("table", "wrong"),
    [
        ("alarms", {"false_pages_per_week": 1e-320}),
        ("alarms", {"false_pages_per_week": 1e300}),
        ("site", {"lumisection_seconds": 1e-300}),
    ],
)
def test_a_promise_that_nobody_can_mean_is_refused(table: str, wrong: dict[str, float]):
    with pytest.raises(WrongSettings, match=f"{table}.{next(iter(wrong))}"):
        build({**SMALLEST, table: wrong})
