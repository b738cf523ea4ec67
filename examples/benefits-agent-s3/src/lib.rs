//! Transcripts of the benefits agent in S3.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use benefits_agent::{Put, Store, StoreError};

/// A bucket of S3, or of a server that speaks its protocol.
#[derive(Debug)]
pub struct S3 {
    client: Client,
    bucket: String,
}

impl S3 {
    /// The bucket, with region, credentials and endpoint from the environment, as every AWS program
    /// reads them (`AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL` and the others).
    pub async fn from_env(bucket: impl Into<String>) -> Self {
        let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
        // Another endpoint than AWS's need not have a host name for every bucket.
        let is_elsewhere = config.endpoint_url().is_some();
        let config =
            aws_sdk_s3::config::Builder::from(&config).force_path_style(is_elsewhere).build();
        Self { client: Client::from_conf(config), bucket: bucket.into() }
    }

    /// The client, for what the agent does not do: making the bucket, reading back.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl Store for S3 {
    fn bucket(&self) -> &str {
        &self.bucket
    }

    fn put<'a>(&'a self, key: &'a str, object: Vec<u8>) -> Put<'a> {
        let put = self.client.put_object().bucket(&self.bucket).key(key);
        Box::pin(async move {
            let put = put.content_type("application/json").body(ByteStream::from(object));
            put.send().await.map(drop).map_err(StoreError::new)
        })
    }
}
