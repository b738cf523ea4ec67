//! rig's HTTP client inside of `ClientLayer`: each call is an `api.call`, and a replay answers it.

use std::future::ready;

use bytes::Bytes;
use http_body_util::BodyExt;
use llm_audit::layer::tower::{ClientLayer, ResponseBody};
use rig::http_client::{
    Error, HttpClientExt, LazyBody, MultipartForm, Request, Response, Result, StreamingResponse,
};
use rig::rig_reqwest::reqwest::{self, Body};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, ServiceExt, service_fn};

/// A client of reqwest that is recorded.
#[derive(Clone)]
pub struct RecordedHttp(BoxCloneSyncService<Request<Body>, Response<ResponseBody<Body>>, BoxError>);

impl Default for RecordedHttp {
    fn default() -> Self {
        let http = reqwest::Client::new();
        let client = service_fn(move |request: Request<Body>| {
            let http = http.clone();
            async move {
                let answer = http.execute(request.try_into()?).await?;
                Ok::<Response<Body>, reqwest::Error>(answer.into())
            }
        });
        let layer = ClientLayer::new("benefits").capture_bodies(64 << 10);
        Self(BoxCloneSyncService::new(layer.layer(client)))
    }
}

impl HttpClientExt for RecordedHttp {
    fn send<T, U>(
        &self,
        request: Request<T>,
    ) -> impl Future<Output = Result<Response<LazyBody<U>>>> + Send + 'static
    where
        T: Into<Bytes> + Send,
        U: From<Bytes> + Send + 'static,
    {
        let client = self.0.clone();
        let request = request.map(|body| Body::from(body.into()));
        async move {
            let response = client.oneshot(request).await.map_err(Error::Instance)?;
            let (head, body) = response.into_parts();
            let body = async { Ok(body.collect().await.map_err(Error::Instance)?.to_bytes()) };
            if !head.status.is_success() {
                let text = String::from_utf8_lossy(&body.await?).into_owned();
                return Err(Error::non_success_with_details(head.status, head.headers, text));
            }
            let body: LazyBody<U> = Box::pin(async { body.await.map(U::from) });
            Ok(Response::from_parts(head, body))
        }
    }

    /// The agent sends none.
    fn send_multipart<U>(
        &self,
        _: Request<MultipartForm>,
    ) -> impl Future<Output = Result<Response<LazyBody<U>>>> + Send + 'static
    where
        U: From<Bytes> + Send + 'static,
    {
        ready(Err(Error::StreamEnded))
    }

    /// The agent asks for none.
    async fn send_streaming<T>(&self, _: Request<T>) -> Result<StreamingResponse>
    where
        T: Into<Bytes> + Send,
    {
        Err(Error::StreamEnded)
    }
}
