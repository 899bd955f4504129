"""Every sink says the same thing under the same id, and one error for all that can go wrong."""

import json
from typing import Any

import pytest

from monitor.decide.action import Action, Kind
from monitor.serve import cloudevent, grafana, webhook
from monitor.serve.alertmanager import REPOST_SECONDS, Alertmanager
from monitor.serve.post import Unsent, shorn
from tests.unit.serve import houses
from tests.unit.serve.listener import Listener

TOKEN = "of-the-test"  # noqa: S105 - nothing is behind it
PAGE = "http://127.0.0.1:9742/"


def verdict(state: str, **changes: Any) -> dict[str, Any]:
    said = houses.named(state).streams[0].verdict
    assert said is not None
    return said.to_json() | changes


def page(state: str, status: str = "firing", **changes: Any) -> dict[str, Any]:
    return verdict(state, status=status, **changes)


def mark() -> Action:
    text = {"run": houses.RUN, "ls": houses.LS, "text": "jets: act, detector.", "tags": ["trigwatch", houses.STREAM]}
    return Action(id="mark-1", kind=Kind.ANNOTATE, stream=houses.STREAM, payload=text)


def action(kind: Kind = Kind.VERDICT) -> Action:
    said = page("detector")
    return Action(id=f"{kind}-{said['id']}", kind=kind, stream=houses.STREAM, payload=said)


def deliver(sink: str, url: str, doing: Action) -> None:
    if sink == "webhook":
        webhook.send(doing, url=url, site="CMS", time=houses.NOW, timeout=2.0)
    elif sink == "grafana":
        grafana.send(mark(), url=url, token=TOKEN, time=houses.NOW, timeout=2.0)
    else:
        Alertmanager([url], page=PAGE, timeout=2.0).tell(doing.payload, now=houses.NOW)


SINKS = ("webhook", "grafana", "alertmanager")


@pytest.mark.parametrize("sink", SINKS)
def test_a_delivery_is_json_and_carries_its_id(sink: str, listener: Listener):
    doing = action()
    deliver(sink, listener.url, doing)
    letter = listener.letters[-1]
    assert letter.method == "POST"
    assert "json" in letter.headers["content-type"]
    named = {"webhook": doing.id, "grafana": mark().id, "alertmanager": doing.payload["id"]}
    assert named[sink] in json.dumps(letter.json)


@pytest.mark.parametrize("sink", SINKS)
def test_the_same_action_gives_the_same_bytes(sink: str, listener: Listener):
    deliver(sink, listener.url, action())
    deliver(sink, listener.url, action())
    posted = [letter.body for letter in listener.letters if letter.method == "POST"]
    assert posted[0] == posted[1]


@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize("status", [301, 400, 401, 404, 429, 500, 503])
def test_an_unwilling_other_side_is_unsent_with_its_answer(sink: str, status: int, listener: Listener):
    listener.status, listener.answer, listener.location = status, b"no, because", "/elsewhere"
    with pytest.raises(Unsent, match=rf"{status} .*no, because") as caught:
        deliver(sink, listener.url, action())
    assert caught.value.status == status
    assert caught.value.refused is (status in {400, 404})
    assert {letter.path for letter in listener.letters}.isdisjoint({"/elsewhere"})


@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://[::1", "file:///etc/passwd", "http://127.0.0.1:99999"])
def test_an_address_that_nobody_answers_is_unsent(sink: str, url: str):
    with pytest.raises(Unsent):
        deliver(sink, url, action())


def test_a_password_never_stands_in_an_error():
    with pytest.raises(Unsent) as caught:
        deliver("webhook", "http://user:hunter2@127.0.0.1:1/hook?token=hunter2", action())
    assert "hunter2" not in str(caught.value)
    assert shorn("http://user:hunter2@h:8/hook?t=hunter2") == "http://h:8/hook"


def test_user_and_password_of_an_address_become_basic_authentication(listener: Listener):
    deliver("webhook", listener.url.replace("//", "//anna:p%40ss@"), action())
    assert listener.letters[0].headers["authorization"] == "Basic YW5uYTpwQHNz"


def test_a_cloud_event_has_what_the_specification_asks_for():
    event = json.loads(cloudevent.event(action(), site="CMS", time=houses.NOW))
    assert event == {
        "specversion": "1.0",
        "id": action().id,
        "source": "/trigwatch/CMS",
        "type": "trigwatch.verdict.v1",
        "subject": houses.STREAM,
        "time": "2026-10-26T07:33:20.000Z",
        "datacontenttype": "application/json",
        "data": json.loads(json.dumps(page("detector"))),
    }


def test_a_site_with_an_odd_name_is_still_an_address():
    odd = cloudevent.envelope(action(), site="Test beam / H4", time=0.0)
    assert odd["source"] == "/trigwatch/Test%20beam%20%2F%20H4"


def test_a_webhook_can_tell_a_repetition(listener: Listener):
    deliver("webhook", listener.url, action(Kind.RETRAIN))
    assert listener.letters[0].headers["idempotency-key"] == action(Kind.RETRAIN).id
    assert listener.letters[0].json["type"] == "trigwatch.retrain.v1"


def test_in_binary_mode_the_attributes_are_headers_and_the_body_is_the_data(listener: Listener):
    told = action(Kind.RETRAIN)
    webhook.send(told, url=listener.url, site="Prüfstand 4", time=houses.NOW, mode=webhook.Mode.BINARY)
    (letter,) = listener.letters
    whole = cloudevent.envelope(told, site="Prüfstand 4", time=houses.NOW)
    assert letter.json == whole["data"]
    assert letter.headers["content-type"] == "application/json"
    assert letter.headers["ce-id"] == letter.headers["idempotency-key"] == told.id
    assert {name: letter.headers[f"ce-{name}"] for name in ("type", "subject", "time", "specversion")} == {
        name: whole[name] for name in ("type", "subject", "time", "specversion")
    }
    assert letter.headers["ce-source"].isascii()


def test_a_mark_that_is_there_is_not_drawn_twice(listener: Listener):
    assert grafana.send(mark(), url=listener.url, token=None, time=houses.NOW) is True
    question, answer = listener.letters
    assert question.path.startswith("/api/annotations?tags=id%3A")
    assert answer.json["time"] == houses.NOW * 1000
    assert answer.json["tags"] == ["trigwatch", houses.STREAM, "id:mark-1"]
    assert answer.json["text"] == "jets: act, detector. (run 398183, LS 241)"
    listener.answer = b'[{"id": 1}]'
    assert grafana.send(mark(), url=listener.url, token=None, time=houses.NOW) is False
    assert [letter.method for letter in listener.letters] == ["GET", "POST", "GET"]


def test_a_grafana_that_is_none_is_not_written_to(listener: Listener):
    listener.answer = b"<html>login</html>"
    with pytest.raises(Unsent, match="is this Grafana"):
        deliver("grafana", listener.url, action())
    assert [letter.method for letter in listener.letters] == ["GET"]


def pages(listener: Listener) -> list[tuple[str, str]]:
    """Return what was posted: blame and whether it ends in the future, in order."""
    now = "2026-10-26T07:3"
    return [
        (alert["labels"]["blame"], "resolved" if alert["endsAt"].startswith(now) else "firing")
        for letter in listener.letters
        for alert in letter.json
    ]


def test_a_page_fires_again_and_again_until_it_is_resolved(listener: Listener):
    pager = Alertmanager([listener.url], page=PAGE)
    pager.tell(page("detector"), now=houses.NOW)
    pager.tend(houses.NOW + 1)
    pager.tend(houses.NOW + REPOST_SECONDS / 2)
    pager.tend(houses.NOW + REPOST_SECONDS + 2)
    pager.tell(page("detector", "resolved", level="watch"), now=houses.NOW + 100)
    pager.tend(houses.NOW + 300)
    assert pages(listener) == [("detector", "firing")] * 3 + [("detector", "resolved")]
    assert {alert["startsAt"] for letter in listener.letters for alert in letter.json} == {"2026-10-26T07:33:20.000Z"}


def test_a_page_stays_out_for_hours_when_the_daemon_that_repeats_it_dies(listener: Listener):
    Alertmanager([listener.url], page=PAGE).tell(page("detector"), now=houses.NOW)
    (alert,) = listener.letters[0].json
    assert alert["endsAt"] == "2026-10-26T11:33:20.000Z"


def test_two_episodes_of_one_stream_are_two_pages(listener: Listener):
    pager = Alertmanager([listener.url], page=PAGE)
    pager.tell(page("detector"), now=houses.NOW)
    pager.tell(page("firmware"), now=houses.NOW + 30)
    pager.tell(page("detector", "resolved"), now=houses.NOW + 60)
    assert pages(listener) == [("detector", "firing"), ("firmware", "firing"), ("detector", "resolved")]
    assert [each.verdict["blame"] for each in pager.firing.values()] == ["firmware"]


def test_another_blame_in_one_episode_replaces_its_page(listener: Listener):
    pager = Alertmanager([listener.url], page=PAGE)
    pager.tell(page("firmware"), now=houses.NOW)
    pager.tell(page("firmware", blame="identity"), now=houses.NOW + 30)
    assert pages(listener) == [("firmware", "firing"), ("identity", "firing"), ("firmware", "resolved")]
    assert [each.verdict["blame"] for each in pager.firing.values()] == ["identity"]


def test_a_page_of_before_a_restart_can_be_resolved(listener: Listener):
    pager = Alertmanager([listener.url], page=PAGE)
    pager.tell(page("detector", "resolved"), now=houses.NOW)
    pager.tend(houses.NOW + 100)
    assert pages(listener) == [("detector", "resolved")]


def test_a_page_that_nobody_took_is_told_again(listener: Listener):
    pager = Alertmanager([listener.url], page=PAGE)
    listener.status = 503
    with pytest.raises(Unsent):
        pager.tell(page("detector"), now=houses.NOW)
    assert pager.firing == {}
    listener.status = 200
    pager.tell(page("detector"), now=houses.NOW + 5)
    assert list(pager.firing) == [page("detector")["id"]]


def test_one_member_of_a_cluster_may_be_down(listener: Listener):
    pager = Alertmanager(["http://127.0.0.1:1", listener.url], page=PAGE)
    pager.tell(page("detector"), now=houses.NOW)
    assert pages(listener) == [("detector", "firing")]


def test_after_a_restart_open_pages_go_on(listener: Listener):
    pager = Alertmanager([listener.url], page=PAGE)
    pager.restore([page("firmware"), page("detector"), page("firmware", "resolved")], now=houses.NOW)
    pager.tend(houses.NOW)
    assert pages(listener) == [("detector", "firing")]
