//! Who was to make a Secret that is not there, and what keeps it from that.

use crate::domain::aws::denied::Denied;
use crate::domain::kubernetes::image::base_of;
use crate::domain::text::windows::RECENT;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Condition, Container, Event, Pod, SecretMaker};

/// Seconds that making one may take.
const PATIENCE: i64 = 300;

/// Why a Secret is not made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// AWS refuses to give the value.
    Denied { action: String, role: Option<String> },
    /// The place has no such value.
    Absent { key: Option<String> },
    /// The value has no such field.
    Property,
    /// The store does not exist.
    NoStore { name: String },
    /// The store is not ready.
    Store { name: String },
    /// It was encrypted for another key.
    Sealed,
    /// A Secret of that name is there, and belongs to somebody else.
    Taken,
    /// A certificate that is not issued.
    Certificate,
    /// Something else.
    Other,
}

/// A maker that does not make its Secret.
#[derive(Debug)]
pub(crate) struct Failing<'a> {
    pub(crate) maker: &'a SecretMaker,
    pub(crate) secret: &'a str,
    pub(crate) condition: &'a Condition,
    /// The last warning about it.
    pub(crate) event: Option<&'a Event>,
    /// The store that it takes the value from, where that is what fails.
    pub(crate) store: Option<&'a SecretMaker>,
    pub(crate) fault: Cause,
}

/// The group of the kind of a maker.
pub(crate) fn group(kind: &str) -> &'static str {
    match kind {
        "SealedSecret" => "bitnami.com",
        "Certificate" => "cert-manager.io",
        _ => "external-secrets.io",
    }
}

/// A maker as a resource.
pub(crate) fn reference(maker: &SecretMaker) -> ResourceRef {
    ResourceRef::kubernetes(group(&maker.kind), &maker.kind, &maker.metadata.namespace, &maker.metadata.name)
}

/// All makers that fail for longer than it takes.
pub(crate) fn failing(snap: &Snapshot) -> Vec<Failing<'_>> {
    snap.secret_makers.items().unwrap_or_default().iter().filter_map(|m| of(snap, m)).collect()
}

fn of<'a>(snap: &'a Snapshot, maker: &'a SecretMaker) -> Option<Failing<'a>> {
    let secret = maker.secret()?;
    let condition = not_ready(maker)?;
    let since = condition.last_transition_time.or(maker.metadata.creation_timestamp)?;
    if snap.seconds_since(since) < PATIENCE || maker.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let events = snap.events_about(&maker.kind, &maker.metadata, RECENT);
    let event = events.into_iter().find(|e| e.kind == "Warning");
    let store = store_of(snap, maker);
    let said = event.map_or("", |e| e.message.as_str());
    let said = format!("{} {said}", condition.message.as_deref().unwrap_or_default());
    let fault = fault(maker, &said, store);
    let store = store.filter(|s| not_ready(s).is_some());
    Some(Failing { maker, secret, condition, event, store, fault })
}

/// Makers that have no condition of any kind for longer than it takes: nobody has looked at them; with their Secrets.
pub(crate) fn unattended(snap: &Snapshot) -> Vec<(&SecretMaker, &str)> {
    let all = snap.secret_makers.items().unwrap_or_default().iter();
    let new = all.filter(|m| m.status.conditions.is_empty() && m.metadata.deletion_timestamp.is_none());
    let old = new.filter(|m| m.metadata.creation_timestamp.is_some() && snap.age_seconds(&m.metadata) >= PATIENCE);
    old.filter_map(|m| Some((m, m.secret()?))).collect()
}

/// Pods of the controller that looks at makers of a kind.
pub(crate) fn controllers<'a>(snap: &'a Snapshot, kind: &str) -> impl Iterator<Item = &'a Pod> + use<'a> {
    // The second is another builder's.
    let images: &'static [&'static str] = match kind {
        "SealedSecret" => &["sealed-secrets-controller", "sealed-secrets"],
        "Certificate" => &["cert-manager-controller", "cert-manager"],
        _ => &["external-secrets"],
    };
    let pods = snap.pods.items().unwrap_or_default().iter();
    let here = pods.filter(|p| !p.is_finished() && p.metadata.deletion_timestamp.is_none());
    // Its webhook and what makes the webhook's certificate run the same image.
    let is_it = move |p: &Pod| {
        let own = |c: &Container| {
            images.contains(&base_of(&c.image)) && !["webhook", "cert-controller"].contains(&c.name.as_str())
        };
        p.spec.containers.iter().any(own)
    };
    here.filter(move |p| is_it(p))
}

/// The condition that says that it does not work.
pub(crate) fn not_ready(maker: &SecretMaker) -> Option<&Condition> {
    maker.status.conditions.iter().find(|c| matches!(c.kind.as_str(), "Ready" | "Synced") && c.status == "False")
}

/// Where a store that a maker names is: its kind, and its namespace, empty of one of the whole cluster.
pub(crate) fn store_place(maker: &SecretMaker) -> (&str, &str) {
    match maker.spec.secret_store_ref.kind.as_str() {
        "" | "SecretStore" => ("SecretStore", &maker.metadata.namespace),
        kind => (kind, ""),
    }
}

/// The store that a maker takes its value from.
pub(crate) fn store_of<'a>(snap: &'a Snapshot, maker: &SecretMaker) -> Option<&'a SecretMaker> {
    let named = &maker.spec.secret_store_ref;
    let (kind, namespace) = store_place(maker);
    let all = snap.secret_makers.items().unwrap_or_default();
    all.iter().find(|s| s.kind == kind && s.metadata.name == named.name && s.metadata.namespace == namespace)
}

fn fault(maker: &SecretMaker, said: &str, store: Option<&SecretMaker>) -> Cause {
    let has = |parts: &[&str]| parts.iter().any(|p| said.contains(p));
    match maker.kind.as_str() {
        "Certificate" => return Cause::Certificate,
        "SealedSecret" if has(&["no key could decrypt"]) => return Cause::Sealed,
        "SealedSecret" if has(&["already exists and is not managed"]) => return Cause::Taken,
        "SealedSecret" => return Cause::Other,
        _ => {}
    }
    let named = &maker.spec.secret_store_ref.name;
    if let Some(denied) = Denied::read(said) {
        // A role that cannot be taken is a matter of who trusts it, and not of what it may.
        if said.contains("sts:AssumeRole") {
            return Cause::Store { name: named.clone() };
        }
        let action = denied.action.clone().unwrap_or_else(|| "secretsmanager:GetSecretValue".to_owned());
        return Cause::Denied { action, role: denied.role().map(str::to_owned) };
    }
    if has(&["SecretStore.external-secrets.io \"", "could not get SecretStore", "could not get ClusterSecretStore"])
        && has(&["not found"])
    {
        return Cause::NoStore { name: named.clone() };
    }
    if store.is_some_and(|s| not_ready(s).is_some()) || has(&["is not ready"]) {
        return Cause::Store { name: named.clone() };
    }
    if has(&["does not exist in secret", "property", "find secret data for key"]) {
        return Cause::Property;
    }
    if has(&[
        "ResourceNotFoundException",
        "can't find the specified secret",
        "ParameterNotFound",
        "Secret does not exist",
    ]) {
        return Cause::Absent { key: key(said) };
    }
    if has(&["already exists", "not owned by", "owned by another"]) {
        return Cause::Taken;
    }
    Cause::Other
}

/// `(key: prod/grafana)` and older words for the same.
fn key(said: &str) -> Option<String> {
    let rest = said.split_once("(key: ").map(|(_, rest)| rest);
    let rest = rest.or_else(|| said.split_once("key \"").map(|(_, rest)| rest))?;
    let key = rest.split([')', '"', ',']).next()?.trim();
    (!key.is_empty()).then(|| key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &str, said: &str) -> Cause {
        let mut maker = SecretMaker { kind: kind.to_owned(), ..SecretMaker::default() };
        maker.spec.secret_store_ref.name = "aws".to_owned();
        fault(&maker, said, None)
    }

    #[test]
    fn the_words_of_those_who_make_secrets() {
        let denied = "error processing spec.data[0] (key: prod/grafana), err: operation error Secrets Manager: GetSecretValue, https response error StatusCode: 400, RequestID: 1, api error AccessDeniedException: User: arn:aws:sts::1:assumed-role/eso/1 is not authorized to perform: secretsmanager:GetSecretValue on resource: prod/grafana because no identity-based policy allows the secretsmanager:GetSecretValue action";
        assert_eq!(
            of("ExternalSecret", denied),
            Cause::Denied { action: "secretsmanager:GetSecretValue".into(), role: Some("eso".into()) }
        );
        let absent = "error processing spec.data[0] (key: prod/grafana), err: Secret does not exist";
        assert_eq!(of("ExternalSecret", absent), Cause::Absent { key: Some("prod/grafana".into()) });
        let store =
            "could not get ClusterSecretStore \"aws\", ClusterSecretStore.external-secrets.io \"aws\" not found";
        assert_eq!(of("ExternalSecret", store), Cause::NoStore { name: "aws".into() });
        assert_eq!(
            of("ExternalSecret", "ClusterSecretStore \"aws\" is not ready"),
            Cause::Store { name: "aws".into() }
        );
        let trust = "could not get provider client: operation error STS: AssumeRoleWithWebIdentity, https response error StatusCode: 403, RequestID: 1, api error AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity";
        assert_eq!(of("ExternalSecret", trust), Cause::Store { name: "aws".into() });
        assert_eq!(of("SealedSecret", "no key could decrypt secret (password)"), Cause::Sealed);
        assert_eq!(of("Certificate", "Issuing certificate as Secret does not exist"), Cause::Certificate);
    }
}
