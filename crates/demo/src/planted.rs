//! The personal and secret texts that users, tools and providers put into what is recorded.

pub(crate) const EMAIL: &str = "ana.lopez+benefits@mail.example";
pub(crate) const CARD: &str = "4111 1111 1111 1111";
pub(crate) const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJl";
pub(crate) const AWS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
pub(crate) const PASSWORD: &str = "correct \"horse\" battery";
pub(crate) const SECRET: &str = "swordfish-of-the-plan";
pub(crate) const TOKEN: &str = "tok-7f3a91c2d5";
pub(crate) const API_KEY: &str = "key-51H8xQ2mZ0";
pub(crate) const AUTHORIZATION: &str = "Basic YW5hOmxvcGV6";
pub(crate) const COOKIE: &str = "session=9f8e7d6c5b4a";

/// Every personal or secret text that goes through the service under [`load`](crate::load).
///
/// - One of each kind of rule: in questions, prompts, arguments, results, errors, the keys of cache and
///   store, queries of URLs, pushes.
/// - A value below each sensitive key: in arguments, results, headers, pushes.
pub const PLANTED: [&str; 10] =
    [EMAIL, CARD, JWT, AWS_KEY, PASSWORD, SECRET, TOKEN, API_KEY, AUTHORIZATION, COOKIE];
