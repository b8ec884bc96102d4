"""`proteinx mcp`, started as an agent's program starts it, by the protocol's own client, against a real Master."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from click.testing import CliRunner

from proteinx_pipelines.cli.main import main
from proteinx_pipelines.client.client import Client
from proteinx_pipelines.master import tokens
from proteinx_pipelines.mcp_server.server import make_server
from proteinx_pipelines_tests.master.conftest import master, open_master, served  # noqa: F401
from proteinx_pipelines_tests.master.experiments import directory_of, end, new_job

mcp = pytest.importorskip("mcp", reason="the extra `mcp` is not installed")
OPERATOR = "px_operator"
RIDGE = {"data.source": "GB1", "model.name": "ridge"}


@pytest.fixture
def master(open_master):  # noqa: F811
    """A Master that needs a token."""
    return open_master(PROTEINX_TOKEN=OPERATOR)


def talk(url: str, token: str, story: Callable[[Any], Awaitable[None]]) -> None:
    """Start the server with a token and let a client talk to it."""
    environment = {**os.environ, "PROTEINX_MASTER": url, "PROTEINX_TOKEN": token}
    command = mcp.StdioServerParameters(
        command=sys.executable, args=["-m", "proteinx_pipelines.cli.main", "mcp"], env=environment
    )

    async def run() -> None:
        async with mcp.Client(mcp.stdio_client(command)) as agent:
            await story(agent)

    asyncio.run(run())


async def asked(agent: Any, tool: str, **arguments: Any) -> dict[str, Any]:
    """The document that a tool answers with."""
    found = await agent.call_tool(tool, arguments)
    assert not found.is_error, found.content
    return found.structured_content


async def refused(agent: Any, tool: str, **arguments: Any) -> str:
    """What a tool says that refuses."""
    found = await agent.call_tool(tool, arguments)
    assert found.is_error
    return found.content[0].text


def token_of(master, scope: str) -> str:
    return master.database.write(lambda connection: tokens.make(connection, scope, [scope])["token"])


def test_an_agent_plans_submits_reads_and_cancels(master, served: str) -> None:  # noqa: F811
    done = new_job(master, "done", summary={"test/spearman": 0.5})
    directory_of(master, "done")
    end(master, done)

    async def story(agent: Any) -> None:
        offered = {each.name: each for each in (await agent.list_tools()).tools}
        assert {"list_jobs", "show_job", "plan", "results", "list_models", "list_datasets"} <= {*offered}
        assert {"submit", "cancel", "predict"} <= {*offered}
        assert "pause_queue" not in offered
        assert offered["list_jobs"].annotations.read_only_hint
        assert offered["cancel"].annotations.destructive_hint
        assert "data.sorce" in await refused(agent, "plan", flags={"data.sorce": "GB1"})
        plan = await asked(agent, "plan", template="baseline", flags={"data.source": "GB1"})
        assert {each["stage"] for each in plan["stages"]} >= {"train", "evaluate"}
        flags = await asked(agent, "list_flags", contains="split.folds")
        assert flags["flags"][0]["flag"] == "split.folds"
        made = await asked(agent, "submit", flags=RIDGE, experiment_id="from-agent", priority=3)
        assert (made["state"], made["priority"]) == ("WAITING", 3)
        listed = await asked(agent, "list_jobs", state="WAITING")
        assert [each["experiment_id"] for each in listed["items"]] == ["from-agent"]
        assert (await asked(agent, "change_job", job="from-agent", held=True))["state"] == "HELD"
        assert (await asked(agent, "cancel", job="from-agent"))["state"] == "CANCELLED"
        assert "no experiment 'other'" in await refused(agent, "show_job", job="other")
        text = "mutant,score\n" + "".join(f"{mutant},1.5\n" for mutant in ("V2A", "V3L", "V4D"))
        found = await asked(agent, "upload_dataset", name="lab", content=text, template="MVVVVK")
        assert found["rows"] == 3
        assert [each["name"] for each in (await asked(agent, "list_datasets"))["items"]] == ["lab"]
        rows = (await asked(agent, "results", filters={"state": "SUCCEEDED"}))["rows"]
        assert [row["test/spearman"] for row in rows] == [0.5]
        assert (await asked(agent, "list_models"))["items"][0]["experiment_id"] == "done"
        report = await asked(agent, "read_file", job="done", path="artifacts/report.html", offset=4)
        assert report == {"text": "Report</h1>", "offset": 4, "size": 15}
        assert (await asked(agent, "read_file", job="done", path="artifacts/report.html", offset=99))[
            "text"
        ] == ""
        assert (await asked(agent, "job_log", job="done"))["lines"]
        sweep = await asked(agent, "sweep", name="seeds", flags=RIDGE, grid={"split.seed": [1, 2]})
        assert len((await asked(agent, "show_group", group=sweep["group_id"]))["items"]) == 2

    talk(served, token_of(master, "submit"), story)


def test_a_token_that_only_reads_is_offered_nothing_that_changes(master, served: str) -> None:  # noqa: F811
    async def story(agent: Any) -> None:
        offered = (await agent.list_tools()).tools
        assert [each.name for each in offered if not each.annotations.read_only_hint] == []
        assert {"list_jobs", "plan", "queue"} <= {each.name for each in offered}
        assert "Unknown tool" in str(await refused(agent, "submit", flags=RIDGE))
        assert (await asked(agent, "queue"))["counts"]["WAITING"] == 0

    async def run() -> None:
        with Client(served, token_of(master, "read")) as client:
            async with mcp.Client(make_server(client)) as agent:
                await story(agent)

    asyncio.run(run())


def test_every_tool_that_changes_needs_more_than_the_scope_read(master, served: str) -> None:  # noqa: F811
    """The guard is the Master's; the list of tools only follows it."""

    def offered(token: str) -> set[str]:
        with Client(served, token) as client:
            return {each.name for each in asyncio.run(make_server(client).list_tools())}

    reads, submits, rules = (offered(token_of(master, scope)) for scope in ("read", "submit", "admin"))
    assert reads < submits < rules
    assert rules - submits == {"pause_queue", "resume_queue", "drain_node", "undrain_node"}
    assert offered(token_of(master, "node")) == reads


def test_without_the_package_the_extra_is_named(served: str, monkeypatch) -> None:  # noqa: F811
    monkeypatch.setitem(sys.modules, "mcp.server.mcpserver", None)
    said = CliRunner().invoke(main, ["mcp", "--master", served])
    assert said.exit_code == 1
    assert "pip install 'proteinx-infra[mcp]'" in said.output
