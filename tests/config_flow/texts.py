"""Checks that whatever a form shows has a text, so that every test of a form tests its texts as well."""

from collections.abc import Iterator, Mapping
import json
from pathlib import Path
import re
from typing import Any

from homeassistant.data_entry_flow import FlowResultType, section
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.json import json_bytes
from homeassistant.helpers.selector import SelectSelector
import probatio

from custom_components.reev_ems import config_flow

TEXTS: dict[str, Any] = json.loads(
    Path(config_flow.__file__)
    .with_name("translations")
    .joinpath("en.json")
    .read_text(encoding="utf-8")
)


def check_texts(kind: str | None, flow: str, result: Mapping[str, Any]) -> None:
    """Fail unless all that a flow shows has a text, and each text has what it is filled with.

    `flow` is config, options or config_subentries, `kind` the type of subentry.
    """
    texts = TEXTS[flow] if kind is None else TEXTS[flow][kind]
    filled = set(result.get("description_placeholders") or {})
    if result["type"] is FlowResultType.ABORT:
        # Home Assistant has texts of its own for some reasons.
        if result.get("translation_domain") is None:
            _check_placeholders(texts["abort"][result["reason"]], filled)
    elif result["type"] is FlowResultType.SHOW_PROGRESS:
        _check_placeholders(texts["progress"][result["progress_action"]], filled)
    elif result["type"] is FlowResultType.MENU:
        step = texts["step"][result["step_id"]]
        for part in ("title", "description"):
            _check_placeholders(step.get(part, ""), filled)
        assert set(result["menu_options"]) <= step["menu_options"].keys()
    elif result["type"] is FlowResultType.FORM:
        step = texts["step"][result["step_id"]]
        for part in ("title", "description"):
            _check_placeholders(step.get(part, ""), filled)
        assert step["title"]
        for error in (result["errors"] or {}).values():
            _check_placeholders(texts["error"][error], filled)
        _check_fields(result["data_schema"], step)
        _check_wire(result["data_schema"])


def check_errors(kind: str | None, flow: str, errors: Mapping[str, str]) -> None:
    """Fail unless errors that fields raised by themselves have texts, which nothing fills."""
    texts = TEXTS[flow] if kind is None else TEXTS[flow][kind]
    for error in errors.values():
        _check_placeholders(texts["error"][error], set())


def _check_wire(schema: probatio.Schema) -> None:
    """Fail unless the form can be sent to a browser."""
    json_bytes(probatio.to_field_list(schema, custom_serializer=cv.custom_serializer))


def _check_fields(schema: probatio.Schema, texts: Mapping[str, Any]) -> None:
    """Fail unless the texts are about exactly the fields of a form or section."""
    fields = {str(key): value for key, value in schema.schema.items()}
    sections = {
        key: value for key, value in fields.items() if isinstance(value, section)
    }
    plain = fields.keys() - sections.keys()
    assert texts.get("data", {}).keys() == plain
    assert texts.get("data_description", {}).keys() == plain
    assert texts.get("sections", {}).keys() == sections.keys()
    for key in plain:
        _check_options(fields[key])
    for key, value in sections.items():
        assert texts["sections"][key]["name"]
        _check_fields(value.schema, texts["sections"][key])


def _check_options(selector: Any) -> None:
    """Fail unless the texts are about exactly the options of a list; named ones need none."""
    if isinstance(selector, SelectSelector) and (
        key := selector.config.get("translation_key")
    ):
        texts = TEXTS["selector"][key]["options"].keys()
        named = {
            option["value"]
            for option in selector.config["options"]
            if not isinstance(option, str)
        }
        if named:
            assert texts <= named
        else:
            assert texts == set(selector.config["options"])


def _check_placeholders(text: str, filled: set[str]) -> None:
    """Fail if a text has a placeholder that nothing fills."""
    assert set(re.findall(r"{(\w+)}", text)) <= filled, text


def walk(
    texts: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every text with its path."""
    for key, value in texts.items():
        if isinstance(value, str):
            yield (*path, key), value
        else:
            yield from walk(value, (*path, key))
