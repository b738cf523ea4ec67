//! Events with 1 to 100 fields, each a string.

use llm_audit::AuditLogger;
use serde::Serialize;

use super::audit::emit;

/// Writes a function for each logger, from the names of the fields of each event.
macro_rules! events {
    ($($count:literal: $($field:ident)*;)*) => {
        /// The numbers of fields that an event may have.
        pub const FIELDS: &[usize] = &[$($count),*];

        pub fn audit(logger: &AuditLogger, fields: usize, text: &str) {
            match fields {
                $($count => {
                    #[derive(Serialize)]
                    struct Wide<'t> { $($field: &'t str),* }
                    emit(logger, &Wide { $($field: text),* });
                })*
                _ => panic!("an event of {fields} fields is not among {FIELDS:?}"),
            }
        }

        pub fn trace(fields: usize, text: &str) {
            match fields {
                $($count => tracing::info!($($field = text),*),)*
                _ => panic!("an event of {fields} fields is not among {FIELDS:?}"),
            }
        }
    };
}

events! {
    1: f0;
    3: f0 f1 f2;
    10: f0 f1 f2 f3 f4 f5 f6 f7 f8 f9;
    30: f0 f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12 f13 f14 f15 f16 f17 f18 f19
        f20 f21 f22 f23 f24 f25 f26 f27 f28 f29;
    100: f0 f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12 f13 f14 f15 f16 f17 f18 f19
        f20 f21 f22 f23 f24 f25 f26 f27 f28 f29 f30 f31 f32 f33 f34 f35 f36 f37 f38 f39
        f40 f41 f42 f43 f44 f45 f46 f47 f48 f49 f50 f51 f52 f53 f54 f55 f56 f57 f58 f59
        f60 f61 f62 f63 f64 f65 f66 f67 f68 f69 f70 f71 f72 f73 f74 f75 f76 f77 f78 f79
        f80 f81 f82 f83 f84 f85 f86 f87 f88 f89 f90 f91 f92 f93 f94 f95 f96 f97 f98 f99;
}
