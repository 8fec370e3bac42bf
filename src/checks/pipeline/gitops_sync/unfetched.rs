//! A repository that Flux cannot fetch: all that comes from it stays as it is.

use crate::domain::kubernetes::flux_source::{self, Unfetched, Why};
use crate::domain::kubernetes::gitops::{self, Cause, Failing};
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::model::{Evidence, Finding, ResourceRef, Severity};
use crate::snapshot::Snapshot;

use super::fix::{Fetched, Fix, Way};
use super::{GitOpsSync, QUOTED};

/// The source that keeps what fails from being made; `None` where something else does.
pub(super) fn source<'a>(snap: &'a Snapshot, failing: &Failing<'_>) -> Option<Unfetched<'a>> {
    let of_source = matches!(failing.fault, Cause::Source | Cause::NoVersion | Cause::Other);
    (of_source && failing.object.kind != "Application").then(|| flux_source::unfetched(snap, failing)).flatten()
}

/// One finding for each source that fails, about all that come from it.
pub(super) fn findings(snap: &Snapshot, all: &[Failing<'_>]) -> Vec<Finding> {
    let mut told: Vec<(ResourceRef, Unfetched<'_>, Vec<&Failing<'_>>)> = Vec::new();
    for failing in all {
        let Some(unfetched) = source(snap, failing) else { continue };
        let own = flux_source::reference(unfetched.source);
        match told.iter_mut().find(|(of, ..)| *of == own) {
            Some((.., users)) => users.push(failing),
            None => told.push((own, unfetched, vec![failing])),
        }
    }
    told.into_iter().map(|(own, unfetched, users)| finding(own, &unfetched, &users)).collect()
}

fn finding(own: ResourceRef, unfetched: &Unfetched<'_>, users: &[&Failing<'_>]) -> Finding {
    let source = unfetched.source;
    let (namespace, name) = (&source.metadata.namespace, &source.metadata.name);
    let text = redact(&unfetched.text.split_whitespace().collect::<Vec<_>>().join(" "));
    let first = users.first().map(|f| gitops::reference(f.object).to_string()).unwrap_or_default();
    let more = if users.len() > 1 { format!(" and {} more", users.len() - 1) } else { String::new() };
    let message = format!(
        "Flux does not fetch {} {namespace}/{name}, so that {first}{more} cannot be brought up to date: {}: {}",
        source.kind,
        unfetched.why.words(),
        shorten(&text, QUOTED)
    );
    let resource = flux_source::resource(source);
    let evidence = Evidence::new(
        format!("{} {namespace}/{name} status", source.kind),
        shorten(&text, 600),
        "kubectl get {{ resource }} {{ name }} -n {{ namespace }} -o yaml",
    )
    .with("resource", &resource)
    .with("name", name)
    .with("namespace", namespace);
    let (host, port) = flux_source::host(&source.spec.url).unwrap_or_default();
    let fix = Fix {
        resource,
        flux: "source".to_owned(),
        name: name.clone(),
        namespace: namespace.clone(),
        sync_patch: String::new(),
        way: Way::Unfetched(Fetched {
            why: word(unfetched.why),
            source: flux_source::flux_kind(source),
            secret: source.spec.secret_ref.name.clone(),
            host,
            port: port.map_or_else(String::new, |port| port.to_string()),
        }),
    };
    Finding::new(GitOpsSync::META.id, Severity::Warning, own.clone(), message)
        .key(format!("{} unfetched", own.key()))
        .evidence(evidence)
        .breaks(own)
        .fix(fix)
}

fn word(why: Why) -> &'static str {
    match why {
        Why::HostKey => "host-key",
        Why::Login => "login",
        Why::NotFound => "not-found",
        Why::Certificate => "certificate",
        Why::Unreached => "unreached",
        Why::Secret => "secret",
        Why::Other => "other",
    }
}
