//! The test servers behave as the real ones do.

mod support;

#[test]
fn nothing() {}
