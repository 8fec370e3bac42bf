//! A certificate that is not issued: what its request, order and challenge met.

use serde_json::json;

use super::{Fix, Of, QUOTED, deployment, runs};
use crate::checks::support::place::Place;
use crate::checks::support::seen::event_evidence;
use crate::domain::aws::denied::Denied;
use crate::domain::aws::issuing::{self, Kept, Obstacle, Teller};
use crate::domain::aws::secret_makers::Failing;
use crate::domain::text::shorten::shorten;
use crate::model::{Evidence, Finding, Placeholder, ResourceRef};
use crate::snapshot::Snapshot;
use crate::text::near::near_name;

/// The end of the sentence.
pub(super) fn why(kept: &Kept<'_>) -> String {
    let said = shorten(&kept.said, QUOTED);
    match &kept.obstacle {
        Obstacle::NoIssuer { kind, name } => format!("its {kind} {name} does not exist"),
        Obstacle::Issuer { kind, name } if said.is_empty() => format!("its {kind} {name} is not ready"),
        Obstacle::Issuer { kind, name } => format!("its {kind} {name} is not ready ({said})"),
        Obstacle::Denied(denied) => {
            let who = denied.role().map_or_else(|| "cert-manager".to_owned(), |r| format!("cert-manager's role {r}"));
            let action = denied.action.as_deref().unwrap_or("write the record that proves the domain");
            format!("{who} may not {action}")
        }
        Obstacle::Credentials => format!("cert-manager gets no AWS credentials to prove the domain ({said})"),
        Obstacle::Unproven { .. } => format!("the domain is not proven ({said})"),
        Obstacle::RateLimit => format!("the authority has given out too many ({said})"),
        Obstacle::Other => said,
    }
}

/// Who tells of it.
pub(super) fn add(made: Finding, kept: &Kept<'_>) -> Finding {
    match kept.teller {
        Teller::Event(event) => made.evidence(event_evidence(event)),
        Teller::Object(object) => {
            let reference = issuing::reference(object);
            let seen = Evidence::new(
                format!("{} {}", object.kind, reference.name()),
                kept.said.clone(),
                "kubectl describe {{ resource }} {{ name }}{% if namespace %} -n {{ namespace }}{% endif %}",
            );
            made.evidence(
                seen.with(
                    "resource",
                    format!("{}s.{}", object.kind.to_ascii_lowercase(), issuing::group(&object.kind)),
                )
                .with("name", &object.metadata.name)
                .with("namespace", &object.metadata.namespace),
            )
            .also(reference.clone())
            // Who refuses what it needs is deeper.
            .depends_on(reference)
        }
    }
}

/// What gets it issued.
pub(super) fn fix(snap: &Snapshot, failing: &Failing<'_>, kept: &Kept<'_>) -> Fix {
    let of = Of::new(failing);
    match &kept.obstacle {
        Obstacle::NoIssuer { kind, name } => no_issuer(snap, failing, kind, name),
        Obstacle::Issuer { kind, name } => {
            let (controller_namespace, controller, _) = controller(snap);
            Fix::CertificateIssuerNotReady {
                issuer: name.clone(),
                issuer_resource: format!("{}s.cert-manager.io", kind.to_ascii_lowercase()),
                issuer_namespace: if kind == "ClusterIssuer" { String::new() } else { of.namespace.clone() },
                controller,
                controller_namespace,
                of,
            }
        }
        Obstacle::Denied(denied) => self::denied(snap, of, denied),
        Obstacle::Credentials => {
            let (controller_namespace, controller, account) = controller(snap);
            Fix::CertificateCredentials { of, controller, controller_namespace, account }
        }
        Obstacle::Unproven { dns } => {
            let named = match kept.teller {
                Teller::Object(object) => Some(object.spec.dns_name.as_str()).filter(|n| !n.is_empty()),
                Teller::Event(_) => None,
            };
            let host = named.unwrap_or("<host>").trim_start_matches("*.").to_owned();
            Fix::CertificateUnproven {
                record: format!("_acme-challenge.{host}"),
                url: format!("http://{host}/.well-known/acme-challenge/"),
                host,
                dns: *dns,
                of,
            }
        }
        Obstacle::RateLimit | Obstacle::Other => Fix::Certificate { of },
    }
}

fn no_issuer(snap: &Snapshot, failing: &Failing<'_>, kind: &str, name: &str) -> Fix {
    let of = Of::new(failing);
    let here = |namespace: &str| kind == "ClusterIssuer" || namespace == of.namespace;
    let all = snap.issuing.items().unwrap_or_default().iter();
    let there: Vec<&str> =
        all.filter(|o| o.kind == kind && here(&o.metadata.namespace)).map(|o| o.metadata.name.as_str()).collect();
    let near = near_name(name, there.iter().copied());
    let by_ingress = failing.maker.metadata.controller().filter(|o| o.kind == "Ingress");
    Fix::CertificateIssuer {
        issuer: Placeholder::new("issuer")
            .how("one of the list")
            .candidates(near.into_iter().chain(there.iter().copied())),
        issuer_kind: kind.to_owned(),
        ingress: by_ingress.map(|o| o.name.clone()),
        annotation: if kind == "ClusterIssuer" { "cert-manager.io/cluster-issuer" } else { "cert-manager.io/issuer" }
            .to_owned(),
        of,
    }
}

/// What a DNS-01 challenge takes in Route 53, on the zone that was refused.
fn denied(snap: &Snapshot, of: Of, denied: &Denied) -> Fix {
    let partition = Place::of(snap).partition;
    let zone = denied.resource.clone().filter(|r| r.contains(":hostedzone/"));
    let zone = zone.unwrap_or_else(|| format!("arn:{partition}:route53:::hostedzone/<zone-id>"));
    let allow = |actions: &[&str], on: &str| json!({"Effect": "Allow", "Action": actions, "Resource": on});
    let policy = json!({"Version": "2012-10-17", "Statement": [
        allow(&["route53:GetChange"], &format!("arn:{partition}:route53:::change/*")),
        allow(&["route53:ChangeResourceRecordSets", "route53:ListResourceRecordSets"], &zone),
        allow(&["route53:ListHostedZonesByName"], "*"),
    ]});
    Fix::CertificateDenied {
        of,
        action: denied.action.clone().unwrap_or_default(),
        role: Placeholder::new("role-name")
            .how("the role of cert-manager's ServiceAccount, or of the issuer's solver")
            .candidates(denied.role().map(str::to_owned)),
        policy_name: "cert-manager-dns01".to_owned(),
        policy: policy.to_string(),
    }
}

/// Namespace, name and ServiceAccount of cert-manager.
fn controller(snap: &Snapshot) -> (String, String, String) {
    let (namespace, name) = deployment(snap, |w| runs(w, "cert-manager-controller"))
        .unwrap_or_else(|| ("cert-manager".to_owned(), "cert-manager".to_owned()));
    let own = ResourceRef::workload("Deployment", &namespace, &name);
    let all = snap.workloads.items().unwrap_or_default().iter();
    let account = all.filter(|w| w.reference() == own).find_map(|w| w.spec.template.spec.service_account_name.clone());
    (namespace, name, account.unwrap_or_else(|| "cert-manager".to_owned()))
}
