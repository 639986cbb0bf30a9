from __future__ import annotations

import re
from pathlib import Path

import pytest

import coordinator
from coordinator.domain.siws import Ask, login_text
from coordinator.store.migrate import load_migrations
from coordinator.store.queries import load_all, parse
from p2p.core.messages.auth import Role

ROOT = Path(coordinator.__file__).parent


def test_headers_split_a_file() -> None:
    text = "-- name: one\n-- why\nSELECT 1;\n\n-- name: two\nSELECT 2;\n"
    assert parse(text) == {"one": "-- why\nSELECT 1", "two": "SELECT 2"}


@pytest.mark.parametrize("text", ["SELECT 1;", "-- name: a\n\n", "-- name: a\nx\n-- name: a\ny\n"])
def test_a_sloppy_file_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"before the first|empty or named twice"):
        parse(text)


def test_every_query_is_used_and_every_use_has_a_query() -> None:
    sources = "\n".join(path.read_text() for path in ROOT.rglob("*.py"))
    used = set(
        re.findall(r'"((?:jobs|nodes|ledger|outbox|logins|rates|disputes|sponsored)\.[a-z_]+)"', sources)
    )
    assert used == set(load_all())


def test_no_sql_outside_sql_files() -> None:
    allowed = {"migrate.py", "embedded.py"}  # the bookkeeping of migrations, the creation of the database
    for path in ROOT.rglob("*.py"):
        if path.name not in allowed:
            found = re.search(r'"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM)\b', path.read_text())
            assert found is None, path


def test_migrations_are_in_the_order_of_their_numbers() -> None:
    numbers = [step.number for step in load_migrations()]
    assert numbers[0] == 1
    assert numbers == sorted(set(numbers))


def test_the_login_text_says_exactly_what_was_asked() -> None:
    text = login_text(Ask("WALLET", "PEER", Role.NODE, "devnet", "abc123", 1_700_000_000, 1_700_000_300))
    assert text == (
        "cyxwiz wants you to sign in with your Solana account:\n"
        "WALLET\n"
        "\n"
        "Log in to CyxWiz as node from peer PEER. This moves no money.\n"
        "\n"
        "URI: cyxwiz://login\n"
        "Version: 1\n"
        "Chain ID: devnet\n"
        "Nonce: abc123\n"
        "Issued At: 2023-11-14T22:13:20Z\n"
        "Expiration Time: 2023-11-14T22:18:20Z"
    )
