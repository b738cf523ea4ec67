//! `export`: the receivers of lines besides the files.

use std::fmt::Debug;
use std::io::Result;

use llm_audit::export::{Exporter, Stderr, Stdout};

use crate::{Plain, implement};

/// Implements what has to be.
struct Required;

impl Exporter for Required {
    fn export(&mut self, _lines: &[u8]) -> Result<()> {
        Ok(())
    }
}

/// Implements all there is.
struct Whole;

impl Exporter for Whole {
    fn export(&mut self, _lines: &[u8]) -> Result<()> {
        Ok(())
    }

    fn resume(&mut self) -> Result<usize> {
        Ok(0)
    }
}

fn exporter(exporter: &mut dyn Exporter, lines: &[u8]) -> Result<usize> {
    exporter.export(lines)?;
    exporter.resume()
}

implement! {
    Box<dyn Exporter>: Send;
}

fn streams() {
    let _: fn() -> Stdout = Stdout::new;
    let _: fn() -> Stderr = Stderr::new;
}

implement! {
    Stdout: Plain, Debug, Default, Exporter;
    Stderr: Plain, Debug, Default, Exporter;
}

#[test]
fn an_exporter_needs_no_resume() {
    assert_eq!(exporter(&mut Required, b"{}\n").ok(), Some(0));
    assert_eq!(exporter(&mut Whole, b"{}\n").ok(), Some(0));
}
