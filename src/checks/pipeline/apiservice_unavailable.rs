//! An aggregated API does not answer: discovery, namespace deletion and Helm suffer from it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::host_network::HostNetwork;
use crate::checks::support::pipeline::{api_evidence, autoscaler_evidence, release_ref};
use crate::checks::{Check, check};
use crate::domain::aws::secret_makers::not_ready;
use crate::domain::kubernetes::api_services::{self, METRICS, Unavailable};
use crate::domain::kubernetes::autoscaling;
use crate::domain::kubernetes::endpoints::Cause;
use crate::domain::kubernetes::image::base_of;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::owner::{has_rollout, workload};
use crate::domain::kubernetes::releases::{self, Release};
use crate::domain::kubernetes::{arguments, mounts};
use crate::domain::prometheus::origin::workload_behind;
use crate::domain::text::redact::redact;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, Severity};
use crate::snapshot::kubernetes::{Autoscaler, Pod, Workload};
use crate::snapshot::{Snapshot, journal};

/// Autoscalers that are named in a message.
const NAMED: usize = 3;

check! {
    /// See the check's page.
    ApiServiceUnavailable {
        id: "apiservice-unavailable", suite: Pipeline, severity: Error,
        title: "an aggregated API does not answer",
        requires: [ApiServices],
        uses: [Services, EndpointSlices, Pods, Workloads, Namespaces, HelmReleases, Autoscalers, Nodes, EksCluster, Vpcs, SecretMakers],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    /// The namespace of the Service behind it.
    namespace: String,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Leftover {
        api: String,
        release: String,
        release_namespace: String,
        /// Autoscalers that want what the API gives.
        wanted: Vec<String>,
    },
    NoService {
        api: String,
        managed_by: String,
        wanted: Vec<String>,
    },
    ScaledToZero {
        api: String,
        workload: String,
        wanted: Vec<String>,
    },
    NotReady {
        service: String,
        workload: String,
        pod: String,
    },
    Certificate {
        api: String,
        /// The Secret with its certificate, where it is known.
        secret: Option<String>,
        /// What reads it, where it can be restarted without a gap.
        workload: Option<String>,
        /// Its time is over, or has not come.
        expired: bool,
        /// Nobody trusts who signed it: the caBundle is old.
        authority: bool,
        /// The name that it has to be for.
        server_name: String,
        /// The Certificate of cert-manager that makes the Secret, and why it is not ready.
        certificate: Option<String>,
        certificate_said: Option<String>,
        /// Whether there is one could not be seen.
        may_be_kept: bool,
        /// The operator of KEDA, where that makes it.
        keda: Option<String>,
        managed: String,
    },
    Overlay(HostNetwork),
    Look {
        api: String,
        /// What answers, where it is known.
        workload: String,
        /// It refuses the API server's own requests.
        refuses: bool,
    },
}

impl Check for ApiServiceUnavailable {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.api_services()?;
        let silent = api_services::unavailable(snap).into_iter();
        // The metrics API has a check of its own.
        Ok(Diagnosis::Findings(silent.filter(|u| u.api.metadata.name != METRICS).map(|u| finding(snap, &u)).collect()))
    }
}

/// Namespaces that cannot be deleted because of it.
fn waiting(snap: &Snapshot, silent: &Unavailable<'_>) -> Vec<String> {
    let api = format!("{}/{}", silent.api.spec.group, silent.api.spec.version);
    let all = snap.namespaces.items().unwrap_or_default().iter().filter(|n| n.is_terminating());
    let blocked = all.filter(|n| {
        let failures = n.status.conditions.iter().filter(|c| c.status == "True");
        failures.into_iter().any(|c| c.message.as_deref().is_some_and(|m| m.contains(&api)))
    });
    blocked.map(|n| n.metadata.name.clone()).collect()
}

/// Autoscalers that get no values because of it.
fn wanting<'a>(snap: &'a Snapshot, silent: &Unavailable<'_>) -> Vec<&'a Autoscaler> {
    let all = snap.autoscalers.items().unwrap_or_default().iter();
    all.filter(|h| autoscaling::wants(h, &silent.api.spec.group)).collect()
}

/// What does not work without it.
fn effect(waiting: &[String], wanting: &[&Autoscaler]) -> String {
    let mut effects = Vec::new();
    match waiting {
        [] => {}
        names => effects.push(format!("Namespace {} cannot be deleted", names.join(", "))),
    }
    let named: Vec<String> = wanting.iter().take(NAMED).map(|h| autoscaling::named(h)).collect();
    let more = if wanting.len() > NAMED { format!(" and {} more", wanting.len() - NAMED) } else { String::new() };
    match named.as_slice() {
        [] => {}
        [one] if more.is_empty() => effects.push(format!("HorizontalPodAutoscaler {one} cannot scale")),
        many => effects.push(format!("HorizontalPodAutoscalers {}{more} cannot scale", many.join(", "))),
    }
    if effects.is_empty() {
        return "namespaces cannot be deleted, and discovery (kubectl, helm) complains".to_owned();
    }
    effects.join("; ")
}

fn finding(snap: &Snapshot, silent: &Unavailable<'_>) -> Finding {
    let (namespace, service) = (&silent.service.namespace, &silent.service.name);
    let name = &silent.api.metadata.name;
    let release = releases::of(snap, &silent.api.metadata, namespace);
    let is_gone = release.as_ref().is_some_and(Release::is_gone);
    let why = match &silent.fault {
        api_services::Cause::NoService => format!("Service {namespace}/{service} does not exist"),
        api_services::Cause::NoEndpoints(Some(Cause::ScaledToZero(workload))) => {
            format!("{} {namespace}/{}, which serves it, is scaled to 0", workload.kind, workload.metadata.name)
        }
        api_services::Cause::NoEndpoints(_) => format!("Service {namespace}/{service} has no ready endpoint"),
        api_services::Cause::Timeout => match HostNetwork::behind(snap, silent.service) {
            Some(overlay) => overlay.why(&format!("{namespace}/{service}")),
            None => format!("the control plane gets no answer from the pods of Service {namespace}/{service}"),
        },
        _ => silent.condition.message.clone().unwrap_or_default(),
    };
    let verb = if matches!(silent.fault, api_services::Cause::Status) {
        "answers the API server with an error"
    } else {
        "does not answer"
    };
    let waiting = waiting(snap, silent);
    let wanting = wanting(snap, silent);
    let blocks = effect(&waiting, &wanting);
    let left = match &release {
        Some(r) if is_gone => format!("; it is left over from Helm release {}, which is not installed", r.name),
        _ => String::new(),
    };
    let severity = if waiting.is_empty() { Severity::Warning } else { Severity::Error };
    let subject = api_services::reference(name);
    let mut made = Finding::new(
        ApiServiceUnavailable::META.id,
        severity,
        subject,
        format!("API {}/{} {verb}: {why}{left}; {blocks}", silent.api.spec.group, silent.api.spec.version),
    )
    .key(name)
    .fix(Fix { namespace: namespace.clone(), way: way(snap, silent, release.as_ref(), &wanting) })
    .evidence(api_evidence(silent.api));
    for hpa in wanting.iter().take(NAMED) {
        made = made.evidence(autoscaler_evidence(hpa));
    }
    if let Some(gone) = release.filter(|_| is_gone) {
        return made.depends_on(release_ref(gone.namespace.as_deref().unwrap_or(namespace), &gone.name));
    }
    made = silent.depends_on(snap).into_iter().fold(made, Finding::depends_on);
    made
}

fn said<'a>(silent: &'a Unavailable<'_>) -> &'a str {
    silent.condition.message.as_deref().unwrap_or_default()
}

/// Its certificate is not taken: which Secret holds it, and what has to read it again.
fn certificate(snap: &Snapshot, silent: &Unavailable<'_>, api: String) -> Way {
    let service = snap.services.find(&silent.service.namespace, &silent.service.name).ok().flatten();
    let pod = service.and_then(|s| snap.pods_of_service(s).next());
    let owner = pod.map(|p| snap.owner_ref(p));
    let known = owner.as_ref().and_then(|o| workload(snap, o));
    let secret = pod.and_then(certificate_secret);
    let namespace = silent.service.namespace.as_str();
    // It sharpens what is to be done, and decides nothing.
    let makers = journal::aside(|| snap.secret_makers().ok());
    let maker = makers.into_iter().flatten().find(|m| {
        m.kind == "Certificate" && m.metadata.namespace == namespace && m.spec.secret_name.as_deref() == secret
    });
    let maker = maker.filter(|_| secret.is_some());
    Way::Certificate {
        api,
        secret: secret.map(str::to_owned),
        managed: known.map(|w| managed_by(&w.metadata)).unwrap_or_default(),
        expired: said(silent).contains("certificate has expired or is not yet valid"),
        authority: said(silent).contains("unknown authority"),
        server_name: format!("{}.{namespace}.svc", silent.service.name),
        certificate: maker.map(|m| m.metadata.name.clone()),
        certificate_said: maker
            .and_then(not_ready)
            .and_then(|c| c.message.as_deref())
            .map(|m| redact(m.trim_end_matches('.'))),
        may_be_kept: maker.is_none() && makers.is_none(),
        keda: keda(snap, namespace, secret),
        workload: owner.filter(|o| has_rollout(snap, o)).map(|o| o.kubectl_name()),
    }
}

/// The operator of KEDA, where it made this Secret: it keeps one certificate for all of its parts.
fn keda(snap: &Snapshot, namespace: &str, secret: Option<&str>) -> Option<String> {
    let mut all = snap.workloads.items().ok()?.iter().filter(|w| w.metadata.namespace == namespace);
    let is_operator = |w: &&Workload| {
        let containers = &w.spec.template.spec.containers;
        containers.iter().any(|c| base_of(&c.image) == "keda" && arguments::has_flag(c, "enable-cert-rotation"))
    };
    all.find(is_operator).filter(|_| secret == Some("kedaorg-certs")).map(Workload::kubectl_name)
}

/// The Secret that a pod serves its certificate from: of the path that it is told, else the one whose name says so.
fn certificate_secret(pod: &Pod) -> Option<&str> {
    let volume = |name: &str| pod.spec.volumes.iter().find(|v| v.name == name)?.secret.as_ref();
    let told = pod.spec.containers.iter().find_map(|c| {
        let path = arguments::flag(c, "tls-cert-file").or_else(|| arguments::flag(c, "cert-dir"))?;
        volume(&mounts::mount_of(c, path)?.name)
    });
    let named = || {
        let all = pod.spec.volumes.iter().filter_map(|v| Some((v.name.as_str(), v.secret.as_ref()?)));
        let is_named = |n: &str| n.contains("tls") || n.contains("cert");
        all.into_iter().find(|(name, s)| is_named(name) || is_named(&s.secret_name)).map(|(_, s)| s)
    };
    told.or_else(named).map(|s| s.secret_name.as_str()).filter(|n| !n.is_empty())
}

fn look(snap: &Snapshot, silent: &Unavailable<'_>, api: String) -> Way {
    let service = snap.services.find(&silent.service.namespace, &silent.service.name).ok().flatten();
    let workload = service.and_then(|s| workload_behind(snap, s)).unwrap_or_default();
    let says = said(silent).trim_end_matches('.');
    let refuses = matches!(silent.fault, api_services::Cause::Status)
        && [": 401", ": 403"].iter().any(|code| says.ends_with(code));
    Way::Look { api, workload, refuses }
}

/// What mends it.
fn way(snap: &Snapshot, silent: &Unavailable<'_>, release: Option<&Release>, wanting: &[&Autoscaler]) -> Way {
    let wanted: Vec<String> = wanting.iter().map(|h| autoscaling::named(h)).collect();
    let api = silent.api.metadata.name.clone();
    let is_left = matches!(silent.fault, api_services::Cause::NoService | api_services::Cause::NoEndpoints(_))
        && api_services::left_behind(snap, silent.service);
    if is_left || release.is_some_and(Release::is_gone) {
        let home = release.and_then(|r| r.namespace.as_ref()).unwrap_or(&silent.service.namespace);
        let release = release.map(|r| r.name.clone()).unwrap_or_default();
        return Way::Leftover { api, release, release_namespace: home.clone(), wanted };
    }
    let owner = |reason: &Cause| reason.owners(snap).first().map(|o| o.kubectl_name()).unwrap_or_default();
    let service = silent.service.name.clone();
    match &silent.fault {
        // Where nothing makes its pods, there is nothing to look at.
        api_services::Cause::NoService | api_services::Cause::NoEndpoints(Some(Cause::NoWorkload)) => {
            Way::NoService { api, managed_by: managed_by(&silent.api.metadata), wanted }
        }
        api_services::Cause::NoEndpoints(Some(reason @ Cause::ScaledToZero(_))) => {
            Way::ScaledToZero { api, workload: owner(reason), wanted }
        }
        api_services::Cause::NoEndpoints(Some(reason)) => Way::NotReady {
            service,
            workload: owner(reason),
            pod: reason.pods().first().map(|p| p.metadata.name.clone()).unwrap_or_default(),
        },
        _ if said(silent).contains("x509:") => certificate(snap, silent, api),
        api_services::Cause::NoEndpoints(None) | api_services::Cause::Refused => {
            Way::NotReady { service, workload: String::new(), pod: String::new() }
        }
        api_services::Cause::Timeout => {
            HostNetwork::behind(snap, silent.service).map_or_else(|| look(snap, silent, api), Way::Overlay)
        }
        _ => look(snap, silent, api),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;

    #[test]
    fn names_the_autoscalers_that_want_it_and_no_others() {
        let mut snap = snapshot(json!({"namespaces": [{"metadata": {"name": "monitoring"}}]}));
        let api = json!([{"metadata": {"name": "v1beta1.custom.metrics.k8s.io"}, "spec": {"group": "custom.metrics.k8s.io",
            "version": "v1beta1", "service": {"namespace": "monitoring", "name": "adapter"}},
            "status": {"conditions": [{"type": "Available", "status": "False", "reason": "ServiceNotFound"}]}}]);
        snap.api_services = Listing::cluster(serde_json::from_value(api).expect("an APIService"));
        let hpa = |name: &str, metric: serde_json::Value| {
            json!({"metadata": {"name": name, "namespace": "shop"}, "spec": {"maxReplicas": 3, "metrics": [metric],
                "scaleTargetRef": {"kind": "Deployment", "name": name}}})
        };
        let target = json!({"type": "AverageValue", "averageValue": "5"});
        let all = json!([
            hpa("web", json!({"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": target}})),
            hpa("api", json!({"type": "Resource", "resource": {"name": "cpu", "target": target}}))
        ]);
        snap.autoscalers = Listing::cluster(serde_json::from_value(all).expect("autoscalers"));
        let found = findings(&ApiServiceUnavailable, &snap);
        assert!(found[0].message.ends_with("HorizontalPodAutoscaler shop/web cannot scale"), "{}", found[0].message);
        assert!(!steps(&found[0]).contains("shop/api"), "{}", steps(&found[0]));
        snap.autoscalers = Listing::cluster(Vec::new());
        assert!(findings(&ApiServiceUnavailable, &snap)[0].message.contains("namespaces cannot be deleted"));
    }

    #[test]
    fn an_expired_certificate_is_renewed_where_it_is_made() {
        let shown = |secret: bool, makers: serde_json::Value| {
            let volumes =
                if secret { json!([{"name": "tls", "secret": {"secretName": "adapter-tls"}}]) } else { json!([]) };
            let mounts = if secret { json!([{"name": "tls", "mountPath": "/tls"}]) } else { json!([]) };
            let pod = json!({"containers": [{"name": "adapter", "image": "adapter", "volumeMounts": mounts}], "volumes": volumes});
            let mut snap = snapshot(json!({
                "pods": [{"metadata": {"name": "adapter-5-x", "namespace": "m", "labels": {"app": "adapter"},
                    "ownerReferences": [{"kind": "Deployment", "name": "adapter", "controller": true}]}, "spec": pod,
                    "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}],
                "services": [{"metadata": {"name": "adapter", "namespace": "m"}, "spec": {"selector": {"app": "adapter"}}}],
            }));
            let api = json!([{"metadata": {"name": "v1beta1.custom.metrics.k8s.io"}, "spec": {"group": "custom.metrics.k8s.io",
                "version": "v1beta1", "service": {"namespace": "m", "name": "adapter"}},
                "status": {"conditions": [{"type": "Available", "status": "False", "reason": "FailedDiscoveryCheck",
                    "message": "tls: failed to verify certificate: x509: certificate has expired or is not yet valid"}]}}]);
            snap.api_services = Listing::cluster(serde_json::from_value(api).expect("an APIService"));
            let makers: Vec<crate::snapshot::kubernetes::SecretMaker> = serde_json::from_value(makers).expect("makers");
            let of_kind = |m| crate::snapshot::kubernetes::SecretMaker { kind: "Certificate".into(), ..m };
            snap.secret_makers = Listing::cluster(makers.into_iter().map(of_kind).collect());
            findings(&ApiServiceUnavailable, &snap).iter().map(steps).collect::<String>()
        };
        let made = json!([{"metadata": {"name": "adapter", "namespace": "m"}, "spec": {"secretName": "adapter-tls"}}]);
        let kept = shown(true, made);
        assert!(kept.contains("cmctl renew adapter -n m") && !kept.contains("patch secret"), "{kept}");
        let by_hand = shown(true, json!([]));
        assert!(by_hand.contains("kubectl patch secret adapter-tls") && !by_hand.contains("cmctl"), "{by_hand}");
        assert!(by_hand.contains("for adapter.m.svc"), "{by_hand}");
        let own = shown(false, json!([]));
        assert!(!own.contains("patch secret") && !own.contains("cmctl"), "{own}");
    }

    #[test]
    fn a_configuration_is_not_taken_for_the_certificate() {
        let pod = |args: &[&str], secrets: &[&str]| -> Pod {
            let volumes: Vec<_> = secrets.iter().map(|n| json!({"name": n, "secret": {"secretName": n}})).collect();
            let at: Vec<_> = secrets.iter().map(|n| json!({"name": n, "mountPath": format!("/{n}")})).collect();
            let container = json!({"name": "c", "image": "i", "args": args, "volumeMounts": at});
            serde_json::from_value(
                json!({"metadata": {"name": "p"}, "spec": {"containers": [container], "volumes": volumes}}),
            )
            .expect("a pod")
        };
        assert_eq!(
            certificate_secret(&pod(&["--tls-cert-file=/serving/tls.crt"], &["config", "serving"])),
            Some("serving")
        );
        assert_eq!(certificate_secret(&pod(&[], &["config", "adapter-tls"])), Some("adapter-tls"));
        assert_eq!(certificate_secret(&pod(&[], &["config"])), None);
    }
}
