"""The texts as a whole: what Home Assistant demands of them, and that none is left over.

That every step, field, option, error and reason has its text is checked wherever a test shows a form
(tests/config_flow/texts.py).
"""

from pathlib import Path
import re

import pytest

from custom_components.reev_ems import config_flow

from .config_flow.texts import TEXTS, walk

FOLDER = Path(config_flow.__file__).parent
SOURCE = "\n".join(
    path.read_text(encoding="utf-8")
    for path in (
        FOLDER / "config_flow.py",
        FOLDER / "security.py",
        FOLDER / "validation.py",
        FOLDER / "meters" / "errors.py",
        *sorted((FOLDER / "flows").glob("*.py")),
    )
)
FLOWS = {
    "config": TEXTS["config"],
    "options": TEXTS["options"],
    **{f"subentry {kind}": texts for kind, texts in TEXTS["config_subentries"].items()},
}
# Aborts of Home Assistant itself that need a text of ours.
RAISED_BY_HOME_ASSISTANT = {"already_configured"}


@pytest.mark.parametrize("flow", FLOWS)
def test_no_error_and_no_reason_is_left_over(flow: str) -> None:
    """An error that nothing raises any more would be translated for nobody."""
    keys = {*FLOWS[flow].get("error", {}), *FLOWS[flow].get("abort", {})}
    unused = {key for key in keys if f'"{key}"' not in SOURCE}
    assert unused <= RAISED_BY_HOME_ASSISTANT


@pytest.mark.parametrize("flow", FLOWS)
def test_no_step_is_left_over(flow: str) -> None:
    """Each step is one that the code shows."""
    unused = {
        step
        for step in FLOWS[flow]["step"]
        if f"async def async_step_{step}(" not in SOURCE
    }
    assert not unused


def test_subentries_say_what_adding_and_changing_them_is_called() -> None:
    """The buttons of the integration's page."""
    for texts in TEXTS["config_subentries"].values():
        assert texts["entry_type"]
        assert texts["initiate_flow"].keys() == {"user", "reconfigure"}


def test_texts_are_such_as_home_assistant_takes() -> None:
    """What hassfest refuses: markup, addresses, stray spaces, quoted placeholders, odd keys, references."""
    refused = re.compile(r"<[a-z/]|://|'{\w+}'|\[%key:", re.IGNORECASE)
    wrong = [
        ".".join(path)
        for path, text in walk(TEXTS)
        if not text
        or text != text.strip()
        or refused.search(text)
        or not all(re.fullmatch(r"[a-z0-9][a-z0-9_-]*", key) for key in path)
    ]
    assert not wrong
