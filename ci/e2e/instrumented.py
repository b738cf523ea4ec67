"""Asks a model four questions through OpenAI's client, with one of four instrumentations.

`instrumented.py genai|genai-2025|openllmetry|openinference URL`: URL is that of the model. Spans go to OTEL_EXPORTER_OTLP_ENDPOINT.
"""

import sys

from openai import OpenAI, RateLimitError
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

which, url = sys.argv[1:]
if which == "genai":
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
elif which == "genai-2025":
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
elif which == "openllmetry":
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor
else:
    from openinference.instrumentation.openai import OpenAIInstrumentor

provider = TracerProvider(resource=Resource.create({"service.name": which}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
OpenAIInstrumentor().instrument()
client = OpenAI(api_key="none", base_url=url, max_retries=0)


def ask(text, **options):
    return client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": text}], **options)


tracer = trace.get_tracer("desk")
with tracer.start_as_current_span("answer a question"):
    ask("Write to ana@example.com")
    list(ask("Again", stream=True, stream_options={"include_usage": True}))
    ask("Once more")
    try:
        ask("FAIL")
    except RateLimitError:
        pass
    if which == "openinference":
        attributes = {
            "openinference.span.kind": "TOOL", "tool.name": "weather",
            "input.value": '{"city": "Paris"}', "output.value": "sunny",
        }
        tracer.start_span("weather", attributes=attributes).end()
provider.shutdown()
