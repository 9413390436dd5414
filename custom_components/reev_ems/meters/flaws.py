"""What can be wrong with the data of a meter profile."""

from enum import Enum, unique


@unique
class Flaw(Enum):
    """Kinds of mistakes, as English sentences for the log; placeholders say the same in every language."""

    NOT_A_MAPPING = "must be a mapping"
    NOT_A_TEXT = "must be a text"
    NOT_TEXTS = "must be a list of texts"
    NOT_WHOLE = "must be a whole number"
    NOT_WHOLE_NUMBERS = "must be a list of whole numbers"
    WHOLE_OUT_OF_RANGE = "must be a whole number from {low} to {high}"
    NOT_A_NUMBER = "must be a number"
    OUT_OF_RANGE = "must be a number from {low} to {high}"
    NOT_A_FLAG = "must be true or false"
    NOT_A_CHOICE = "must be one of {choices}"
    UNKNOWN_KEY = "is not a known key"
    BAD_ID = "must be lower case letters, digits and underscores"
    UNKNOWN_QUANTITY = "is not a quantity; known are {known}"
    UNKNOWN_PROFILE = "{profile} is not a known profile"
    NOT_EXTENDABLE = "{profile} is not a profile that can be extended"
    NO_UNIT_ID = "must name at least one unit id"
    NOT_ONE_KIND = "needs exactly one of quantities, sunspec_models and candidates"
    NOT_ONE_SOURCE = "needs exactly one of address, sum and minus"
    NOT_TWO_ADDRESSES = "needs two addresses"
    NO_CURRENT = "current_l1 is missing: limits are kept per phase"
    NO_SIGN_OF_LIFE = "voltage_l1 or frequency is needed: zeros of a dead device would be taken for no load"
    SCALE_IS_ZERO = "must not be 0"
    SIGN_OF_NO_CURRENT = "is for currents only"
    SIGN_FROM_NOTHING = "{quantity} is not among the quantities"
    BEYOND_LAST_REGISTER = "reaches beyond the last register"
    OVERLAPS_QUANTITY = "overlaps {quantity} at address {address}"
    OVERLAP = "values overlap at address {address}"
    OUTSIDE_BLOCKS = "lies outside all blocks"
    OUTSIDE_IDENTIFICATION_BLOCKS = "lies outside all identification blocks"
    TWO_BLOCKS = "both addresses must lie in the same block"
    NOT_BLOCKS = "must be a list of [start, count]"
    NOT_A_BLOCK = "must be [start, count]"
    BLOCK_OUT_OF_RANGE = "must start in 0 to 65535 and count 1 to {largest}"
    OVERLAPS_BLOCK = "[{start}, {count}] overlaps another block"

    @property
    def key(self) -> str:
        """Its translation key of the user interface."""
        return self.name.lower()
