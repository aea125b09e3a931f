"""Settings: `config/default.toml`, then a file of the operator's, then the environment.

Every source is flattened to dotted keys (`server.port`) that remember where they were given, so that one
check and one error serve all. The defaults are nowhere but in `default.toml`: what it documents holds.

Our own loader rather than a settings library: none of those that fit pydantic refuses unknown environment
variables, reads `…_FILE` for every key, and says which variable or file a bad value came from.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from adapter.delivery.settings import DeliverySettings
    from adapter.engine.door import DoorSettings
    from adapter.store.retention import RetentionSettings
    from adapter.stream.settings import StreamSettings
    from adapter.web.parts import WebSettings

PREFIX = "LOYALTY_"
CONFIG = "LOYALTY_CONFIG"
FROM_PARENT = "LOYALTY_INTERNAL_SETTINGS"
"""Carries a process's settings to the ones that it starts, so that none of them reads a file anew."""
NOT_SETTINGS = (CONFIG, "LOYALTY_INTERNAL_", "LOYALTY_TEST_")
DATABASES = ("sqlite:", "postgresql:", "postgresql+psycopg:", "postgres:")
SECRET_LEAST = 32
_SOURCE_AND_STREAM = re.compile(r"[^=\s]+=[A-Za-z0-9_-]+")
_HERE = Path(__file__).parent

Whole = Annotated[int, Field(ge=1)]
Days = Annotated[int, Field(ge=0, le=36_500)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Section(BaseModel):
    """A part of the settings: frozen, complete, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Server(Section):
    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65_535)]
    workers: Annotated[int, Field(ge=1, le=64)]
    threads: Annotated[int, Field(ge=1, le=1024)]
    max_body_bytes: Annotated[int, Field(ge=1024)]
    retry_after_s: Whole
    public_url: str

    @property
    def url(self) -> str:
        """Return where this service is to be reached from outside."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url.rstrip("/") or f"http://{host}:{self.port}"


class Api(Section):
    key_cache_ms: Annotated[int, Field(ge=0)]
    idempotency_days: Whole
    rate_per_s: Annotated[int, Field(ge=0, le=1_000_000)]
    rate_burst: Annotated[int, Field(ge=1, le=1_000_000)]
    expiring_days: Whole


class Console(Section):
    enabled: bool
    secret: Annotated[str, Field(repr=False)]

    @field_validator("secret")
    @classmethod
    def _is_long_enough(cls, secret: str) -> str:
        if secret and len(secret) < SECRET_LEAST:
            raise ValueError(
                f"it has fewer than {SECRET_LEAST} letters; `openssl rand -hex 32` makes a good one"
            )
        return secret


class Dialects(Section):
    vinr_host: str
    loyalpro_host: str

    @property
    def hosts(self) -> dict[str, str]:
        """Return which prefix a host name of a dialect's own stands for."""
        named = {"/vinr": self.vinr_host, "/loyalpro": self.loyalpro_host}
        return {host.lower(): prefix for prefix, host in named.items() if host}


class Metrics(Section):
    token: Annotated[str, Field(repr=False)]
    cache_ms: Annotated[int, Field(ge=0)]
    audit_file: str


class Door(Section):
    queue_max: Whole
    batch_max: Annotated[int, Field(ge=1, le=2048)]
    answer_timeout_s: Seconds

    def door(self) -> DoorSettings:
        """Return them as the door takes them."""
        from adapter.engine.door import DoorSettings

        return DoorSettings(**self.model_dump())


class Delivery(Section):
    processes: Annotated[int, Field(ge=1, le=64)]
    workers: Annotated[int, Field(ge=1, le=1024)]
    line: Annotated[int, Field(ge=1, le=64)]
    slow_workers: Annotated[int, Field(ge=1, le=4096)]
    slow_after_s: Annotated[float, Field(ge=0.001, allow_inf_nan=False)]
    poll_s: Annotated[float, Field(ge=0.001, allow_inf_nan=False)]
    linger_s: Annotated[float, Field(ge=0, le=1)]
    housekeeping_s: Seconds
    connect_timeout_s: Annotated[float, Field(ge=0.001, allow_inf_nan=False)]
    lease_margin_s: Annotated[float, Field(ge=1, allow_inf_nan=False)]
    retry_after_cap_s: Whole
    disable_after_s: Whole
    disable_after_failures: Whole
    probe_first_s: Whole
    probe_last_s: Whole
    replay_chunk: Whole
    response_keep_bytes: Annotated[int, Field(ge=0)]
    response_read_bytes: Whole
    ca_file: str
    egress: str

    def delivery(self) -> DeliverySettings:
        """Return them as the dispatcher takes them."""
        from adapter.delivery.settings import DeliverySettings

        given = self.model_dump(exclude={"ca_file", "egress", "processes"})
        return DeliverySettings(**given, ca_file=self.ca_file or None)


class Stream(Section):
    url: str
    credentials_file: str
    user: str
    password: Annotated[str, Field(repr=False)]
    publish: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]*$")]
    subject: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    publish_batch: Annotated[int, Field(ge=1, le=2_000)]
    consume: str
    trusted: bool
    consume_batch: Annotated[int, Field(ge=1, le=1_000)]
    retry_after_s: Seconds
    poll_s: Annotated[float, Field(ge=0.001, allow_inf_nan=False)]

    @field_validator("consume")
    @classmethod
    def _names_sources_and_streams(cls, consume: str) -> str:
        if any(not _SOURCE_AND_STREAM.fullmatch(pair) for pair in _listed(consume)):
            raise ValueError(
                'it must be like "shop=SHOP_EVENTS, till=TILL_EVENTS": sources and their streams'
            )
        return consume

    def stream(self) -> StreamSettings:
        """Return them as the stream's parts take them."""
        from adapter.stream.settings import StreamSettings

        consume = tuple(
            (source, name) for source, _, name in (p.partition("=") for p in _listed(self.consume))
        )
        plain = self.model_dump(exclude={"url", "consume"})
        return StreamSettings(servers=tuple(_listed(self.url)), consume=consume, **plain)


def _listed(text: str) -> list[str]:
    """Return the words of a list with commas or spaces."""
    return text.replace(",", " ").split()


class Sweep(Section):
    interval_s: Seconds
    batch: Annotated[int, Field(ge=1, le=10_000)]


class Retention(Section):
    messages_days: Days
    dead_letters_days: Days
    events_days: Days
    sessions_days: Days
    batch: Annotated[int, Field(ge=1, le=10_000)]
    interval_s: Seconds

    @field_validator("dead_letters_days")
    @classmethod
    def _is_no_less_than_of_what_was_taken(cls, days: int, info: ValidationInfo) -> int:
        if 0 < days < info.data.get("messages_days", 0):
            raise ValueError(
                "a dead letter is kept no shorter than what was taken: it must be 0 or at least messages_days"
            )
        return days

    def retention(self) -> RetentionSettings:
        """Return them as what removes takes them."""
        from adapter.store.retention import RetentionSettings

        return RetentionSettings(**self.model_dump())


class Log(Section):
    level: Literal["debug", "info", "warning", "error"]
    format: Literal["text", "json"]
    requests: bool


class Settings(Section):
    """Everything that an operator may set."""

    data_dir: Annotated[str, Field(min_length=1)]
    database_url: Annotated[str, Field(repr=False)]
    server: Server
    api: Api
    console: Console
    dialects: Dialects
    metrics: Metrics
    door: Door
    delivery: Delivery
    stream: Stream
    sweep: Sweep
    retention: Retention
    log: Log

    @field_validator("database_url")
    @classmethod
    def _is_a_database_we_know(cls, url: str) -> str:
        if url and not url.startswith(DATABASES):
            raise ValueError("it must begin with sqlite:/// or postgresql://")
        return url

    @property
    def verdict(self) -> Path:
        """Return the file in which `audit` leaves its result."""
        return Path(self.metrics.audit_file or f"{self.data_dir}/audit.json").expanduser().absolute()

    @property
    def _console_secret_file(self) -> Path | None:
        """Return where a secret for the console may be made: not where machines may share a database."""
        if not self.database_url.startswith("sqlite"):
            return None
        return Path(self.data_dir).expanduser().absolute() / "console.secret"

    def web(self) -> WebSettings:
        """Return what limits the HTTP side, as the web takes it."""
        from adapter.web.parts import WebSettings

        return WebSettings(
            max_body=self.server.max_body_bytes,
            threads=self.server.threads,
            retry_after_s=self.server.retry_after_s,
            key_cache_ms=self.api.key_cache_ms,
            idempotency_days=self.api.idempotency_days,
            rate_per_s=self.api.rate_per_s,
            rate_burst=self.api.rate_burst,
            expiring_days=self.api.expiring_days,
            log_requests=self.log.requests,
            gauges_cache_ms=self.metrics.cache_ms,
            metrics_token=self.metrics.token or None,
            verdict=self.verdict,
            egress=tuple(_listed(self.delivery.egress)),
            dialect_hosts=self.dialects.hosts,
            public_url=self.server.url,
            console=self.console.enabled,
            console_secret=self.console.secret or None,
            console_secret_file=self._console_secret_file,
        )

    def environment(self) -> dict[str, str]:
        """Return the environment by which a process that is started from this one has the same settings."""
        return {FROM_PARENT: self.model_dump_json()}


Given = dict[str, tuple[Any, str]]
"""By dotted key: the value, and in a person's words where it was given."""


def load_settings(
    config: Path | str | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Return the settings. `overrides` are options of the command line, by dotted key; None is not given.

    Raises `ConfigurationError` that says which key is wrong, where it was given, and what to do.
    """
    environ = os.environ if environ is None else environ
    if FROM_PARENT in environ:
        return Settings.model_validate_json(environ[FROM_PARENT])
    given = _from_file(config_folder() / "default.toml")
    known = tuple(given)
    path = config or environ.get(CONFIG)
    if path:
        given |= _known_only(_from_file(Path(path)), known)
    given |= _from_environment(environ, known)
    given |= {
        key: (value, f"--{key.rpartition('.')[2]}")
        for key, value in (overrides or {}).items()
        if value is not None
    }
    settings = _checked(given)
    if settings.database_url:
        return settings
    database = Path(settings.data_dir).expanduser().absolute() / "loyalty.db"
    return settings.model_copy(update={"database_url": f"sqlite:///{database}"})


def config_folder() -> Path:
    """Return the folder of `default.toml` and the examples: inside the wheel, beside it in a checkout."""
    inside = _HERE / "_config"
    return inside if inside.is_dir() else _HERE.parent / "config"


def _from_file(path: Path) -> Given:
    try:
        tree = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"the settings in {path} cannot be read: {error}", field="config") from error
    return {key: (value, str(path)) for key, value in _flat(tree)}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict) and not prefix:
            yield from _flat(value, f"{key}.")
        else:
            yield prefix + key, value


def _from_environment(environ: Mapping[str, str], known: tuple[str, ...]) -> Given:
    """Read LOYALTY_KEY, LOYALTY_SECTION__KEY and both with _FILE; any other LOYALTY_… is an error."""
    names = {PREFIX + key.replace(".", "__").upper(): key for key in known}
    given: Given = {}
    for name in sorted(
        name for name in environ if name.startswith(PREFIX) and not name.startswith(NOT_SETTINGS)
    ):
        plain = name.removesuffix("_FILE")
        if name in names:
            given[names[name]] = (environ[name], name)
        elif plain in names and plain in environ:
            raise ConfigurationError(
                f"{plain} and {name} are both set: unset one of them", field=names[plain]
            )
        elif plain in names:
            given[names[plain]] = (_secret(Path(environ[name]), name), name)
        else:
            raise _unknown(name, "the environment", names)
    return given


def _secret(path: Path, name: str) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{name}: {path} cannot be read: {error}", field=name) from error


def _known_only(given: Given, known: tuple[str, ...]) -> Given:
    for key, (_, origin) in given.items():
        if key not in known:
            raise _unknown(key, origin, known)
    return given


def _unknown(key: str, origin: str, known: Iterable[str]) -> ConfigurationError:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else "; config/default.toml lists every key"
    return ConfigurationError(f"{key}: there is no such setting (in {origin}){hint}", field=key)


def _checked(given: Given) -> Settings:
    tree: dict[str, Any] = {}
    for key, (value, _) in given.items():
        section, _, name = key.rpartition(".")
        (tree.setdefault(section, {}) if section else tree)[name] = value
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        origin = given.get(key, (None, "the settings"))[1]
        reason = first["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"{key}: {reason} (in {origin})", field=key) from None
