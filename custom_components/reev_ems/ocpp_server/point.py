"""What the parts of a charge point know of it: its settings, clock, views, calls and events, and narrow doors to each other."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from ..energy_management.observation import ConnectorState
from .abilities import Abilities
from .dialect import Dialect
from .events import ChargePointEvent
from .model import ChargePointConfig, ConnectorView, Payload, Permit, Problem
from .profiles import Profile, Unit
from .quirks import Quirks
from .session import CALL_TIMEOUT_S, Session


class Phases(Protocol):
    """On how many phases cars charge."""

    def of(self, connector: ConnectorView, unit: Unit) -> int:
        """Return the number of phases that a limit in a unit is to be calculated with."""


class Paused(Protocol):
    """The connectors that wait for us to go on."""

    def __contains__(self, connector_id: int) -> bool:
        """Whether a connector does."""

    def state_of(self, connector_id: int, state: ConnectorState) -> ConnectorState:
        """Return what the state of a connector means."""


class Key(Protocol):
    """A configuration key of the vendor."""

    async def write_floors(self) -> bool:
        """Write the floors; returns whether there is such a key. Raises CallError."""


class Steers(Protocol):
    """The floor and the permits of a charge point."""

    abilities: Abilities

    @property
    def told(self) -> Mapping[int, tuple[float, Unit]]:
        """By connector: the limit of the last accepted working profile, as the charge point was told it."""

    @property
    def phases(self) -> Phases:
        """On how many phases its cars charge."""

    @property
    def pauses(self) -> Paused:
        """Its connectors that wait for us to go on."""

    @property
    def vendor_key(self) -> Key:
        """Its vendor's key."""

    def floor_of(self, connector: ConnectorView, unit: Unit) -> float:
        """Return the connector's floor in A or W."""

    def renew(self, connector_id: int) -> None:
        """Send the connector's permit again."""

    def turn_kind(self, *, floor_too: bool) -> None:
        """Tell permits, and the floor, as schedules of the other kind."""

    def knows_schedule(self, implemented: bool) -> None:
        """Note whether it tells which limit is in force."""

    def wants_nothing(self, connector_id: int) -> bool:
        """Whether a permit of nothing is on its way to a connector."""

    async def set_profile(self, session: Session, build: Callable[[], Profile]) -> str:
        """Send a profile and return the status."""

    def begin_test(self, connector_id: int) -> None:
        """Hold the permits of a connector back for its self-test."""

    def test_permit(self, connector_id: int, permit: Permit) -> None:
        """Want a permit of the self-test."""

    def test_aborted(self, connector_id: int) -> bool:
        """Whether less was permitted than the self-test needs."""

    def end_test(self, connector_id: int) -> None:
        """Go on with the newest permit."""


class Reads(Protocol):
    """What is in force, as the charge point says."""

    def accepted(self, connector_id: int, permit: Permit) -> None:
        """A permit was accepted."""

    def forget(self, connector_id: int) -> None:
        """Another transaction runs."""

    def clear(self) -> None:
        """It is steered in another way."""


class Point(Protocol):
    """A charge point, as its parts see it."""

    id: str
    config: ChargePointConfig
    connectors: Mapping[int, ConnectorView]
    quirks: Quirks
    dialect: Dialect
    told_state: set[int]

    @property
    def connected(self) -> bool:
        """Whether its socket is open."""

    @property
    def floor_accepted(self) -> bool:
        """Whether it keeps its failsafe (S4)."""

    @property
    def autonomous_fallback(self) -> bool | None:
        """Whether it falls to its floor by itself."""

    @property
    def obeys_pause(self) -> bool:
        """Whether a permit of 0 keeps its cars from charging."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What a person should know."""

    @property
    def steering(self) -> Steers:
        """Its floor and permits."""

    @property
    def read_back(self) -> Reads:
        """What is in force."""

    def clock(self) -> float:
        """Return the monotonic time."""

    def charger_now(self) -> datetime:
        """Return the time on its clock."""

    def emit(self, event: ChargePointEvent) -> None:
        """Tell the subscribers."""

    def subscribe(
        self, listener: Callable[[ChargePointEvent], None]
    ) -> Callable[[], None]:
        """Call `listener` with each event; returns what ends it."""

    def problem(self, name: Problem, *, present: bool) -> None:
        """Note that something is wrong, or is so no longer."""

    def taught(self) -> None:
        """Tell that something was learnt that is to be kept."""

    def permit(self, connector_id: int, permit: Permit) -> None:
        """Permit a connector a limit from now on."""

    async def stop_until_permitted(self, connector_id: int) -> None:
        """End a connector's transaction, which goes on with the next permit of more than nothing."""

    async def raw_call(
        self,
        action: str,
        payload: Payload,
        *,
        urgent: bool = False,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> Payload:
        """Send any request and return its answer. Raises CallError."""
