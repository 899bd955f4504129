"""The addresses of the contract, and how they answer what they were not asked for."""

import asyncio
import dataclasses
import io
import json
from collections.abc import AsyncIterator
from functools import partialmethod
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
from starlette.types import ASGIApp

from monitor.decide.retrain import State
from monitor.serve.http import create
from monitor.serve.view import Absent, RetrainView, Snapshot
from tests.unit.serve import houses

PAGE = "http://127.0.0.1"


class Client:
    """Speaks to the application without a socket."""

    def __init__(self, app: ASGIApp, *, base_url: str = PAGE) -> None:
        self._app = app
        self._base_url = base_url

    def request(self, method: str, path: str, **given: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=self._base_url) as client:
                return await client.request(method, path, **given)

        return asyncio.run(ask())

    get = partialmethod(request, "GET")
    post = partialmethod(request, "POST")
    delete = partialmethod(request, "DELETE")


class Room:
    """A client in front of a remembering house."""

    def __init__(self, shown: Snapshot) -> None:
        self.house = houses.Remembering(shown)
        self.client = Client(create(self.house, clock=lambda: houses.NOW))

    def say(self, path: str, **body: Any) -> httpx.Response:
        return self.client.post(path, json=body)


@pytest.fixture
def room() -> Room:
    return Room(houses.named("detector"))


def test_every_address_of_the_contract_answers(room: Room):
    for path in ("status", "streams", "verdicts", "lumisections", "references", "models", "retrain"):
        answer = room.client.get(f"/api/v1/{path}")
        assert answer.status_code == 200, path
        assert answer.headers["content-type"] == "application/json"
    for path in ("/", "/metrics", "/-/healthy", "/-/ready", "/static/page.css", "/static/page.js", "/static/icon.svg"):
        assert room.client.get(path).status_code == 200, path


def test_status_says_in_one_look_how_every_stream_does(room: Room):
    status = room.client.get("/api/v1/status").json()
    assert status["streams"] == [
        {
            "name": houses.STREAM,
            "level": "act",
            "blame": "detector",
            "reason": "The detector's inputs moved; hardware and emulation agree.",
        }
    ]
    assert (status["stale"], status["ready"], status["problems"]) == (False, True, [])


def test_streams_carry_verdict_evidence_and_histograms_as_plain_json():
    room = Room(houses.named("unknown"))  # its evidence holds NaN, which JSON has no word for
    answer = room.client.get("/api/v1/streams")
    (stream,) = json.loads(answer.content, parse_constant=pytest.fail)["streams"]
    assert stream["verdict"]["level"] == stream["light"]["level"] == "unknown"
    assert stream["evidence"]["alarm"] is None
    assert stream["evidence"]["lumisection"] == {"run": houses.RUN, "ls": houses.LS}
    assert len(stream["score"]["edges"]) == len(stream["score"]["counts"]) + 1


def test_limit_and_stream_reach_the_house(room: Room):
    room.client.get("/api/v1/verdicts?limit=3&stream=jets")
    room.client.get("/api/v1/lumisections")
    assert room.house.asked == [(3, "jets"), (100, None)]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=-1", "limit=²", "stream=a%20b", "page=2"])
def test_a_bad_query_is_explained(room: Room, query: str):
    answer = room.client.get(f"/api/v1/verdicts?{query}")
    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.json()["error"]
    assert room.house.asked == []


def test_a_daemon_that_is_well_says_so_and_a_stuck_one_says_why():
    assert Room(houses.named("ok")).client.get("/-/healthy").json() == {"healthy": True, "problems": []}
    stuck = Room(houses.snapshot(houses.ok(), now=houses.NOW - 300))
    answer = stuck.client.get("/-/healthy")
    assert answer.status_code == 503
    assert "300 seconds" in answer.json()["problems"][0]
    assert stuck.client.get("/-/ready").status_code == 503


def test_a_daemon_that_starts_is_healthy_but_not_ready():
    room = Room(houses.snapshot(houses.learning(), ready=False))
    assert room.client.get("/-/healthy").status_code == 200
    assert room.client.get("/-/ready").status_code == 503


def test_a_verdict_is_acknowledged(room: Room):
    verdict = room.client.get("/api/v1/verdicts").json()["verdicts"][0]["id"]
    answer = room.say(f"/api/v1/verdicts/{verdict}/ack", who="shifter", note="called the expert")
    assert answer.json() == {"id": verdict, "state": "acknowledged", "who": "shifter", "note": "called the expert"}
    assert room.house.said == [("acknowledge", verdict, "shifter", "called the expert")]


@pytest.mark.parametrize("label", ["true", "false"])
def test_an_acknowledgement_says_whether_the_alarm_was_true(room: Room, label: str):
    verdict = room.client.get("/api/v1/verdicts").json()["verdicts"][0]["id"]
    answer = room.say(f"/api/v1/verdicts/{verdict}/ack", who="shifter", note="", label=label)
    assert answer.json()["label"] == label
    assert room.house.said == [("acknowledge", verdict, "shifter", "", label)]
    for wrong, said in (("maybe", '"maybe"'), (True, "true"), (["true"], '["true"]'), (None, "null")):
        refused = room.say(f"/api/v1/verdicts/{verdict}/ack", who="shifter", label=wrong)
        assert refused.status_code == 400
        assert f'label is {said}: send the text "true" or "false"' in refused.json()["error"]
    assert len(room.house.said) == 1
    assert room.say("/api/v1/retrain/retrain-51ad/approve", who="anna", label="true").status_code == 400


def test_a_retraining_is_approved_or_rejected_with_a_reason(room: Room):
    assert room.say("/api/v1/retrain/retrain-51ad/approve", who="anna", note="go").json()["state"] == "approved"
    assert room.say("/api/v1/retrain/retrain-51ad/reject", who="ben", note="region comes back").status_code == 200
    assert room.house.said == [
        ("approve", "retrain-51ad", "anna", "go"),
        ("reject", "retrain-51ad", "ben", "region comes back"),
    ]


def waiting(state: State) -> Room:
    """Return a room whose one request is in `state`."""
    return Room(houses.snapshot(dataclasses.replace(houses.detector(), retrain=RetrainView("r", state, {}))))


def test_a_pipeline_says_when_it_starts_and_how_it_ends():
    assert (
        waiting(State.APPROVED).say("/api/v1/retrain/r/start", who="gitlab", note="job 7").json()["state"] == "running"
    )
    assert waiting(State.RUNNING).say("/api/v1/retrain/r/finish", who="gitlab", note="v3").json()["state"] == "done"
    assert waiting(State.RUNNING).say("/api/v1/retrain/r/fail", who="gitlab", note="lost").json()["state"] == "approved"
    silent = waiting(State.RUNNING).say("/api/v1/retrain/r/fail", who="gitlab")
    assert (silent.status_code, silent.json()["error"]) == (400, "note is missing: say why")


def test_only_one_pipeline_can_start_and_none_without_approval():
    for state in (State.PROPOSED, State.RUNNING, State.DONE, State.REJECTED):
        answer = waiting(state).say("/api/v1/retrain/r/start", who="gitlab")
        assert answer.status_code == 409, state
        assert f"{state.value} cannot start" in answer.json()["error"]


def test_nobody_proposes_but_the_daemon(room: Room):
    assert room.say("/api/v1/retrain/retrain-51ad/propose", who="anna").status_code == 404


def test_one_request_is_shown_alone(room: Room):
    assert room.client.get("/api/v1/retrain/retrain-51ad").json()["id"] == "retrain-51ad"
    for path in ("nope", "nope/lumisections", "nope/lumisections.parquet"):
        assert room.client.get(f"/api/v1/retrain/{path}").status_code == 404, path


def test_the_lumisections_to_train_on_are_a_query_and_a_table(room: Room):
    query = room.client.get("/api/v1/retrain/retrain-51ad/lumisections").json()
    first = houses.LS - 2
    assert query["runs"] == {str(houses.RUN): [[first, first]]}
    answer = room.client.get("/api/v1/retrain/retrain-51ad/lumisections.parquet")
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    assert answer.headers["content-disposition"] == 'attachment; filename="retrain-retrain-51ad.parquet"'
    table = pq.read_table(io.BytesIO(answer.content))
    assert json.loads(table.schema.metadata[b"trigwatch.query"]) == query
    shared = {"run": houses.RUN}
    assert table.to_pylist() == [
        {
            **shared,
            "ls": first,
            "events": 1000,
            "pileup": 40.0,
            "level": "act",
            "mismatches": 0,
            "usable": True,
            "reason": "",
        },
        {
            **shared,
            "ls": first + 1,
            "events": 900,
            "pileup": None,
            "level": "unknown",
            "mismatches": 2,
            "usable": False,
            "reason": "scores differ from emulation",
        },
    ]


def test_what_does_not_exist_is_404_and_what_cannot_be_done_now_is_409(room: Room):
    assert "no verdict 'nope'" in room.say("/api/v1/verdicts/nope/ack", who="a").json()["error"]
    assert room.say("/api/v1/verdicts/nope/ack", who="a").status_code == 404
    assert room.say("/api/v1/retrain/a%20b/approve", who="a").status_code == 404
    answer = waiting(State.DONE).say("/api/v1/retrain/r/approve", who="a")
    assert answer.status_code == 409
    assert "is done" in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "kind", "status", "word"),
    [
        (b'{"who": ""}', "application/json", 400, "who is missing"),
        (b"{}", "application/json", 400, "who is missing"),
        (b'{"who": 7}', "application/json", 400, "who is 7"),
        (b'{"who": "a", "level": "ok"}', "application/json", 400, "'level' is not known"),
        (b'{"who": "a\\u0000b"}', "application/json", 400, "control characters"),
        (b'{"who": "' + b"a" * 101 + b'"}', "application/json", 400, "101 characters"),
        (b"[]", "application/json", 400, "not a JSON object"),
        (b"{", "application/json", 400, "not JSON"),
        (b"\xff\xfe", "application/json", 400, "not JSON"),
        (b"[" * 10_000, "application/json", 400, "not JSON"),
        (b'{"who": "a"}', "text/plain", 415, "'text/plain'"),
        (b"who=a&level=ok", "application/x-www-form-urlencoded", 400, "'level' is not known"),
        (b"&".join([b"x=1"] * 50), "application/x-www-form-urlencoded", 400, "form"),
        (b"who=a&who=b", "application/x-www-form-urlencoded", 400, "'who' is given 2 times"),
        (b"who=a&note=%ED%A0%80", "application/x-www-form-urlencoded", 400, "not UTF-8"),
        (b"who=a&note=\xff", "application/x-www-form-urlencoded", 400, "not UTF-8"),
        (b'{"who": "a", "who": "b"}', "application/json", 400, "'who' is given 2 times"),
        (b'{"who": "a", "note": "a\\ud800b"}', "application/json", 400, "note has half a character"),
        (b'{"who": "\\udfff"}', "application/json", 400, "who has half a character"),
        (b" " * 20_000, "application/json", 413, "16384"),
    ],
)
def test_a_bad_statement_changes_nothing_and_is_explained(room: Room, body: bytes, kind: str, status: int, word: str):
    verdict = houses.detector().verdict
    assert verdict is not None
    answer = room.client.post(f"/api/v1/verdicts/{verdict.id}/ack", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert word in answer.json()["error"]
    assert room.house.said == []


def form(room: Room, path: str, body: bytes, *, accept: str = "text/html,*/*;q=0.8", **headers: str) -> httpx.Response:
    """Send a form as a browser does."""
    kind = "application/x-www-form-urlencoded"
    return room.client.post(path, content=body, headers={"Content-Type": kind, "Accept": accept, **headers})


@pytest.mark.parametrize(
    ("path", "body", "status", "word"),
    [
        ("retrain/retrain-51ad/reject", b"who=anna", 400, "note is missing: say why"),
        ("retrain/retrain-51ad/approve", b"who=a&who=<b>", 400, "is given 2 times"),
        ("retrain/retrain-51ad/approve", b"who=a&%3Cb%3E=1", 400, "&#39;&lt;b&gt;&#39; is not known"),
        ("retrain/nope/approve", b"who=anna", 404, "no retraining request &#39;nope&#39;"),
        ("retrain/retrain-51ad/finish", b"who=anna", 409, "cannot finish"),
        ("retrain/retrain-51ad/approve", b"who=anna&note=" + b"%F0%9F%98%80" * 2_000, 413, "larger than 16384 bytes"),
    ],
)
def test_what_was_wrong_with_a_browsers_form_is_a_page_that_leads_back(
    room: Room, path: str, body: bytes, status: int, word: str
):
    answer = form(room, f"/api/v1/{path}", body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert word in answer.text
    assert '<a href="/">' in answer.text
    assert room.house.said == []
    asked = form(room, f"/api/v1/{path}", body, accept="application/json")
    assert (asked.status_code, asked.headers["content-type"]) == (status, "application/json")
    assert set(asked.json()) == {"error"}


def test_a_program_that_can_read_html_too_is_answered_in_json(room: Room):
    answer = room.client.post("/api/v1/retrain/retrain-51ad/reject", json={"who": "a"}, headers={"Accept": "text/html"})
    assert answer.json() == {"error": "note is missing: say why"}
    assert room.client.get("/api/v1/nothing", headers={"Accept": "text/html"}).json() == {"error": "Not Found"}


def test_a_body_without_a_declared_length_is_cut_off_too(room: Room):
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b" " * 1024

    answer = room.client.post(
        "/api/v1/retrain/retrain-51ad/approve", content=endless(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413


def test_a_rejection_needs_a_reason(room: Room):
    answer = room.say("/api/v1/retrain/retrain-51ad/reject", who="anna")
    assert answer.status_code == 400
    assert "note is missing" in answer.json()["error"]


def test_a_form_on_the_page_works_without_a_script_and_leads_back(room: Room):
    answer = room.client.post(
        "/api/v1/retrain/retrain-51ad/approve", data={"who": "anna", "note": ""}, headers={"Origin": PAGE}
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert room.house.said == [("approve", "retrain-51ad", "anna", "")]


@pytest.mark.parametrize(
    "header", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_another_sites_page_cannot_speak_for_the_shifter(room: Room, header: dict[str, str]):
    answer = room.client.post("/api/v1/retrain/retrain-51ad/approve", data={"who": "x"}, headers=header)
    assert answer.status_code == 403
    assert room.client.post("/-/reload", headers=header).status_code == 403
    assert room.house.said == []


def test_a_foreign_host_name_is_refused_so_that_dns_cannot_be_turned_against_the_loopback(room: Room):
    assert room.client.get("/", headers={"Host": "evil.example"}).status_code == 421
    for name in ("localhost:9742", "127.0.0.1", "[::1]:9742"):
        assert room.client.get("/", headers={"Host": name}).status_code == 200, name
    opened = Client(create(room.house, clock=lambda: houses.NOW, hosts=()), base_url="http://p5.example")
    assert opened.get("/").status_code == 200


def test_a_capsule_is_given_as_a_file_for_the_replay():
    def capsule(name: str) -> dict[str, Any]:
        if name != "c-9d8b1f":
            raise Absent(f"no capsule has id {name!r}")
        return {"schema": "capsule/1", "id": name}

    house = houses.Remembering(houses.named("firmware"))
    client = Client(create(house, clock=lambda: houses.NOW, capsule=capsule))
    assert '<a href="/api/v1/capsules/c-9d8b1f">' in client.get("/").text
    answer = client.get("/api/v1/capsules/c-9d8b1f")
    assert answer.json()["id"] == "c-9d8b1f"
    assert answer.headers["content-disposition"] == 'attachment; filename="capsule-c-9d8b1f.json"'
    assert client.get("/api/v1/capsules/other").status_code == 404
    assert Room(houses.named("firmware")).client.get("/api/v1/capsules/c-9d8b1f").status_code == 404


def test_reload_answers_with_what_changed_or_why_not(room: Room):
    assert room.client.post("/-/reload").json() == {"changed": ["models"]}
    broken = Room(houses.snapshot(ready=False)).client.post("/-/reload")
    assert broken.status_code == 409
    assert "old settings stay" in broken.json()["error"]


def test_unknown_addresses_and_wrong_methods_are_answered_in_json(room: Room):
    assert room.client.get("/api/v1/nothing").json() == {"error": "Not Found"}
    assert room.client.get("/static/../view.py").status_code == 404
    wrong = room.client.delete("/api/v1/verdicts")
    assert wrong.status_code == 405
    assert "GET" in wrong.headers["allow"]
    assert wrong.json() == {"error": "Method Not Allowed"}
    assert room.client.get("/-/reload").status_code == 405


def test_a_failure_inside_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture):
    room = Room(houses.named("ok"))
    room.house.models = lambda: 1 / 0  # type: ignore[assignment,return-value]
    client = Client(create(room.house, clock=lambda: houses.NOW))
    answer = client.get("/api/v1/models")
    assert answer.status_code == 500
    assert "ZeroDivision" not in answer.text
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("path", ["/", "/metrics", "/api/v1/status", "/api/v1/nothing"])
def test_every_answer_carries_the_headers_that_browsers_obey(room: Room, path: str):
    headers = room.client.get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
