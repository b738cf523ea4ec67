//! Every `s3.write` of the log is an object in the bucket, of the bytes it tells of. The server of
//! the bucket is moto, which `ci/companions.sh` starts.

use std::collections::BTreeMap;
use std::sync::Arc;

use benefits_agent::{Config, Service, load};
use benefits_agent_s3::S3;
use llm_audit::AuditLogger;
use serde_json::Value;

const BUCKET: &str = "transcripts";

#[test]
fn what_the_log_calls_written_lies_in_the_bucket() {
    if std::env::var_os("AWS_ENDPOINT_URL").is_none() {
        println!("skipped: AWS_ENDPOINT_URL is not set; ci/companions.sh starts a server");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let builder = AuditLogger::builder().without_environment().debug(true);
    let guard = llm_audit::init_with(builder.directory(folder.path())).expect("a recorder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let objects = runtime.block_on(async {
        let store = Arc::new(S3::from_env(BUCKET).await);
        store.client().create_bucket().bucket(BUCKET).send().await.expect("a new bucket");
        let config = Config { store: Some(store.clone()), ..Config::default() };
        let service = Service::start(config).await.expect("loopback can be listened on");
        let options = load::Options { requests: 40, concurrency: 8, ..load::Options::default() };
        load::run(service.address(), &options).await;
        service.shutdown().await;
        objects(&store).await
    });
    let path = guard.logger().path().expect("a file");
    drop(guard);
    let log = std::fs::read_to_string(path).expect("the log");
    let written = written(&log);
    assert!(written.len() > 20, "{} transcripts of 40 requests", written.len());
    // Keys are redacted in the log; sizes tell the objects apart well enough.
    let sizes = |found: &BTreeMap<String, u64>| {
        let mut sizes: Vec<u64> = found.values().copied().collect();
        sizes.sort_unstable();
        sizes
    };
    assert_eq!(sizes(&written), sizes(&objects));
}

/// Size by key of the objects in the bucket.
async fn objects(store: &S3) -> BTreeMap<String, u64> {
    let listed = store.client().list_objects_v2().bucket(BUCKET).send().await.expect("a listing");
    let size = |object: &aws_sdk_s3::types::Object| {
        (object.key().unwrap_or_default().to_owned(), object.size().unwrap_or(0) as u64)
    };
    listed.contents().iter().map(size).collect()
}

/// Bytes by span of the objects that the log says are written.
fn written(log: &str) -> BTreeMap<String, u64> {
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    let kept = lines.filter(|l| l["event_type"] == "s3.write" && l["status"] == "ok");
    let entry = |line: Value| {
        assert_eq!(line["data"]["bucket"], BUCKET);
        let span = line["span_id"].as_str().expect("a span").to_owned();
        (span, line["data"]["bytes"].as_u64().expect("a size"))
    };
    kept.map(entry).collect()
}
