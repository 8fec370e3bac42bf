//! What a removed Helm release left behind, where something visible suffers from it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::pipeline::{plural, release_ref};
use crate::checks::{Check, check};
use crate::domain::kubernetes::leftovers::{self, Leftover};
use crate::domain::prometheus::operator::kubelet_services;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Object, PersistentVolumeClaim};

/// Seconds for which an event tells of now.
const RECENT: i64 = 3600;

check! {
    /// See the check's page.
    HelmLeftover {
        id: "helm-leftover", suite: Pipeline, severity: Error,
        title: "objects of a removed Helm release are in the way",
        requires: [HelmReleases, Services],
        uses: [Workloads, PersistentVolumeClaims, PersistentVolumes, ConfigMaps, Webhooks, Namespaces, Pods, Events, Manifests, StorageClasses, PrometheusTargets],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Purge(Box<Purge>),
    KubeletService {
        services: Vec<String>,
        service_namespace: String,
        /// `kubernetes.io/service-name in (a,b)`.
        slices: String,
        kept: Vec<String>,
    },
}

/// All that is left of a release.
#[derive(Serialize, JsonSchema)]
struct Purge {
    namespace: String,
    release: String,
    /// The labels by which its objects are found in their namespace.
    selector: String,
    /// jq's filter for the names of those that the release annotated: others of its name, elsewhere, are not among them.
    annotated: &'static str,
    stateful_sets: Vec<String>,
    daemon_sets: Vec<String>,
    /// Claims that wait.
    claims: Vec<String>,
    /// Claims that have or had a volume, and so data.
    bound: Vec<String>,
    /// Their volumes.
    held: Vec<String>,
    volumes: Vec<String>,
    config_maps: Vec<String>,
    validating: Vec<String>,
    mutating: Vec<String>,
    /// The pattern of the names of Secrets that the Prometheus operator made for its StatefulSets; empty where none is left.
    operator_secrets: String,
    /// Services of the kubelets that its operator kept, and the label of their slices.
    kubelet_services: Vec<String>,
    kubelet_namespace: String,
    kubelet_slices: String,
}

impl Check for HelmLeftover {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.helm_releases()?;
        snap.services()?;
        let all = leftovers::all(snap);
        let releases = all.iter().filter_map(|l| finding(snap, l));
        Ok(Diagnosis::Findings(releases.chain(kubelets(snap)).collect()))
    }
}

/// Services of the kubelets that an operator left behind which is gone.
fn kubelets(snap: &Snapshot) -> Option<Finding> {
    let left = kubelet_services::left(snap);
    let first = left.first()?;
    let namespace = &first.service.metadata.namespace;
    let own: Vec<_> = left.iter().filter(|l| l.service.metadata.namespace == *namespace).collect();
    let names: Vec<String> = own.iter().map(|l| l.service.metadata.name.clone()).collect();
    let (targets, down): (usize, usize) =
        own.iter().fold((0, 0), |(targets, down), l| (targets + l.targets, down + l.down));
    let kept: Vec<String> = kubelet_services::kept(snap).into_iter().collect();
    let (services, are) = if names.len() == 1 { ("Service", "is") } else { ("Services", "are") };
    let gone =
        if down == 0 { String::new() } else { format!(", {down} of them down: their addresses are not renewed") };
    let message = format!(
        "{services} {} of namespace {namespace} {are} left of an earlier Prometheus operator, and the kubelets are scraped through what the present operator keeps ({}) and through them as well: {targets} targets too many{gone}",
        names.join(", "),
        kept.join(", ")
    );
    let reference = |name: &String| ResourceRef::service(namespace, name);
    let mut made = Finding::new(HelmLeftover::META.id, Severity::Warning, reference(&names[0]), message)
        .key(format!("kubelet services of {namespace}"))
        .also_all(names.iter().skip(1).map(reference));
    made = names.iter().fold(made, |made, name| made.breaks(reference(name)));
    made = made.evidence(
        Evidence::new(
            format!("Services of namespace {namespace} with the label k8s-app=kubelet, and --kubelet-service of the operators"),
            format!("not kept: {}; kept: {}", names.join(", "), kept.join(", ")),
            "kubectl get services,endpoints -n {{ namespace }} -l k8s-app=kubelet",
        )
        .with("namespace", namespace),
    );
    Some(made.fix(Fix::KubeletService {
        slices: slices_of(&names),
        services: names,
        service_namespace: namespace.clone(),
        kept,
    }))
}

/// What suffers from it: without that, leftovers are nobody's trouble.
#[derive(Default)]
struct Harm {
    /// Workloads that try to run and cannot, or claims that wait.
    stuck: Vec<String>,
    /// An installation that met objects of it: its words, and where.
    refused: Option<(String, String)>,
}

fn harm(snap: &Snapshot, left: &Leftover<'_>) -> Harm {
    let mut harm = Harm { refused: refused(snap, left), ..Harm::default() };
    // What serves somebody is kept for a reason, whoever keeps it.
    if left.workloads.iter().any(|w| w.ready() > 0) {
        return harm;
    }
    for workload in left.workloads.iter().filter(|w| w.desired() > 0 && w.ready() < w.desired()) {
        harm.stuck.push(workload.reference().to_string());
    }
    for claim in left.claims.iter().filter(|c| c.status.phase == "Pending") {
        harm.stuck.push(format!("PersistentVolumeClaim {}/{}", claim.metadata.namespace, claim.metadata.name));
    }
    harm
}

/// `… exists and cannot be imported into the current release: invalid ownership metadata …` of an object of it.
fn refused(snap: &Snapshot, left: &Leftover<'_>) -> Option<(String, String)> {
    let is_about = |text: &str| {
        text.contains("cannot be imported into the current release")
            && (text.contains(&format!("current value is \"{}\"", left.name))
                || names(left).iter().any(|name| text.contains(&format!("\"{name}\""))))
    };
    for file in snap.manifests.items().unwrap_or_default() {
        if let Some(error) = file.errors.iter().find(|e| is_about(&e.message)) {
            return Some((format!("{}:{}", file.path, error.line), error.message.clone()));
        }
    }
    let recent = |t: jiff::Timestamp| snap.seconds_since(t) <= RECENT;
    let mut events = snap.events.items().unwrap_or_default().iter();
    let told = events.find(|e| e.last_seen().is_none_or(recent) && is_about(&e.message))?;
    Some((
        format!("event {} of {}/{}", told.reason, told.involved_object.namespace, told.involved_object.name),
        told.message.clone(),
    ))
}

/// Names of the objects that are left.
fn names<'a>(left: &Leftover<'a>) -> Vec<&'a str> {
    let workloads = left.workloads.iter().map(|w| w.meta());
    let maps = left.config_maps.iter().map(|m| m.meta());
    let hooks = left.hooks.iter().map(|h| &h.configuration.metadata);
    workloads.chain(maps).chain(hooks).map(|m| m.name.as_str()).collect()
}

fn finding(snap: &Snapshot, left: &Leftover<'_>) -> Option<Finding> {
    let harm = harm(snap, left);
    // A webhook that is in the way alone has its own finding, with a smaller fix.
    if harm.stuck.is_empty() && harm.refused.is_none() {
        return None;
    }
    let release = release_ref(&left.namespace, &left.name);
    let severity = if snap.scope.is_stack(&left.namespace) { Severity::Error } else { Severity::Warning };
    let effect = match (&harm.refused, harm.stuck.as_slice()) {
        (Some(_), _) => "a new installation meets them and is refused".to_owned(),
        (None, [one]) => format!("{one} goes on trying and cannot"),
        (None, many) => format!("{} go on trying and cannot", plural(many.len(), "object")),
    };
    let message = format!(
        "Helm release {}/{} is not installed any more, but left {} behind: {effect}",
        left.namespace,
        left.name,
        inventory(left)
    );
    let mut made = Finding::new(HelmLeftover::META.id, severity, release.clone(), message).breaks(release);
    for workload in &left.workloads {
        made = made.also(workload.reference());
    }
    made = made.fix(fix(snap, left)).evidence(
        Evidence::new(
            format!("Helm releases of namespace {}", left.namespace),
            format!("no revision of {} is kept, and no Service or Deployment of it is left", left.name),
            "helm list --all -n {{ namespace }}",
        )
        .with("namespace", &left.namespace),
    );
    for workload in &left.workloads {
        let meta = &workload.metadata;
        made = made.evidence(
            Evidence::new(
                workload.reference().to_string(),
                format!("{} of {} ready, of release {}", workload.ready(), workload.desired(), left.name),
                "kubectl get {{ target }} -n {{ namespace }} -o yaml",
            )
            .with("target", workload.kubectl_name())
            .with("namespace", &meta.namespace),
        );
    }
    if let Some((place, text)) = harm.refused {
        made = made.evidence(Evidence::new(place, text, "helm list --all -A"));
    }
    Some(made)
}

/// What the release annotated, and nothing of another one of its name.
const ANNOTATED: &str = r#".items[].metadata | select(.annotations["meta.helm.sh/release-name"] == $release and .annotations["meta.helm.sh/release-namespace"] == $namespace) | .name"#;

/// What the Prometheus operator calls the Secrets that it makes for a server, behind the name of its StatefulSet.
const OPERATOR_SECRETS: &str =
    "(-(generated|tls-assets(-[0-9]+)?|web-config|cluster-tls-config|thanos-prometheus-http-client-file))?$";

/// `^secret/(prometheus-x|alertmanager-y)(-…)?$`.
fn operator_secrets(left: &Leftover<'_>) -> String {
    let sets = left.workloads.iter().filter(|w| w.kind == "StatefulSet").map(|w| &w.metadata);
    let of_operator = sets
        .filter(|m| m.label("managed-by").or(m.label("app.kubernetes.io/managed-by")) == Some("prometheus-operator"));
    let names: Vec<&str> = of_operator.map(|m| m.name.as_str()).collect();
    if names.is_empty() { String::new() } else { format!("^secret/({}){OPERATOR_SECRETS}", names.join("|")) }
}

/// `kubernetes.io/service-name in (a,b)`.
fn slices_of(services: &[String]) -> String {
    format!("kubernetes.io/service-name in ({})", services.join(","))
}

/// `2 StatefulSets, 2 claims, 2 Released volumes, 2 webhook configurations`.
fn inventory(left: &Leftover<'_>) -> String {
    let count = |word: &str, number: usize| (number > 0).then(|| plural(number, word));
    let kind = |kind: &str| left.workloads.iter().filter(|w| w.kind == kind).count();
    let parts = [
        count("StatefulSet", kind("StatefulSet")),
        count("DaemonSet", kind("DaemonSet")),
        count("PersistentVolumeClaim", left.claims.len()),
        count("Released PersistentVolume", left.volumes.len()),
        count("ConfigMap", left.config_maps.len()),
        count("webhook configuration", configurations(left, "").len()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Names of the webhook configurations of a kind, each once; of all kinds where it is empty.
fn configurations(left: &Leftover<'_>, kind: &str) -> Vec<ResourceRef> {
    let mut all: Vec<ResourceRef> = left.hooks.iter().map(|h| h.reference()).collect();
    all.dedup();
    all.retain(|c| kind.is_empty() || c.kind_label() == kind);
    all
}

fn fix(snap: &Snapshot, left: &Leftover<'_>) -> Fix {
    let of_kind = |kind: &str| -> Vec<String> {
        left.workloads.iter().filter(|w| w.kind == kind).map(|w| w.metadata.name.clone()).collect()
    };
    let named = |kind: &str| configurations(left, kind).iter().map(ResourceRef::name).collect::<Vec<_>>();
    let all = left.claims.iter().copied();
    let (claims, bound): (Vec<&PersistentVolumeClaim>, Vec<&PersistentVolumeClaim>) =
        all.partition(|c| c.status.phase == "Pending");
    // The operator keeps all of them in one namespace.
    let kubelets = kubelet_services::of_gone(snap, &left.name);
    let kubelet_namespace = kubelets.first().map(|s| s.metadata.namespace.clone()).unwrap_or_default();
    let kubelets = kubelets.iter().filter(|s| s.metadata.namespace == kubelet_namespace);
    let kubelet_services: Vec<String> = kubelets.map(|s| s.metadata.name.clone()).collect();
    Fix::Purge(Box::new(Purge {
        namespace: left.namespace.clone(),
        release: left.name.clone(),
        selector: format!("app.kubernetes.io/managed-by=Helm,app.kubernetes.io/instance={}", left.name),
        stateful_sets: of_kind("StatefulSet"),
        daemon_sets: of_kind("DaemonSet"),
        claims: claims.iter().map(|c| c.metadata.name.clone()).collect(),
        held: bound.iter().filter(|c| c.status.phase == "Bound").filter_map(|c| c.spec.volume_name.clone()).collect(),
        bound: bound.iter().map(|c| c.metadata.name.clone()).collect(),
        volumes: left.volumes.iter().map(|v| v.metadata.name.clone()).collect(),
        config_maps: left.config_maps.iter().map(|m| m.metadata.name.clone()).collect(),
        validating: named("ValidatingWebhookConfiguration"),
        mutating: named("MutatingWebhookConfiguration"),
        annotated: ANNOTATED,
        operator_secrets: operator_secrets(left),
        kubelet_slices: slices_of(&kubelet_services),
        kubelet_services,
        kubelet_namespace,
    }))
}
