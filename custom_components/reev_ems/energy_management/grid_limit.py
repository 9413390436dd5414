"""§14a EnWG: how much power the controllable consumers of a site keep when the grid operator reduces them.

The numbers are those of the Bundesnetzagentur's ruling BK6-22-300, annex 1, 4.5.2: each controllable device keeps
4.2 kW if it is controlled directly; an energy management system may share

    4.2 kW + (n − 1) · simultaneity(n) · 4.2 kW

among its n devices as it sees fit. The grid operator's signal may also carry a value of its own. Whatever the
source, the limit is one row over all demands, `Case.external_limit_w`.
"""

MINIMUM_PER_DEVICE_W = 4200.0

_SIMULTANEITY = (1.0, 1.0, 0.80, 0.75, 0.70, 0.65, 0.60, 0.55, 0.50)
"""By number of devices; 0.45 from nine on."""


def minimum_power_w(device_count: int) -> float:
    """Return the power in W that stays for that many controllable devices behind one energy management system.

    Raises:
        ValueError: the number is negative.
    """
    if device_count < 0:
        raise ValueError("the number of controllable devices is negative")
    if device_count == 0:
        return 0.0
    simultaneity = (
        _SIMULTANEITY[device_count] if device_count < len(_SIMULTANEITY) else 0.45
    )
    return MINIMUM_PER_DEVICE_W * (1 + (device_count - 1) * simultaneity)
