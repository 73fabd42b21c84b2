"""What Prometheus reads, by its own parser."""

from __future__ import annotations

import io

import httpx
from prometheus_client.parser import text_string_to_metric_families

from app.client import Client
from tests.support.jobs import settled
from tests.support.servers import RunningServer


def scraped(server: RunningServer) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    reply = httpx.get(f"{server.api_url}/metrics", headers={"Accept": "text/plain"})
    assert reply.status_code == 200 and reply.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


def test_passages_jobs_and_requests_are_counted(server: RunningServer, client: Client) -> None:
    before = scraped(server)
    client.create_collection("measured")
    (job,) = client.upload("measured", [("lamp.md", io.BytesIO(b"# Lamps\n\nThe lamp burns for nine hours.\n"))])
    assert settled(client, job["job_id"])["state"] == "ready"
    client.search("how long does the lamp burn", ["measured"])
    after = scraped(server)

    def grown(name: str, **labels: str) -> float:
        key = (name, tuple(sorted(labels.items())))
        return after[key] - before.get(key, 0.0)

    assert after[("openbook_ready", ())] == 1
    assert grown("openbook_passages") == 1
    assert grown("openbook_jobs", state="ready") == 1
    assert grown("http_requests_total", handler="/v1/search", method="POST", status="200") == 1
    assert after[("process_resident_memory_bytes", ())] > 50e6 and after[("process_open_fds", ())] > 5


def test_labels_name_routes_and_states_and_nothing_of_anybodys(server: RunningServer, client: Client) -> None:
    client.create_collection("very-secret-project")
    client.search("a question about the secret", ["very-secret-project"])
    httpx.get(f"{server.api_url}/v1/documents/d-secret")
    httpx.get(f"{server.api_url}/somewhere/secret")
    said = httpx.get(f"{server.api_url}/metrics").text
    assert "secret" not in said and "/v1/documents/{doc_id}" in said


def test_the_machine_is_told_of_with_its_queues_and_what_lies_on_the_disk(
    server: RunningServer, client: Client
) -> None:
    client.create_collection("weighed")
    (job,) = client.upload("weighed", [("lamp.md", io.BytesIO(b"# Lamps\n\nThe lamp burns for nine hours.\n"))])
    assert settled(client, job["job_id"])["state"] == "ready"
    found = client.machine()
    assert {"Python", "CPU", "Memory", "Disk", "GPU", "Weights", "OCR", "Server"} <= {
        f["topic"] for f in found["doctor"]
    }
    assert found["queues"]["jobs"]["ready"] >= 1 and found["queues"]["lm_running"] is None
    disk = found["disk"]
    assert disk["data_dir"] == str(server.data_dir.absolute()) and 0 < disk["free"] < disk["total"]
    lying = {
        f.name: sum(g.stat().st_size for g in f.rglob("*") if g.is_file())
        for f in server.data_dir.iterdir()
        if f.is_dir()
    }
    assert disk["parts"]["originals"] == lying["originals"] > 0 and disk["parts"]["database"] > 0
