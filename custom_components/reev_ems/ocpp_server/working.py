"""Makes the charging profile of a permit (S5), in the way that a charge point takes."""

from dataclasses import replace

from ..energy_management.model import Supply
from .abilities import Abilities
from .limits import permit_limit
from .model import ConnectorView, Permit
from .point import Point
from .profiles import Profile, working_profile


def profile(
    point: Point,
    connector: ConnectorView,
    permit: Permit,
    expires_at_s: float,
    attempt: Abilities,
) -> Profile:
    """Return the profile of a permit that lapses at a monotonic time."""
    unit = attempt.unit_for(connector.supply)
    if permit.phase_count is not None and attempt.switches_phases is False:
        fewer = permit.phase_count < point.config.phases_of(connector.connector_id)
        # It would charge on all of its phases, of which only some were permitted (S1).
        permit = replace(
            permit, limit_a=0.0 if fewer else permit.limit_a, phase_count=None
        )
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
        elapsed_s=point.clock() - connector.began_at_s
        if transaction and connector.began_at_s is not None
        else 0.0,
        max_periods=attempt.max_periods,
        transaction_id=point.dialect.wire_id(transaction) if transaction else None,
        phase_count=None if connector.supply is Supply.DC else permit.phase_count,
    )
