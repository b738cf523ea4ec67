//! The benefits agent as a program, with its transcripts in the bucket that `BENEFITS_S3_BUCKET`
//! names. Everything else is as in `benefits-agent`; AWS's own variables say where the bucket is.
//!
//! Like that program it prints nothing; an error at its start ends it with exit code 1.

use std::env;
use std::error::Error;
use std::sync::Arc;

use benefits_agent::Config;
use benefits_agent_s3::S3;

fn main() -> Result<(), Box<dyn Error>> {
    // Dropped last: what is recorded while the runtime goes down is written, too.
    let _guard = llm_audit::init()?;
    let bucket = env::var("BENEFITS_S3_BUCKET")
        .map_err(|_| "BENEFITS_S3_BUCKET is not set; accepted: the name of a bucket")?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let store = Arc::new(S3::from_env(bucket).await);
        benefits_agent::serve(Config { store: Some(store), ..Config::from_env()? }).await?;
        Ok(())
    })
}
