//! Diagnose and correlate over a large cluster: 300 nodes, 5,000 pods, 20,000 events. The bundle that is made for it is
//! kept in `<target>/tmp/large-bundle`, for timing the whole binary with `--from`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kdoctor::bundle::Bundle;
use kdoctor::checks;
use kdoctor::collect::client::Client;
use kdoctor::collect::{self, Plan};
use kdoctor::diagnose;
use kdoctor::model::Silent;
use kdoctor::snapshot::Snapshot;
use serde_json::json;

#[path = "../support/fixtures.rs"]
mod fixtures;
#[path = "../support/grown.rs"]
mod grown;

use grown::Grown;

const NODES: usize = 300;
const PODS: usize = 5_000;
const EVENTS: usize = 20_000;

fn main() {
    divan::main();
}

fn bundle_path() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("large-bundle")
}

/// The demo incident in a large cluster, all of it in namespaces that are read in full.
fn make_bundle() {
    let mut bundle = Grown::of("demo/ebs-csi-missing", &bundle_path());
    bundle.up_to(grown::NODES, NODES, |n, item| {
        item["metadata"]["name"] = json!(format!("ip-10-1-{}-{}", n / 250, n % 250));
    });
    bundle.up_to(grown::PODS, PODS, |_, item| {
        // What a real pod carries and no check reads.
        item["metadata"]["annotations"] = json!({"example.test/blob": "x".repeat(4000)});
    });
    bundle.up_to(grown::EVENTS, EVENTS, |n, item| {
        item["metadata"]["name"] = json!(format!("load-{n}.17"));
        item["involvedObject"] =
            json!({"kind": "Pod", "namespace": "monitoring", "name": format!("load-{}", n % PODS)});
    });
    bundle.write();
}

fn snapshot() -> Snapshot {
    make_bundle();
    let bundle = Bundle::open(&bundle_path()).expect("a bundle");
    let plan = Plan::new(diagnose::facts(&checks::registry()), bundle.collected_at());
    let client = Client::new(Arc::new(bundle), Arc::new(Silent));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(collect::gather(&client, &plan)).expect("a snapshot")
}

#[divan::bench]
fn diagnose_and_correlate(bencher: divan::Bencher<'_, '_>) {
    let snap = snapshot();
    let checks = checks::registry();
    bencher.bench(|| diagnose::run(&snap, &checks));
}
