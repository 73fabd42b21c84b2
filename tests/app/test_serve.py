"""The supervisor: starts, refuses clearly, restarts what dies, stops cleanly."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import psutil
import pytest

from app.waiting import wait_until_ready
from tests.support.commands import openbook
from tests.support.servers import api_pid, openbook_server


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = openbook("serve", "--port", port, "--no-ui", data_dir=tmp_path)
        page = openbook("serve", "--port", "0", "--ui-port", port, data_dir=tmp_path)
    assert (done.returncode, page.returncode) == (1, 1)
    assert done.stderr.strip().splitlines() == [
        f"openbook: cannot listen on 127.0.0.1:{port} (Address already in use): stop what uses it, or choose another --port"
    ]
    assert "--ui-port" in page.stderr


def test_an_open_address_is_refused_without_identities(tmp_path: Path) -> None:
    done = openbook("serve", "--host", "0.0.0.0", "--port", "0", "--no-ui", data_dir=tmp_path)
    assert done.returncode == 1
    assert "no sign-in" in done.stderr


@pytest.mark.slow
def test_a_second_server_on_the_same_data_is_refused(tmp_path: Path, model_cache: Path) -> None:
    with openbook_server(tmp_path / "data") as server:
        done = openbook("serve", "--port", "0", "--no-ui", data_dir=tmp_path / "data")
    assert done.returncode == 1
    assert f"Openbook runs already at {server.api_url}" in done.stderr


@pytest.mark.slow
def test_interrupting_stops_every_process_and_exits_cleanly(tmp_path: Path, model_cache: Path) -> None:
    with openbook_server(tmp_path / "data", ui=True) as server:
        children = psutil.Process(server.process.pid).children(recursive=True)
        assert len(children) >= 3  # api, worker, page
        assert server.stop() == 0
    deadline = time.monotonic() + 5
    while any(c.is_running() and c.status() != psutil.STATUS_ZOMBIE for c in children):
        assert time.monotonic() < deadline, [c.cmdline() for c in children if c.is_running()]
        time.sleep(0.05)
    assert "Traceback" not in server.output
    assert not (tmp_path / "data" / "server.json").exists()


@pytest.mark.parametrize("ending", [signal.SIGKILL])
def test_a_killed_supervisor_leaves_no_process_behind(
    tmp_path: Path, model_cache: Path, ending: signal.Signals
) -> None:
    with openbook_server(tmp_path / "data") as server:
        children = psutil.Process(server.process.pid).children(recursive=True)
        server.process.send_signal(ending)
        _, alive = psutil.wait_procs(children, timeout=15)
        assert alive == []


@pytest.mark.slow
def test_a_killed_api_is_started_again_with_everything_it_had(tmp_path: Path, model_cache: Path) -> None:
    with openbook_server(tmp_path / "data") as server, server.client() as client:
        client.create_collection("kept")
        os.kill(api_pid(server), signal.SIGKILL)
        time.sleep(0.3)
        wait_until_ready(client, 60)
        assert [c["name"] for c in client.collections()] == ["kept"]
        assert "starting it again" in server.output
