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
use serde_json::{Value, json};

const NODES: usize = 300;
const PODS: usize = 5_000;
const EVENTS: usize = 20_000;

fn main() {
    divan::main();
}

fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo/ebs-csi-missing")
}

fn bundle_path() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("large-bundle")
}

/// The demo incident in a large cluster, all of it in namespaces that are read in full.
fn make_bundle() {
    let to = bundle_path();
    let _ = std::fs::remove_dir_all(&to);
    copy(&demo(), &to);
    grow(&to, "api/v1/nodes", NODES, |n, item| {
        item["metadata"]["name"] = json!(format!("ip-10-1-{}-{}", n / 250, n % 250))
    });
    grow(&to, "api/v1/pods", PODS, |n, item| {
        item["metadata"]["name"] = json!(format!("load-{n}"));
        // What a real pod carries and no check reads.
        item["metadata"]["annotations"] = json!({"example.test/blob": "x".repeat(4000)});
    });
    grow(&to, "api/v1/events", EVENTS, |n, item| {
        item["metadata"]["name"] = json!(format!("load-{n}.17"));
        item["involvedObject"] =
            json!({"kind": "Pod", "namespace": "monitoring", "name": format!("load-{}", n % PODS)});
    });
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder for the bundle");
    for entry in std::fs::read_dir(from).expect("the demo is there") {
        let entry = entry.expect("a folder entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copied file");
        }
    }
}

/// Adds changed copies of a list's first item until it has `count`.
fn grow(bundle: &Path, list: &str, count: usize, change: impl Fn(usize, &mut Value)) {
    let plain = bundle.join(format!("kubernetes/{list}.json"));
    let packed = bundle.join(format!("kubernetes/{list}.json.gz"));
    let text = match std::fs::read(&plain) {
        Ok(bytes) => bytes,
        Err(_) => {
            let mut out = Vec::new();
            let file = std::fs::File::open(&packed).expect("the list is there");
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(file), &mut out).expect("gzip");
            std::fs::remove_file(&packed).expect("removable");
            out
        }
    };
    let mut document: Value = serde_json::from_slice(&text).expect("JSON");
    let items = document["items"].as_array_mut().expect("a list");
    let template = items[0].clone();
    for n in items.len()..count {
        let mut item = template.clone();
        change(n, &mut item);
        items.push(item);
    }
    std::fs::write(plain, document.to_string()).expect("a written list");
}

fn snapshot() -> Snapshot {
    make_bundle();
    let bundle = Bundle::open(&bundle_path()).expect("a bundle");
    let plan = Plan {
        facts: diagnose::facts(&checks::registry()),
        namespace: None,
        probe: None,
        collected_at: bundle.collected_at(),
    };
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
