//! Two operators reconcile the same servers and undo each other's work.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::operator::{broken, server_text};
use crate::checks::{Check, check};
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::managed::{managed_by, of_tiller, release};
use crate::domain::prometheus::operator::deployment::{self, Operator, version_text};
use crate::domain::prometheus::operator::log;
use crate::domain::prometheus::operator::selection;
use crate::domain::text::shorten::shorten;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Severity};
use crate::snapshot::kubernetes::{Meta, MonitoringResource, Service, Webhook, Workload};
use crate::snapshot::{Snapshot, journal};

check! {
    /// See the check's page.
    OperatorsCompete {
        id: "operators-compete", suite: Operator, severity: Error,
        title: "two operators work on the same resources",
        requires: [MonitoringResources, Workloads],
        uses: [OtherServers, PartLogs, Pods, Services, Webhooks],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    One {
        keep: String,
        keep_namespace: String,
        keep_why: &'static str,
        others: Vec<Deployment>,
        /// The webhook configurations that call the others alone.
        validating: Vec<String>,
        mutating: Vec<String>,
        /// They could not be read.
        webhooks_unread: bool,
        /// Who keeps the first of the others.
        managed: String,
        /// The same keeps the one to keep.
        together: bool,
        /// What is left of Helm 2 of the first of the others.
        leftover: Option<Leftover>,
        /// Its Helm release, where that is not the release of the one to keep.
        release: Option<String>,
        release_namespace: Option<String>,
        server_namespaces: BTreeSet<String>,
    },
}

/// An operator's Deployment.
#[derive(Serialize, JsonSchema)]
struct Deployment {
    name: String,
    namespace: String,
    /// As many as it has now.
    replicas: u32,
}

/// An operator that Helm 2 made, and that no release of today holds.
#[derive(Serialize, JsonSchema)]
struct Leftover {
    release: String,
    namespace: String,
    /// The labels that its objects share, and those of the one to keep have not.
    selector: String,
    /// The release of Helm 3 that has the same name and is the stack itself.
    twin: bool,
}

/// A StatefulSet younger than this, of a resource that is much older, was made again.
const YOUNG: i64 = 900;
/// The operator's word for a StatefulSet that it deletes because it cannot be changed in place.
const RECREATES: &str = "resolving illegal update of";

impl Check for OperatorsCompete {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let servers = selection::all_servers(snap)?;
        snap.workloads()?;
        let operators = deployment::operators(snap);
        let working: Vec<&Operator<'_>> = operators.iter().filter(|o| o.workload.desired() > 0).collect();
        if working.len() < 2 {
            // One that runs beside the stack is found by the list of the cluster's Deployments.
            snap.scope.gaps.iter().for_each(journal::note);
        }
        if servers.is_empty() || working.len() < 2 {
            return Ok(Diagnosis::Findings(Vec::new()));
        }
        let shared: Vec<&MonitoringResource> = servers
            .into_iter()
            .filter(|s| {
                let on_it = |o: &&&Operator<'_>| !o.is_picky() && o.servers_scope(&s.kind).holds(&s.metadata.namespace);
                working.iter().filter(on_it).count() > 1
            })
            .collect();
        if shared.is_empty() {
            return Ok(Diagnosis::Findings(Vec::new()));
        }
        Ok(Diagnosis::Findings(vec![finding(snap, &working, &shared)]))
    }
}

fn finding(snap: &Snapshot, operators: &[&Operator<'_>], servers: &[&MonitoringResource]) -> Finding {
    let keep = keeper(operators, servers);
    let others: Vec<&Operator<'_>> = operators
        .iter()
        .copied()
        .filter(|o| o.workload.reference() != keep.workload.reference() && !o.is_picky())
        .filter(|o| servers.iter().any(|s| o.servers_scope(&s.kind).holds(&s.metadata.namespace)))
        .collect();
    let signs = signs(snap, servers);
    let name = |o: &Operator<'_>| {
        let version = o.version().map(|v| format!(" {}", version_text(v))).unwrap_or_default();
        format!("{}/{}{version}", o.workload.metadata.namespace, o.workload.metadata.name)
    };
    let all: Vec<String> = std::iter::once(keep).chain(others.iter().copied()).map(name).collect();
    let list = servers.iter().map(|s| server_text(s)).collect::<Vec<_>>().join(", ");
    let fight = if signs.is_empty() { "" } else { ": they keep replacing each other's StatefulSets" };
    let message = format!("{} operators ({}) work on {list}{fight}", all.len(), all.join(" and "));
    let severity = if signs.is_empty() { Severity::Warning } else { Severity::Error };
    let extra = others.first().copied().unwrap_or(keep);
    let mut made = Finding::new(OperatorsCompete::META.id, severity, extra.workload.reference(), message)
        .also_all(others.iter().skip(1).map(|o| o.workload.reference()))
        .also(keep.workload.reference())
        .key("compete")
        .fix(fix(snap, keep, &others, servers));
    made.breaks = Some(if signs.is_empty() { Vec::new() } else { broken(snap, servers) });
    made.evidence.extend(std::iter::once(keep).chain(others.iter().copied()).map(|o| operator_seen(o)));
    made.evidence.extend(signs);
    made
}

fn fix(snap: &Snapshot, keep: &Operator<'_>, others: &[&Operator<'_>], servers: &[&MonitoringResource]) -> Fix {
    let hooks = |kind: &str| hooks(snap, kind, keep.workload, others);
    let deployment = |o: &&Operator<'_>| {
        let meta = &o.workload.metadata;
        let replicas = o.workload.desired().max(1);
        Deployment { name: meta.name.clone(), namespace: meta.namespace.clone(), replicas }
    };
    let extra = &others.first().copied().unwrap_or(keep).workload.metadata;
    let release = release(extra).filter(|r| Some(*r) != release_of(keep));
    let ours = same_chart(keep, servers);
    let managed = managed_by(extra);
    Fix::One {
        keep: keep.workload.metadata.name.clone(),
        keep_namespace: keep.workload.metadata.namespace.clone(),
        keep_why: if ours { "the chart that made the servers made it too" } else { "it is the newer one" },
        others: others.iter().map(deployment).collect(),
        validating: hooks("ValidatingWebhookConfiguration"),
        mutating: hooks("MutatingWebhookConfiguration"),
        webhooks_unread: !snap.webhooks.is_whole() || !snap.services.is_whole(),
        together: !managed.is_empty() && managed == managed_by(&keep.workload.metadata),
        managed,
        leftover: leftover(extra, &keep.workload.metadata),
        release: release.map(|(name, _)| name.to_owned()),
        release_namespace: release.map(|(_, namespace)| namespace.to_owned()),
        server_namespaces: servers.iter().map(|s| s.metadata.namespace.clone()).collect(),
    }
}

/// The configurations of a kind all of whose webhooks call Services of the others: while those are away, nothing that the
/// webhooks are asked about could be written.
fn hooks(snap: &Snapshot, kind: &str, keep: &Workload, others: &[&Operator<'_>]) -> Vec<String> {
    let services = snap.services.items().unwrap_or_default();
    let is_of = |service: &Service, workload: &Workload| {
        let labels = &workload.spec.template.metadata.labels;
        service.metadata.namespace == workload.metadata.namespace
            && !service.spec.selector.is_empty()
            && service.spec.selector.iter().all(|(name, value)| labels.get(name) == Some(value))
    };
    let is_others = |webhook: &Webhook| {
        let called = webhook.client_config.service.as_ref();
        let found = called
            .and_then(|c| services.iter().find(|s| s.metadata.namespace == c.namespace && s.metadata.name == c.name));
        found.is_some_and(|s| !is_of(s, keep) && others.iter().any(|o| is_of(s, o.workload)))
    };
    let all = snap.webhooks.items().unwrap_or_default().iter();
    let theirs = all.filter(|c| c.kind == kind && !c.webhooks.is_empty() && c.webhooks.iter().all(is_others));
    theirs.map(|c| c.metadata.name.clone()).collect()
}

fn leftover(extra: &Meta, keep: &Meta) -> Option<Leftover> {
    let release_name = of_tiller(extra).filter(|_| keep.label("heritage") != extra.label("heritage"))?;
    // Without it the labels would be those of all that the release made.
    let app = extra.label("app")?;
    Some(Leftover {
        release: release_name.to_owned(),
        namespace: extra.namespace.clone(),
        selector: format!("heritage=Tiller,release={release_name},app={app}"),
        twin: release(keep).is_some_and(|(name, _)| name == release_name),
    })
}

fn release_of<'a>(operator: &Operator<'a>) -> Option<(&'a str, &'a str)> {
    let workload: &'a Workload = operator.workload;
    release(&workload.metadata)
}

fn chart(meta: &Meta) -> Option<&str> {
    meta.label("helm.sh/chart").or(meta.label("chart"))
}

fn same_chart(operator: &Operator<'_>, servers: &[&MonitoringResource]) -> bool {
    let own = chart(&operator.workload.metadata);
    own.is_some() && servers.iter().any(|s| chart(&s.metadata) == own)
}

/// The one that belongs to the servers: of their chart, of their release, the newer one, the older Deployment's successor.
fn keeper<'a, 'b>(operators: &[&'b Operator<'a>], servers: &[&MonitoringResource]) -> &'b Operator<'a> {
    let same_release = |o: &Operator<'_>| {
        let own = release(&o.workload.metadata);
        own.is_some() && servers.iter().any(|s| release(&s.metadata) == own)
    };
    let here = |o: &Operator<'_>| servers.iter().any(|s| s.metadata.namespace == o.workload.metadata.namespace);
    operators
        .iter()
        .copied()
        .max_by_key(|o| {
            let made = o.workload.metadata.creation_timestamp;
            (same_chart(o, servers), same_release(o), here(o), o.version(), made, o.workload.metadata.name.clone())
        })
        .expect("there are at least two operators")
}

/// What shows that they fight: StatefulSets deleted and made again.
fn signs(snap: &Snapshot, servers: &[&MonitoringResource]) -> Vec<Evidence> {
    let mut found = Vec::new();
    for log in log::logs(snap).unwrap_or_default() {
        let lines: Vec<&str> = log.text.lines().filter(|l| l.contains(RECREATES)).collect();
        let Some(last) = lines.last().filter(|_| lines.len() > 1) else { continue };
        let shown = shorten(last, 300);
        let seen = Evidence::new(
            format!("log of pod {}/{}", log.namespace, log.pod),
            format!("{} times: {shown}", lines.len()),
            "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }} | grep 'resolving illegal update'",
        );
        found.push(seen.with("namespace", &log.namespace).with("pod", &log.pod).with("container", &log.container));
    }
    for server in servers {
        let age = snap.age_seconds(&server.metadata);
        let young = sets(snap, server).into_iter().find(|w| snap.age_seconds(&w.metadata) < YOUNG && age > 4 * YOUNG);
        if let Some(set) = young {
            let seen = Evidence::new(
                format!("StatefulSet {}/{}", set.metadata.namespace, set.metadata.name),
                format!("made {} s ago, {} {} min ago", snap.age_seconds(&set.metadata), server_text(server), age / 60),
                "kubectl get statefulset -n {{ namespace }} -w",
            );
            found.push(seen.with("namespace", &set.metadata.namespace));
        }
    }
    found
}

fn sets<'a>(snap: &'a Snapshot, server: &MonitoringResource) -> Vec<&'a Workload> {
    let name = server.set_name();
    let all = snap.workloads.items().unwrap_or_default().iter();
    all.filter(|w| {
        w.kind == "StatefulSet" && w.metadata.namespace == server.metadata.namespace && w.metadata.name == name
    })
    .collect()
}

fn operator_seen(operator: &Operator<'_>) -> Evidence {
    let meta = &operator.workload.metadata;
    let scopes =
        ["namespaces", "deny-namespaces", "prometheus-instance-namespaces", "alertmanager-instance-namespaces"];
    let scopes: Vec<String> =
        scopes.iter().filter_map(|f| Some(format!("--{f}={}", arguments::flag(operator.container, f)?))).collect();
    let scope = if scopes.is_empty() { "watches all namespaces".to_owned() } else { scopes.join(" ") };
    let made = chart(meta).map(|c| format!(", chart {c}")).unwrap_or_default();
    Evidence::new(
        format!("Deployment {}/{}", meta.namespace, meta.name),
        format!("{}; {scope}{made}", operator.container.image),
        "kubectl get deployment {{ name }} -n {{ namespace }} -o yaml",
    )
    .with("name", &meta.name)
    .with("namespace", &meta.namespace)
}
