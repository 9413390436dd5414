"""Charging profiles of OCPP 2.0.1, by the rules of its use case K01."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, override

from .link import Json
from .profiles import (
    ChargingProfile,
    Kind,
    ProfileError,
    Purpose,
    Unit,
    iso,
    parse_profile,
)
from .serviced import ServicedChargePoint
from .smart_charging import WHOLE, composite_periods, fits, takes

_PURPOSES = {"ChargingStationMaxProfile": Purpose.CHARGE_POINT_MAX.value}


class Charging201(ServicedChargePoint):
    """The part of a charging station that takes charging profiles."""

    @override
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what ChargePoint takes."""
        super().__init__(*args, **kwargs)
        self._installed: dict[int, Json] = {}
        """Charging profiles as they came, by their id."""

    @abstractmethod
    def tell_now(self, action: str, payload: Mapping[str, Any]) -> None:
        """Send what was asked for, registered or not."""

    def parse(self, evse: int, payload: Json) -> ChargingProfile | None:
        """Read a profile; None if it contradicts itself or the rules of 2.0.1 (K01)."""
        if len(payload["chargingSchedule"]) != 1:
            return None
        purpose = payload["chargingProfilePurpose"]
        if purpose == "ChargingStationExternalConstraints":
            return None
        plain = payload | {
            "chargingProfileId": payload["id"],
            "chargingProfilePurpose": _PURPOSES.get(purpose, purpose),
            "chargingSchedule": payload["chargingSchedule"][0],
        }
        try:
            profile = parse_profile(evse, plain, self.now)
        except ProfileError:
            return None
        without_start = profile.kind is not Kind.RELATIVE and profile.start_at is None
        relative_maximum = (
            profile.purpose is Purpose.CHARGE_POINT_MAX
            and profile.kind is Kind.RELATIVE
        )
        return None if without_start or relative_maximum else profile

    def set_charging_profile(self, payload: Json) -> Json:
        """Install a profile."""
        given = payload["chargingProfile"]
        profile = self.parse(payload["evseId"], given)
        if profile is None or not takes(self.config, self.quirks, profile):
            return _rejected("InvalidProfile")
        if not fits(self, profile) or (
            profile.purpose is Purpose.TX and profile.transaction_id is None
        ):
            return _rejected(
                "TxNotFound" if profile.purpose is Purpose.TX else "InvalidProfile"
            )
        if any(_in_the_way(other, profile) for other in self.store.profiles):
            return _rejected("DuplicateProfile")
        self.store.install(profile)
        known = self._installed | {profile.id: given}
        self._installed = {
            kept.id: known[kept.id] for kept in self.store.profiles if kept.id in known
        }
        return {"status": "Accepted"}

    def clear_charging_profile(self, payload: Json) -> Json:
        """Remove profiles."""
        criteria = payload.get("chargingProfileCriteria", {})
        purpose = criteria.get("chargingProfilePurpose")
        cleared = self.store.clear(
            profile_id=payload.get("chargingProfileId"),
            connector=criteria.get("evseId"),
            purpose=Purpose(_PURPOSES.get(purpose, purpose))
            if purpose is not None
            else None,
            stack_level=criteria.get("stackLevel"),
        )
        return {"status": "Accepted" if cleared else "Unknown"}

    def get_charging_profiles(self, payload: Json) -> Json:
        """Report profiles."""
        asked = payload["chargingProfile"]
        purpose = asked.get("chargingProfilePurpose")
        found = [
            profile
            for profile in self.store.profiles
            if profile.id in self._installed
            and payload.get("evseId", profile.connector) == profile.connector
            and (
                purpose is None
                or _PURPOSES.get(purpose, purpose) == profile.purpose.value
            )
            and asked.get("stackLevel", profile.stack_level) == profile.stack_level
            and profile.id in asked.get("chargingProfileId", (profile.id,))
        ]
        for number, profile in enumerate(found, 1):
            self.tell_now(
                "ReportChargingProfiles",
                {
                    "requestId": payload["requestId"],
                    "chargingLimitSource": "CSO",
                    "evseId": profile.connector,
                    "chargingProfile": [self._installed[profile.id]],
                    "tbc": number < len(found),
                },
            )
        return {"status": "Accepted" if found else "NoProfiles"}

    def get_composite_schedule(self, payload: Json) -> Json:
        """Tell what is in force."""
        number = payload["evseId"]
        outlet = self.outlet(number)
        if outlet is None:
            # The whole: only known where it is the same as its only EVSE.
            if number != WHOLE or len(self.outlets) > 1:
                return {"status": "Rejected"}
            outlet = self.outlets[0]
        unit = Unit(payload.get("chargingRateUnit", outlet.wiring.unit))
        return {
            "status": "Accepted",
            "schedule": {
                "evseId": number,
                "duration": payload["duration"],
                "scheduleStart": iso(self.now),
                "chargingRateUnit": unit.value,
                "chargingSchedulePeriod": composite_periods(
                    self, outlet, float(payload["duration"]), unit
                ),
            },
        }


def _rejected(reason: str) -> Json:
    return {"status": "Rejected", "statusInfo": {"reasonCode": reason}}


def _in_the_way(installed: ChargingProfile, new: ChargingProfile) -> bool:
    """Whether another id already has this purpose and stack level at this place (K01.FR.39, K01.FR.53)."""
    if installed.id == new.id:
        return False
    if (installed.purpose, installed.stack_level) != (new.purpose, new.stack_level):
        return False
    if new.purpose is Purpose.TX:
        return installed.transaction_id == new.transaction_id
    # A default of the whole station and one of an EVSE must not share a level.
    return installed.connector == new.connector or WHOLE in (
        installed.connector,
        new.connector,
    )
