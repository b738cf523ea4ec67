//! The code that `#[audit_span]` refuses, with the compiler's messages.

#[test]
fn refusals_say_what_is_accepted() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/options.rs");
    cases.compile_fail("tests/ui/arguments.rs");
    cases.compile_fail("tests/ui/functions.rs");
    cases.compile_fail("tests/ui/types.rs");
    cases.pass("tests/ui/pass.rs");
}
