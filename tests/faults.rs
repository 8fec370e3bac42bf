//! What a spoiled answer does to a verdict: a finding that vanishes leaves "not evaluated", none appears that is not true,
//! and nothing panics. In CI a sample of all fixtures, facts and documents; all of them with `KDOCTOR_FIXTURES=all`, which
//! takes minutes.

#[path = "support/fixtures.rs"]
mod fixtures;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kdoctor::bundle::Bundle;
use kdoctor::checks::{self, Check};
use kdoctor::collect::client::Client;
use kdoctor::collect::source::{FetchError, Known, Request, Source};
use kdoctor::collect::{self, Plan};
use kdoctor::diagnose;
use kdoctor::model::{Fact, Finding, Gap, GapCause, Outcome, Report, Severity, Silent};
use kdoctor::snapshot::Snapshot;

/// Of so many fixtures one is tried in CI; of its facts and documents one of so many.
const FIXTURES_IN_CI: u64 = 5;
const FACTS_IN_CI: u64 = 5;
const DOCUMENTS_IN_CI: u64 = 199;
/// What the gaps of this test say.
const SPOILED: &str = "spoiled by the test";

/// The fixtures of this run.
fn chosen() -> Vec<String> {
    let only = std::env::var("KDOCTOR_FAULTS_IN").unwrap_or_default();
    fixtures::sample(FIXTURES_IN_CI).into_iter().filter(|name| name.contains(&only)).collect()
}

/// Works on all fixtures with all cores; what is wrong, sorted.
fn over_fixtures(work: impl Fn(&str) -> Vec<String> + Sync) -> Vec<String> {
    let names = chosen();
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = work(name);
                    wrong.lock().expect("no thread panics with it").extend(found);
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().expect("no thread panicked with it");
    wrong.sort();
    wrong
}

/// How an answer is spoiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Spoil {
    Removed,
    Refused,
    /// `{}`
    Empty,
    /// A text where an object is meant.
    Word,
    /// The first two thirds.
    Cut,
    /// The first half of a list; its second page fails.
    SecondPage,
    /// The API server's own words, with the status 200 of a proxy that hides it.
    ApiServer,
}

const SPOILS: [Spoil; 7] =
    [Spoil::Removed, Spoil::Refused, Spoil::Empty, Spoil::Word, Spoil::Cut, Spoil::SecondPage, Spoil::ApiServer];

/// A bundle that remembers what it was asked, and spoils one answer.
struct Spoiled {
    bundle: Arc<Bundle>,
    asked: Mutex<Vec<Request>>,
    spoil: Option<(Request, Spoil)>,
    /// Every answer whose path in a bundle holds this is refused; lists come by namespace then.
    refused: Option<&'static str>,
}

#[async_trait]
impl Source for Spoiled {
    async fn fetch(&self, request: &Request) -> Result<Vec<u8>, FetchError> {
        let answer = self.bundle.fetch(request).await;
        if answer.is_ok() {
            self.asked.lock().expect("no thread panics with it").push(request.clone());
        }
        if self.refused.is_some_and(|part| request.bundle_path().contains(part)) {
            return spoil(request, answer?, Spoil::Refused);
        }
        match &self.spoil {
            Some((spoiled, how)) if spoiled == request => spoil(request, answer?, *how),
            Some((spoiled, Spoil::SecondPage)) if is_later_page(request, spoiled) => {
                Err(FetchError::Gap(Gap::new(request.label(), GapCause::Timeout, SPOILED)))
            }
            _ => answer,
        }
    }

    fn has_whole_list(&self, path: &str) -> bool {
        self.refused.is_none() && self.bundle.has_whole_list(path)
    }

    fn manifests(&self) -> Vec<(String, std::io::Result<Vec<u8>>)> {
        self.bundle.manifests()
    }

    fn deadline(&self) -> Duration {
        self.bundle.deadline()
    }

    fn known(&self) -> Known {
        self.bundle.known()
    }
}

fn is_later_page(request: &Request, first: &Request) -> bool {
    matches!((request, first), (Request::Kubernetes { path, query, .. }, Request::Kubernetes { path: of_first, .. })
        if path == of_first && query.contains("continue="))
}

/// The first half of a list, with the token of another page.
fn first_half(answer: &[u8]) -> Vec<u8> {
    let mut list: serde_json::Value = serde_json::from_slice(answer).expect("a list is JSON");
    if let Some(items) = list["items"].as_array_mut() {
        items.truncate(items.len() / 2);
    }
    list["metadata"]["continue"] = "more".into();
    list.to_string().into_bytes()
}

fn spoil(request: &Request, answer: Vec<u8>, how: Spoil) -> Result<Vec<u8>, FetchError> {
    let gap = |cause| Err(FetchError::Gap(Gap::new(request.label(), cause, SPOILED)));
    match how {
        Spoil::Removed => gap(GapCause::NotCollected),
        Spoil::Refused => gap(GapCause::Forbidden { permission: request.label() }),
        Spoil::Empty => Ok(b"{}".to_vec()),
        Spoil::Word => Ok(b"\"a word\"".to_vec()),
        Spoil::SecondPage => Ok(first_half(&answer)),
        Spoil::Cut => Ok(answer[..answer.len() * 2 / 3].to_vec()),
        Spoil::ApiServer => Ok(br#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"etcdserver: leader changed","code":500}"#.to_vec()),
    }
}

/// Whether what is left can be told from an answer: a shorter text is a text, and recordings of before hold no logs of
/// exporters and of containers that ended.
fn can_be_told(request: &Request, answer_is_text: bool, how: Spoil) -> bool {
    if how == Spoil::SecondPage {
        return is_paged(request);
    }
    let is_newer = |container: &str, previous: bool| previous || container.ends_with("-exporter");
    if let (Request::Log { container, previous, .. }, Spoil::Removed) = (request, how) {
        return !is_newer(container, *previous);
    }
    let is_text = answer_is_text || matches!(request, Request::Log { .. } | Request::Service { .. });
    !is_text || matches!(how, Spoil::Removed | Spoil::Refused)
}

fn is_paged(request: &Request) -> bool {
    matches!(request, Request::Kubernetes { query, .. } if query.contains("limit="))
}

fn open(fixture: &str) -> Arc<Bundle> {
    Arc::new(Bundle::open(&fixtures::fixture(fixture)).unwrap_or_else(|e| panic!("{fixture}: {e}")))
}

fn gather(bundle: &Arc<Bundle>, spoil: Option<(Request, Spoil)>) -> (Option<Snapshot>, Vec<Request>) {
    gather_from(Spoiled { bundle: bundle.clone(), asked: Mutex::default(), spoil, refused: None })
}

fn gather_from(source: Spoiled) -> (Option<Snapshot>, Vec<Request>) {
    let plan = Plan::new(diagnose::facts(&checks::registry()), source.bundle.collected_at());
    let source = Arc::new(source);
    let client = Client::new(source.clone(), Arc::new(Silent));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let snap = runtime.expect("a runtime").block_on(collect::gather(&client, &plan)).ok();
    let asked = source.asked.lock().expect("no thread panicked with it").clone();
    (snap, asked)
}

fn faults(report: &Report) -> impl Iterator<Item = &Finding> {
    report.findings.iter().filter(|f| f.severity > Severity::Info)
}

/// The same fault of the same thing.
fn is_same(one: &Finding, other: &Finding) -> bool {
    let about = |f: &Finding| f.subjects.clone();
    one.check == other.check
        && (one.fingerprint == other.fingerprint || about(one).iter().any(|s| about(other).contains(s)))
}

/// The finding itself tells what it was judged without.
fn says_so(finding: &Finding, whole: &Report) -> bool {
    finding.unseen.iter().any(|gap| !whole.gaps.contains(gap))
}

/// What the spoiled report says that it must not say, and what it conceals.
fn compare(whole: &Report, spoiled: &Report, what: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for run in &spoiled.runs {
        let id = run.check.id;
        if let Outcome::Failed(bug) = &run.outcome {
            wrong.push(format!("FAILED {id} {what}: {bug}"));
        }
        let hidden = matches!(run.outcome, Outcome::Pass | Outcome::NotApplicable(_));
        let lost = faults(whole).filter(|f| f.check == id && !faults(spoiled).any(|s| is_same(f, s)));
        if let Some(lost) = lost.into_iter().next()
            && (hidden || spoiled.gaps == whole.gaps)
        {
            wrong.push(format!("LOST {id} {what}: {:?}: {}", run.outcome, lost.message));
        }
    }
    for found in faults(spoiled).filter(|f| !faults(whole).any(|w| is_same(f, w)) && !says_so(f, whole)) {
        wrong.push(format!("FALSE {} {what}: {}", found.check, found.message));
    }
    wrong
}

#[test]
fn a_fact_that_is_missing_conceals_nothing_and_invents_nothing() {
    let registry = checks::registry();
    let wrong = over_fixtures(|fixture| {
        let bundle = open(fixture);
        let full = gather(&bundle, None).0.unwrap_or_else(|| panic!("{fixture} cannot be read"));
        registry.iter().flat_map(|check| without_each_fact(fixture, &full, *check)).collect()
    });
    assert!(wrong.is_empty(), "{} verdicts:\n{}", wrong.len(), wrong.join("\n"));
}

fn without_each_fact(fixture: &str, full: &Snapshot, check: &'static dyn Check) -> Vec<String> {
    let meta = check.meta();
    let declared = meta.requires.iter().chain(meta.uses);
    let chosen = declared.filter(|fact| {
        full.gaps_of(**fact).is_empty() && fixtures::is_chosen(&(fixture, meta.id, fact.as_str()), FACTS_IN_CI)
    });
    let chosen: Vec<Fact> = chosen.copied().collect();
    if chosen.is_empty() {
        return Vec::new();
    }
    let whole = diagnose::run_checks(full, &[check]);
    let mut wrong = Vec::new();
    for fact in chosen {
        let mut snap = full.clone();
        snap.forget(fact, &Gap::new(fact.as_str(), GapCause::Forbidden { permission: fact.to_string() }, SPOILED));
        let spoiled = diagnose::run_checks(&snap, &[check]);
        wrong.extend(compare(&whole, &spoiled, &format!("on {fixture} without {fact}")));
    }
    wrong
}

#[test]
fn a_document_that_is_spoiled_conceals_nothing_and_invents_nothing() {
    let wrong = over_fixtures(with_each_document_spoiled);
    assert!(wrong.is_empty(), "{} verdicts:\n{}", wrong.len(), wrong.join("\n"));
}

fn with_each_document_spoiled(fixture: &str) -> Vec<String> {
    let registry = checks::registry();
    let bundle = open(fixture);
    let (full, asked) = gather(&bundle, None);
    let documents: BTreeMap<String, Request> = asked.into_iter().map(|r| (format!("{r:?}"), r)).collect();
    let mut whole = None;
    let mut wrong = Vec::new();
    for (name, request) in documents {
        for how in SPOILS {
            if !fixtures::is_chosen(&(fixture, &name, how), DOCUMENTS_IN_CI)
                || !can_be_told(&request, is_text(&request), how)
            {
                continue;
            }
            // Without the server's version nothing else is lost.
            let Some(snap) = gather(&bundle, Some((request.clone(), how))).0 else { continue };
            let whole = whole
                .get_or_insert_with(|| diagnose::run_checks(full.as_ref().expect("a fixture can be read"), &registry));
            let spoiled = diagnose::run_checks(&snap, &registry);
            wrong.extend(compare(whole, &spoiled, &format!("on {fixture} with {} {how:?}", request.bundle_path())));
        }
    }
    wrong
}

/// Whatever is refused leaves a gap that says so, unless the same was learnt by another way.
#[test]
fn whatever_is_refused_is_told() {
    let wrong = over_fixtures(|fixture| {
        let bundle = open(fixture);
        let (_, asked) = gather(&bundle, None);
        let documents: BTreeMap<String, Request> = asked.into_iter().map(|r| (format!("{r:?}"), r)).collect();
        let is_untold = |request: &Request| {
            let Some(snap) = gather(&bundle, Some((request.clone(), Spoil::Refused))).0 else { return false };
            let gaps = Fact::ALL.iter().flat_map(|fact| snap.gaps_of(*fact)).chain(&snap.scope.gaps);
            // Where AWS answers nothing that counts, that is told once for all of it.
            let of_all = matches!(request, Request::Aws(_)) && !snap.gaps_of(Fact::EksCluster).is_empty();
            !of_all && !gaps.into_iter().any(|gap| gap.message.contains(SPOILED))
        };
        // ConfigMaps hold releases of Helm only where someone chose so.
        let counts = |request: &Request| !request.bundle_path().contains("configmaps.metadata.owner%3Dhelm");
        let untold = documents.into_values().filter(counts).filter(is_untold);
        untold.map(|request| format!("{fixture}: {}", request.bundle_path())).collect()
    });
    assert!(wrong.is_empty(), "{} answers:\n{}", wrong.len(), wrong.join("\n"));
}

/// Answers of applications that are text.
fn is_text(request: &Request) -> bool {
    matches!(request, Request::App { path, .. } if path == "/metrics" || path.starts_with("/-/"))
}

/// The report of a fixture of which these answers are refused, and how a check ended.
fn refused(fixture: &str, part: &'static str, check: &str) -> (Report, Outcome) {
    let source = Spoiled { bundle: open(fixture), asked: Mutex::default(), spoil: None, refused: Some(part) };
    let snap = gather_from(source).0.unwrap_or_else(|| panic!("{fixture} cannot be read"));
    let report = diagnose::run(&snap, &checks::registry());
    let run = report.runs.iter().find(|r| r.check.id.0 == check).unwrap_or_else(|| panic!("no check {check}"));
    let outcome = run.outcome.clone();
    (report, outcome)
}

/// Each of these was a pass, or not applicable, once: what the check looked at was refused, and the fault was gone.
#[test]
fn what_was_refused_is_no_pass() {
    for (fixture, part, check) in [
        ("incidents/slack-egress", "/pods", "nat-egress"),
        ("cases/nat-egress-network-acl", "describe-network-acls", "nat-egress"),
        ("incidents/targets-down", "api/v1/targets", "service-no-endpoints"),
        ("demo/ebs-csi-missing", "/endpointslices", "grafana-datasource"),
        ("demo/ebs-csi-missing", "/persistentvolumeclaims", "oidc-provider-missing"),
        ("cases/oidc-provider-no-audience", "get-open-id-connect-provider", "oidc-provider-missing"),
        ("incidents/targets-down", "api/v1/targets", "network-policy-blocks"),
        ("cases/volume-attach-gone", "/persistentvolumes", "volume-attach"),
        ("cases/rule-invalid-object", "/prometheuses", "rule-invalid"),
        ("cases/ebs-csi-role-kms", "/persistentvolumeclaims", "ebs-csi-role"),
        ("cases/ebs-csi-role-boundary", "get-policy.", "ebs-csi-role"),
        ("cases/ebs-csi-role-agent-missing", "list-addons", "ebs-csi-role"),
        ("cases/discovery-file-not-json", "namespaces/monitoring/pods", "discovery-failing"),
        ("cases/pod-not-created-pod-security", "/events", "pod-pending"),
        ("cases/volume-attach-config-missing", "namespaces/monitoring/events", "config-error"),
        ("cases/nodeport-helm-event", "/events", "node-port-range"),
        ("cases/port-forward-service-port-of-a-pod", "/events", "port-forward"),
        ("cases/dashboard-without-metrics", "/services", "dashboard-missing-metric"),
        ("cases/prometheus-config-additional-scrape-configs", "/pods", "prometheus-config"),
        ("cases/alertmanager-template-undefined", "alertmanager/api/v2/status", "alertmanager-notify"),
        ("cases/target-with-duplicate-samples", "namespaces/monitoring/pods", "samples-dropped"),
        ("cases/alertmanager-peer-not-found", "namespaces/monitoring/pods", "alertmanager-cluster"),
        ("cases/helm-records-unread", "customresourcedefinitions", "helm-refused"),
        ("cases/gitops-fails-each-way", "/helmreleases", "helm-refused"),
        ("cases/nodeport-taken-argocd", "customresourcedefinitions", "node-port-range"),
        ("cases/addons-refused-each-way", "list-addons", "webhook-broken"),
        ("cases/kubelets-scraped-through-what-is-left", "api/v1/targets", "helm-leftover"),
        ("cases/rule-results-thrown-away", "/pods", "rule-failing"),
        ("cases/external-dns-denied", "/ingresses", "pod-without-credentials"),
        ("cases/nodes-left-behind-each-way", "kubernetes/version", "kubelet-skew"),
    ] {
        let (report, outcome) = refused(fixture, part, check);
        let is_found = faults(&report).any(|f| f.check.0 == check);
        assert!(
            is_found || matches!(&outcome, Outcome::NotEvaluated(_)),
            "{check} on {fixture} without {part}: {outcome:?}"
        );
        assert!(report.gaps.iter().any(|g| g.message == SPOILED), "{fixture} without {part}: no gap tells of it");
    }
}

/// A list of which only the first page came is not taken for the whole.
#[test]
fn the_first_page_is_not_the_whole_list() {
    let mut spoiled = 0;
    for fixture in ["healthy/plain", "healthy/kube-prometheus-stack", "cases/dashboard-datasource-variable"] {
        let bundle = open(fixture);
        let (full, asked) = gather(&bundle, None);
        let whole = diagnose::run_checks(&full.expect("a fixture can be read"), &checks::registry());
        let lists = asked.into_iter().filter(|r| r.bundle_path().contains("/configmaps") && is_paged(r));
        for list in lists {
            let what = format!("on {fixture} with half of {}", list.bundle_path());
            let snap = gather(&bundle, Some((list, Spoil::SecondPage))).0.unwrap_or_else(|| panic!("nothing {what}"));
            let report = diagnose::run_checks(&snap, &checks::registry());
            assert!(report.gaps.iter().any(|g| g.message.contains(SPOILED)), "{what}: {:#?}", report.gaps);
            let wrong = compare(&whole, &report, &what);
            assert!(wrong.is_empty(), "{}", wrong.join("\n"));
            spoiled += 1;
        }
    }
    assert!(spoiled >= 3, "{spoiled} lists have pages");
}

/// What is left without these answers still tells the cause.
#[test]
fn what_is_left_names_the_root() {
    for (fixture, part, check, says) in [
        ("cases/ip-exhaustion-one-subnet", "/events", "ip-exhaustion", "has 2 left"),
        ("cases/csi-driver-kept-away-by-taint", "/events", "csi-node-missing", "does not tolerate"),
    ] {
        let (report, outcome) = refused(fixture, part, check);
        let root = report.roots.first().map(|r| &report.findings[r.root]);
        let named = root.is_some_and(|f| f.check.0 == check && f.message.contains(says));
        assert!(named, "{fixture} without {part}: {outcome:?}, {root:#?}");
    }
}

/// Each of these was an alarm once that the refused answer would have kept from being raised.
#[test]
fn what_was_refused_raises_no_alarm() {
    let (fixture, part, check) = ("cases/ebs-csi-addon-degraded-warm-pool", "/nodes", "addon-degraded");
    let (report, outcome) = refused(fixture, part, check);
    let alarms: Vec<_> = faults(&report).filter(|f| f.check.0 == check).collect();
    assert!(alarms.is_empty(), "{fixture} without {part}: {alarms:#?}");
    assert!(matches!(outcome, Outcome::NotEvaluated(_)), "{fixture} without {part}: {outcome:?}");
    // What is most likely still true is said, with what it was judged without.
    for (fixture, part, check) in [
        ("cases/config-map-made-since", "/configmaps", "config-error"),
        ("cases/storage-class-static-volume", "/persistentvolumes", "storage-class-missing"),
        ("cases/ebs-csi-addon-create-failed", "list-addons", "ebs-csi-addon-missing"),
    ] {
        let (report, _) = refused(fixture, part, check);
        for found in faults(&report).filter(|f| f.check.0 == check) {
            assert!(found.unseen.iter().any(|g| g.message == SPOILED), "{fixture} without {part}: {found:#?}");
        }
        let table = kdoctor::render::table(&report, &plain());
        assert!(table.contains("judged without"), "{fixture} without {part}: {table}");
    }
}

fn plain() -> kdoctor::render::TableOptions {
    let printer = kdoctor::term::Printer { color: false, width: None, progress: false };
    kdoctor::render::TableOptions::new(&printer, false)
}

/// Where no list tells where the stack is, nothing that was looked at instead is a pass.
#[test]
fn nobody_knows_where_the_stack_is() {
    let bundle = open("healthy/plain");
    let source = Spoiled { bundle, asked: Mutex::default(), spoil: None, refused: Some("kubernetes/") };
    let Some(snap) = gather_from(source).0 else { return };
    let report = diagnose::run(&snap, &checks::registry());
    assert!(faults(&report).next().is_none(), "{:#?}", report.findings);
    assert!(diagnose::judged_nothing(&report), "{:#?}", report.runs.iter().map(|r| &r.outcome).collect::<Vec<_>>());
    assert_eq!(diagnose::exit_code(&report, &BTreeSet::new(), diagnose::FailOn::Error, false), 2);
    // Nobody is told that there is no Prometheus.
    assert!(!report.gaps.iter().any(|g| g.message.contains("Service was found")), "{:#?}", report.gaps);
}
