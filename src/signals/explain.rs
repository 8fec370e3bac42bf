//! Which root cause explains which signal.
//!
//! A root explains a signal if one of the findings of its group is about what the signal is about, quotes it, is of a check
//! that judges what the signal says, or if the signal's text names what the finding is about.

use std::collections::BTreeSet;

use super::named::Name;
use crate::domain::text::log_line::Line;
use crate::domain::text::shape::shape;
use crate::model::{Finding, ResourceRef, RootGroup, Severity, Signal, SignalKind, Weight};
use crate::snapshot::Snapshot;

/// Letters from which on a piece of a message is no common phrase.
const TELLING: usize = 28;

/// What API servers answer to everything alike, so that two programs that say it have nothing in common.
const STOCK: &[&str] = &[
    "the server could not find the requested resource",
    "the server was unable to return a response in the time allotted",
];

/// Checks that say what may be lost or reached, and never why a pod does not run.
const NO_FAULT_OF_PODS: &[&str] =
    &["prometheus-persistence", "loki-retention", "grafana-default-password", "grafana-admin-password"];

/// Those of them that say nothing of what a program complains of, either.
const NO_FAULT_AT_ALL: &[&str] = &["prometheus-persistence", "loki-retention", "grafana-default-password"];

/// Checks whose information says that what a system complains of is no fault: it counts what is off on purpose.
const SAYS_CALM: &[&str] = &["addon-degraded"];

/// Fills in [`Signal::explained_by`], and lets what is said to be no fault weigh little.
pub fn explain(snap: &Snapshot, signals: &mut [Signal], findings: &[Finding], roots: &[RootGroup]) {
    let groups: Vec<Group> = roots.iter().map(|g| Group::of(snap, findings, g)).collect();
    for signal in signals {
        let told = Told::of(signal);
        // Of several roots the one that is about it, and not the first whose check judges such things. One that only says
        // where data lies comes after one that quotes it.
        let ways: [fn(&Group, &Told<'_>) -> bool; 5] =
            [Group::is_why, Group::quotes, Group::is_about, Group::is_named_in, Group::judges];
        let explains = ways.iter().find_map(|way| groups.iter().position(|g| way(g, &told)));
        signal.explained_by = explains;
        if explains.is_none() && findings.iter().any(|f| is_calm_about(f, signal)) {
            signal.weight = signal.weight.min(Weight::Note);
        }
    }
}

/// The finding says of that very thing that it is well.
fn is_calm_about(finding: &Finding, signal: &Signal) -> bool {
    finding.severity == Severity::Info
        && SAYS_CALM.contains(&finding.check.0)
        && signal.kind == SignalKind::Health
        && finding.subjects.contains(&signal.subject)
}

/// A signal as each root is held against it.
struct Told<'a> {
    signal: &'a Signal,
    /// What it is about.
    keys: Vec<String>,
    /// The longest piece of what it says, masked; empty where it says nothing of its own.
    piece: String,
}

impl<'a> Told<'a> {
    fn of(signal: &'a Signal) -> Self {
        let keys = std::iter::once(&signal.subject).chain(&signal.about).map(ResourceRef::key).collect();
        // The Job controller says the same of every Job.
        let of_job = signal.kind == SignalKind::Condition && signal.subject.kind_label() == "Job";
        let piece = if of_job { String::new() } else { piece(&signal.text) };
        Self { signal, keys, piece }
    }
}

/// The longest piece of a text, masked; where each says too little alone, all of it.
fn piece(text: &str) -> String {
    // What stands behind the point are fields, and no words.
    let said = text.split(" · ").next().unwrap_or_default();
    let masked = shape(&said.trim_end_matches('…').replace("\\\"", "\""));
    // What a gRPC error wraps is what its cause says; what was left out of a long one stands between the halves.
    let pieces = || masked.split(": ").flat_map(|p| p.split(" desc = ")).flat_map(|p| p.split('…')).map(str::trim);
    let is_stock = |piece: &str| STOCK.iter().any(|phrase| piece.starts_with(phrase));
    let longest = pieces().filter(|p| !is_stock(p)).max_by_key(|p| p.len()).unwrap_or_default();
    if longest.len() < TELLING && !pieces().any(is_stock) { masked.clone() } else { longest.to_owned() }
}

/// What a root and its victims are about.
struct Group {
    keys: BTreeSet<String>,
    /// Those of checks that say why a pod does not run.
    of_pods: BTreeSet<String>,
    /// Those of checks that say what is wrong with a program.
    of_programs: BTreeSet<String>,
    checks: BTreeSet<&'static str>,
    names: Vec<Name>,
    /// Messages and evidence, masked.
    quotes: String,
}

impl Group {
    fn of(snap: &Snapshot, findings: &[Finding], group: &RootGroup) -> Self {
        let members = [group.root].into_iter().chain(group.prerequisites.iter().copied());
        let members = members.chain(group.explains.iter().copied()).map(|at| &findings[at]);
        let mut own = Self {
            keys: BTreeSet::new(),
            of_pods: BTreeSet::new(),
            of_programs: BTreeSet::new(),
            checks: BTreeSet::new(),
            names: Vec::new(),
            quotes: String::new(),
        };
        for finding in members.filter(|f| f.severity > Severity::Info) {
            own.checks.insert(finding.check.0);
            for resource in finding.subjects.iter().chain(finding.broken()) {
                let keys = std::iter::once(resource.key()).chain(owner(snap, resource).map(|o| o.key()));
                for key in keys {
                    if !NO_FAULT_OF_PODS.contains(&finding.check.0) {
                        own.of_pods.insert(key.clone());
                    }
                    if !NO_FAULT_AT_ALL.contains(&finding.check.0) {
                        own.of_programs.insert(key.clone());
                    }
                    own.keys.insert(key);
                }
                if !NO_FAULT_AT_ALL.contains(&finding.check.0) {
                    own.names.extend(Name::of(snap, resource));
                }
            }
            let said = finding.evidence.iter().map(|e| e.value.as_str()).chain([finding.message.as_str()]);
            for text in said {
                own.quotes.push_str(&shape(&text.replace("\\\"", "\"")));
                own.quotes.push('\n');
                // As a signal tells of the same line.
                for line in text.lines().filter(|line| line.contains("err=") || line.starts_with('{')) {
                    own.quotes.push_str(&shape(&Line::parse(line).plainly()));
                    own.quotes.push('\n');
                }
            }
        }
        own
    }

    /// The same resource, of which it says why it does not work.
    fn is_why(&self, told: &Told<'_>) -> bool {
        told.keys.iter().any(|key| self.of_pods.contains(key))
    }

    /// The same resource.
    fn is_about(&self, told: &Told<'_>) -> bool {
        let keys = match told.signal.kind {
            SignalKind::Pod => &self.of_pods,
            SignalKind::Log | SignalKind::Event => &self.of_programs,
            _ => &self.keys,
        };
        told.keys.iter().any(|key| keys.contains(key))
    }

    /// A check that says what such signals mean.
    fn judges(&self, told: &Told<'_>) -> bool {
        told.signal.explained_by_checks.iter().any(|c| self.checks.contains(c))
    }

    /// A finding quotes the longest piece of what the signal says.
    fn quotes(&self, told: &Told<'_>) -> bool {
        told.piece.len() >= TELLING && self.quotes.contains(&told.piece)
    }

    /// The text names what the group is about.
    fn is_named_in(&self, told: &Told<'_>) -> bool {
        let signal = told.signal;
        let says =
            matches!(signal.kind, SignalKind::Log | SignalKind::Event | SignalKind::Condition | SignalKind::Alert);
        says && self.names.iter().any(|name| name.is_in(&signal.text))
    }
}

/// The controller of a pod that a finding is about.
fn owner(snap: &Snapshot, resource: &ResourceRef) -> Option<ResourceRef> {
    let ResourceRef::Kubernetes { kind, namespace, name, .. } = resource else { return None };
    let pod = snap.pods.find(namespace, name).ok().flatten().filter(|_| kind == "Pod")?;
    Some(snap.owner_ref(pod))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CheckId, Evidence};

    fn finding(check: &'static str, subject: ResourceRef) -> Finding {
        Finding::new(CheckId(check), Severity::Error, subject, "it is broken")
    }

    fn explained(finding: Finding, signal: Signal) -> bool {
        let snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("is a time"));
        let mut signals = [signal];
        let root = RootGroup { root: 0, prerequisites: Vec::new(), explains: Vec::new() };
        explain(&snap, &mut signals, &[finding], &[root]);
        signals[0].explained_by.is_some()
    }

    fn signal(kind: SignalKind, text: &str) -> Signal {
        Signal::new(kind, ResourceRef::pod("monitoring", "loki-0"), "t", Evidence::new("s", "v", "")).text(text)
    }

    #[test]
    fn a_finding_about_the_same_thing_explains_it() {
        let claim = ResourceRef::pvc("monitoring", "data");
        assert!(explained(finding("c", ResourceRef::pod("monitoring", "loki-0")), signal(SignalKind::Pod, "")));
        let about = || signal(SignalKind::Pod, "").about([claim.clone()]);
        assert!(explained(finding("c", claim.clone()), about()));
        assert!(!explained(finding("c", ResourceRef::pvc("monitoring", "other")), about()));
    }

    #[test]
    fn a_finding_explains_what_it_quotes_and_what_names_it() {
        let other = ResourceRef::service("shop", "orders-api");
        let line = "compaction failed: corruption in segment /wal/00000525 at 131072";
        let quoted = finding("c", other.clone()).evidence(Evidence::new(
            "log",
            "level=ERROR msg=\"compaction failed\" err=\"corruption in segment /wal/00000526 at 9\"",
            "",
        ));
        assert!(explained(quoted, signal(SignalKind::Log, line)));
        assert!(!explained(finding("c", other.clone()), signal(SignalKind::Log, line)));
        assert!(explained(finding("c", other.clone()), signal(SignalKind::Log, "Get http://orders-api.shop: refused")));
        assert!(!explained(finding("c", other), signal(SignalKind::Log, "Get http://orders-api-v2.shop: refused")));
    }

    /// Each piece is short: together they are what was said.
    #[test]
    fn a_structured_line_is_quoted_as_a_whole() {
        let line = |status: &str| {
            format!(
                "E1121 02:55:11.772320 1 scraper.go:149] \"Failed to scrape node\" err=\"request failed, status: \\\"{status}\\\"\" node=\"a\""
            )
        };
        let told = || finding("c", ResourceRef::node("a")).evidence(Evidence::new("log", line("403 Forbidden"), ""));
        let says = |status: &str| signal(SignalKind::Log, &Line::parse(&line(status)).plainly());
        assert!(explained(told(), says("403 Forbidden")));
        assert!(!explained(told(), says("401 Unauthorized")));
    }

    #[test]
    fn what_an_api_server_answers_to_all_is_no_quote() {
        let says =
            |what: &str| format!("failed to list it: the server could not find the requested resource (get {what})");
        let other = ResourceRef::service("shop", "orders-api");
        let of_snapshots = says("volumesnapshotcontents.snapshot.storage.k8s.io");
        let told = || finding("c", other.clone()).evidence(Evidence::new("log", of_snapshots.as_str(), ""));
        assert!(!explained(told(), signal(SignalKind::Log, &says("podlogs.monitoring.grafana.com"))));
        let own = "failed to list *v1.VolumeSnapshotContent: the server could not find the requested resource";
        let told = finding("c", other).evidence(Evidence::new("log", own, ""));
        assert!(explained(told, signal(SignalKind::Log, own)));
    }

    #[test]
    fn where_data_lie_is_not_why_a_pod_does_not_run() {
        let own = || ResourceRef::pod("monitoring", "loki-0");
        assert!(!explained(finding("prometheus-persistence", own()), signal(SignalKind::Pod, "")));
        assert!(!explained(finding("prometheus-persistence", own()), signal(SignalKind::Log, "")), "nor of its errors");
        assert!(explained(finding("prometheus-persistence", own()), signal(SignalKind::Alert, "")));
        assert!(explained(finding("grafana-admin-password", own()), signal(SignalKind::Log, "")));
    }

    #[test]
    fn what_is_quoted_is_not_explained_by_where_data_lie() {
        let snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("is a time"));
        let said = "conversion webhook for cert-manager.io/v1alpha2, Kind=Certificate failed: certificate signed by unknown authority";
        let mut signals = [signal(SignalKind::Event, said)];
        let lies = finding("prometheus-persistence", ResourceRef::pod("monitoring", "loki-0"));
        let quotes =
            finding("c", ResourceRef::service("cert-manager", "webhook")).evidence(Evidence::new("event", said, ""));
        let root = |root| RootGroup { root, prerequisites: Vec::new(), explains: Vec::new() };
        explain(&snap, &mut signals, &[lies, quotes], &[root(0), root(1)]);
        assert_eq!(signals[0].explained_by, Some(1));
    }

    #[test]
    fn a_job_is_not_explained_by_another_that_failed_alike() {
        let said = "Job has reached the specified backoff limit";
        let job = |name: &str| ResourceRef::kubernetes("batch", "Job", "monitoring", name);
        let told = || finding("c", job("backup-1")).evidence(Evidence::new("condition", said, ""));
        let signal =
            |name: &str| Signal::new(SignalKind::Condition, job(name), "t", Evidence::new("s", "v", "")).text(said);
        assert!(explained(told(), signal("backup-1")));
        assert!(!explained(told(), signal("admission-create")));
    }

    #[test]
    fn what_is_said_to_be_no_fault_weighs_little() {
        let addon = |name: &str| ResourceRef::aws("eks", "addon", name);
        let weight = |severity: Severity, name: &str| {
            let snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("is a time"));
            let mut told = finding("addon-degraded", addon("vpc-cni"));
            told.severity = severity;
            let mut signals = [Signal::new(SignalKind::Health, addon(name), "t", Evidence::new("s", "v", ""))];
            explain(&snap, &mut signals, &[told], &[]);
            signals[0].weight
        };
        assert_eq!(weight(Severity::Info, "vpc-cni"), Weight::Note);
        assert_eq!(weight(Severity::Info, "coredns"), Weight::Weighs, "nothing was said of it");
        assert_eq!(weight(Severity::Error, "vpc-cni"), Weight::Weighs);
    }

    #[test]
    fn a_check_explains_what_it_judges_and_info_explains_nothing() {
        let about = || signal(SignalKind::Alert, "").explained_by_checks(&["remote-write-failing"]);
        assert!(explained(finding("remote-write-failing", ResourceRef::service("", "x")), about()));
        let mut info = finding("remote-write-failing", ResourceRef::service("", "x"));
        info.severity = Severity::Info;
        assert!(!explained(info, about()));
    }
}
