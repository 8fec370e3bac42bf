//! What Helm last said when it was refused: an object of another release, a field that cannot change, a CRD of before.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::seen::event_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::helm_words::{self, Refusal, Told};
use crate::domain::kubernetes::{index, leftovers};
use crate::domain::prometheus::operator::crd_of;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::HelmRelease;

check! {
    /// See the check's page.
    HelmRefused {
        id: "helm-refused", suite: Pipeline, severity: Error,
        title: "Helm was refused",
        requires: [Manifests],
        uses: [Events, HelmReleases, Workloads, Jobs, ConfigMaps, Services, Webhooks, Namespaces, PersistentVolumeClaims, PersistentVolumes],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Immutable {
        target: String,
        kind: String,
        namespace: String,
        field: String,
        stateful: bool,
        claim: bool,
        #[serde(flatten)]
        release: Of,
    },
    Owned {
        kind: String,
        name: String,
        namespace: String,
        by: String,
        #[serde(flatten)]
        release: Of,
    },
    Crds {
        #[serde(flatten)]
        release: Of,
    },
    RemovedApi {
        kind: String,
        version: String,
        #[serde(flatten)]
        release: Of,
    },
    Hook {
        hook: String,
        job: String,
        #[serde(flatten)]
        release: Of,
    },
    NameInUse {
        #[serde(flatten)]
        release: Of,
    },
}

/// The release that was to be installed or upgraded.
#[derive(Serialize, JsonSchema)]
struct Of {
    release: String,
    release_namespace: String,
}

impl Check for HelmRefused {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let told = helm_words::all(snap);
        Ok(Diagnosis::Findings(
            told.iter().filter_map(|(refusal, text, told)| finding(snap, refusal, text, told)).collect(),
        ))
    }
}

/// Which release was to be installed or upgraded, and where.
struct Place {
    name: Option<String>,
    home: String,
}

impl Place {
    /// By the words, by the object that an event is about, or the one release that failed or hangs.
    fn of(snap: &Snapshot, refusal: &Refusal, told: &Told<'_>) -> Self {
        let known = match told {
            Told::Event(event) => Some((event.involved_object.name.clone(), event.involved_object.namespace.clone())),
            Told::Record(path, line) => called(snap, path, *line).or_else(|| open_release(snap)),
        };
        let stack = || snap.scope.stack.first().cloned().unwrap_or_default();
        let home = known.as_ref().map_or_else(stack, |(_, namespace)| namespace.clone());
        let wanted = match refusal {
            Refusal::Owned { wanted, .. } => wanted.clone(),
            _ => None,
        };
        Self { name: wanted.or(known.map(|(name, _)| name)), home }
    }

    fn release(&self) -> Of {
        let release = self.name.clone().unwrap_or_else(|| "<release>".to_owned());
        Of { release, release_namespace: self.home.clone() }
    }

    fn object(&self, kind: &str, name: &str) -> ResourceRef {
        ResourceRef::kubernetes(group_of(kind), kind, &self.home, name)
    }
}

/// The release of the call that a record shows before an error: name and namespace.
fn called(snap: &Snapshot, path: &str, line: usize) -> Option<(String, String)> {
    let file = snap.manifests.items().unwrap_or_default().iter().find(|f| f.path == path)?;
    let call = file.errors.iter().find(|e| e.line == line)?.helm.as_ref()?;
    let stack = || snap.scope.stack.first().cloned();
    Some((call.release.clone(), call.namespace.clone().or_else(stack)?))
}

/// The one release of the stack's namespaces that failed or hangs: name and namespace.
fn open_release(snap: &Snapshot) -> Option<(String, String)> {
    let newest = HelmRelease::newest(snap.helm_releases.items().unwrap_or_default()).into_iter();
    let mut open = newest.filter(|r| r.status != "deployed" && snap.scope.is_stack(&r.metadata.namespace));
    let one = open.next()?;
    open.next().is_none().then(|| (one.name.clone(), one.metadata.namespace.clone()))
}

fn finding(snap: &Snapshot, refusal: &Refusal, text: &str, told: &Told<'_>) -> Option<Finding> {
    let place = Place::of(snap, refusal, told);
    let (subject, message, fix) = judged(snap, refusal, &place)?;
    let severity = if snap.scope.is_stack(&place.home) { Severity::Error } else { Severity::Warning };
    let operation =
        ResourceRef::kubernetes("helm.sh", "HelmOperation", &place.home, place.name.as_deref().unwrap_or_default());
    let mut made = Finding::new(HelmRefused::META.id, severity, subject.clone(), message)
        .key(text.chars().take(120).collect::<String>())
        .fix(fix)
        .evidence(evidence(text, told))
        .breaks(operation);
    if matches!(refusal, Refusal::Hook { .. }) {
        made = made.depends_on(subject);
    }
    Some(made)
}

/// What it is about, what is wrong, and what mends it; `None` where another finding says it.
fn judged(snap: &Snapshot, refusal: &Refusal, place: &Place) -> Option<(ResourceRef, String, Fix)> {
    let release = place.release();
    Some(match refusal {
        Refusal::Immutable { kind, name, field } => immutable(place, kind, name, field),
        Refusal::Owned { kind, name, namespace, by, .. } => {
            // What a release left behind that is gone is another finding.
            if leftovers::all(snap).iter().any(|l| Some(&l.name) == by.as_ref()) {
                return None;
            }
            owned(place, kind, name, namespace, by.as_deref())
        }
        Refusal::NoKind { kind, version } if version.contains("monitoring.coreos.com") => {
            let text = format!("the cluster does not know the kind {kind} ({version}): its CRD is not installed");
            (ResourceRef::crd(&crd_of(kind).unwrap_or_else(|| kind.clone())), text, Fix::Crds { release })
        }
        Refusal::NoKind { kind, version } => {
            let text = format!("the chart makes a {kind} of {version}, which this version of Kubernetes does not have");
            let fix = Fix::RemovedApi { kind: kind.clone(), version: version.clone(), release };
            (ResourceRef::kubernetes(version.split('/').next().unwrap_or_default(), kind, "", version), text, fix)
        }
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
        Refusal::Hook { kind, name } => {
            let job = name.clone().or_else(|| open_job(snap, &place.home)).unwrap_or_default();
            let what =
                if job.is_empty() { String::new() } else { format!(": job {}/{job} did not end well", place.home) };
            let subject = place.object("Job", if job.is_empty() { "of the hook" } else { &job });
            (subject, format!("the {kind} hook failed{what}"), Fix::Hook { hook: (*kind).to_owned(), job, release })
        }
        Refusal::NameInUse => {
            let text = "a Helm release of this name is there already, so that helm install refuses".to_owned();
            (
                place.object("HelmRelease", place.name.as_deref().unwrap_or("of this name")),
                text,
                Fix::NameInUse { release },
            )
        }
    })
}

fn immutable(place: &Place, kind: &str, name: &str, field: &str) -> (ResourceRef, String, Fix) {
    let subject = place.object(kind, name);
    let fix = Fix::Immutable {
        target: subject.kubectl_name(),
        kind: kind.to_owned(),
        namespace: place.home.clone(),
        field: field.to_owned(),
        stateful: kind == "StatefulSet",
        claim: kind == "PersistentVolumeClaim",
        release: place.release(),
    };
    let text = format!("Helm cannot change {field} of {subject}: it cannot be changed in place");
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

fn group_of(kind: &str) -> &'static str {
    match kind {
        "HelmRelease" => "helm.sh",
        "ClusterRole" | "ClusterRoleBinding" | "Role" | "RoleBinding" => "rbac.authorization.k8s.io",
        kind => index::group_of(kind),
    }
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
        Told::Record(path, line) => {
            let text: String = text.chars().take(500).collect();
            Evidence::new(format!("{path}:{line}"), text, "grep -n Error {{ path }}").with("path", *path)
        }
    }
}
