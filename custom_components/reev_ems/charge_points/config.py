"""What the OCPP server has to know of a charge point, out of its settings."""

from collections.abc import Mapping
from typing import Any

from ..const import (
    ANY_CERTIFICATE,
    CONF_CERTIFICATES,
    CONF_CHARGE_POINT_ID,
    CONF_CONNECTORS,
    CONF_DEMANDS_CERTIFICATE,
    CONF_FORMER_PASSWORD,
    CONF_MAX_A,
    CONF_MAX_W,
    CONF_MIN_W,
    CONF_NUMBER,
    CONF_PASSWORD,
    CONF_PASSWORD_ON_TRIAL,
    CONF_PHASE_COUNT,
    CONF_QUIRKS,
    CONF_SUPPLY,
)
from ..energy_management.model import FailsafeAction, Settings, Supply
from ..ocpp_server import ChargePointConfig, Floor
from .security import PortSecurity


def charge_point_config(
    data: Mapping[str, Any], settings: Settings, security: PortSecurity
) -> ChargePointConfig:
    """Return what the OCPP server has to know of an adopted charge point at a port that is secured so."""
    certificates = data.get(CONF_CERTIFICATES, [ANY_CERTIFICATE])
    of_another_authority = not security.takes_own_certificates
    connectors = data[CONF_CONNECTORS]
    supply = {item[CONF_NUMBER]: Supply(item[CONF_SUPPLY]) for item in connectors}
    smallest_w = [item[CONF_MIN_W] for item in connectors if item.get(CONF_MIN_W)]
    stop = settings.failsafe is FailsafeAction.STOP
    return ChargePointConfig(
        id=data[CONF_CHARGE_POINT_ID],
        connector_ids=tuple(supply),
        floor=Floor(
            limit_a=0.0 if stop else settings.failsafe_a,
            limit_w=0.0 if stop else min(smallest_w, default=None),
        ),
        supply=supply,
        phases={
            item[CONF_NUMBER]: item[CONF_PHASE_COUNT]
            for item in connectors
            if CONF_PHASE_COUNT in item
        },
        maximum={
            item[CONF_NUMBER]: maximum
            for item in connectors
            if (maximum := item.get(CONF_MAX_A) or item.get(CONF_MAX_W))
        },
        password=data.get(CONF_PASSWORD) or None,
        former_password=data.get(CONF_FORMER_PASSWORD),
        password_on_trial=data.get(CONF_PASSWORD_ON_TRIAL, False),
        demands_certificate=security.profile.is_encrypted
        and data.get(CONF_DEMANDS_CERTIFICATE, False),
        certificates=None
        if of_another_authority or ANY_CERTIFICATE in certificates
        else tuple(certificates),
        quirks=data.get(CONF_QUIRKS, {}),
    )
