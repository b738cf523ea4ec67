//! The service as a program: runs until it is interrupted or terminated. It prints nothing; its log
//! says where it listens (`service.start`) and all that it does.
//!
//! [`Config::from_env`] and `llm_audit::init` say which variables are read; an error in one of them
//! ends it with exit code 1.

use std::error::Error;

use llm_audit_demo::Config;

fn main() -> Result<(), Box<dyn Error>> {
    // Dropped last: what is recorded while the runtime goes down is written, too.
    let _guard = llm_audit::init()?;
    let runtime = tokio::runtime::Runtime::new()?;
    Ok(runtime.block_on(llm_audit_demo::serve(Config::from_env()?))?)
}
