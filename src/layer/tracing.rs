//! A `tracing` layer: spans and events with OpenTelemetry's GenAI fields become audit events.
