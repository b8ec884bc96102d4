"""Beginning and end of a part, in processes of their own."""

import os
import signal
import subprocess
import sys
import textwrap

import psutil
import pytest

posix = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
linux = pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")


def python(code: str, **more: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True, **more
    )


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_part_can_be_stopped_although_a_shell_started_it_in_the_background(number):
    """`dagster dev &` in a script ignored both signals: the shell ignores SIGINT and Dagster copied that."""
    part = python(
        """
        import signal, time
        from proteinx_pipelines.node.processes.node_process import begin_part
        begin_part()
        print("ready", flush=True)
        time.sleep(60)
        """,
        preexec_fn=lambda: [signal.signal(each, signal.SIG_IGN) for each in (signal.SIGINT, signal.SIGTERM)],
        stderr=subprocess.DEVNULL,
    )
    assert part.stdout.readline() == "ready\n"
    part.send_signal(number)
    assert part.wait(timeout=60) != 0


def child_of_a_killed_supervisor(before: str = "pass") -> psutil.Process:
    """A part that has begun, whose supervisor has been killed; `before` is executed in the part first."""
    supervisor = python(
        f"""
        import os, subprocess, sys
        from proteinx_pipelines.node.processes.node_process import SUPERVISOR_PID
        part = (
            "import time; from proteinx_pipelines.node.processes import node_process; {before}; "
            "node_process.begin_part(); print('ready', flush=True); time.sleep(60)"
        )
        child = subprocess.Popen(
            [sys.executable, "-c", part], env={{**os.environ, SUPERVISOR_PID: str(os.getpid())}}
        )
        print(child.pid, flush=True)
        child.wait()
        """
    )
    lines = sorted([supervisor.stdout.readline(), supervisor.stdout.readline()])
    child = psutil.Process(int(lines[0]))
    supervisor.kill()
    supervisor.wait()
    return child


@linux
def test_a_part_dies_with_its_supervisor_even_when_that_is_killed():
    gone, _alive = psutil.wait_procs([child_of_a_killed_supervisor()], timeout=60)
    assert gone


@linux
def test_without_the_kernels_help_it_would_live_on():
    """Guard off: two nodes would work on one WORKDIR after the next start."""
    child = child_of_a_killed_supervisor("node_process._die_with = lambda _parent: None")
    _gone, alive = psutil.wait_procs([child], timeout=1)
    assert alive
    child.kill()


@linux
def test_a_part_whose_supervisor_is_gone_already_does_not_begin():
    code = (
        "from proteinx_pipelines.node.processes.node_process import begin_part; begin_part(); print('began')"
    )
    part = python(code, env={
        **os.environ, "PROTEINX_SUPERVISOR_PID": "1",
    })  # fmt: skip
    assert part.communicate(timeout=20)[0] == ""
    assert part.returncode == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("pass", 0),
        ("raise SystemExit(3)", 3),
        ("raise SystemExit('text')", 1),
        ("raise KeyboardInterrupt", 130),
    ],
)
def test_a_part_ends_at_once_with_its_exit_code_whatever_its_threads_do(body, code):
    part = python(
        f"""
        import threading, time
        from proteinx_pipelines.node.processes.node_process import run_to_the_end
        def work(settings):
            threading.Thread(target=time.sleep, args=(60,)).start()
            print("said")
            {body}
        run_to_the_end(work, None)
        """
    )
    assert part.communicate(timeout=20)[0] == "said\n"
    assert part.returncode == code
