"""References to what a message must not reach: other folders, other machines, links. Refused at the point of intake.

`{outside}` stands for a folder beside WORKDIR with things to steal, `{linked}` for a link to it inside WORKDIR.
"""

import json
from typing import Any, NamedTuple

from proteinx_pipelines_tests.contract.hostile.case import Case

_TEXTS = {
    "a system file": "/etc/passwd", "a neighbour": "{outside}/secret.csv", "one that climbs": "../outside/secret.csv",
    "one that climbs late": "store/../../outside/secret.csv", "one that climbs far": "../" * 40 + "etc/passwd",
    "a file URL": "file:///etc/passwd", "a file URL of a neighbour": "file://{outside}/secret.csv",
    "an encoded climb": "file:///x/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "a file URL of another machine": "file://host/etc/passwd", "a file URL with a question": "file:///etc/passwd?x=1",
    "a link": "{linked}/secret.csv", "a link to a file": "linked.csv",
    "a link behind a step back": "store/../{linked}/secret.csv",
    "the parent": "..", "the root": "/", "memory": "/proc/self/environ", "a device": "/dev/zero",
    "a pipe": "/dev/stdin",
    "a loop of links": "loop",
}  # fmt: skip
_SCHEMES = (
    "s3://bucket/x.csv", "S3://bucket/x.csv", "s3a://bucket/x.csv", "gs://bucket/x.csv", "az://container/x.csv",
    "abfs://c/x.csv",
    "hdfs://host/x.csv", "http://127.0.0.1:6379/", "https://host/x.csv", "http://169.254.169.254/latest/meta-data/",
    "ftp://host/x.csv",
    "sftp://host/x.csv", "ssh://host/x", "smb://host/x", "git+ssh://host/x", "redis://127.0.0.1:6379/0",
    "sqlite:////etc/x.db",
    "data:text/csv,mutant", "jar:file:/x!/y", "zip::http://host/x.zip", "simplecache::s3://b/x", "memory://x",
    "hf://datasets/x",
    "gopher://127.0.0.1:6379/_FLUSHALL", "dict://127.0.0.1:6379/x", "ldap://host/x", "javascript:1", "about:blank",
    "s3://user:canary-7d1c@bucket/x", "https://user@host/x",
)  # fmt: skip
_FLAGS: dict[str, dict[str, Any]] = {
    "split.path": {"split.method": "file", "split.column": "c"},
    "embedding.path": {"embedding.name": "file"},
    "embedding.weights": {"embedding.name": "esm2_t6_8M_UR50D"},
    "train.ckpt_path": {"model.name": "mlp"},
    "model.weights": {"model.name": "finetune"},
    "model.prior": {"model.name": "gp"},
    "design.path": {"design.library": "file"},
    "data.structure": {},
    "data.alignment": {},
}
"""Flag that names a file -> what makes it count."""


class Reference(NamedTuple):
    """One reference, in the field or flag that it stands in."""

    place: str
    text: str

    def case(self, number: int, **folders: str) -> Case:
        """The message that carries it; `number` makes its id."""
        text = self.text
        for name, folder in folders.items():
            text = text.replace(f"{{{name}}}", folder)
        flag, _, is_listed = self.place.partition("[")
        chosen: dict[str, Any] = {"data.source": "GB1", **_FLAGS.get(flag, {})}
        document: dict[str, Any] = {"experiment_id": f"ref-{number}", "flags": chosen}
        if self.place == "payload_ref":
            document["payload_ref"] = text
        else:
            chosen[flag] = ["variants.csv", text] if is_listed else text
        return Case(json.dumps(document).encode(), "path_not_allowed", self.place)


REFERENCES = (
    *(Reference(place, text) for place in ("payload_ref", *_FLAGS) for text in _TEXTS.values()),
    *(Reference("payload_ref", text) for text in _SCHEMES),
    *(Reference("design.path[1]", text) for text in (*_TEXTS.values(), "s3://b/x", "https://host/x")),
    *(
        Reference(place, text)
        for place in _FLAGS
        for text in ("s3://b/x", "https://host/x", "zip::http://host/x.zip")
    ),
)
"""Everything that leads out, in every place where a file may be named."""
