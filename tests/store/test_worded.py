"""A statement is made of the same words once."""

from __future__ import annotations

from adapter.store.worded import worded


def test_the_same_words_are_the_same_statement() -> None:
    assert worded("SELECT :one AS a") is worded("SELECT " + ":one AS a")
    assert worded("SELECT :one AS a") is not worded("SELECT :one AS b")
    assert str(worded("SELECT :one AS a")) == "SELECT :one AS a"
