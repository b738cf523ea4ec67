//! An interceptor for clients of the AWS SDK that records the calls of models on Bedrock as audit events.
//!
//! ```
//! use aws_sdk_bedrockruntime::{Client, Config};
//! use llm_audit_aws::AuditInterceptor;
//! # use aws_types::SdkConfig;
//!
//! # fn client(sdk_config: &SdkConfig) -> Client {
//! // `sdk_config` is from `aws_config::load_defaults`.
//! let config = Config::from(sdk_config).to_builder().interceptor(AuditInterceptor::new("benefits"));
//! let client = Client::from_conf(config.build());
//! # client
//! # }
//! ```
//!
//! Operations and streams are used as before. The SDK's HTTP client, its retries and its time-outs stay as they
//! are. No byte of a request is changed, so AWS does not see the trace.
//!
//! # Events
//!
//! Each attempt is an event, by the rules of
//! [`ClientLayer::model_calls`](llm_audit::layer::tower::ClientLayer::model_calls): `llm.invoke` or `llm.error` of
//! `Converse`, `ConverseStream`, `InvokeModel` and `InvokeModelWithResponseStream`, and `api.call` of any other
//! operation. What fails before a request is sent, such as credentials, an endpoint or a signature, is not
//! recorded, and neither is a request that is only signed. An `agent.retry` comes before each attempt that follows a failed call of a model.
//!
//! # Failures
//!
//! | what happened | status | `error.type` |
//! |---|---|---|
//! | AWS refused the request | `error`, or `timeout` for 408 and 504 | the exception, such as `ThrottlingException` |
//! | a stream contains an exception | `error` | its name there, such as `throttlingException` |
//! | a stream ended before its end marker | `error` | `incomplete` |
//! | the connection broke in the middle of an answer | `error` | `error` |
//! | no connection, or `connect_timeout` or `read_timeout` passed | `error` or `timeout` | `llm_audit_aws::interceptor::NoAnswer` |
//! | `operation_attempt_timeout` passed before the answer began | `timeout` | `llm_audit_aws::interceptor::NoAnswer` |
//! | the caller dropped the call, or its stream before the end marker; `operation_timeout` passed, or `operation_attempt_timeout` after the answer began | `error` | `cancelled` |
//!
//! The SDK calls no interceptor when `operation_attempt_timeout` passes. So if it tries again, the latency of the
//! attempt contains the pause.

mod interceptor;

pub use interceptor::AuditInterceptor;
