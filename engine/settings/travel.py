"""Settings of places, ways and arrivals."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from engine.settings.branch import Branch

__all__ = ["EtaSettings", "GeocodingSettings", "TravelSettings"]


class GeocodingSettings(Branch):
    """How addresses are found on the map."""

    url: str | None = Field(None, pattern=r"^https?://\S+$")
    """Server that speaks as Nominatim does; none asks the offline gazetteer alone."""
    user_agent: str = Field("Outrider/0.1", min_length=3, max_length=200)
    """Who we say we are; public servers want an address to write to in it."""
    rate_per_s: float = Field(1.0, gt=0, le=1000)
    """How often one process asks the server, a second; the public Nominatim allows one in all."""
    failures: int = Field(5, ge=1)
    """Failures in a row after which the server is left alone."""
    recovery_s: float = Field(30.0, gt=0)
    """For how long, seconds; then one question tries it out."""
    timeout_s: float = Field(5.0, gt=0, le=20)
    """Time limit of one question, seconds."""
    gazetteer: Path | None = None
    """File of `outrider gazetteer build`; none takes that of Porto which comes along."""
    least_confidence: float = Field(0.6, ge=0, le=1)
    """How sure an answer has to be for a delivery to take it; what is less sure waits for a person."""


class TravelSettings(Branch):
    """Who says how long it takes from place to place. The great circle with a usual pace always comes last."""

    order: tuple[Literal["roads", "osrm", "valhalla"], ...] = ("roads", "osrm", "valhalla")
    """Who is asked first, as a JSON list; those without a file or URL are left out."""
    network: Path | None = None
    """Road network of `outrider roads build`; none takes that of Porto, which set-up has made."""
    osrm_url: str | None = Field(None, pattern=r"^https?://\S+$")
    """Root of an OSRM server."""
    valhalla_url: str | None = Field(None, pattern=r"^https?://\S+$")
    """Root of a Valhalla server; its limits on matrices have to be raised for plans."""
    learned_pace: bool = True
    """Whether free-flow times of maps are turned into those that vehicles were seen to take, by hour of the week."""
    time_zone: str = "Europe/Lisbon"
    """Of those hours; the default is that of the map which comes along."""
    traffic: bool = True
    """Whether the fleet's own drives teach what roads take, now and by hour of the week, and plans and estimates follow
    it. All companies of the installation share it; it holds no more than factors by piece of road."""
    traffic_every_s: float = Field(60.0, ge=5, le=3600)
    """How often new fixes are learned from, seconds."""
    traffic_file: Path | None = None
    """Where the state of traffic lies; on several machines a folder that all share. None means `traffic` in `var`."""
    failures: int = Field(3, ge=1)
    """Failures in a row after which a provider is left alone."""
    recovery_s: float = Field(30.0, gt=0)
    """For how long, seconds; then one question tries it out."""
    timeout_s: float = Field(20.0, gt=0, le=120)
    """Time limit of one question, seconds."""
    weather_url: str | None = Field(None, pattern=r"^https?://\S+$")
    """Root of a server that answers as Open-Meteo does; rain, snow and wind then lengthen plans and estimates."""
    weather_fresh_s: float = Field(1800.0, ge=60)
    """How old its word may be before it is asked again, seconds …"""
    weather_kept_s: float = Field(6 * 3600.0, ge=60)
    """… and how old while it is away; it is a forecast of two days."""
    flow_url: SecretStr | None = None
    """URL of a server that answers as TomTom's Flow Segment Data does, with `{latitude}` and `{longitude}`; asked where
    the fleet's own drives teach nothing."""
    flow_fresh_s: float = Field(300.0, ge=30)
    """How old its word may be before it is asked again, seconds …"""
    flow_kept_s: float = Field(1800.0, ge=30)
    """… and how old while it is away."""
    conditions_timeout_s: float = Field(3.0, gt=0, le=20)
    """Time limit of one question about weather or traffic, seconds."""

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        if self.flow_url is not None:
            url = self.flow_url.get_secret_value()
            if not url.startswith(("http://", "https://")) or "{latitude}" not in url or "{longitude}" not in url:
                raise ValueError("OUTRIDER_TRAVEL__FLOW_URL needs to be a URL with {latitude} and {longitude}")
        return self


class EtaSettings(Branch):
    """Arrival estimates."""

    models: Path | None = None
    """Folder of the registry of models, shared by all machines that run shards; none means `models` in `var`."""
    roads: bool = True
    """Whether base times come from the road network (`OUTRIDER_TRAVEL__NETWORK`); without, from the great circle."""
    fresh_s: float = Field(10.0, ge=1, le=300)
    """A driver that moves is estimated anew at least this often, seconds."""
    told_s: float = Field(30.0, ge=1, le=3600)
    """Change of what is shown that goes to watchers and into the history, seconds; at least 5 % of the time left."""
    late_risk: float = Field(0.6, gt=0, lt=1)
    """Probability of missing a time window at which `delivery.late_risk` is told."""
    imminent_s: float = Field(600.0, ge=60, le=7200)
    """How long before the arrival `delivery.imminent` is told, seconds."""
    coverage_low: float = Field(0.75, gt=0, lt=1)
    """Share of a day's arrivals in the promised range below which `eta.coverage_off` is told …"""
    coverage_high: float = Field(0.85, gt=0, lt=1)
    """… and above which; 0.8 is what ranges are made for."""
