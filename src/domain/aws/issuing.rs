//! Why a certificate of cert-manager is not issued: what its request, order and challenge met, in their own words.

use crate::domain::aws::denied::Denied;
use crate::domain::text::between::between;
use crate::domain::text::windows::RECENT;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Event, Issuing, SecretMaker};

/// What keeps a certificate from being issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// Its issuer does not exist: kind and name.
    NoIssuer { kind: String, name: String },
    /// Its issuer is not ready, as that says.
    Issuer { kind: String, name: String },
    /// AWS refuses to write the record that proves the domain.
    Denied(Denied),
    /// cert-manager gets no credentials for that.
    Credentials,
    /// The proof is not seen from outside: over DNS, else over HTTP.
    Unproven { dns: bool },
    /// The authority has given out too many.
    RateLimit,
    /// Something else.
    Other,
}

/// An obstacle with who tells of it.
#[derive(Debug)]
pub(crate) struct Kept<'a> {
    pub(crate) obstacle: Obstacle,
    pub(crate) teller: Teller<'a>,
    /// In its words.
    pub(crate) said: String,
}

/// Who tells of an obstacle.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Teller<'a> {
    Object(&'a Issuing),
    Event(&'a Event),
}

/// The group of a kind.
pub(crate) fn group(kind: &str) -> &'static str {
    match kind {
        "Order" | "Challenge" => "acme.cert-manager.io",
        _ => "cert-manager.io",
    }
}

/// An object as a resource.
pub(crate) fn reference(object: &Issuing) -> ResourceRef {
    let meta = &object.metadata;
    ResourceRef::kubernetes(group(&object.kind), &object.kind, &meta.namespace, &meta.name)
}

/// What keeps a certificate from being issued; the deepest that tells of it.
pub(crate) fn kept<'a>(snap: &'a Snapshot, certificate: &SecretMaker) -> Option<Kept<'a>> {
    let own = |kind: &'static str| {
        let all = snap.issuing.items().unwrap_or_default().iter();
        all.filter(move |o| o.kind == kind && is_of(&o.metadata.namespace, &o.metadata.name, certificate))
    };
    let tells = |object: &'a Issuing, said: &str| {
        (!said.is_empty()).then(|| Kept {
            obstacle: obstacle(said, Some(&object.spec.challenge)),
            teller: Teller::Object(object),
            said: said.to_owned(),
        })
    };
    // The newest attempt counts: old requests keep their orders, and what was wrong with them.
    let request = own("CertificateRequest").max_by_key(|o| o.metadata.creation_timestamp);
    let of_request = |o: &&Issuing| request.is_none_or(|r| o.metadata.name.starts_with(r.metadata.name.as_str()));
    let newest = |kind| {
        let mut all: Vec<&Issuing> = own(kind).filter(of_request).filter(|o| o.status.state != "valid").collect();
        all.sort_by_key(|o| std::cmp::Reverse(o.metadata.creation_timestamp));
        all
    };
    let of_state = |kind| newest(kind).into_iter().find_map(|o| tells(o, &o.status.reason));
    let by_request = || {
        newest("CertificateRequest").into_iter().find_map(|o| {
            let mut conditions = o.status.conditions.iter();
            let bad = conditions
                .find(|c| (c.kind == "Ready" && c.status == "False") || (c.kind == "Denied" && c.status == "True"))?;
            // What waits for its order says nothing.
            let said = bad.message.as_deref().filter(|m| !m.starts_with("Waiting on certificate issuance"))?;
            tells(o, said)
        })
    };
    of_state("Challenge")
        .or_else(|| of_state("Order"))
        .or_else(|| issuer(snap, certificate))
        .or_else(by_request)
        .or_else(|| event(snap, certificate))
}

/// Letters of the endings that Kubernetes makes up.
const RANDOM: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Requests are named after their certificate, orders after their request, challenges after their order.
fn is_of(namespace: &str, name: &str, certificate: &SecretMaker) -> bool {
    let meta = &certificate.metadata;
    // Numbers, or random endings: another certificate's name may begin alike.
    let is_random = |part: &str| part.len() == 5 && part.bytes().all(|b| RANDOM.contains(&b));
    let is_made = |part: &str| (!part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())) || is_random(part);
    let rest = name.strip_prefix(meta.name.as_str()).and_then(|rest| rest.strip_prefix('-'));
    namespace == meta.namespace && rest.is_some_and(|rest| rest.split('-').all(is_made))
}

/// Its issuer, where that is not ready.
fn issuer<'a>(snap: &'a Snapshot, certificate: &SecretMaker) -> Option<Kept<'a>> {
    let named = &certificate.spec.issuer_ref;
    let kind = if named.kind.is_empty() { "Issuer" } else { named.kind.as_str() };
    let namespace = if kind == "ClusterIssuer" { "" } else { certificate.metadata.namespace.as_str() };
    let all = snap.issuing.items().unwrap_or_default();
    let found =
        all.iter().find(|o| o.kind == kind && o.metadata.name == named.name && o.metadata.namespace == namespace)?;
    let condition = found.status.conditions.iter().find(|c| c.kind == "Ready" && c.status == "False")?;
    Some(Kept {
        obstacle: Obstacle::Issuer { kind: kind.to_owned(), name: named.name.clone() },
        teller: Teller::Object(found),
        said: condition.message.clone().unwrap_or_default(),
    })
}

/// What the events of its request, order and challenge say, where the objects were not read.
fn event<'a>(snap: &'a Snapshot, certificate: &SecretMaker) -> Option<Kept<'a>> {
    let kinds = ["Challenge", "Order", "CertificateRequest"];
    let all = snap.events.items().unwrap_or_default().iter().filter(|e| {
        let object = &e.involved_object;
        let tells = e.kind == "Warning" || e.reason == "IssuerNotFound";
        kinds.contains(&object.kind.as_str())
            && tells
            && e.is_within(RECENT, snap.collected_at)
            && is_of(&object.namespace, &object.name, certificate)
    });
    let depth = |e: &&Event| {
        let at = kinds.iter().position(|k| *k == e.involved_object.kind);
        (std::cmp::Reverse(at), e.last_seen())
    };
    let event = all.max_by_key(depth)?;
    Some(Kept { obstacle: obstacle(&event.message, None), teller: Teller::Event(event), said: event.message.clone() })
}

/// By the words of cert-manager; `challenge` where the type of the proof is known.
fn obstacle(said: &str, challenge: Option<&str>) -> Obstacle {
    let has = |parts: &[&str]| parts.iter().any(|p| said.contains(p));
    // `Referenced "ClusterIssuer" not found: clusterissuer.cert-manager.io "letsencrypt" not found`
    if let Some(kind) = between(said, "Referenced \"", "\" not found") {
        let name = said.rsplit_once("cert-manager.io \"").and_then(|(_, rest)| rest.split('"').next());
        return Obstacle::NoIssuer { kind: kind.to_owned(), name: name.unwrap_or_default().to_owned() };
    }
    if has(&["sts:AssumeRole", "AssumeRoleWithWebIdentity", "NoCredentialProviders", "no EC2 IMDS role found"])
        || has(&["failed to refresh cached credentials", "failed to retrieve credentials", "unable to assume role"])
    {
        return Obstacle::Credentials;
    }
    if let Some(denied) = Denied::read(said) {
        return Obstacle::Denied(denied);
    }
    if has(&["rateLimited", "too many certificates", "too many failed authorizations"]) {
        return Obstacle::RateLimit;
    }
    if has(&["challenge propagation", "self check", "self-check", "urn:ietf:params:acme:error:unauthorized"])
        || has(&["urn:ietf:params:acme:error:dns", "urn:ietf:params:acme:error:connection"])
    {
        let dns = challenge.filter(|c| !c.is_empty()).map_or_else(|| has(&["DNS-01", "TXT"]), |c| c == "DNS-01");
        return Obstacle::Unproven { dns };
    }
    Obstacle::Other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_cert_manager() {
        let not_found =
            r#"Referenced "ClusterIssuer" not found: clusterissuer.cert-manager.io "letsencrypt" not found"#;
        assert_eq!(
            obstacle(not_found, None),
            Obstacle::NoIssuer { kind: "ClusterIssuer".into(), name: "letsencrypt".into() }
        );
        let denied = "failed to change Route 53 record set: operation error Route 53: ChangeResourceRecordSets, https response error StatusCode: 403, RequestID: 1, api error AccessDenied: User: arn:aws:sts::1:assumed-role/dns01/1736 is not authorized to perform: route53:ChangeResourceRecordSets on resource: arn:aws:route53:::hostedzone/Z1 because no identity-based policy allows the route53:ChangeResourceRecordSets action";
        let Obstacle::Denied(found) = obstacle(denied, Some("DNS-01")) else { panic!("is denied") };
        assert_eq!((found.role(), found.resource.as_deref()), (Some("dns01"), Some("arn:aws:route53:::hostedzone/Z1")));
        let role = "error instantiating route53 challenge solver: unable to assume role: AccessDenied: User: arn:aws:sts::1:assumed-role/a/1 is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::1:role/b";
        assert_eq!(obstacle(role, None), Obstacle::Credentials);
        let http = "Waiting for HTTP-01 challenge propagation: wrong status code '404', expected '200'";
        assert_eq!(obstacle(http, Some("HTTP-01")), Obstacle::Unproven { dns: false });
        let dns = "Waiting for DNS-01 challenge propagation: DNS record for \"grafana.example.com\" not yet propagated";
        assert_eq!(obstacle(dns, None), Obstacle::Unproven { dns: true });
        let often = "acme: urn:ietf:params:acme:error:rateLimited: too many certificates (5) already issued";
        assert_eq!(obstacle(often, None), Obstacle::RateLimit);
        assert_eq!(obstacle("something new", None), Obstacle::Other);
    }
}
