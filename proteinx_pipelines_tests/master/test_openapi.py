"""Requests made up from the OpenAPI document, right and wrong ones: no answer is an error of the server, and each is as
documented.

`PROTEINX_FUZZ_EXAMPLES=200` makes a long run of it, with other requests each time.
"""

import os
from collections.abc import Callable, Iterator

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from proteinx_pipelines.contract import bundle
from proteinx_pipelines.master.master import Master
from proteinx_pipelines_tests.master.conftest import serving
from proteinx_pipelines_tests.master.experiments import end, new_job

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_000)]
TOKEN = "px_for-this-test-alone-0123456789"
EXAMPLES = int(os.environ.get("PROTEINX_FUZZ_EXAMPLES", "0"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
ENDLESS = ("/api/events",)
"""A stream that ends with the Master; its form is tested in `test_events`."""
FILES = st.dictionaries(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=20), st.binary(max_size=50)
)
schemathesis.openapi.media_type(bundle.MEDIA_TYPE, FILES.map(bundle.pack) | st.binary(max_size=600))


@pytest.fixture
def known(open_master: Callable[..., Master], valkey_url: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Address of a Master that needs a token, with a job that has ended and one that waits."""
    master = open_master(REDIS_URL=valkey_url, PROTEINX_TOKEN=TOKEN)
    ended = new_job(master)
    end(master, ended)
    with serving(master) as address:
        yield address, {"job_id": ended, "model_id": ended}


def test_no_request_is_an_error_of_the_server_and_every_answer_is_as_documented(
    known: tuple[str, dict[str, str]],
) -> None:
    address, there = known
    headers = {"Authorization": f"Bearer {TOKEN}"}
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json", headers=headers)
    settings = hypothesis.settings(
        max_examples=EXAMPLES or 5, deadline=None, database=None, derandomize=not EXAMPLES,
        phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    problems, tried = [], 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path in ENDLESS:
            continue
        tried += 1

        @settings
        @hypothesis.given(case=operation.as_strategy(), is_there=st.booleans())
        def ask(case: schemathesis.Case, is_there: bool) -> None:
            if is_there:  # else a made-up name, which is nearly never one that exists
                case.path_parameters.update(
                    {name: value for name, value in there.items() if name in case.path_parameters}
                )
            case.call_and_validate(headers=headers, checks=CHECKS, timeout=60)

        try:
            ask()
        except Exception as error:  # noqa: BLE001  # all operations are looked at
            problems.append(f"{operation.method.upper()} {operation.path}: {error}")
    assert tried > 50
    assert not problems, f"{len(problems)} operations:\n\n" + "\n\n".join(problems)
