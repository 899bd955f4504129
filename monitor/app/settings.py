"""The settings file: TOML, overridden by the environment, checked at once and completely.

`TRIGWATCH_HTTP__PORT=9700` overrides `[http] port`. Every error is reported together, with the value, the reason and
the remedy; an unknown key is an error, because a mistyped one would otherwise be a monitor that watches nothing.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from monitor.trigger.site import DEFAULT_PROFILE, PROFILES, Site

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Url = Annotated[str, StringConstraints(pattern=r"^https?://")]


class WrongSettings(Exception):
    """The settings cannot be used; the message lists every error."""


class Section(BaseModel):
    """One table of the settings file."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class SiteSection(Section):
    """The experiment: a known profile, and what differs from it."""

    profile: Literal["cms", "atlas"] = DEFAULT_PROFILE
    name: str | None = None
    lumisection_word: str | None = None
    lumisection_short: str | None = None
    lumisection_seconds: Annotated[float, Field(ge=1e-3, le=86_400)] | None = None
    crossings: Annotated[int, Field(gt=0, le=65_536)] | None = None
    orbits_per_second: Annotated[float, Field(gt=0)] | None = None
    accept_word: str | None = None

    def site(self) -> Site:
        """Return the profile with this table's own words and numbers put over it."""
        profile = PROFILES[self.profile]
        own = self.model_dump(exclude={"profile"}, exclude_none=True)
        return Site(**{field: own.get(field, getattr(profile, field)) for field in Site.__dataclass_fields__})


class StateSection(Section):
    """Where the daemon keeps what it must not lose."""

    path: Path = Path("trigwatch.db")
    keep_lumisections: Annotated[int, Field(ge=10)] = 5_000
    backup_every_lumisections: Annotated[int, Field(ge=1)] = 200


class ModelsSection(Section):
    """The registry of cards, and the engine that reruns them."""

    path: Path = Path("models")
    engine: Literal["auto", "native", "gemm", "csim"] = "auto"


class ReferenceSection(Section):
    """What is normal: a promoted Book, and how long to learn where it has no page."""

    book: Path | None = None
    learn_lumisections: Annotated[int, Field(ge=10)] = 40


class KnownSection(Section):
    """Scans, masks and calibrations that are known: a file that is read anew whenever it changes."""

    path: Path | None = None


class CanarySection(Section):
    """Known faults in a shadow of every stream, to see that they are still found; no `faults` for none."""

    faults: list[Literal["dead-place", "hot-tower", "low-scale", "mismatches"]] = Field(
        default=["dead-place", "hot-tower", "low-scale", "mismatches"]
    )
    within_lumisections: Annotated[int, Field(ge=1)] = 20
    rest_lumisections: Annotated[int, Field(ge=0)] = 5


class AlarmsSection(Section):
    """The false-alarm promise; the thresholds follow from it."""

    false_pages_per_week: Annotated[float, Field(ge=1e-3, le=1_000)] = 1.0
    allowed_lateness_seconds: Annotated[float, Field(gt=0)] = 60.0
    silence_lumisections: Annotated[float, Field(gt=0)] = 3.0
    clear_after_lumisections: Annotated[int, Field(ge=1)] = 5
    persistent_after_lumisections: Annotated[int, Field(ge=1)] = 10


class StreamSection(Section):
    """One watched stream."""

    name: Name
    topic: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,249}$")]
    mismatch_floor: Annotated[float, Field(ge=0, lt=1)] = 1e-6


class LimitsSection(Section):
    """What a single record may weigh before it is rejected unread."""

    max_bytes: Annotated[int, Field(gt=0)] = 16 * 2**20
    max_events: Annotated[int, Field(gt=0)] = 100_000
    max_inputs: Annotated[int, Field(gt=0)] = 4_096


class TopicsSection(Section):
    """Where the daemon writes."""

    verdicts: str = "trigwatch.verdicts"
    retrain: str = "trigwatch.retrain"
    dead_letter: str = "trigwatch.dead-letter"
    summaries: str = "trigwatch.summaries"


class KafkaSection(Section):
    """The broker. `client` passes any option of kafka-python through: `security_protocol`, `sasl_mechanism` and all."""

    bootstrap: Annotated[list[str], Field(min_length=1)]
    group: str = "trigwatch"
    instance: str | None = None
    client: dict[str, Any] = {}


class TapeSection(Section):
    """A tape instead of a broker: a file that keeps the exact bytes and offsets."""

    path: Path


class HttpSection(Section):
    """The one port: metrics, health, API and page. Loopback unless told otherwise."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 9_742


class AlertmanagerSection(Section):
    """Whom to page; several are told each."""

    urls: list[Url] = []


class WebhookTarget(Section):
    """One address, what it is told, and whether a CloudEvent's attributes lie in the body or in `ce-` headers."""

    url: Url
    kinds: Annotated[list[Literal["verdict", "retrain"]], Field(min_length=1)] = ["verdict", "retrain"]
    mode: Literal["structured", "binary"] = "structured"


class WebhookSection(Section):
    """Who else is told: every verdict and retraining request as a CloudEvent; `targets` say more precisely what."""

    urls: list[Url] = []
    targets: list[WebhookTarget] = []

    def all(self) -> tuple[WebhookTarget, ...]:
        """Return every target, those of `urls` first: their numbers name them in the outbox."""
        return (*(WebhookTarget(url=url) for url in self.urls), *self.targets)


class GrafanaSection(Section):
    """Where annotations go. Keep the token in TRIGWATCH_GRAFANA__TOKEN, not in the file."""

    url: Url | None = None
    token: str | None = None


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix="TRIGWATCH_", env_nested_delimiter="__", validate_default=True
    )

    site: SiteSection = SiteSection()
    state: StateSection = StateSection()
    models: ModelsSection = ModelsSection()
    reference: ReferenceSection = ReferenceSection()
    known: KnownSection = KnownSection()
    canary: CanarySection = CanarySection()
    alarms: AlarmsSection = AlarmsSection()
    limits: LimitsSection = LimitsSection()
    topics: TopicsSection = TopicsSection()
    kafka: KafkaSection | None = None
    tape: TapeSection | None = None
    http: HttpSection = HttpSection()
    alertmanager: AlertmanagerSection = AlertmanagerSection()
    webhook: WebhookSection = WebhookSection()
    grafana: GrafanaSection = GrafanaSection()
    streams: Annotated[list[StreamSection], Field(min_length=1)]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file, which arrives as the constructor's arguments."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    @model_validator(mode="after")
    def _one_supply(self) -> Settings:
        if (self.kafka is None) == (self.tape is None):
            given = "both [kafka] and [tape]" if self.kafka else "neither [kafka] nor [tape]"
            raise ValueError(f"{given} is given: a daemon reads from exactly one of them")
        return self

    @model_validator(mode="after")
    def _names_once(self) -> Settings:
        names = [stream.name for stream in self.streams]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"stream {twice[0]!r} is configured {names.count(twice[0])} times: give each its own name")
        return self


def load(path: Path) -> Settings:
    """Read the settings file at `path`; paths in it are relative to its folder. Raises `WrongSettings`."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WrongSettings(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongSettings(f"{path}: is not TOML: {error}") from error
    return anchor(build(content, origin=str(path)), folder=path.resolve().parent)


def build(content: Mapping[str, Any], *, origin: str = "settings") -> Settings:
    """Check `content` and return the settings. Raises `WrongSettings` with every error, one a line."""
    _refuse_unknown_environment(os.environ)
    try:
        return Settings(**dict(content))
    except ValidationError as error:
        lines = "\n".join(f"  {line}" for line in _explain(error))
        raise WrongSettings(f"{origin}: {error.error_count()} error(s)\n{lines}") from error


def _refuse_unknown_environment(environment: Mapping[str, str]) -> None:
    for name in environment:
        section, _, key = name.removeprefix("TRIGWATCH_").lower().partition("__")
        if name.startswith("TRIGWATCH_") and (section not in Settings.model_fields or not key):
            raise WrongSettings(f"environment variable {name}: no such setting{_nearest((section,))}")


def anchor(settings: Settings, *, folder: Path) -> Settings:
    """Return `settings` with every relative path taken from `folder`, where the settings file lies."""
    changed: dict[str, Any] = {}
    for name in type(settings).model_fields:
        section = getattr(settings, name)
        if not isinstance(section, Section):
            continue
        paths = {key: folder / value for key, value in section if isinstance(value, Path)}
        if paths:
            changed[name] = section.model_copy(update=paths)
    return settings.model_copy(update=changed)


def _explain(error: ValidationError) -> Iterator[str]:
    for each in error.errors():
        place = ".".join(str(part) for part in each["loc"]) or "settings"
        if each["type"] == "extra_forbidden":
            yield f"{place}: no such setting{_nearest(each['loc'])}"
        elif each["type"] == "missing":
            yield f"{place}: is missing and has no default"
        else:
            shown = "" if each["type"] == "value_error" else f" (given: {each['input']!r})"
            yield f"{place}: {each['msg'].removeprefix('Value error, ')}{shown}"


def _nearest(place: tuple[int | str, ...]) -> str:
    known = sorted(_keys(Settings))
    near = difflib.get_close_matches(str(place[-1]), known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _keys(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        for inner in _sections(field.annotation):
            yield from _keys(inner)


def _sections(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _sections(argument)
