"""Where a setting comes from, which one wins, and what a mistake is answered."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from adapter.delivery.settings import DeliverySettings
from adapter.engine.door import DoorSettings
from adapter.errors import ConfigurationError
from adapter.settings import config_folder, load_settings
from adapter.store.retention import RetentionSettings
from adapter.web.parts import WebSettings


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_defaults_are_those_of_the_parts() -> None:
    settings = load_settings(environ={})
    assert settings.door.door() == DoorSettings()
    assert settings.delivery.delivery() == DeliverySettings()
    assert settings.retention.retention() == RetentionSettings()
    web, theirs = settings.web(), WebSettings()
    own = {"public_url", "verdict", "console_secret_file"}  # they follow the host, the port and the folder
    for field in fields(WebSettings):
        if field.name not in own:
            assert getattr(web, field.name) == getattr(theirs, field.name), field.name
    assert web.public_url == "http://127.0.0.1:8080"


def test_dead_letters_outlive_what_was_taken() -> None:
    days = {"LOYALTY_RETENTION__MESSAGES_DAYS": "60", "LOYALTY_RETENTION__DEAD_LETTERS_DAYS": "59"}
    with pytest.raises(ConfigurationError, match="kept no shorter than what was taken"):
        load_settings(environ=days)
    for enough in ("0", "60"):
        assert load_settings(environ=days | {"LOYALTY_RETENTION__DEAD_LETTERS_DAYS": enough})


def test_every_key_of_the_default_file_is_documented() -> None:
    lines = (config_folder() / "default.toml").read_text().splitlines()
    undocumented = [
        line
        for before, line in zip(["", *lines], lines, strict=False)
        if "=" in line and not line.startswith("#") and "#" not in line and not before.startswith("#")
    ]
    assert [line.split()[0] for line in undocumented] == ["port"]


def test_every_key_can_be_set_in_the_environment() -> None:
    tree = tomllib.loads((config_folder() / "default.toml").read_text())
    flat = {name: value for name, value in tree.items() if not isinstance(value, dict)}
    flat |= {
        f"{section}__{name}": value
        for section in tree
        if section not in flat
        for name, value in tree[section].items()
    }
    environ = {f"LOYALTY_{name.upper()}": str(value) for name, value in flat.items()}
    assert len(environ) > 30
    assert load_settings(environ=environ) == load_settings(environ={})


def test_embedded_database_lives_in_the_data_folder(tmp_path: Path) -> None:
    assert load_settings(environ={}).database_url == f"sqlite:///{Path.cwd()}/data/loyalty.db"
    settings = load_settings(environ={"LOYALTY_DATA_DIR": str(tmp_path)})
    assert settings.database_url == f"sqlite:///{tmp_path}/loyalty.db"


def test_options_win_over_environment_over_file_over_defaults(tmp_path: Path) -> None:
    path = written(tmp_path, "[server]\nport = 1\nthreads = 1\nworkers = 1\nretry_after_s = 9")
    environ = {"LOYALTY_CONFIG": str(path), "LOYALTY_SERVER__PORT": "2", "LOYALTY_SERVER__THREADS": "2"}
    server = load_settings(environ=environ, overrides={"server.port": 3, "server.host": None}).server
    assert (server.port, server.threads, server.retry_after_s, server.host) == (3, 2, 9, "127.0.0.1")


def test_file_named_on_the_command_line_wins_over_the_environments(tmp_path: Path) -> None:
    path = written(tmp_path, "[log]\nlevel = 'debug'")
    assert load_settings(config=path, environ={"LOYALTY_CONFIG": "/nowhere.toml"}).log.level == "debug"


def test_secret_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("postgresql://me:secret@db/loyalty\n")
    settings = load_settings(environ={"LOYALTY_DATABASE_URL_FILE": str(path)})
    assert settings.database_url == "postgresql://me:secret@db/loyalty"
    assert "secret" not in repr(settings)


MISTAKES = {
    "unknown variable": (
        {"LOYALTY_SERVER__PROT": "1"},
        (
            "LOYALTY_SERVER__PROT: there is no such setting (in the environment); did you mean "
            "LOYALTY_SERVER__PORT?"
        ),
    ),
    "nothing near": (
        {"LOYALTY_QQQ__ZZZ": "1"},
        (
            "LOYALTY_QQQ__ZZZ: there is no such setting (in the environment); config/default.toml "
            "lists every key"
        ),
    ),
    "not a number": (
        {"LOYALTY_SERVER__PORT": "http"},
        (
            "server.port: Input should be a valid integer, unable to parse string as an integer "
            "(in LOYALTY_SERVER__PORT)"
        ),
    ),
    "out of range": (
        {"LOYALTY_SERVER__PORT": "65536"},
        "server.port: Input should be less than or equal to 65535 (in LOYALTY_SERVER__PORT)",
    ),
    "never": (
        {"LOYALTY_DOOR__ANSWER_TIMEOUT_S": "nan"},
        ("door.answer_timeout_s: Input should be a finite number (in LOYALTY_DOOR__ANSWER_TIMEOUT_S)"),
    ),
    "lease": (
        {"LOYALTY_DELIVERY__LEASE_MARGIN_S": "0"},
        (
            "delivery.lease_margin_s: Input should be greater than or equal to 1 (in "
            "LOYALTY_DELIVERY__LEASE_MARGIN_S)"
        ),
    ),
    "other database": (
        {"LOYALTY_DATABASE_URL": "mysql://x"},
        ("database_url: it must begin with sqlite:/// or postgresql:// (in LOYALTY_DATABASE_URL)"),
    ),
    "twice": (
        {"LOYALTY_DATA_DIR": "a", "LOYALTY_DATA_DIR_FILE": "b"},
        "LOYALTY_DATA_DIR and LOYALTY_DATA_DIR_FILE are both set: unset one of them",
    ),
}


@pytest.mark.parametrize(("environ", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_in_the_environment_names_the_variable(environ: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ=environ)
    assert caught.value.message == message
    assert caught.value.field


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[server]\nprot = 1",
            "server.prot: there is no such setting (in {path}); did you mean server.port?",
        ),
        (
            "[severity]\nx = 1",
            "severity.x: there is no such setting (in {path}); config/default.toml lists every key",
        ),
        ("server = 1", "server: there is no such setting (in {path}); did you mean server.port?"),
        (
            "[log]\nlevel = 'loud'",
            "log.level: Input should be 'debug', 'info', 'warning' or 'error' (in {path})",
        ),
        ("[log", "the settings in {path} cannot be read: Expected ']' at the end of a table declaration"),
    ],
)
def test_mistake_in_a_file_names_key_and_file(text: str, message: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(config=path, environ={})
    assert caught.value.message.startswith(message.format(path=path))


@pytest.mark.parametrize("variable", ["LOYALTY_CONFIG", "LOYALTY_METRICS__TOKEN_FILE"])
def test_file_that_is_not_there_is_named(variable: str) -> None:
    with pytest.raises(ConfigurationError, match="/nowhere"):
        load_settings(environ={variable: "/nowhere"})


def test_a_process_hands_its_settings_on(tmp_path: Path) -> None:
    path = written(tmp_path, "[server]\nport = 9999")
    settings = load_settings(config=path, environ={})
    assert load_settings(environ={"LOYALTY_SERVER__PORT": "1", **settings.environment()}) == settings


def test_address_of_the_service_is_a_url() -> None:
    said = {"LOYALTY_SERVER__PUBLIC_URL": "https://points.example/"}
    assert load_settings(environ=said).server.url == "https://points.example"
    assert load_settings(environ={"LOYALTY_SERVER__HOST": "::1"}).server.url == "http://[::1]:8080"
