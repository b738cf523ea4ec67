//! The recorded request, made again.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request};
use serde_json::Value;

use super::{RootInput, StepKind};

/// Makes the request that a root was called with.
pub(super) fn request_of(input: &RootInput) -> Result<Request<Bytes>, String> {
    if input.kind() != StepKind::Request {
        return Err(format!("the root is no request but {input}"));
    }
    let text = |name: &str| input.value().get(name).and_then(Value::as_str);
    let path: String = text("route").unwrap_or("/").replace(['{', '}', '*'], "");
    let body = match input.value().get("body") {
        None => Bytes::new(),
        Some(Value::String(text)) => text.clone().into(),
        Some(json) => json.to_string().into(),
    };
    let mut request = Request::builder()
        .method(text("method").unwrap_or("GET"))
        .uri(path)
        .body(body)
        .map_err(|error| error.to_string())?;
    let headers = request.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    for (name, value) in
        input.value().get("headers").and_then(Value::as_object).into_iter().flatten()
    {
        let name = HeaderName::try_from(name).map_err(|error| error.to_string())?;
        let value = HeaderValue::try_from(value.as_str().unwrap_or_default());
        headers.insert(name, value.map_err(|error| error.to_string())?);
    }
    let traceparent = HeaderValue::try_from(input.traceparent());
    headers.insert("traceparent", traceparent.map_err(|error| error.to_string())?);
    Ok(request)
}
