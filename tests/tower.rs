#![cfg(feature = "axum")]
use axum as _;
