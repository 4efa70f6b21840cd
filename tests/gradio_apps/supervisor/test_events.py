"""What a line of the supervisor says besides its event."""

import io
import json
import re
from pathlib import Path

import pytest

from gradio_apps.runtime.supervisor.events import SupervisorEvent, reporter

CODES = (Path(__file__).parents[3] / "docs" / "codes.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("event", list(SupervisorEvent))
def test_a_line_begins_as_the_portals_do(event: SupervisorEvent) -> None:
    stream = io.StringIO()
    reporter(stream)(event, app="forecast")
    line = json.loads(stream.getvalue())

    assert list(line) == ["at", "level", "logger", "event", "app"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line["at"])
    assert (line["logger"], line["event"], line["app"]) == ("supervisor", event.value, "forecast")


def test_the_levels_are_those_of_the_page() -> None:
    words = " ".join(CODES.partition("## The supervisor\n")[2].partition("| Code")[0].split())
    errors, _, rest = words.partition("`error` for ")[2].partition("`warning` for ")
    warnings = rest.partition("`info`")[0]
    by_level = {
        level: {event for event in SupervisorEvent if f"`{event.value}`" in part}
        for level, part in (("error", errors), ("warning", warnings))
    }

    for event in SupervisorEvent:
        stream = io.StringIO()
        reporter(stream)(event)
        level = json.loads(stream.getvalue())["level"]
        assert by_level.get(level, set()) >= ({event} if level != "info" else set())
        assert all(event not in found for name, found in by_level.items() if name != level)
