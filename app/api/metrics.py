"""``/metrics`` for Prometheus: requests by route, and what the server holds, waits for and is doing.

Labels are routes and states, never texts, names or ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fastapi import APIRouter, FastAPI, Request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_fastapi_instrumentator import Instrumentator
from starlette.responses import Response

from app.api.guard import ServicesHere
from app.services import Services
from core.types import LOCAL_USER_ID, Principal
from ingest.ledger_listing import count_jobs

router = APIRouter(tags=["system"])

# Numbers of all, which name nobody.
EVERYBODY = Principal(user_id=LOCAL_USER_ID, is_admin=True)
_UNTIMED = ["^/health$", "^/ready$", "^/metrics$", "^/internal/.*"]


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request, services: ServicesHere) -> Response:
    """In the text format of Prometheus."""
    registry: CollectorRegistry = request.app.state.metrics
    # What is asked of the database at a scrape may wait for it, which the event loop must not.
    return Response(await services.offload(generate_latest, registry), media_type=CONTENT_TYPE_LATEST)


def install(app: FastAPI, services: Services) -> None:
    """Counts and times the requests of ``app`` from now on, and lets ``/metrics`` say what ``services`` are doing."""
    registry = CollectorRegistry()
    registry.register(_State(services))
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    Instrumentator(should_group_status_codes=False, excluded_handlers=_UNTIMED, registry=registry).instrument(app)
    app.state.metrics = registry


class _State(Collector):
    """Read anew at each scrape."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def describe(self) -> Iterable[Metric]:
        return ()  # so that registering reads nothing: the database may not be open yet

    def collect(self) -> Iterator[Metric]:
        services = self._services
        yield _gauge("ready", "1 once searching works.", float(services.search_ready))
        yield _gauge("runs", "Questions being answered.", len(services.runs))
        refused = services.searches.refused + services.checks.refused
        yield _counter("busy", "Searches and checks refused because too many waited.", refused)
        yield _counter("spans_sent", "Spans that the collector has taken.", services.telemetry.sent)
        yield _counter("spans_dropped", "Spans that were not sent, or not taken.", services.telemetry.dropped)
        yield _gauge("searches", "Searches at work or waiting for their turn.", len(services.searches))
        jobs = GaugeMetricFamily("openbook_jobs", "Files by the state of their job.", labels=["state"])
        for state, n in count_jobs(services.database, EVERYBODY).items():
            jobs.add_metric([state], n)
        yield jobs
        if services.models.lm is not None:
            queue = services.models.lm.status()
            yield _gauge("lm_running", "Generations in progress.", queue.running)
            yield _gauge("lm_waiting", "Requests that wait for the language model.", queue.waiting)
        if services.models.engine is not None:
            index = services.models.engine.status()
            yield _gauge("passages", "Passages that can be found.", index.rows)
            yield _gauge("passages_stale", "Passages whose vectors another encoder made.", index.stale_rows)
            yield _gauge(
                "passages_unindexed", "Passages searched exactly until the graph is built anew.", index.dense_delta
            )
            yield _gauge("indexes_rebuilding", "Indexes being built in the background.", len(index.rebuilding))
            yield _gauge(
                "index_problems",
                "Damages noticed and mended since the start, and one while passages are stale.",
                len(index.problems),
            )


def _gauge(name: str, says: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"openbook_{name}", says, value=value)


def _counter(name: str, says: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"openbook_{name}", says, value=value)
