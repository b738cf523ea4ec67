//! Keeps the transcripts of the benefits agent in a bucket of S3.

use aws_config::BehaviorVersion;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use llm_audit_demo::{Put, Store, StoreError};

/// A bucket of S3.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    name: String,
}

impl Bucket {
    /// The bucket of this name, reached as the environment and AWS's own files say: region,
    /// credentials, and with `AWS_ENDPOINT_URL` another server than AWS's.
    pub async fn from_env(name: impl Into<String>) -> Self {
        Self { client: client().await, name: name.into() }
    }

    /// The client that the store uses.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

async fn client() -> Client {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await;
    // Another server than AWS's has no name for every bucket.
    let path_style = config.endpoint_url().is_some();
    Client::from_conf(Builder::from(&config).force_path_style(path_style).build())
}

impl Store for Bucket {
    fn bucket(&self) -> &str {
        &self.name
    }

    fn put<'a>(&'a self, key: &'a str, object: Vec<u8>) -> Put<'a> {
        let put = self.client.put_object().bucket(&self.name).key(key);
        let put = put.content_type("application/json").body(ByteStream::from(object)).send();
        Box::pin(async { put.await.map(drop).map_err(StoreError::new) })
    }
}
