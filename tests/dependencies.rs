//! What may come in from outside: licences, sources, and crates that must not be there. `deny.toml` says the same to
//! cargo-deny; this test needs nothing that is not installed and no network.

use std::process::Command;

use serde_json::Value;

/// Licences under which a dependency may be used.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];
/// A second TLS provider makes rustls panic at its first use.
const BANNED: &[&str] = &["ring", "openssl", "openssl-sys", "native-tls"];

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--locked", "--format-version", "1", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        // Crates of other systems are in the lock file, but never downloaded.
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    metadata["packages"].as_array().expect("packages").clone()
}

/// True if one may choose allowed licences: `(MIT OR Apache-2.0) AND Unicode-3.0`.
fn acceptable(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    if let Some((open, inner)) = innermost(&expression) {
        let (start, end) = (open, open + inner.len() + 2);
        let value = if acceptable(&inner) { "MIT" } else { "none" };
        return acceptable(&format!("{}{value}{}", &expression[..start], &expression[end..]));
    }
    expression.split(" OR ").any(|choice| choice.split(" AND ").all(|licence| ALLOWED.contains(&licence.trim())))
}

/// Place and text of a pair of parentheses without others inside.
fn innermost(text: &str) -> Option<(usize, String)> {
    let close = text.find(')')?;
    let open = text[..close].rfind('(')?;
    Some((open, text[open + 1..close].to_owned()))
}

#[test]
fn every_dependency_has_an_allowed_licence() {
    let all = packages();
    assert!(all.len() > 200, "only {} packages were looked at", all.len());
    let bad: Vec<String> = all
        .iter()
        .filter(|p| !acceptable(p["license"].as_str().unwrap_or("none")))
        .map(|p| format!("{} {}: {}", p["name"], p["version"], p["license"]))
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

#[test]
fn every_dependency_comes_from_the_registry() {
    for package in packages() {
        let source = package["source"].as_str();
        let own = package["name"] == "kdoctor";
        assert!(own || source.is_some_and(|s| s.starts_with("registry+")), "{} comes from {source:?}", package["name"]);
    }
}

#[test]
fn there_is_one_tls_provider() {
    // The lock file also names crates behind features that nobody switches on; those that are built count.
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--locked",
            "--all-features",
            "--prefix",
            "none",
            "--format",
            "{lib}",
            "--manifest-path",
        ])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .expect("cargo runs");
    let text = String::from_utf8_lossy(&output.stdout).replace('_', "-");
    let built: Vec<&str> = text.lines().map(str::trim).collect();
    assert!(built.len() > 200, "{}", String::from_utf8_lossy(&output.stderr));
    for name in BANNED {
        assert!(!built.contains(name), "{name} came in");
    }
    assert!(built.contains(&"aws-lc-rs"));
}

#[test]
fn licence_expressions_are_read_as_spdx() {
    assert!(acceptable("MIT OR GPL-3.0") && acceptable("(MIT OR Apache-2.0) AND Unicode-3.0"));
    assert!(!acceptable("GPL-3.0") && !acceptable("MIT AND GPL-3.0") && !acceptable("(GPL-2.0 OR GPL-3.0) AND MIT"));
}
