"""What the wallet's commands make of what they are told: CSV, session keys, browsers."""

from __future__ import annotations

import csv
import io
import webbrowser
from typing import Any

import pytest

from p2p.chain.owners import open_page
from p2p.core.errors import UserError
from p2p.engine.cli_history import history_csv
from p2p.engine.cli_sessions import chosen

ENTRY: dict[str, Any] = {
    "kind": "settle",
    "asset": "sol",
    "decimals": 9,
    "units": 1_500_000_000,
    "job_id": "ab" * 16,
    "job_name": "digits",
    "signature": "5sig",
    "explorer": "https://explorer.solana.com/tx/5sig?cluster=devnet",
    "at_s": 1_700_000_000,
    "usd_micros": 225_000_000,
    "ledger": "posted",
    "ledger_words": "posted",
}


def row(**changes: Any) -> dict[str, str]:
    (found,) = csv.DictReader(io.StringIO(history_csv([{**ENTRY, **changes}])))
    return found


def test_a_line_says_all_of_it() -> None:
    assert row() == {
        "at": "2023-11-14T22:13:20Z",
        "what": "settle",
        "asset": "SOL",
        "units": "1500000000",
        "amount": "1.500000000",
        "job": "ab" * 16,
        "name": "digits",
        "signature": "5sig",
        "explorer": "https://explorer.solana.com/tx/5sig?cluster=devnet",
        "usd": "225.00",
        "ledger": "posted",
    }


def test_what_is_not_known_is_empty() -> None:
    unknown = ("asset", "job_id", "job_name", "explorer", "at_s", "usd_micros", "ledger")
    found = row(**dict.fromkeys(unknown))
    assert {name for name, text in found.items() if text} == {"what", "signature"}
    assert history_csv([]).strip() == "at,what,asset,units,amount,job,name,signature,explorer,usd,ledger"


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_a_name_is_no_formula(name: str) -> None:
    assert row(job_name=name)["name"] == f"'{name}"


def test_a_name_stays_one_cell() -> None:
    name = row(job_name='a,"b"\nc\x1b[31m')["name"]
    assert "\x1b" not in name
    assert name.startswith('a,"b"')


KEYS = ["AAAA1111", "AAAA2222", "BBBB3333"]


def test_keys_are_named_by_how_they_begin() -> None:
    assert chosen(KEYS, ()) == KEYS
    assert chosen(KEYS, ("BBBB", "AAAA1", "BBBB3333")) == ["BBBB3333", "AAAA1111"]


@pytest.mark.parametrize("name", ["AAAA", "BBB", "CCCC", ""])
def test_a_key_that_is_not_one_is_refused(name: str) -> None:
    with pytest.raises(UserError) as caught:
        chosen(KEYS, ("BBBB", name))
    assert caught.value.code == "unknown_session"
    assert len(caught.value.lines()) == 3


def test_a_browser_in_the_terminal_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "get", lambda: webbrowser.GenericBrowser("lynx"))
    monkeypatch.setattr(webbrowser, "open", lambda url: not opened.append(url))
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    assert not open_page("http://127.0.0.1:1/#token", print)
    assert opened == []
    monkeypatch.setattr(webbrowser, "get", lambda: webbrowser.GenericBrowser("firefox"))
    assert open_page("http://127.0.0.1:1/#token", print)
    assert opened == ["http://127.0.0.1:1/#token"]


def test_no_browser_at_all(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def none() -> webbrowser.BaseBrowser:
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(webbrowser, "get", none)
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    assert not open_page("http://127.0.0.1:1/#token", print)
    assert "token" not in "".join(capsys.readouterr())
