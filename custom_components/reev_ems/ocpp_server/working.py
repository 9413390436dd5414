"""Makes the charging profile of a permit (S5), in the way that a charge point takes."""

from typing import TYPE_CHECKING

from ..energy_management.model import Supply
from .abilities import Abilities
from .limits import permit_limit
from .model import ConnectorView, Permit
from .profiles import Profile, working_profile

if TYPE_CHECKING:
    from .charge_point import ChargePoint


def profile(
    point: ChargePoint,
    connector: ConnectorView,
    permit: Permit,
    expires_at_s: float,
    attempt: Abilities,
) -> Profile:
    """Return the profile of a permit that lapses at a monotonic time."""
    unit = attempt.unit_for(connector.supply)
    phases = point.steering.phases.of(connector, unit)
    transaction = connector.transaction
    return working_profile(
        connector_id=connector.connector_id,
        stack_level=attempt.stack_level,
        purpose=attempt.working_purpose,
        kind=attempt.working_kind,
        unit=unit,
        limit=permit_limit(permit, connector, unit, point.config, phases),
        floor=point.steering.floor_of(connector, unit),
        life_s=expires_at_s - point.clock(),
        now=point.charger_now(),
        elapsed_s=(point.now() - transaction.started_at).total_seconds()
        if transaction
        else 0.0,
        max_periods=attempt.max_periods,
        transaction_id=point.dialect.wire_id(transaction) if transaction else None,
        phase_count=None if connector.supply is Supply.DC else permit.phase_count,
    )
