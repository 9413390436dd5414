"""Cards that may charge while the central system cannot be asked: by the list it sent, else by the charge point's cache."""

from collections.abc import Mapping

from .outlets import ChargePointConfig


class IdTags:
    """The id tags that one charge point remembers; capital and small letters are the same."""

    def __init__(self, config: ChargePointConfig) -> None:
        """Know nobody."""
        self.listed: dict[str, bool] = {}
        """Casefolded, and whether they may charge."""
        self.version = 0
        """Version of the list."""
        self.cached: set[str] = set()
        """Casefolded: who was welcome."""
        self._config = config

    def is_welcome(self, id_tag: str, *, by_list: bool) -> bool:
        """Whether a tag may charge."""
        id_tag = id_tag.casefold()
        if by_list and id_tag in self.listed:
            return self.listed[id_tag]
        return id_tag in self.cached

    def take(self, version: int, *, full: bool, tags: Mapping[str, bool]) -> str:
        """Take a list, or (not full) what is added to it; return the status."""
        if version <= self.version:
            return "VersionMismatch"
        listed = {} if full else self.listed
        listed = listed | {tag.casefold(): welcome for tag, welcome in tags.items()}
        if (
            len(tags) > self._config.local_list_per_message
            or len(listed) > self._config.local_list_max
        ):
            return "Failed"
        self.listed, self.version = listed, version
        return "Accepted"
