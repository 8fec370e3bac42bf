//! What Helm last said when it was refused: an object of another release, a field that cannot change, a CRD of before.

mod fix;

use crate::checks::support::pipeline::release_ref;
use crate::checks::support::seen::event_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::helm_words::{self, Refusal, Told};
use crate::domain::kubernetes::leftovers;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::not_served;
use crate::domain::kubernetes::stored_version::Stored;
use crate::domain::manifests::cluster::bringer;
use crate::domain::prometheus::operator::crd_of;
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::lint::kubernetes::removed::removed;
use crate::model::{Cause, CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::HelmRelease;
use fix::{Fix, Of, Place, deleted, group_of};
use serde_json::json;

/// Characters of an error that are shown in a message.
const QUOTED: usize = 260;

check! {
    /// See the check's page.
    HelmRefused {
        id: "helm-refused", suite: Pipeline, severity: Error,
        title: "Helm was refused",
        requires: [Manifests],
        uses: [Events, GitOps, Crds, ApiServices, HelmReleases, Workloads, Jobs, ConfigMaps, Services, Webhooks, Namespaces, PersistentVolumeClaims, PersistentVolumes, ResourceQuotas],
        fix: Fix,
    }
}

impl Check for HelmRefused {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let told = helm_words::all(snap);
        let asks = told.iter().any(|(refusal, ..)| matches!(refusal, Refusal::Owned { .. }));
        let left: Vec<String> =
            if asks { leftovers::all(snap).into_iter().map(|l| l.name).collect() } else { Vec::new() };
        let found = told.iter().filter_map(|(refusal, text, told)| finding(snap, &left, refusal, text, told));
        Ok(Diagnosis::Findings(found.collect()))
    }
}

/// `left`: the releases that are gone, and left something behind.
fn finding(snap: &Snapshot, left: &[String], refusal: &Refusal, text: &str, told: &Told<'_>) -> Option<Finding> {
    let place = Place::of(snap, refusal, told);
    let (subject, message, fix) = judged(snap, left, refusal, &place)?;
    let severity = if snap.scope.is_stack(&place.home) { Severity::Error } else { Severity::Warning };
    let operation =
        ResourceRef::kubernetes("helm.sh", "HelmOperation", &place.home, place.name.as_deref().unwrap_or_default());
    let key = format!("{} {}", subject.key(), text.chars().take(120).collect::<String>());
    let mut made = Finding::new(HelmRefused::META.id, severity, subject.clone(), message)
        .key(key)
        .fix(fix)
        .evidence(evidence(text, told))
        .breaks(operation);
    if matches!(refusal, Refusal::Immutable { forced: true, .. }) {
        let name = place.name.as_deref().unwrap_or("of the call");
        let message =
            format!("Helm is to replace the objects of release {name} (--force), and some cannot be replaced");
        made = made.cause(Cause::keyed(format!("forced {}/{name}", place.home), message));
    }
    if matches!(refusal, Refusal::Hook { .. }) {
        made = made.depends_on(subject);
    }
    Some(made)
}

/// What it is about, what is wrong, and what mends it; `None` where another finding says it.
fn judged(snap: &Snapshot, left: &[String], refusal: &Refusal, place: &Place) -> Option<(ResourceRef, String, Fix)> {
    let release = place.release();
    Some(match refusal {
        Refusal::Immutable { kind, name, field, forced } => immutable(place, kind, name, field, *forced),
        Refusal::Owned { kind, name, namespace, by, .. } => {
            // What a release left behind that is gone is another finding.
            if left.iter().any(|l| Some(l) == by.as_ref()) {
                return None;
            }
            owned(place, kind, name, namespace, by.as_deref())
        }
        Refusal::NoKind { kind, version } if version.contains("monitoring.coreos.com") => {
            let text = format!("the cluster does not know the kind {kind} ({version}): its CRD is not installed");
            (ResourceRef::crd(&crd_of(kind).unwrap_or_else(|| kind.clone())), text, Fix::Crds { release })
        }
        Refusal::NoKind { kind, version } => no_kind(snap, kind, version, place),
        Refusal::UnknownField { kind, field } => {
            // Of a kind that is not the operator's the chart's own values or manifests are wrong.
            let name = crd_of(kind)?;
            let text = format!("the CRD of {kind} is older than the chart: it does not know the field {field}");
            (ResourceRef::crd(&name), text, Fix::Crds { release })
        }
        Refusal::TooLong { name } => {
            let text = format!(
                "CustomResourceDefinition {name} is too large for a client-side apply, which keeps a copy in an annotation"
            );
            (ResourceRef::crd(name), text, Fix::Crds { release })
        }
        Refusal::Hook { kind, name } => hook(snap, place, kind, name.as_deref()),
        Refusal::NameInUse => {
            let text = "a Helm release of this name is there already, so that helm install refuses".to_owned();
            let named = place.name.as_deref().unwrap_or("of this name");
            (place.object("HelmRelease", named), text, Fix::NameInUse { release })
        }
        Refusal::AtWork | Refusal::NoDeployed { .. } => of_records(snap, refusal, place)?,
        Refusal::Quota { resource, name, quota, key, used, limited } => {
            let subject = ResourceRef::kubernetes("", "ResourceQuota", &place.home, quota);
            let text = format!(
                "ResourceQuota {}/{quota} lets no more in: {used} of {limited} {key} are used, and the chart's {resource} {name} was refused",
                place.home
            );
            let kept = snap.resource_quotas.find(&place.home, quota).ok().flatten();
            let fix = Fix::Quota {
                quota: quota.clone(),
                namespace: place.home.clone(),
                patch: json!({"spec": {"hard": {key.as_str(): "<number>"}}}).to_string(),
                key: key.clone(),
                managed_by: kept.map(|q| managed_by(&q.metadata)).unwrap_or_default(),
                release,
            };
            (subject, text, fix)
        }
        other => of_chart(other, place, release)?,
    })
}

/// A kind that went with Kubernetes, or one of another program: not installed, or installed in another version.
fn no_kind(snap: &Snapshot, kind: &str, version: &str, place: &Place) -> (ResourceRef, String, Fix) {
    let release = place.release();
    // `no matches for kind "X" in group "y.z"`.
    let of_group = if version.contains('.') { version } else { "" };
    let (group, of_kind) = version.split_once('/').unwrap_or((of_group, ""));
    let definitions = snap.crds.items();
    let mut crds = definitions.as_deref().unwrap_or_default().iter().map(|c| &c.metadata);
    let defined = crds.find(|c| not_served::defines(&c.name, group, kind));
    let crd = defined.map(|c| c.name.clone()).unwrap_or_default();
    // One that was there and has the version by now was changed since, or not served yet.
    let since = defined.and_then(|c| c.creation_timestamp).zip(place.at).is_some_and(|(made, asked)| made > asked);
    let brings = bringer(group).unwrap_or_default();
    let subject = ResourceRef::kubernetes(group, kind, "", version);
    let own = is_of_kubernetes(group) && brings.is_empty();
    let served = !crd.is_empty() && is_served(snap, group, of_kind);
    let (kind, version) = (kind.to_owned(), version.to_owned());
    if crd.is_empty() && (own || removed(&version, &kind).is_some()) {
        let text = format!("the chart makes a {kind} of {version}, which this version of Kubernetes does not have");
        return (subject, text, Fix::RemovedApi { kind, version, release });
    }
    let what = format!("the chart makes an object of kind {kind} ({version})");
    let text = match crd.is_empty() {
        // Which kinds there are was not read.
        true if definitions.is_err() => format!("{what}, which the cluster does not know"),
        true if brings.is_empty() => {
            format!("{what}, which the cluster does not have: its CustomResourceDefinition is not installed")
        }
        true => format!("{what}, which comes with {brings} and is not installed"),
        false if served => format!("{what}, which the cluster did not know then, and knows now"),
        false => format!("{what}, and the cluster knows {kind} in other versions"),
    };
    let of_cert_manager = group.ends_with("cert-manager.io");
    let group = group.to_owned();
    (subject, text, Fix::ForeignKind { kind, version, group, crd, served, since, of_cert_manager, release })
}

/// A group of Kubernetes itself, and not of a definition: it has no dot, or ends so.
fn is_of_kubernetes(group: &str) -> bool {
    // That of the Vertical Pod Autoscaler is none.
    !group.contains('.') || group.ends_with(".k8s.io") && group != "autoscaling.k8s.io"
}

/// The group is served in this version now.
fn is_served(snap: &Snapshot, group: &str, version: &str) -> bool {
    let all = snap.api_services.items().unwrap_or_default();
    all.iter().any(|a| a.spec.group == group && a.spec.version == version)
}

/// What Helm's own records of the release are to blame for. Where they can be read they say it themselves, and better.
fn of_records(snap: &Snapshot, refusal: &Refusal, place: &Place) -> Option<(ResourceRef, String, Fix)> {
    let name = place.name.as_deref()?;
    let mut newest = HelmRelease::newest(snap.helm_releases.items().unwrap_or_default()).into_iter();
    let kept = newest.rfind(|r| r.name == name && r.metadata.namespace == place.home);
    let release = place.release();
    let (text, fix) = match refusal {
        // Deployed by now, or gone: the operation that was in its way has ended. Else the release is told as stuck.
        Refusal::AtWork if kept.is_some() || snap.helm_releases.covers(&place.home) => return None,
        Refusal::AtWork => (
            "is pending, so that Helm refuses every other operation: one is at work, or was interrupted",
            Fix::AtWork { release },
        ),
        _ if kept.is_some_and(|r| r.status != "uninstalled" && r.status != "unknown") => return None,
        _ => (
            "has no revision that was deployed, and Helm has nothing to upgrade",
            Fix::NoDeployed { forget: kept.is_some_and(|r| r.status == "uninstalled"), release },
        ),
    };
    Some((release_ref(&place.home, name), format!("Helm release {}/{name} {text}", place.home), fix))
}

/// What the chart, its values or another program are to blame for.
fn of_chart(refusal: &Refusal, place: &Place, release: Of) -> Option<(ResourceRef, String, Fix)> {
    let named = || place.object("HelmRelease", place.name.as_deref().unwrap_or("of the call"));
    Some(match refusal {
        Refusal::RecordTooLarge { .. } => {
            let text = "what Helm keeps of the release (the whole chart with its files, values and manifests) is larger than the 1 MiB that a Secret may have"
                .to_owned();
            (named(), text, Fix::RecordTooLarge { release })
        }
        Refusal::Conflict { kind, name, namespace, manager, field } => {
            let subject = ResourceRef::kubernetes(group_of(kind), kind, namespace, name);
            let what = if field.is_empty() { "a field" } else { field };
            let text = format!("Helm applies on the server's side, and {what} of {subject} belongs to {manager}");
            let (target, namespace) = (subject.kubectl_name(), namespace.clone());
            let (manager, field) = (manager.clone(), field.clone());
            (subject, text, Fix::Conflict { target, namespace, manager, field, release })
        }
        Refusal::Doubled { kind, name, entries } => {
            let subject = place.object(kind, name);
            let which = if entries.is_empty() { String::new() } else { format!(" ({})", entries.join(", ")) };
            let text = format!(
                "a list in the chart's {kind} {name} has the same entry twice{which}, so that no patch can be made of it"
            );
            let (target, namespace) = (subject.kubectl_name(), place.home.clone());
            (subject, text, Fix::Doubled { target, namespace, entries: entries.clone(), release })
        }
        Refusal::NoValue { value } => {
            let text = format!(
                "a template of the chart reads the value {value}, and nothing is given above it: values of another version of the chart"
            );
            (named(), text, Fix::NoValue { value: value.clone(), release })
        }
        Refusal::NotText { field } => {
            let text =
                format!("a manifest of the chart has a number or true/false in {field}, where only text may stand");
            (named(), text, Fix::NotText { field: field.clone(), release })
        }
        Refusal::LongName { kind, name } => {
            let whose =
                if kind.is_empty() { "the release's name".to_owned() } else { format!("the name of {kind} {name}") };
            let text = format!(
                "{whose} is longer than Kubernetes allows: charts put the release's name before each of their own"
            );
            (named(), text, Fix::LongName { name: name.clone(), release })
        }
        other => return of_values(other, place, release),
    })
}

/// What the values, the chart's folder or the rights of whoever runs Helm are to blame for.
fn of_values(refusal: &Refusal, place: &Place, release: Of) -> Option<(ResourceRef, String, Fix)> {
    let named = || place.object("HelmRelease", place.name.as_deref().unwrap_or("of the call"));
    Some(match refusal {
        Refusal::Schema { faults } => {
            let text = format!("the values do not fit the chart's schema: {}", shorten(faults, QUOTED));
            (named(), text, Fix::Schema { faults: faults.clone(), release })
        }
        Refusal::KubeVersion { wanted, has } => {
            let text = format!("the chart asks for Kubernetes {wanted}, and the cluster has {has}");
            (named(), text, Fix::KubeVersion { wanted: wanted.clone(), has: has.clone(), release })
        }
        Refusal::MissingCharts { names } => {
            let text = format!("charts that the chart depends on are not in its folder charts/: {names}");
            (named(), text, Fix::Dependencies { names: names.clone(), release })
        }
        Refusal::Template { file, says } => {
            let text = format!("the chart cannot be rendered with these values: {file}: {}", shorten(says, QUOTED));
            (named(), text, Fix::Template { file: file.clone(), says: says.clone(), release })
        }
        Refusal::StoredVersion(Stored { crd, version }) => {
            let text = format!(
                "the new definition of {crd} lacks {version}, in which objects were once written, and the API server refuses it"
            );
            let fix = Fix::StoredVersion { crd: crd.clone(), version: version.clone(), release };
            (ResourceRef::crd(crd), text, fix)
        }
        Refusal::Invalid { kind, name, field, says } => {
            let subject = if name.is_empty() { named() } else { place.object(kind, name) };
            let whose = if name.is_empty() { format!("a {kind} of the chart") } else { subject.to_string() };
            let text = format!("the API server refuses {whose}: {field}: {}", shorten(says, QUOTED));
            let fix = Fix::Invalid {
                explained: explained(kind, field),
                field: field.clone(),
                says: shorten(says, QUOTED),
                of_type: says.contains("may not be used when"),
                release,
            };
            (subject, text, fix)
        }
        Refusal::Escalates { who, kind, name, lacks } => escalates(place, who, kind, name, lacks),
        Refusal::Rights { who, verb, resource, namespace } => {
            let place = if namespace.is_empty() { "in the cluster".to_owned() } else { format!("in {namespace}") };
            let text = format!("{who}, as whom Helm runs, may not {verb} {resource} {place}");
            let (who, verb, resource) = (who.clone(), verb.clone(), resource.clone());
            (named(), text, Fix::Rights { who, verb, resource, namespace: namespace.clone(), release })
        }
        _ => return None,
    })
}

/// Nobody hands on rights that he does not have, unless he may `escalate`.
fn escalates(place: &Place, who: &str, kind: &str, name: &str, lacks: &[String]) -> (ResourceRef, String, Fix) {
    const SHOWN: usize = 2;
    let subject = place.object(kind, name);
    let account = who.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    let (who_kind, who_namespace, who_name) = match account {
        Some((namespace, name)) => ("ServiceAccount", namespace, name),
        None => ("User", "", who),
    };
    let binds = kind.ends_with("Binding");
    let mut shown = lacks.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("; ");
    if lacks.len() > SHOWN {
        shown.push_str(&format!(" and {} more", lacks.len() - SHOWN));
    }
    let text = format!(
        "{who}, as whom Helm runs, may not make {subject}: it hands on rights that this account itself lacks ({shown})"
    );
    let fix = Fix::Escalates {
        who: who.to_owned(),
        who_kind,
        who_name: who_name.to_owned(),
        who_namespace: who_namespace.to_owned(),
        resource: if kind.starts_with("Cluster") { "clusterroles" } else { "roles" }.to_owned(),
        verb: if binds { "bind" } else { "escalate" },
        // The role that a binding leads to is not named.
        role: if binds { "<role>".to_owned() } else { name.to_owned() },
        object: name.to_owned(),
        namespace: place.namespace_of(kind),
        lacks: shown,
        release: place.release(),
    };
    (subject, text, fix)
}

/// `prometheus.spec.retention`: without places in lists, which `kubectl explain` does not take.
fn explained(kind: &str, field: &str) -> String {
    let mut path = String::new();
    let mut depth = 0_u32;
    for c in field.chars() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            c if depth == 0 => path.push(c),
            _ => {}
        }
    }
    // Fields of maps have names of their own, which nothing explains.
    let is_path = !path.is_empty() && path.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
    if is_path { format!("{}.{path}", kind.to_ascii_lowercase()) } else { String::new() }
}

fn hook(snap: &Snapshot, place: &Place, kind: &str, name: Option<&str>) -> (ResourceRef, String, Fix) {
    let job = name.map(str::to_owned).or_else(|| open_job(snap, &place.home)).unwrap_or_default();
    let what = if job.is_empty() { String::new() } else { format!(": job {}/{job} did not end well", place.home) };
    let subject = place.object("Job", if job.is_empty() { "of the hook" } else { &job });
    let removal = kind == "pre-delete";
    let fix = Fix::Hook { hook: kind.to_owned(), job, removal, release: place.release() };
    (subject, format!("the {kind} hook failed{what}"), fix)
}

fn immutable(place: &Place, kind: &str, name: &str, field: &str, forced: bool) -> (ResourceRef, String, Fix) {
    let subject = place.object(kind, name);
    let release = place.release();
    let text = match forced {
        true => format!("Helm is to replace {subject} (--force), and its {field} cannot be replaced"),
        false => format!("Helm cannot change {field} of {subject}: it cannot be changed in place"),
    };
    let fix = match kind {
        _ if forced => Fix::Forced { release },
        "PersistentVolumeClaim" => Fix::Claim { claim: name.to_owned(), namespace: place.home.clone(), release },
        _ => Fix::Immutable {
            target: subject.kubectl_name(),
            kind: kind.to_owned(),
            namespace: place.namespace_of(kind),
            field: field.to_owned(),
            stateful: kind == "StatefulSet",
            deleted: deleted(kind),
            release,
        },
    };
    (subject, text, fix)
}

fn owned(place: &Place, kind: &str, name: &str, namespace: &str, by: Option<&str>) -> (ResourceRef, String, Fix) {
    let subject = ResourceRef::kubernetes(group_of(kind), kind, namespace, name);
    let owner =
        by.map_or_else(|| "no Helm release made it".to_owned(), |by| format!("it belongs to Helm release {by}"));
    let fix = Fix::Owned {
        kind: kind.to_ascii_lowercase(),
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        by: by.unwrap_or_default().to_owned(),
        release: place.release(),
    };
    let text = format!("Helm may not take over {subject}: {owner}");
    (subject, text, fix)
}

/// A job of the namespace that has not ended well.
fn open_job(snap: &Snapshot, namespace: &str) -> Option<String> {
    let mut jobs = snap.jobs.items().unwrap_or_default().iter().filter(|j| j.metadata.namespace == *namespace);
    let open = jobs.find(|j| j.status.succeeded == 0 && (j.status.active > 0 || j.status.failed > 0))?;
    Some(open.metadata.name.clone())
}

fn evidence(text: &str, told: &Told<'_>) -> Evidence {
    match told {
        Told::Event(event) => event_evidence(event),
        Told::Status(object) => {
            let (namespace, name) = (&object.metadata.namespace, &object.metadata.name);
            let source = format!("HelmRelease {namespace}/{name} status.conditions");
            Evidence::new(source, redact(&shorten(text, 500)), "flux get helmrelease {{ name }} -n {{ namespace }}")
                .with("name", name)
                .with("namespace", namespace)
        }
        Told::Record(path, line) => {
            let text: String = text.chars().take(500).collect();
            Evidence::new(format!("{path}:{line}"), redact(&text), "grep -n Error {{ path }}").with("path", *path)
        }
    }
}

#[cfg(test)]
mod tests;
