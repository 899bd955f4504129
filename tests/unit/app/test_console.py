import json

import pytest

from monitor.app.console import say, say_json, say_table, warn


def test_names_that_would_move_the_cursor_are_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    say("fine\x1b[2Jé\nlabel")
    warn("a\rb\x9b")
    say_table(("LABEL", "ENGINE"), [("net\nok", "gemm"), ("b", "csim")])
    said = capsys.readouterr()
    assert said.out.splitlines() == ["fine\\x1b[2Jé\\nlabel", "LABEL    ENGINE", "net\\nok  gemm", "b        csim"]
    assert said.err == "trigwatch: a\\rb\\x9b\n"


def test_json_escapes_in_its_own_way(capsys: pytest.CaptureFixture[str]) -> None:
    say_json({"label": "a\x1b\n\x9b"})
    assert json.loads(capsys.readouterr().out) == {"label": "a\x1b\n\x9b"}
