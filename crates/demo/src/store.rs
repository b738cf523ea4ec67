//! Stores of transcripts: a folder, or what implements [`Store`].

use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use llm_audit::EventType;
use serde_json::json;
use tempfile::TempDir;

use crate::percent;
use crate::step::AgentStep;

/// What [`Store::put`] returns.
pub type Put<'a> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>;

/// A place for objects under keys, as S3 is one.
pub trait Store: Send + Sync {
    /// The name of the place.
    fn bucket(&self) -> &str;

    /// Keeps `object` under `key`, over what was there.
    fn put<'a>(&'a self, key: &'a str, object: Vec<u8>) -> Put<'a>;
}

/// Why an object is not kept.
#[derive(Debug)]
pub struct StoreError(Box<dyn Error + Send + Sync>);

impl StoreError {
    /// An object is not kept because of this.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the object is not kept")
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

/// Puts an object and records it as `s3.write` of `agent`.
pub(crate) async fn put_and_record(
    store: &dyn Store,
    agent: &'static str,
    key: &str,
    object: Vec<u8>,
) -> Result<(), StoreError> {
    let data = json!({"bucket": store.bucket(), "key": key, "bytes": object.len()});
    AgentStep::begin(EventType::S3Write, agent, "transcript.put", data)
        .run(store.put(key, object))
        .await
}

/// A folder of this machine, with a file for every object: its key, spelled in percent.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Removes the folder at the end.
    _temporary: Option<TempDir>,
}

impl Folder {
    /// The folder at `path`, which is made when the first object is put.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), _temporary: None }
    }

    /// A folder below the system's temporary one, removed when this is dropped.
    ///
    /// # Errors
    ///
    /// The folder cannot be made.
    pub fn temporary() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("benefits-agent-").tempdir()?;
        Ok(Self { path: folder.path().to_owned(), _temporary: Some(folder) })
    }
}

impl Store for Folder {
    fn bucket(&self) -> &str {
        "folder"
    }

    fn put<'a>(&'a self, key: &'a str, object: Vec<u8>) -> Put<'a> {
        let file = self.path.join(percent::percent_encode(key));
        Box::pin(async move {
            let written = tokio::task::spawn_blocking(move || write_object_file(&file, &object));
            written.await.map_err(StoreError::new)?.map_err(StoreError::new)
        })
    }
}

fn write_object_file(file: &Path, object: &[u8]) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_a_file_and_a_line() {
        let folder = Folder::temporary().expect("a temporary folder");
        let seen = llm_audit::testing::capture();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let put = put_and_record(&folder, "a", "k/1", b"{}".to_vec());
        runtime.block_on(put).expect("the folder can be written to");
        assert_eq!(fs::read(folder.path.join("k%2F1")).expect("the file"), b"{}");
        let line = &seen.lines()[0];
        assert!(line.contains(r#""bucket":"folder","bytes":2,"key":"k/1""#), "{line}");
    }
}
