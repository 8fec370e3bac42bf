//! What a capture holds gives the report of what was captured, and no secret.

#[path = "support/planted.rs"]
mod planted;
mod support;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kdoctor::bundle::{Bundle, Recording, Rewriting, Scope};
use kdoctor::checks;
use kdoctor::collect::client::{Client, IfAbsent};
use kdoctor::collect::source::{FetchError, Known, Request, Source};
use kdoctor::collect::{self, Plan};
use kdoctor::model::{Gap, GapCause, Silent, Target};
use kdoctor::snapshot::kubernetes::Pod;
use kdoctor::snapshot::{Listing, Snapshot};
use kdoctor::{diagnose, pages, render};
use planted::{Planted, SECRET};
use serde_json::json;
use support::api_server::{ApiServer, ServerOptions};
use support::fixtures::{self, fixture};
use support::kdoctor;
use support::wire::{Action, Fault};

fn open(path: &Path) -> Bundle {
    Bundle::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn gather(source: Arc<dyn Source>, at: jiff::Timestamp) -> Result<Snapshot, Gap> {
    let plan = Plan::new(diagnose::facts(&checks::registry()), at);
    let client = Client::new(source, Arc::new(Silent));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(collect::gather(&client, &plan))
}

/// The report as JSON, line by line.
fn report(gathered: Result<Snapshot, Gap>) -> String {
    let Ok(snapshot) = gathered else { return format!("{:?}", gathered.err()) };
    let mut report = diagnose::run(&snapshot, &checks::registry());
    pages::apply(&mut report, &pages::Invocation::default());
    render::json(&report, None).expect("renders")
}

/// The reports of a source, and of what is captured of it.
fn both(source: impl Fn() -> Arc<dyn Source>, at: jiff::Timestamp, to: &Path) -> (String, String) {
    let before = report(gather(source(), at));
    let recording = Arc::new(Recording::new(source(), to, at, 1 << 30).expect("it can be written"));
    // That a cluster lets nobody in is captured, too.
    let target = gather(recording.clone(), at).map(|snapshot| snapshot.target).unwrap_or_default();
    let scope = Scope { probes: true, ..Scope::default() };
    recording.finish(at, &target, scope).expect("it is written");
    let bundle = open(to);
    assert_eq!(bundle.altered(), [] as [&str; 0]);
    (before, report(gather(Arc::new(bundle), at)))
}

fn first_difference(one: &str, other: &str) -> String {
    let cut = |line: &str| line.trim().chars().take(400).collect::<String>();
    let lines = one.lines().zip(other.lines()).find(|(a, b)| a != b);
    lines.map_or_else(|| "one is longer".into(), |(a, b)| format!("{}\n    but captured: {}", cut(a), cut(b)))
}

/// Of so many fixtures one is captured in CI.
const ONE_OF: u64 = 4;

/// Runs `judge` on fixtures, and gives what it finds wrong.
fn on_all(judge: impl Fn(&str) -> Option<String> + Sync) -> Vec<String> {
    let names = fixtures::sample(ONE_OF);
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(found) = judge(name) {
                        wrong.lock().expect("no thread panics with it").push(format!("{name}: {found}"));
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().expect("no thread panicked with it");
    wrong.sort();
    wrong
}

#[test]
fn a_capture_of_each_fixture_gives_its_report() {
    let dir = tempfile::tempdir().expect("a folder");
    let wrong = on_all(|name| {
        let path = fixture(name);
        let to = dir.path().join(format!("{}.tar", name.replace('/', "-")));
        let (before, after) = both(|| Arc::new(open(&path)), open(&path).collected_at(), &to);
        (before != after).then(|| first_difference(&before, &after))
    });
    assert!(wrong.is_empty(), "{} fixtures:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_capture_holds_no_planted_secret() {
    let dir = tempfile::tempdir().expect("a folder");
    let wrong = on_all(|name| {
        let (bundle, to) = (open(&fixture(name)), dir.path().join(format!("{}.tar", name.replace('/', "-"))));
        let at = bundle.collected_at();
        let recording = Recording::new(Arc::new(Planted(bundle)), &to, at, 1 << 30).expect("it can be written");
        let recording = Arc::new(recording);
        let target = gather(recording.clone(), at).map(|snapshot| snapshot.target).unwrap_or_default();
        recording.finish(at, &target, Scope::default()).expect("it is written");
        let bytes = std::fs::read(&to).expect("a file");
        std::fs::remove_file(&to).expect("it was written");
        let text = String::from_utf8_lossy(&bytes);
        let shown = text.lines().find(|line| line.contains(SECRET))?;
        Some(format!("shows {}", shown.chars().take(400).collect::<String>()))
    });
    assert!(wrong.is_empty(), "{} fixtures:\n{}", wrong.len(), wrong.join("\n"));
}

/// The report of what is captured without names.
fn anonymized(source: Arc<dyn Source>, at: jiff::Timestamp, to: &Path) -> String {
    let again = Rewriting::new(to, at).expect("it can be written");
    let recording = Arc::new(Recording::new(source, &again.first(), at, 1 << 30).expect("it can be written"));
    let target = gather(recording.clone(), at).map(|snapshot| snapshot.target).unwrap_or_default();
    let scope = Scope { probes: true, ..Scope::default() };
    again.write(&recording.finish(at, &target, scope).expect("it is written")).expect("it is written again");
    report(gather(Arc::new(open(to)), at))
}

/// What a report finds, names aside: each finding's check, severity and steps, and whether it is a root; each check's outcome.
fn found(report: &str) -> Vec<String> {
    // What an error says of why nothing could be seen has names in it, too.
    let Ok(report) = serde_json::from_str::<serde_json::Value>(report) else { return vec!["an error".into()] };
    let all = |key: &str| report[key].as_array().cloned().unwrap_or_default();
    let finding = |f: &serde_json::Value| {
        let steps: Vec<_> = f["remediation"]["steps"].as_array().into_iter().flatten().map(|s| &s["kind"]).collect();
        format!("{} {} root: {} steps: {steps:?}", f["check"], f["severity"], f["root"])
    };
    let mut found: Vec<String> = all("findings").iter().map(finding).collect();
    found.extend(all("runs").iter().map(|run| format!("{} {}", run["check"], run["outcome"])));
    found.sort();
    found
}

/// Names of the recorded clusters.
const THEIRS: &[&str] = &["flash", "339712948064", "0b89143b4397e00e6"];

#[test]
fn a_capture_without_names_finds_the_same() {
    let dir = tempfile::tempdir().expect("a folder");
    let wrong = on_all(|name| {
        let (path, to) = (fixture(name), dir.path().join(format!("{}.tar", name.replace('/', "-"))));
        let (source, at) = (|| Arc::new(open(&path)), open(&path).collected_at());
        let (before, after) = (report(gather(source(), at)), anonymized(source(), at, &to));
        let bytes = std::fs::read(&to).expect("a file");
        std::fs::remove_file(&to).expect("it was written");
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some(shown) = text.lines().find(|line| THEIRS.iter().any(|theirs| line.contains(theirs))) {
            return Some(format!("shows {}", shown.chars().take(400).collect::<String>()));
        }
        let (before, after) = (found(&before), found(&after));
        (before != after).then(|| first_difference(&before.join("\n"), &after.join("\n")))
    });
    assert!(wrong.is_empty(), "{} fixtures:\n{}", wrong.len(), wrong.join("\n"));
    // The folders of what has names are gone.
    assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 0);
}

#[test]
fn a_bundle_is_written_again_without_names() {
    let place = tempfile::tempdir().expect("a folder");
    let run = |args: &[&str]| {
        let output = kdoctor().args(args).current_dir(place.path()).output().expect("kdoctor runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let path = fixture("demo/ebs-csi-missing").display().to_string();
    let told = run(&["capture", "--anonymize", "--from", &path, "-o", "b.tar"]);
    assert!(told.contains("replaced, the same by the same: ") && told.contains(" 1 account, "), "{told}");
    assert!(told.contains("Its report finds the same") && told.contains("look before you pass it on"), "{told}");
    let report = run(&["monitoring", "--from", "b.tar"]);
    assert!(report.contains("is not installed on cluster ") && !report.contains("flash"), "{report}");
    let unnamed = run(&["capture", "--anonymize", "--from", &path]);
    assert!(unnamed.starts_with("kdoctor-cluster-"), "{unnamed}");
}

/// A cluster that answers from a fixture.
struct Cluster {
    server: ApiServer,
    dir: tempfile::TempDir,
    now: String,
}

impl Cluster {
    fn with(name: &str, change: impl FnOnce(ServerOptions) -> ServerOptions) -> Self {
        let now = open(&fixture(name)).collected_at().to_string();
        let options = ServerOptions::bundle(fixture(name)).token("t0ken").eks(
            "ap-northeast-2",
            "339712948064",
            "flash-tickets-eks",
        );
        Self { server: ApiServer::start(change(options)), dir: tempfile::tempdir().expect("a folder"), now }
    }

    fn run(&self, command: &str, args: &[&str]) -> std::process::Output {
        let mut kdoctor = kdoctor();
        kdoctor.args([command, "--now", &self.now, "--timeout", "2s", "--kubeconfig"]);
        kdoctor.arg(self.server.kubeconfig(self.dir.path())).args(args).current_dir(self.dir.path());
        kdoctor.output().expect("kdoctor runs")
    }

    /// A report without what a clock and flags of the shell bring into it.
    fn comparable(&self, output: &std::process::Output) -> String {
        let text = String::from_utf8_lossy(&output.stdout);
        let flag = format!(" --kubeconfig {}", self.server.kubeconfig(self.dir.path()).display());
        let text = text.replace(&flag, "").replace(" --profile x", "").replace(" --region ap-northeast-2", "");
        let is_time = |line: &&str| !line.contains("elapsed_ms");
        let timeless = |line: &str| match line.split_once(" · ") {
            Some((counts, rest)) if rest.contains(" calls in ") => counts.to_owned(),
            _ => line.to_owned(),
        };
        text.lines().filter(is_time).map(timeless).collect::<Vec<_>>().join("\n")
    }
}

#[test]
fn the_report_of_a_capture_is_that_of_the_cluster() {
    let forbid = |path: &str| Fault::on(path, Action::status(403, "Forbidden", "nodes is forbidden: password=hunter2"));
    let hang = |path: &str| Fault::on(path, Action::Hang);
    for (name, faults) in [
        ("demo/ebs-csi-missing", vec![]),
        ("incidents/gp3-missing", vec![forbid("/api/v1/nodes"), hang("/apis/storage.k8s.io/v1/storageclasses")]),
        ("incidents/targets-down", vec![Fault::on("/api/v1/namespaces/monitoring/pods", Action::Garbage(200))]),
        ("incidents/prometheus-oomkilled", vec![Fault::on("/api/v1/services", Action::Truncate)]),
        ("healthy/plain", vec![]),
    ] {
        let cluster = Cluster::with(name, |o| faults.iter().fold(o, |o, fault| o.fault(fault.clone())));
        for format in ["json", "table"] {
            let file = format!("{}-{format}.tar.zst", name.replace('/', "-"));
            let live = cluster.run("monitoring", &["-o", format]);
            let captured = cluster.run("capture", &["-o", &file]);
            let told = String::from_utf8_lossy(&captured.stdout).into_owned();
            assert_eq!(captured.status.code(), Some(0), "{name}: {}", String::from_utf8_lossy(&captured.stderr));
            assert!(told.contains(&format!("kdoctor monitoring --from {file}\n")), "{told}");
            let offline = kdoctor()
                .args(["monitoring", "-o", format, "--from", &file])
                .current_dir(cluster.dir.path())
                .output()
                .expect("kdoctor runs");
            assert_eq!(offline.status.code(), live.status.code(), "{name}");
            let (live, offline) = (cluster.comparable(&live), cluster.comparable(&offline));
            assert_eq!(live, offline, "{name} {format}: {}", first_difference(&live, &offline));
        }
        assert_eq!(cluster.server.trespasses(), [], "{name}");
    }
}

/// Three pages of pods, the last of which does not come; or a list that is begun again.
struct Paged {
    asked: AtomicUsize,
    last: FetchError,
}

#[async_trait::async_trait]
impl Source for Paged {
    async fn fetch(&self, request: &Request) -> Result<Vec<u8>, FetchError> {
        let Request::Kubernetes { query, .. } = request else { return Err(FetchError::NotFound("no".into())) };
        let page = |name: &str, next: &str| {
            let item = json!({"metadata": {"name": name, "namespace": "a"}});
            Ok(json!({"metadata": {"continue": next, "remainingItemCount": 9}, "items": [item]})
                .to_string()
                .into_bytes())
        };
        match (query.as_str(), self.asked.fetch_add(1, Ordering::Relaxed)) {
            ("limit=500", _) => page("one", "t1"),
            ("limit=500&continue=t1", _) => page("two", "t2"),
            (_, 2) => Err(self.last.clone()),
            _ => page("three", ""),
        }
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn known(&self) -> Known {
        Known::default()
    }
}

#[test]
fn a_list_that_came_in_part_is_read_in_part() {
    let gap = Gap::new("GET /api/v1/pods", GapCause::Throttled, "slow down").hint("run it again later");
    for (last, pods) in [(FetchError::Gap(gap), 2), (FetchError::Expired("too old".into()), 3)] {
        let dir = tempfile::tempdir().expect("a folder");
        let to = dir.path().join("capture");
        let at = "2026-11-21T00:00:00Z".parse().expect("a time");
        let source = Arc::new(Paged { asked: AtomicUsize::new(0), last });
        let recording = Arc::new(Recording::new(source, &to, at, 1 << 30).expect("it can be written"));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let list = |source: Arc<dyn Source>| -> Listing<Pod> {
            let client = Client::new(source, Arc::new(Silent));
            runtime.block_on(client.cluster_list("/api/v1/pods", IfAbsent::Gap))
        };
        let live = list(recording.clone());
        recording.finish(at, &Target::default(), Scope::default()).expect("it is written");
        let offline = list(Arc::new(open(&to)));
        let names = |list: &Listing<Pod>| -> Vec<String> {
            list.items().expect("some came").iter().map(|p| p.metadata.name.clone()).collect()
        };
        assert_eq!(names(&live), ["one", "two", "three"][..pods]);
        assert_eq!((names(&live), live.gaps()), (names(&offline), offline.gaps()));
    }
}

#[test]
fn what_would_be_too_large_is_left_out_and_said_to_be() {
    let cluster = Cluster::with("demo/ebs-csi-missing", |o| o);
    let captured = cluster.run("capture", &["-o", "small", "--max-size", "40K"]);
    let told = String::from_utf8_lossy(&captured.stdout);
    assert!(told.contains("left out for the size (--max-size): "), "{told}");
    let offline = kdoctor()
        .args(["monitoring", "-o", "json", "--from", "small"])
        .current_dir(cluster.dir.path())
        .output()
        .expect("kdoctor runs");
    assert!(String::from_utf8_lossy(&offline.stdout).contains("left out of the capture"), "{offline:?}");
}

#[test]
fn what_is_there_is_not_overwritten_by_a_folder() {
    let cluster = Cluster::with("demo/ebs-csi-missing", |o| o);
    std::fs::create_dir(cluster.dir.path().join("full")).expect("a folder");
    std::fs::write(cluster.dir.path().join("full/x"), "mine").expect("a file");
    let captured = cluster.run("capture", &["-o", "full"]);
    let told = String::from_utf8_lossy(&captured.stderr);
    assert_eq!(captured.status.code(), Some(2), "{told}");
    assert!(told.contains("it is there already"), "{told}");
    let missing = cluster.run("capture", &["-o", "nowhere/x.tar.zst"]);
    assert_eq!(missing.status.code(), Some(2), "{missing:?}");
}

#[cfg(unix)]
#[test]
fn a_capture_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let cluster = Cluster::with("demo/ebs-csi-missing", |o| o);
    let mode = |name: &str| {
        let meta = std::fs::metadata(cluster.dir.path().join(name)).expect("it was captured");
        meta.permissions().mode() & 0o777
    };
    for name in ["a.tar.gz", "a.tar", "a"] {
        assert_eq!(cluster.run("capture", &["-o", name]).status.code(), Some(0), "{name}");
    }
    assert_eq!((mode("a.tar.gz"), mode("a.tar"), mode("a")), (0o600, 0o600, 0o700));
    assert_eq!(mode("a/kdoctor.json"), 0o600);
    assert_eq!(mode("a/kubernetes/version.json"), 0o600);
}

#[cfg(unix)]
#[test]
fn an_interrupted_capture_leaves_nothing_that_looks_whole() {
    let kinds = [("INT", "a.tar.zst"), ("INT", "a"), ("KILL", "a.tar.zst"), ("KILL", "a")];
    for ((signal, target), anonymize) in kinds.into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
        let cluster = Cluster::with("demo/ebs-csi-missing", |o| o.fault(Fault::on("/api/v1/nodes", Action::Hang)));
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("kdoctor"));
        let place = tempfile::tempdir().expect("a folder");
        command.arg("capture").args(anonymize.then_some("--anonymize"));
        command.args(["--timeout", "60s", "-o", target, "--kubeconfig"]);
        command
            .arg(cluster.server.kubeconfig(cluster.dir.path()))
            .current_dir(place.path())
            .env("HOME", support::home());
        let mut child = command.stderr(std::process::Stdio::null()).spawn().expect("kdoctor runs");
        let files = || -> Vec<PathBuf> {
            let entries = std::fs::read_dir(place.path()).expect("a folder").flatten();
            entries.map(|e| e.path()).collect()
        };
        let start = Instant::now();
        while (files().is_empty() || cluster.server.requests().len() < 5) && start.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let sent = std::process::Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
        child.wait().expect("it ends");
        if signal == "INT" {
            assert_eq!(files(), [] as [PathBuf; 0], "{target}");
        }
        for left in files() {
            let name = left.file_name().expect("a name").to_string_lossy().into_owned();
            assert!(name.ends_with(".partial"), "{name}");
            assert!(Bundle::open(&left).is_err(), "{name}");
        }
    }
}

/// What is changed in a capture is said, and read all the same.
#[test]
fn an_altered_capture_is_named() {
    let cluster = Cluster::with("demo/ebs-csi-missing", |o| o);
    assert_eq!(cluster.run("capture", &["-o", "a"]).status.code(), Some(0));
    let nodes = cluster.dir.path().join("a/kubernetes/api/v1/nodes.json");
    std::fs::write(&nodes, r#"{"items": []}"#).expect("a file");
    std::fs::remove_file(cluster.dir.path().join("a/kubernetes/version.json")).expect("it was captured");
    let mut command = kdoctor();
    let output = command.args(["monitoring", "--from", "a"]).current_dir(cluster.dir.path()).output().expect("runs");
    let told = String::from_utf8_lossy(&output.stderr);
    let names = "2 files are not as captured (by SHA-256 in kdoctor.json): kubernetes/api/v1/nodes.json, kubernetes/version.json";
    assert!(told.contains(names), "{told}");
    assert_eq!(output.status.code(), Some(1));
}
