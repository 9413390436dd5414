"""What people switch at a site by entities, kept in Home Assistant's storage."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self, TypeIs

from homeassistant.core import HomeAssistant

from ..const import DOMAIN
from ..energy_management.model import ChargingMode
from ..readings.line_phases import async_forget_line_phases
from .storage import KnownStore

STORAGE_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalSignal:
    """What the source of the external limit said last."""

    source: str
    """The entity."""
    inverted: bool
    """How it was read."""
    limited: bool
    limit_w: float | None = None
    """The limit that it gives; None: it only says that there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorControls:
    """What a person or an automation set for a connector."""

    mode: ChargingMode = ChargingMode.AUTOMATIC
    priority: int = 5
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """Everything that is switched by entities, not by forms; outlives restarts in Home Assistant's storage."""

    load_management: bool = True
    pv_surplus: bool = False
    follows_pv: Mapping[str, bool] = field(default_factory=dict)
    """PV switch of a circuit, by its id."""
    connectors: Mapping[str, ConnectorControls] = field(default_factory=dict)
    out_of_service: tuple[str, ...] = ()
    """Connectors that were taken out of service against an overload: to be put back, also after a restart (S13)."""
    external_limit: bool = False
    """Whether a person limits the charging power."""
    external_limit_w: float | None = None
    """To how much, also where a source only says that there is a limit; None: nobody set it."""
    external_signal: ExternalSignal | None = None
    """Kept, since a limit must not end because its source is silent (S3)."""

    def connector(self, connector_id: str) -> ConnectorControls:
        """Return the controls of a connector; nobody touched them yet: the defaults."""
        return self.connectors.get(connector_id, ConnectorControls())

    def with_connector(self, connector_id: str, **changes: Any) -> Self:
        """Return a copy in which fields of one connector are changed."""
        changed = replace(self.connector(connector_id), **changes)
        return replace(self, connectors={**self.connectors, connector_id: changed})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return what `dataclasses.asdict` stored, also of a newer version: what is not understood has its default."""
        flags = ("load_management", "pv_surplus", "external_limit")
        limit_w = data.get("external_limit_w")
        return cls(
            **{name: data[name] for name in flags if isinstance(data.get(name), bool)},
            follows_pv={
                circuit: on
                for circuit, on in _mapping(data.get("follows_pv")).items()
                if isinstance(on, bool)
            },
            connectors={
                item_id: _connector_controls(_mapping(item))
                for item_id, item in _mapping(data.get("connectors")).items()
            },
            out_of_service=_strings(data.get("out_of_service")),
            external_limit_w=limit_w if _is_number(limit_w) else None,
            external_signal=_signal(_mapping(data.get("external_signal"))),
        )


def _connector_controls(item: Mapping[str, Any]) -> ConnectorControls:
    """Return stored controls of a connector, as far as they are known."""
    found = ConnectorControls()
    if item.get("mode") in set(ChargingMode):
        found = replace(found, mode=ChargingMode(item["mode"]))
    if isinstance(item.get("priority"), int) and 1 <= item["priority"] <= 10:
        found = replace(found, priority=item["priority"])
    if isinstance(item.get("enabled"), bool):
        found = replace(found, enabled=item["enabled"])
    return found


def _signal(item: Mapping[str, Any]) -> ExternalSignal | None:
    """Return a stored signal of the external limit, if it is understood."""
    source, inverted, limited = (
        item.get(name) for name in ("source", "inverted", "limited")
    )
    if (
        not isinstance(source, str)
        or not isinstance(inverted, bool)
        or not isinstance(limited, bool)
    ):
        return None
    limit_w = item.get("limit_w")
    return ExternalSignal(
        source=source,
        inverted=inverted,
        limited=limited,
        limit_w=limit_w if _is_number(limit_w) else None,
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _strings(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        return ()
    return tuple(item for item in value if isinstance(item, str))


def _is_number(value: object) -> TypeIs[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def controls_store(hass: HomeAssistant, entry_id: str) -> KnownStore:
    """Return the storage of a site's controls."""
    return KnownStore(hass, STORAGE_VERSION, f"{DOMAIN}.{entry_id}")


async def async_stored_controls(hass: HomeAssistant, entry_id: str) -> Controls:
    """Return the controls of a site as they were stored; those of a new one are the defaults."""
    stored = await controls_store(hass, entry_id).async_load()
    return Controls.from_json(stored) if isinstance(stored, dict) else Controls()


async def async_store_controls(
    hass: HomeAssistant, entry_id: str, controls: Controls
) -> None:
    """Store the controls of a site that does not run."""
    await controls_store(hass, entry_id).async_save(asdict(controls))


async def async_remove_stored(hass: HomeAssistant, entry_id: str) -> None:
    """Forget the controls of a site that was removed."""
    async_forget_line_phases(hass, entry_id)
    await controls_store(hass, entry_id).async_remove()
