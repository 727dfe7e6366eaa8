"""What is missing skips a test, unless it was promised."""

from __future__ import annotations

import pytest

from tests.needs import needed


def test_what_is_there_is_returned() -> None:
    assert needed("thing", "here", "get it") == "here"


def test_what_is_missing_skips_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNEXP_REQUIRE", "other,things")
    with pytest.raises(pytest.skip.Exception, match="thing was not found: get it"):
        needed("thing", None, "get it")


def test_what_is_missing_fails_where_it_was_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNEXP_REQUIRE", "other,thing,")
    with pytest.raises(pytest.fail.Exception, match="thing is required here and was not found: get it"):
        needed("thing", None, "get it")
