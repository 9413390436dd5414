"""What is told of a meter that is being set up, in the language of this Home Assistant."""

from collections.abc import Iterable, Mapping

from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_translations

from ..const import DOMAIN
from ..energy_management.model import PerPhase
from ..energy_management.observation import MeterReading
from ..meters import (
    Doubt,
    InvalidProfile,
    MeterProfile,
    Remark,
    doubts,
    is_inverted,
    phase_that_moved,
)


class MeterTexts:
    """Texts that are put into a form's own: a form cannot translate what it is filled with."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        """Take the texts of the integration's selectors, by their full keys."""
        self._texts = texts

    @classmethod
    async def async_load(cls, hass: HomeAssistant) -> MeterTexts:
        """Return the texts in the language that is set, those that it lacks in English."""
        return cls(
            await async_get_translations(
                hass, hass.config.language, "selector", [DOMAIN]
            )
        )

    def _text(self, group: str, key: str) -> str | None:
        return self._texts.get(f"component.{DOMAIN}.selector.{group}.options.{key}")

    def note(self, note: str) -> str:
        """Return a note of a profile; that of a user's own file is a sentence already."""
        return self._text("meter_note", note) or note

    def model(self, profile: MeterProfile) -> str:
        """Return the name of a model as a list of all models has it, apart from its relatives."""
        name = profile.name
        if profile.name_remark is not None:
            name = self._named(profile.name_remark, name)
        return self._named("behind_gateway", name) if profile.needs_gateway else name

    def _named(self, remark: str, name: str) -> str:
        return (self._text("meter_name", remark) or "{name}").format(name=name)

    def field(self, name: str) -> str:
        """Return the name of a field of the identification; a user's own file may have others."""
        return self._text("meter_field", name) or name

    def remark(self, remark: Remark) -> str:
        """Return what is odd about a meter that answers."""
        placeholders = dict(remark.placeholders)
        if "field" in placeholders:
            placeholders["field"] = self.field(placeholders["field"])
        return (self._text("meter_remark", remark.oddity) or remark.oddity).format(
            **placeholders
        )

    def flaw(self, error: InvalidProfile) -> str:
        """Return what is wrong with a register map."""
        return error.told(self._text("map_flaw", error.flaw.key) or error.flaw.value)

    def measured(self, value: float | None, unit: str) -> str:
        """Return a value for the table of live values; unknown is a dash, never zero (S2)."""
        if value is None:
            return "–"
        return self.number(f"{value:.0f}" if unit == "W" else f"{value:.1f}", unit)

    def number(self, number: str, unit: str) -> str:
        """Return a number that was written with a decimal point as this language writes it."""
        mark = self._text("number_format", "decimal_mark") or "."
        return f"{number.replace('.', mark)} {unit}"

    def alert(self, kind: str, key: str, **placeholders: str) -> str:
        """Return a hint in a box of its own, whose kind is info, success or warning."""
        text = (self._text("meter_hint", key) or key).format(**placeholders)
        return f'<ha-alert alert-type="{kind}">{text}</ha-alert>'


def bullets(lines: Iterable[str]) -> str:
    """Return lines as a list; a dash if there is none."""
    return "\n".join(f"- {line}" for line in lines) or "–"


def hints(
    texts: MeterTexts,
    reading: MeterReading,
    before: MeterReading | None,
    *,
    limit_a: PerPhase | None,
    rating_a: float | None,
    is_dark: bool,
) -> str:
    """Return what the values, and their change since the reading before, say about the mounting of the meter."""
    found = [
        texts.alert("warning", doubt, **_numbers(texts, doubt, limit_a, rating_a))
        for doubt in doubts(
            reading, limit_a=limit_a, rating_a=rating_a, is_dark=is_dark
        )
    ]
    if before is not None:
        match is_inverted(before, reading):
            case True:
                found.append(texts.alert("warning", "direction_swapped"))
            case False:
                found.append(texts.alert("success", "direction_right"))
            case None:
                found.append(texts.alert("info", "direction_unknown"))
        if phase := phase_that_moved(before.current_a, reading.current_a):
            found.append(texts.alert("info", "phase_moved", phase=phase))
    return "\n\n".join(found)


def _numbers(
    texts: MeterTexts,
    doubt: Doubt,
    limit_a: PerPhase | None,
    rating_a: float | None,
) -> dict[str, str]:
    """Return what the text of a doubt is filled with."""
    numbers: dict[str, str] = {}
    if rating_a is not None and doubt in (
        Doubt.LIMIT_ABOVE_RATING,
        Doubt.CURRENT_ABOVE_RATING,
    ):
        numbers["rating"] = texts.number(f"{rating_a:g}", "A")
    if limit_a is not None and doubt is Doubt.LIMIT_ABOVE_RATING:
        numbers["limit"] = texts.number(f"{max(limit_a):g}", "A")
    return numbers
