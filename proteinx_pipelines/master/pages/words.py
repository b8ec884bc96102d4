"""Texts of the pages in English and Chinese, and times and durations in words.

A catalogue is a flat JSON file: key -> text with `{names}`. Both have the same keys; a test holds them to it.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from proteinx_pipelines.clock import now_utc
from proteinx_pipelines.pages.numbers import DASH, number

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")
_FOLDER = Path(__file__).with_name("words")
_STEPS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


class Words:
    """One language's texts: `words("groups.compare", n=3)`."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._texts = catalogue(language)

    def __call__(self, key: str, **values: Any) -> str:
        """The text of a key with its values; with `n`, the singular where there is one and `n` is 1."""
        if values.get("n") == 1 and f"{key}.one" in self._texts:
            key = f"{key}.one"
        text = self._texts[key]
        shown = {name: f"{value:,}" if type(value) is int else value for name, value in values.items()}
        return text.format(**shown) if values else text

    def or_itself(self, prefix: str, name: str | None) -> str:
        """The text of `prefix.name`; the name itself where the catalogue has none, a dash for None."""
        return DASH if name is None else self._texts.get(f"{prefix}.{name}", name)

    def for_scripts(self) -> Mapping[str, str]:
        """Texts that scripts use: keys that begin with `js.`, without that."""
        return {key.removeprefix("js."): text for key, text in self._texts.items() if key.startswith("js.")}

    def ago(self, time: str | None) -> str:
        """How long ago a time was, in its largest unit."""
        if not time:
            return DASH
        seconds = (now_utc() - datetime.fromisoformat(time)).total_seconds()
        if seconds < 5:
            return self("js.ago.now")
        size, unit = next((step for step in _STEPS if seconds >= step[0]), _STEPS[-1])
        return self._texts[f"js.ago.{unit}"].format(n=int(seconds // size))

    def duration(self, seconds: float | None) -> str:
        """A duration in its two largest units, `3 min 20 s`."""
        if seconds is None:
            return DASH
        if seconds < 60:
            return self("duration.seconds", n=f"{seconds:.1f}" if seconds < 9.95 else f"{seconds:.0f}")
        minutes, rest = divmod(round(seconds), 60)
        if minutes < 60:
            return self("duration.minutes", n=minutes, s=rest)
        hours, minutes = divmod(minutes, 60)
        if hours < 48:
            return self("duration.hours", n=hours, m=minutes)
        return self("duration.days", n=hours // 24, h=hours % 24)

    def seconds_between(self, start: str | None, end: str | None) -> str:
        """The duration between two times; a dash where one is missing."""
        if not start or not end:
            return DASH
        return self.duration((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())

    def reason(self, reason: str | None) -> str:
        """Why a job waits, which the Master says in English, in this language; as it is where it is not known."""
        if reason is None or self.language == "en":
            return reason or ""
        for key, text in catalogue("en").items():
            if key.startswith("reason.") and (found := _pattern(text).fullmatch(reason)):
                return self(key, **found.groupdict())
        return reason

    def score(self, summary: Mapping[str, float | None]) -> str:
        """The first test metric of a job's summary; Spearman where it has it."""
        names = sorted(summary, key=lambda name: (name != "test/spearman", not name.startswith("test/")))
        return number(summary[names[0]]) if names else DASH


@lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str]:
    """What matches a catalogue's text with any values in it."""
    parts = re.split(r"\{(\w+)\}", text)
    return re.compile(
        "".join(f"(?P<{part}>.+?)" if k % 2 else re.escape(part) for k, part in enumerate(parts))
    )


@lru_cache(maxsize=len(LANGUAGES))
def catalogue(language: Language) -> Mapping[str, str]:
    """Key -> text."""
    texts: dict[str, str] = json.loads((_FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    return texts


def preferred(accept_language: str) -> Language:
    """The language that a browser's `Accept-Language` puts first among ours; English where it names neither."""
    ranked = []
    for place, part in enumerate(accept_language.split(",")):
        tag, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality or 1)
        except ValueError:
            continue
        ranked.append((-weight, place, tag.split("-")[0].lower()))
    found = next((tag for _, _, tag in sorted(ranked) if tag in LANGUAGES), "en")
    return "zh" if found == "zh" else "en"
