"""Ids that no folder may have, versions, names, priorities and references that are none."""

from typing import Any

from proteinx_pipelines_tests.contract.hostile.case import Case, envelope
from proteinx_pipelines_tests.contract.hostile.texts import DIGITS

_IDS: dict[str, Any] = {
    "null": None, "5": 5, "1.5": 1.5, "true": True, "a list": ["a"], "an object": {"a": 1}, "nothing": "",
    "a space": " ",
    "one that climbs": "../../x", "one that climbs on Windows": "..\\..\\x", "one dot": ".", "two dots": "..",
    "three dots": "...", "dots inside": "a..b", "a dot at its end": "a.", "a dot at its start": ".a", "hidden": ".ssh",
    "a slash": "a/b", "a slash at its end": "a/", "an absolute path": "/etc/passwd", "a backslash": "a\\b",
    "home": "~root",
    "a drive": "C:x", "a drive with a path": "C:\\Windows", "another stream": "a:b", "a share": "\\\\host\\share",
    "a device path": "\\\\.\\PhysicalDrive0", "a long Windows path": "\\\\?\\C:\\x", "a URL": "file:///etc/passwd",
    "an encoded slash": "a%2fb", "an encoded climb": "%2e%2e%2fx", "a full-width slash": "a\uff0fb",
    "a division slash": "a\u2215b", "a one-dot leader": "\u2024\u2024/x",
    "con": "con", "CON": "CON", "nul with an ending": "NUL.txt", "aux": "aux.tar.gz", "prn": "PRN", "com1": "com1",
    "lpt9": "LPT9.log", "com0": "com0",
    "101 characters": "a" * 101, "300 characters": "a" * 300, "100,000 characters": "a" * 100_000,
    "NUL": "a\0b", "a line break": "a\nb", "a line break at its end": "a\n", "a return at its end": "a\r",
    "a tab": "a\tb",
    "a space inside": "a b", "a space at its end": "a ", "a bell": "a\x07", "a terminal escape": "\x1b[2Jx",
    "DEL": "a\x7f",
    "a letter that looks Latin": "gb1-\u0430", "a composed letter": "caf\u00e9", "a decomposed letter": "cafe\u0301",
    "right to left": "a\u202etxt.exe", "no width": "a\u200bb", "an emoji": "\U0001f9ec",
    "Arabic digits": "\u0661\u0662",
    "full-width letters": "\uff27\uff22\uff11", "a dotless i": "\u0131d", "a minus first": "-rf",
    "an underscore first": "_a",
    "an option": "--help", "a star": "*", "a question": "a?", "a pipe": "a|b", "a command": "$(touch x)",
    "a back tick": "`id`",
    "a semicolon": "a;b", "an ampersand": "a&b", "a quote": "a'b", "two quotes": 'a"b',
    "SQL": "a'; DROP TABLE runs; --",
    "a template": "{{7*7}}", "a format": "%s%n", "a format field": "{0.__class__}", "a log entry": "${jndi:ldap://x}",
    "a tag": "<script>", "a comma": "a,b", "a plus": "a+b", "an at": "a@b", "a hash": "a#b", "an equals": "a=b",
}  # fmt: skip
_MESSAGE_IDS: dict[str, Any] = {
    "5": 5, "true": True, "a list": ["m"], "an object": {}, "nothing": "", "201 characters": "m" * 201,
    "a line break": "a\nb",
    "NUL": "a\0b", "a terminal escape": "\x1b[2J", "one that poses as a hash": "sha256:" + "0" * 64,
    "right to left": "\u202ea",
    "half a surrogate": "\ud800",
}  # fmt: skip
_REFERENCES: dict[str, Any] = {
    "a list": ["a.csv"], "an object": {"path": "a.csv"}, "5": 5, "false": False, "nothing": "", "NUL": "a\0.csv",
    "a line break": "a\n.csv", "5,000 characters": "a" * 5000, "a terminal escape": "\x1b]0;x\x07.csv",
}  # fmt: skip
_PRIORITIES: dict[str, Any] = {
    "a text": "high", "digits in a text": "1", "true": True, "null": None, "1.5": 1.5, "1.0": 1.0, "101": 101,
    "-101": -101,
    "10^9": 10**9, "2^63": 2**63, "-2^64": -(2**64), "NaN": float("nan"), "Infinity": float("inf"), "a list": [0],
}  # fmt: skip
_VERSIONS: dict[str, Any] = {
    "0": 0, "2": 2, "-1": -1, "1.0": 1.0, "1.5": 1.5, "text": "1", "words": "v1", "true": True, "null": None,
    "NaN": float("nan"),
    "a list": [1], "2^64": 2**64,
}  # fmt: skip

FIELDS = {
    **{f"an id: {name}": Case(envelope(experiment_id=value), "bad_id", "experiment_id")
       for name, value in _IDS.items()},
    "an id: half a surrogate": Case(
        b'{"experiment_id": "\\ud800", "flags": {"data.source": "x"}}', "bad_id", "experiment_id"
    ),
    "an id: 10^5000": Case(
        b'{"experiment_id": ' + DIGITS + b', "flags": {"data.source": "x"}}', "bad_id", "experiment_id"
    ),
    **{f"a message id: {name}": Case(envelope(message_id=value), "bad_field", "message_id")
       for name, value in _MESSAGE_IDS.items()},
    **{f"a payload: {name}": Case(envelope(payload_ref=value), "bad_field", "payload_ref")
       for name, value in _REFERENCES.items()},
    **{f"a priority: {name}": Case(envelope(priority=value), "bad_field", "priority")
       for name, value in _PRIORITIES.items()},
    **{f"a version: {name}": Case(envelope(schema_version=value), "bad_schema_version", "schema_version")
       for name, value in _VERSIONS.items()},
    "Infinity in an unknown field": Case(envelope(x=float("inf")), "bad_field", "x"),
    "a long number in an unknown field": Case(envelope()[:-1] + b', "x": ' + DIGITS + b"}", "bad_field", "x"),
    "NUL in an unknown field's name": Case(envelope(**{"a\0": 1}), "bad_field", "a\\x00"),
    "half a surrogate in an unknown field": Case(envelope(x="\ud800"), "bad_field", "x"),
}  # fmt: skip
"""What is refused for one field of the envelope."""
