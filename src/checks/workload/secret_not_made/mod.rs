//! A Secret comes from somewhere else, and what was to bring it does not.

mod certificate;
mod unattended;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::seen::event_evidence;
use crate::checks::{Check, check};
use crate::domain::aws::issuing;
use crate::domain::aws::secret_makers::{self, Cause, Failing};
use crate::domain::kubernetes::start_error;
use crate::domain::text::shorten::shorten;
use crate::domain::text::windows::RECENT;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Placeholder, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Pod, SecretMaker, Workload};
use crate::text::near::near_name;

/// Longest part of a message that is shown in the sentence.
const QUOTED: usize = 200;

check! {
    /// See the check's page.
    SecretNotMade {
        id: "secret-not-made", suite: Workload, severity: Error,
        title: "a Secret is not made by what should make it",
        requires: [SecretMakers],
        uses: [Crds, ApiServices, Pods, Events, Workloads, Issuing],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Denied {
        #[serde(flatten)]
        of: Of,
        action: String,
        role: Placeholder,
        /// One for each Secret: a policy of the same name would be replaced.
        policy_name: String,
        policy: String,
    },
    Absent {
        #[serde(flatten)]
        of: Of,
        key: Placeholder,
        /// `secrets` (Secrets Manager), `parameters` (Parameter Store) or `other`.
        place: &'static str,
        /// That of the store, where it names one.
        region: Option<String>,
    },
    NoStore {
        #[serde(flatten)]
        of: Of,
        store: Placeholder,
    },
    Store {
        #[serde(flatten)]
        of: Of,
        store_kind: String,
        store: String,
        /// Empty of a store of the whole cluster.
        store_namespace: String,
        operator: String,
        operator_namespace: String,
    },
    Sealed {
        #[serde(flatten)]
        of: Of,
        controller: String,
        controller_namespace: String,
    },
    Taken {
        #[serde(flatten)]
        of: Of,
        sealed: bool,
        controller: String,
        controller_namespace: String,
    },
    Certificate {
        #[serde(flatten)]
        of: Of,
    },
    CertificateIssuer {
        #[serde(flatten)]
        of: Of,
        issuer: Placeholder,
        issuer_kind: String,
        /// The Ingress that the Certificate is made of, and the annotation that names its issuer.
        ingress: Option<String>,
        annotation: String,
    },
    CertificateIssuerNotReady {
        #[serde(flatten)]
        of: Of,
        issuer: String,
        issuer_resource: String,
        /// Empty of an issuer of the whole cluster.
        issuer_namespace: String,
        controller: String,
        controller_namespace: String,
    },
    CertificateDenied {
        #[serde(flatten)]
        of: Of,
        action: String,
        role: Placeholder,
        policy_name: String,
        policy: String,
    },
    CertificateCredentials {
        #[serde(flatten)]
        of: Of,
        controller: String,
        controller_namespace: String,
        account: String,
    },
    CertificateUnproven {
        #[serde(flatten)]
        of: Of,
        host: String,
        /// The name of its record, and the path below which it is asked.
        record: String,
        url: String,
        dns: bool,
    },
    Unattended {
        #[serde(flatten)]
        of: Of,
        /// A pod of the controller, and its workload; none where no pod is seen.
        pod: Option<String>,
        controller: String,
        controller_namespace: String,
    },
    Other {
        #[serde(flatten)]
        of: Of,
    },
}

/// What makes the Secret.
#[derive(Serialize, JsonSchema)]
struct Of {
    resource: String,
    name: String,
    namespace: String,
    secret: String,
}

impl Of {
    fn new(failing: &Failing<'_>) -> Self {
        let meta = &failing.maker.metadata;
        Self {
            resource: resource(failing.maker),
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            secret: failing.secret.to_owned(),
        }
    }
}

impl Check for SecretNotMade {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        if snap.secret_makers()?.is_empty() {
            return Ok(Diagnosis::NotApplicable("nothing makes Secrets from somewhere else".into()));
        }
        let all = secret_makers::failing(snap);
        let judged = all.iter().filter(|f| snap.scope.is_judged(&f.maker.metadata.namespace));
        let mut findings: Vec<Finding> = judged.map(|f| finding(snap, f)).collect();
        findings.extend(unattended::findings(snap));
        Ok(Diagnosis::Findings(findings))
    }
}

/// A pod that does not start because the Secret is not there.
fn is_missed(snap: &Snapshot, pod: &Pod, secret: &str) -> bool {
    let names = |message: &str| matches!(start_error::Cause::of(message), Some(start_error::Cause::Missing { name, .. }) if name == secret);
    let waits = pod.statuses().filter_map(|s| s.state.waiting.as_ref()?.message.as_deref()).any(names);
    waits || snap.events_about("Pod", &pod.metadata, RECENT).iter().any(|e| e.kind == "Warning" && names(&e.message))
}

fn finding(snap: &Snapshot, failing: &Failing<'_>) -> Finding {
    let meta = &failing.maker.metadata;
    let all = snap.pods.items().unwrap_or_default().iter().filter(|p| p.metadata.namespace == meta.namespace);
    let missed: Vec<&Pod> = all.filter(|p| !p.is_ready() && is_missed(snap, p, failing.secret)).collect();
    let severity = if missed.is_empty() { Severity::Warning } else { Severity::Error };
    let is_new = failing.condition.reason.as_deref() == Some("DoesNotExist");
    let kept = match missed.is_empty() {
        true if is_new => ": there is none yet",
        true => ": it stays as it is, if it is there",
        false => "",
    };
    let who = format!("{} {}/{}", failing.maker.kind, meta.namespace, meta.name);
    let issuing = (failing.fault == Cause::Certificate).then(|| issuing::kept(snap, failing.maker)).flatten();
    let why = issuing.as_ref().map_or_else(|| why(failing), certificate::why);
    let message = format!("{who} does not make Secret {}{kept}: {why}", failing.secret);
    let secret = ResourceRef::secret(&meta.namespace, failing.secret);
    let mut made = Finding::new(SecretNotMade::META.id, severity, secret_makers::reference(failing.maker), message)
        .also(secret.clone())
        .breaks(secret)
        .evidence(seen(failing.maker))
        .fix(issuing.as_ref().map_or_else(|| fix(snap, failing), |k| certificate::fix(snap, failing, k)));
    if let Some(kept) = &issuing {
        made = certificate::add(made, kept);
    }
    if let Some(store) = failing.store {
        made = made.evidence(seen(store)).also(secret_makers::reference(store));
    }
    failing.event.map(event_evidence).into_iter().fold(made, Finding::evidence)
}

/// The condition as evidence.
fn seen(maker: &SecretMaker) -> Evidence {
    let meta = &maker.metadata;
    let condition = secret_makers::not_ready(maker);
    let said = condition.map(|c| {
        let said = [c.reason.as_deref(), c.message.as_deref()].into_iter().flatten().filter(|t| !t.is_empty());
        format!("{}: {}", c.status, said.collect::<Vec<_>>().join(": "))
    });
    let kind = condition.map_or("Ready", |c| c.kind.as_str());
    Evidence::new(
        format!("{} {}, condition {kind}", maker.kind, secret_makers::reference(maker).name()),
        said.unwrap_or_default(),
        "kubectl describe {{ resource }} {{ name }}{% if namespace %} -n {{ namespace }}{% endif %}",
    )
    .with("resource", resource(maker))
    .with("name", &meta.name)
    .with("namespace", &meta.namespace)
}

/// As kubectl takes it.
fn resource(maker: &SecretMaker) -> String {
    format!("{}s.{}", maker.kind.to_ascii_lowercase(), secret_makers::group(&maker.kind))
}

fn why(failing: &Failing<'_>) -> String {
    let said = failing.condition.message.as_deref().unwrap_or_default();
    match &failing.fault {
        Cause::Denied { action, role } => {
            let who = role.as_ref().map_or_else(|| "its credentials".to_owned(), |r| format!("role {r}"));
            format!("{who} may not {action}")
        }
        Cause::Absent { key: Some(key) } => format!("{key} does not exist where it looks for it"),
        Cause::Absent { key: None } => "the value does not exist where it looks for it".to_owned(),
        Cause::Property => format!("the value has not the field that it asks for ({})", shorten(said, QUOTED)),
        Cause::NoStore { name } => format!("its store {name} does not exist"),
        Cause::Store { name } => {
            let own = failing.store.and_then(secret_makers::not_ready).and_then(|c| c.message.as_deref());
            let own = own.map(|m| format!(" ({})", shorten(m, QUOTED))).unwrap_or_default();
            if own.is_empty() && said.contains("sts:AssumeRole") {
                return format!("its store {name} cannot take its role ({})", shorten(said, QUOTED));
            }
            format!("its store {name} is not ready{own}")
        }
        Cause::Sealed => "it was sealed for another key than the controller's".to_owned(),
        Cause::Taken => format!("a Secret {} is there already, and is somebody else's", failing.secret),
        Cause::Certificate | Cause::Other => shorten(said, QUOTED),
    }
}

fn fix(snap: &Snapshot, failing: &Failing<'_>) -> Fix {
    let of = Of::new(failing);
    match &failing.fault {
        Cause::Denied { action, role } => {
            let statement = serde_json::json!({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": [action], "Resource": ["<arn-of-the-secret>"]}]});
            let role = Placeholder::new("role").candidates(role.clone());
            // IAM takes 128 characters.
            let policy_name = format!("read-{}-{}", of.namespace, of.name).chars().take(128).collect();
            Fix::Denied { of, action: action.clone(), role, policy_name, policy: statement.to_string() }
        }
        Cause::Absent { key } => {
            let (place, region) = place(snap, failing);
            Fix::Absent { of, key: Placeholder::new("key").candidates(key.clone()), place, region }
        }
        Cause::NoStore { name } => Fix::NoStore { of, store: other_store(snap, name) },
        Cause::Store { name } => {
            let (kind, namespace) = secret_makers::store_place(failing.maker);
            let (operator_namespace, operator) = operator(snap);
            Fix::Store {
                of,
                store_kind: format!("{}s.external-secrets.io", kind.to_ascii_lowercase()),
                store: name.clone(),
                store_namespace: namespace.to_owned(),
                operator,
                operator_namespace,
            }
        }
        Cause::Sealed => {
            let (controller_namespace, controller) = sealer(snap);
            Fix::Sealed { of, controller, controller_namespace }
        }
        Cause::Taken => {
            let (controller_namespace, controller) = sealer(snap);
            Fix::Taken { of, sealed: failing.maker.kind == "SealedSecret", controller, controller_namespace }
        }
        Cause::Certificate => Fix::Certificate { of },
        Cause::Property | Cause::Other => Fix::Other { of },
    }
}

/// The service of AWS that has the values, and its region where the store names one.
fn place(snap: &Snapshot, failing: &Failing<'_>) -> (&'static str, Option<String>) {
    let said = failing.condition.message.as_deref().unwrap_or_default();
    let store = secret_makers::store_of(snap, failing.maker);
    let Some(provider) = store.and_then(|s| s.spec.provider.as_ref()) else {
        return (if said.contains("ParameterNotFound") { "parameters" } else { "secrets" }, None);
    };
    match &provider.aws {
        Some(aws) => {
            let place = if aws.service == "ParameterStore" { "parameters" } else { "secrets" };
            (place, Some(aws.region.clone()).filter(|r| !r.is_empty()))
        }
        None => ("other", None),
    }
}

/// Namespace and name of the operator of External Secrets, which has a webhook and more of the same image.
fn operator(snap: &Snapshot) -> (String, String) {
    let is_part = |w: &Workload| ["-webhook", "-cert-controller"].iter().any(|end| w.metadata.name.ends_with(end));
    deployment(snap, |w| runs(w, "/external-secrets") && !is_part(w))
        .unwrap_or_else(|| ("external-secrets".to_owned(), "external-secrets".to_owned()))
}

/// Namespace and name of the controller of Sealed Secrets.
fn sealer(snap: &Snapshot) -> (String, String) {
    deployment(snap, |w| runs(w, "sealed-secrets-controller"))
        .unwrap_or_else(|| ("kube-system".to_owned(), "sealed-secrets-controller".to_owned()))
}

fn runs(workload: &Workload, image: &str) -> bool {
    workload.spec.template.spec.containers.iter().any(|c| c.image.contains(image))
}

fn deployment(snap: &Snapshot, is_it: impl Fn(&Workload) -> bool) -> Option<(String, String)> {
    let all = snap.workloads.items().unwrap_or_default();
    let found = all.iter().find(|w| w.kind == "Deployment" && is_it(w))?;
    Some((found.metadata.namespace.clone(), found.metadata.name.clone()))
}

/// Stores that are there, the one that is likely meant first.
fn other_store(snap: &Snapshot, name: &str) -> Placeholder {
    let all = snap.secret_makers.items().unwrap_or_default();
    let stores: Vec<&str> =
        all.iter().filter(|s| s.kind.ends_with("SecretStore")).map(|s| s.metadata.name.as_str()).collect();
    let near = near_name(name, stores.iter().copied());
    Placeholder::new("store").candidates(near.into_iter().chain(stores.iter().copied()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;

    fn object(kind: &str, name: &str, spec: Value, condition: (&str, &str)) -> SecretMaker {
        let (status, message) = condition;
        let conditions = json!([{"type": "Ready", "status": status, "message": message, "lastTransitionTime": "2026-11-21T00:00:00Z"}]);
        let meta = json!({"name": name, "namespace": "monitoring"});
        let object = json!({"metadata": meta, "spec": spec, "status": {"conditions": conditions}});
        SecretMaker { kind: kind.to_owned(), ..serde_json::from_value(object).expect("an object") }
    }

    /// The fix for an ExternalSecret that says this, by a store of this provider.
    fn told(message: &str, provider: Value) -> String {
        let mut snap = snapshot(json!({"pods": []}));
        let store = object("SecretStore", "aws", json!({"provider": provider}), ("True", ""));
        let secret = object("ExternalSecret", "smtp", json!({"secretStoreRef": {"name": "aws"}}), ("False", message));
        snap.secret_makers = Listing::cluster(vec![store, secret]);
        let found = findings(&SecretNotMade, &snap);
        format!("{}\n{}", found[0].message, steps(&found[0]))
    }

    #[test]
    fn a_value_is_made_where_the_store_looks_for_it() {
        let absent = "error processing spec.data[0] (key: prod/smtp), err: Secret does not exist";
        let parameters = told(absent, json!({"aws": {"service": "ParameterStore", "region": "eu-west-3"}}));
        assert!(parameters.contains("aws ssm put-parameter --name prod/smtp"), "{parameters}");
        assert!(parameters.contains("--region eu-west-3") && !parameters.contains("secretsmanager"), "{parameters}");
        let secrets = told(absent, json!({"aws": {"service": "SecretsManager"}}));
        assert!(secrets.contains("aws secretsmanager create-secret") && !secrets.contains("aws ssm"), "{secrets}");
        let vault = told(absent, json!({"vault": {"server": "https://vault"}}));
        assert!(!vault.contains("create-secret") && !vault.contains("put-parameter"), "{vault}");
    }

    #[test]
    fn each_secret_has_a_policy_of_its_own_and_a_role_is_not_allowed_to_take_itself() {
        let denied = "User: arn:aws:sts::1:assumed-role/eso/1 is not authorized to perform: secretsmanager:GetSecretValue on resource: prod/smtp";
        let denied = told(denied, json!({"aws": {}}));
        assert!(denied.contains("--policy-name read-monitoring-smtp"), "{denied}");
        let trust = "api error AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity";
        let trust = told(trust, json!({"aws": {}}));
        assert!(trust.contains("its store aws cannot take its role"), "{trust}");
        assert!(trust.contains("kubectl describe secretstores.external-secrets.io aws -n monitoring"), "{trust}");
        assert!(!trust.contains("put-role-policy"), "{trust}");
    }
}
