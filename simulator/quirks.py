"""What real charge points do wrong, as switches. All off: a good one."""

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Quirks:
    """Switches of a charge point; they may be turned while it runs."""

    disobedient: bool = False
    """Accepts every profile and charges as it likes."""
    applies_late_s: float = 0.0
    """Time between accepting a limit and obeying it."""
    ignores_duration: bool = False
    """Does not know the duration of a schedule."""
    rejects_tx_profile: bool = False
    rejects_tx_default: bool = False
    rejects_charge_point_max: bool = False
    power_unit_only: bool = False
    """Takes limits in W only."""
    current_unit_only: bool = False
    """Takes limits in A only."""
    absolute_only: bool = False
    """Rejects relative schedules."""
    relative_only: bool = False
    """Rejects absolute schedules."""
    old_starts_are_none: bool = False
    """Takes an absolute start up to 2010 for none and counts from the start of the session, as MicroOcpp does."""
    stack_zero_only: bool = False
    """Rejects every stack level above 0."""
    single_period: bool = False
    """Rejects schedules of more than one period."""
    no_composite_schedule: bool = False
    """Does not implement GetCompositeSchedule."""
    zero_stops_transaction: bool = False
    """Ends the transaction at a limit of 0 instead of pausing."""
    forgets_profiles_offline: bool = False
    """Loses its profiles with the connection, and charges at its maximum."""
    ignores_zero: bool = False
    """Goes on charging at its maximum where the limit is 0."""
    no_meter_values: bool = False
    reports_a: float = -1.0
    """The current that it reports in each phase, and the power of that, whatever flows; negative: the truth."""
    current_as_sum: bool = False
    """Reports one current, the sum over the phases."""
    reports_zero: bool = False
    """Reports no current and no power, whatever its car draws; its energy register is right."""
    boots_on_reconnect: bool = False
    """Sends a BootNotification after every connection loss."""
    drops_connection_s: float = 0.0
    """Loses its connection again and again, after so many seconds."""
    slow_answer_s: float = 0.0
    """Time it takes to answer."""
    clock_offset_s: float = 0.0
    """Its clock is ahead (or, negative, behind) and is never set."""
    vendor_key: str = ""
    """A writable configuration key (2.0.1: variable, as `Component.Variable`) of this name limits the current, in A."""
    composite_ignores_limits: bool = False
    """Tells its own maximum as composite schedule, whatever its profiles say."""
    firmware_fails: bool = False
    """Cannot download firmware."""
    security_events: bool = False
    """Tells what matters for its security (SecurityEventNotification); without it only what it is commanded to tell."""
    no_local_list: bool = False
    """Has no list of id tags."""
    finishing_until_unplugged: bool = False
    """Takes no remote start for a car whose session has ended."""
    ignores_password: bool = False
    """Accepts another password, and goes on with what it had."""
    rejects_trigger: bool = False
    """Sends no message because it was asked to (TriggerMessage)."""
