//! Servers and helpers of the integration tests: stand-ins for the Kubernetes API and AWS, and the real Prometheus,
//! Alertmanager and moto.
//!
//! | module | what a test gets |
//! |---|---|
//! | [`api_server`] | an HTTPS Kubernetes API server that answers from a bundle folder, with faults and a request log |
//! | [`aws_server`] | an AWS endpoint: EKS from a bundle folder, EC2, IAM and STS from moto |
//! | [`real`] | Prometheus, Alertmanager and moto as child processes, and a small scrape target |
//! | [`streams`] | exec in containers and port-forward to pods, over WebSockets |
//! | [`recording`] | a bundle of one recorded case of Prometheus or Alertmanager |
//! | [`fixtures`] | the bundles below fixtures/, their names and copies of them |
//! | [`changes`] | what changed of a list of a bundle folder that changes, as a watch tells it |
//! | [`running`] | a child process whose lines are waited for |
//! | [`names`] | a host table (and DNS faults) for one child process, so that it can use cluster names |
//!
//! Every server has its own thread and ends when it is dropped, so tests may be synchronous or asynchronous. Nothing
//! here reads a fixture by itself: a test names the bundle folder.

#![allow(dead_code, unreachable_pub, reason = "every test target uses another part")]

pub mod api_server;
pub mod aws_query;
pub mod aws_server;
pub mod bundle;
pub mod changes;
pub mod fixtures;
pub mod kube;
pub mod names;
pub mod real;
pub mod recording;
pub mod running;
pub mod selector;
pub mod service_proxy;
pub mod streams;
pub mod wire;

use std::path::PathBuf;
use std::sync::OnceLock;

/// Variables that change what kdoctor reads or prints; a test that wants one sets it again.
const LEAKY_PREFIXES: &[&str] = &["AWS_", "KDOCTOR_", "KUBE", "GITHUB_", "CLICOLOR", "RUST_", "XDG_"];
const LEAKY: &[&str] =
    &["http_proxy", "https_proxy", "all_proxy", "no_proxy", "ci", "force_color", "columns", "pager", "home"];

/// The `kdoctor` binary with an environment that is the same on every machine: no AWS, Kubernetes, proxy or colour
/// settings, an empty home folder, no instance metadata.
pub fn kdoctor() -> assert_cmd::Command {
    assert_cmd::Command::from_std(kdoctor_process())
}

/// The same, to be started and talked to while it runs.
pub fn kdoctor_process() -> std::process::Command {
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("kdoctor"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if LEAKY_PREFIXES.iter().any(|p| text.starts_with(p)) || LEAKY.iter().any(|l| text.eq_ignore_ascii_case(l)) {
            command.env_remove(&name);
        }
    }
    command
        .env("HOME", home())
        .env("NO_COLOR", "1")
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        // Else a machine without credentials waits for 169.254.169.254.
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// An empty home folder, one per test process, below cargo's folder for test files.
pub fn home() -> PathBuf {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    HOME.get_or_init(|| {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("home-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("cargo's folder for test files is writable");
        path
    })
    .clone()
}
