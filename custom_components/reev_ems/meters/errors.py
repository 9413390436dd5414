"""What can go wrong between a meter and its reading."""

from collections.abc import Mapping
from dataclasses import dataclass
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
    """No reading could be had from a meter; str() is an English sentence for the log."""

    def __init__(self, key: Trouble, message: str, facts: str) -> None:
        """Keep the kind of trouble, and what was found, beside the sentence.

        `facts` are addresses, symbols and numbers that say the same in every language.
        """
        super().__init__(message)
        self.key = key
        self.facts = facts


class Oddity(StrEnum):
    """What can be odd about a meter that answers; the values are translation keys of the user interface."""

    NAME_NOT_TOLD = "name_not_told"
    """It does not have a register that its model should have; placeholder `field`."""
    NAME_DIFFERS = "name_differs"
    """It names itself otherwise than its model; placeholders `field`, `value` and `model`."""
    MAP_GUESSED = "map_guessed"
    """Its registers are not public and those of another fit; placeholders `model` and `found`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """An oddity of one meter."""

    oddity: Oddity
    placeholders: Mapping[str, str]
