"""What can go wrong between a meter and its reading."""

from enum import StrEnum


class Trouble(StrEnum):
    """Kinds of failure, each with a remedy of its own; the values are translation keys of the user interface."""

    CANNOT_CONNECT = "cannot_connect"
    """Nothing listens at the address, or it cannot be reached."""
    NO_ANSWER = "no_answer"
    """Something listens, but no usable answer came from the device behind the unit id."""
    NOT_THIS_METER = "not_this_meter"
    """A device answers, but it does not have this profile's registers or identification."""
    INCOMPLETE = "incomplete"
    """The device marks a quantity as not available."""
    IMPLAUSIBLE = "implausible"
    """The numbers contradict physics or each other."""
    WRONG_IDENTITY = "wrong_identity"
    """It is a meter, but not the one that was set up."""
    FROZEN = "frozen"
    """It answers, but no longer measures."""


class MeterError(Exception):
    """No reading could be had from a meter; str() is a sentence for people."""

    def __init__(self, key: Trouble, message: str) -> None:
        """Keep the kind of trouble beside its sentence."""
        super().__init__(message)
        self.key = key
