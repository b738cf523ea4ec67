//! The service as a program: runs until it is interrupted or terminated. It prints nothing; its log
//! says where it listens (`service.start`) and all that it does.
//!
//! [`Config::from_env`] and `llm_audit::init` say which variables are read; an error in one of them
//! ends it with exit code 1.

use std::error::Error;

use llm_audit::AuditLogger;
use llm_audit_demo::Config;

fn main() -> Result<(), Box<dyn Error>> {
    let config = Config::from_env()?;
    let recorder = AuditLogger::builder();
    #[cfg(feature = "alerts")]
    let recorder = recorder.notifier(config.alert_push.clone());
    // Dropped last: what is recorded while the runtime goes down is written, too.
    let _guard = llm_audit::init_with(recorder)?;
    let runtime = tokio::runtime::Runtime::new()?;
    Ok(runtime.block_on(llm_audit_demo::serve(config))?)
}
