//! Transcripts are in the bucket, and the log says so, also if one does not. Runs if
//! `AWS_ENDPOINT_URL` names a server, as `ci/companions.sh` sets it.

use std::env;
use std::fs;
use std::io::Write;
use std::sync::Arc;

use benefits_agent_s3::Bucket;
use llm_audit::AuditLogger;
use llm_audit_demo::load::{Options, run};
use llm_audit_demo::{Config, PLANTED, Service};
use serde_json::Value;

const OPTIONS: Options = Options { requests: 3, concurrency: 1, seed: 1 };

#[test]
fn transcripts_lie_in_the_bucket() {
    if env::var_os("AWS_ENDPOINT_URL").is_none() {
        // Past the capture of the test's output: `ci/companions.sh` looks for it.
        let _ = writeln!(std::io::stderr(), "skipped: AWS_ENDPOINT_URL is not set");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let builder = AuditLogger::builder().without_environment().directory(folder.path());
    let guard = llm_audit::init_with(builder.debug(true)).expect("the settings are valid");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let bucket = Bucket::from_env("transcripts").await;
        bucket.client().create_bucket().bucket("transcripts").send().await.expect("a new bucket");
        answer(bucket.clone()).await;
        answer(Bucket::from_env("no-such-bucket").await).await;
        for case in 0..OPTIONS.requests {
            let key = format!("transcripts/{}/{case}.json", PLANTED[0]);
            let object = bucket.client().get_object().bucket("transcripts").key(&key).send().await;
            let bytes = object.expect("the object is there").body.collect().await;
            let bytes = bytes.expect("all of it comes").into_bytes();
            let transcript: Value = serde_json::from_slice(&bytes).expect("it is JSON");
            assert_eq!(transcript["answer"]["case"], case);
            assert!(transcript["question"].as_str().is_some_and(|text| text.contains("claim")));
        }
    });
    drop((runtime, guard));

    let files = fs::read_dir(folder.path()).expect("the folder exists");
    let paths = files.map(|file| file.expect("the folder can be read").path());
    // The folder also has the key that hides the names of users.
    let lines = paths.filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"));
    let log: String = lines.map(|path| fs::read_to_string(path).expect("it is text")).collect();
    let writes = |bucket: &str, status: &str| {
        let events = log.lines().map(|line| serde_json::from_str(line).expect("JSON"));
        let of_bucket = |event: &Value| {
            event["event_type"] == "s3.write"
                && event["data"]["bucket"] == bucket
                && event["status"] == status
        };
        events.filter(of_bucket).count() as u64
    };
    assert_eq!(writes("transcripts", "ok"), OPTIONS.requests);
    assert_eq!(writes("no-such-bucket", "error"), OPTIONS.requests);
    assert!(log.contains("NoSuchBucket"), "the reason is told");
    for text in PLANTED {
        assert!(!log.contains(text), "{text} is in the log");
    }
}

/// Every question is answered, whatever becomes of its transcript.
async fn answer(bucket: Bucket) {
    let config = Config { store: Some(Arc::new(bucket)), ..Config::default() };
    let service = Service::start(config).await.expect("a free port");
    let report = run(service.address(), &OPTIONS).await;
    assert_eq!(report.statuses.get(&200), Some(&OPTIONS.requests), "{report:?}");
    service.shutdown().await;
}
