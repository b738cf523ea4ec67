//! [`ClientLayer`] as a middleware of reqwest-middleware.

use std::io;

use async_trait::async_trait;
use http::request::Parts;
use http::{Extensions, Request as HttpRequest, Response as HttpResponse};
use reqwest::{Body, Request, Response, ResponseBuilderExt};
use reqwest_middleware::{Error, Middleware, Next, Result};

use super::attempts::Attempt;
use super::client::{ClientFuture, ClientLayer, begin_client_exchange};
use super::failure::BoxError;

#[async_trait]
impl<I: 'static> Middleware for ClientLayer<I> {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let is_off = self.settings.outlet.is_off();
        let head = if is_off { None } else { request_head(&request, extensions) };
        let Some(mut head) = head else { return next.run(request, extensions).await };
        let mut exchange = begin_client_exchange(&self.settings, &mut head);
        *request.headers_mut() = head.headers;
        if let Some(body) = request.body() {
            exchange.read_request_body(body.as_bytes());
        }
        let call = ClientFuture::begin(exchange, || async {
            let response = next.run(request, extensions).await?;
            Ok::<_, Error>(http_response(response))
        });
        let response = call.await.map_err(unboxed_error)?;
        Ok(response.map(Body::wrap).into())
    }
}

/// Returns the head of a request, with the extensions of its attempts. `None` if the URL is not one of
/// HTTP, which reqwest refuses.
fn request_head(request: &Request, extensions: &mut Extensions) -> Option<Parts> {
    let head = HttpRequest::builder().method(request.method()).uri(request.url().as_str());
    let (mut head, ()) = head.body(()).ok()?.into_parts();
    head.headers = request.headers().clone();
    Attempt::count_in(extensions);
    head.extensions = extensions.clone();
    Some(head)
}

/// Returns the response of `http`. Its extensions keep the URL for the way back.
fn http_response(response: Response) -> HttpResponse<Body> {
    let url = HttpResponse::builder().url(response.url().clone()).body(());
    let mut response = HttpResponse::from(response);
    if let Ok(url) = url {
        response.extensions_mut().extend(url.into_parts().0.extensions);
    }
    response
}

/// Returns the error of the layers inside, or that of a replay.
fn unboxed_error(error: BoxError) -> Error {
    match error.downcast() {
        Ok(error) => *error,
        Err(other) => Error::middleware(io::Error::other(other)),
    }
}
