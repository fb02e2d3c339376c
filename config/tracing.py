"""Spans for OpenTelemetry: of requests, tasks and calls to providers. Off unless OTEL_EXPORTER_OTLP_ENDPOINT is set.

The packages are an extra (`requirements-otel.txt`). The project's own instrumentations of Django and of HTTP put the
URL into each span, and a path of contract 2 holds a code; ours name the route, as the access log does. Sampling,
headers and the service's name are set by OpenTelemetry's own variables.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured

from clients import request_id, spans

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def middleware(endpoint: str) -> list[str]:
    """Names of the middleware that makes spans; none without an endpoint. Raises ImproperlyConfigured."""
    if not endpoint:
        return []
    try:
        import opentelemetry.exporter.otlp.proto.http
        import opentelemetry.sdk  # noqa: F401  the first one needs it
    except ModuleNotFoundError:
        raise ImproperlyConfigured(f"{ENDPOINT} needs packages: pip install -r requirements-otel.txt.") from None
    spans.make_with(call_span)
    return ["config.tracing.RequestSpans"]


@cache
def tracer() -> Any:
    """Tracer of this process, with a thread that exports its spans."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return tracer_to(OTLPSpanExporter(), in_batches=True)


def tracer_to(exporter: Any, *, in_batches: bool) -> Any:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class RequestIds(RandomIdGenerator):
        """Trace ids that are the request ids of the logs."""

        def generate_trace_id(self) -> int:
            current = request_id.current()
            return int(current.id, 16) if current else int(super().generate_trace_id())

    name = os.environ.get("OTEL_SERVICE_NAME") or "aval"
    provider = TracerProvider(resource=Resource.create({"service.name": name}), id_generator=RequestIds())
    provider.add_span_processor((BatchSpanProcessor if in_batches else SimpleSpanProcessor)(exporter))
    return provider.get_tracer("aval")


class RequestSpans:
    """Middleware: a span for each request. It stands within RequestTrace, which knows the id."""

    def __init__(self, get_response: "Callable[[HttpRequest], HttpResponseBase]") -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self.get_response = get_response
        self._server, self._fault = SpanKind.SERVER, Status(StatusCode.ERROR)
        self._propagator = TraceContextTextMapPropagator()

    def __call__(self, request: "HttpRequest") -> "HttpResponseBase":
        parent = self._propagator.extract({"traceparent": request.META.get("HTTP_TRACEPARENT", "")})
        span = tracer().start_span("request", context=parent, kind=self._server)
        try:
            response = self.get_response(request)
            span.set_attribute("http.response.status_code", response.status_code)
            if response.status_code >= 500:
                span.set_status(self._fault)
            return response
        finally:
            method = request.method if (request.method or "").isalpha() else "?"
            match = request.resolver_match
            route = (match.route or match.url_name or "?") if match else "?"
            span.update_name(f"{method} {route}")
            current = request_id.current()
            partner = current.about.get("partner", "") if current else ""
            span.set_attributes(
                {
                    "http.request.method": method or "?",
                    "http.route": route,
                    "aval.request_id": current.id if current else "",
                    "aval.partner": partner,
                }
            )
            span.end()


@contextmanager
def call_span(name: str, attributes: Mapping[str, str]) -> Iterator[None]:
    """Span of a call to the outside; of a fault it has the type alone, whose text may name a person."""
    from opentelemetry.trace import SpanKind, Status, StatusCode

    span = tracer().start_span(name, kind=SpanKind.CLIENT, attributes=dict(attributes))
    try:
        yield
    except BaseException as fault:
        span.set_attribute("error.type", type(fault).__name__)
        span.set_status(Status(StatusCode.ERROR))
        raise
    finally:
        span.end()


_tasks: dict[str, Any] = {}


def task_began(task_id: str, name: str) -> None:
    if os.environ.get(ENDPOINT):
        _tasks[task_id] = tracer().start_span(name, attributes={"celery.task_name": name})


def task_ended(task_id: str, state: str) -> None:
    span = _tasks.pop(task_id, None)
    if span is not None:
        span.set_attribute("celery.state", state)
        span.end()
