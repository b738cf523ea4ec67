//! The benefits agent as a program, with its transcripts in the bucket that `BENEFITS_BUCKET` names.
//! All else is as in `benefits-agent`.

use std::env;
use std::error::Error;
use std::sync::Arc;

use benefits_agent_s3::Bucket;
use llm_audit_demo::Config;

fn main() -> Result<(), Box<dyn Error>> {
    // Dropped last: what is recorded while the runtime goes down is written, too.
    let _guard = llm_audit::init()?;
    let bucket = env::var("BENEFITS_BUCKET").map_err(|_| "BENEFITS_BUCKET is not set")?;
    let config = Config::from_env()?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let store = Some(Arc::new(Bucket::from_env(bucket).await) as _);
        Ok(llm_audit_demo::serve(Config { store, ..config }).await?)
    })
}
