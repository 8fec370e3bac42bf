//! What is said of a discovery that fails, and where it was seen.

use std::collections::{BTreeMap, BTreeSet};

use super::{Discovery, SHOWN, service_account};
use crate::domain::prometheus::discovery_log::{Cause, Failure, FileCause};
use crate::domain::prometheus::scrape_error::ScrapeFailure;
use crate::domain::text::redact::redact;
use crate::model::Evidence;

impl Discovery<'_> {
    pub(super) fn message(&self) -> String {
        let (namespace, account) = self.account();
        let account = format!("ServiceAccount {namespace}/{account}");
        match &self.first.reason {
            Cause::Denied(denied) => {
                let who = service_account(&denied.user)
                    .map_or_else(|| denied.user.clone(), |(ns, name)| format!("ServiceAccount {ns}/{name}"));
                format!("{who} may not list {}: no Role or ClusterRole bound to it allows that (RBAC)", self.refused())
            }
            Cause::NotInCluster => {
                let what = if self.first.error.contains("KUBERNETES_SERVICE_HOST") {
                    "KUBERNETES_SERVICE_HOST is not set"
                } else {
                    "the token of its ServiceAccount is not mounted"
                };
                format!("Prometheus has no in-cluster configuration for service discovery: {what}")
            }
            Cause::Unauthorized => format!("the API server does not accept the token of {account} (Unauthorized)"),
            Cause::Certificate => format!(
                "Prometheus does not accept the certificate of the API server: {}",
                certificate_words(&self.first.error)
            ),
            Cause::Unreachable => {
                let why = ScrapeFailure::classify(&self.first.error).words();
                format!("Prometheus cannot reach the API server for service discovery: {why}")
            }
            Cause::File(fault, path) => match fault {
                FileCause::Missing => format!("{path} of file_sd_configs does not exist: no file of targets matches"),
                FileCause::Unreadable => format!("{path} of file_sd_configs cannot be read: permission denied"),
                FileCause::Invalid => {
                    let kind = if path.ends_with(".json") { "JSON" } else { "YAML" };
                    format!("{path} of file_sd_configs is not a valid list of targets ({kind}): {}", self.first.error)
                }
            },
            Cause::AwsCredentials => match self.role_arn() {
                Some(arn) if self.is_older_than_its_role() => {
                    format!("Prometheus has no AWS credentials: its pods are older than the role of {account} ({arn})")
                }
                Some(arn) => format!("Prometheus has no AWS credentials, although {account} names role {arn}"),
                None => format!(
                    "Prometheus has no AWS credentials: {account} has no IAM role (neither annotation nor Pod Identity)"
                ),
            },
            Cause::AwsRole => format!("AWS lets {account} not assume its IAM role"),
            Cause::AwsDenied(action) if self.calls_as_node() => {
                let node = self.assumed_role().unwrap_or_default();
                let why = match self.role_arn() {
                    Some(arn) if self.is_older_than_its_role() => {
                        format!("its pods are older than the role of {account} ({arn})")
                    }
                    Some(arn) => format!("it does not take the role that {account} names ({arn})"),
                    None => format!("{account} gives it none of its own"),
                };
                format!("Prometheus calls AWS with the role of its node, {node}, which does not allow {action}: {why}")
            }
            Cause::AwsDenied(action) => match (self.assumed_role(), self.role_arn()) {
                (Some(role), _) => format!("IAM role {role}, which Prometheus has, does not allow {action}"),
                (None, Some(_)) => format!("the IAM role of {account} does not allow {action}"),
                (None, None) => format!(
                    "Prometheus may not call {action}: {account} has no IAM role, and what it has instead (the role of its node, or keys) does not allow it"
                ),
            },
            Cause::Other(words) => format!("{} discovery of Prometheus fails: {words}", self.first.mechanism),
        }
    }

    /// What follows for which jobs.
    pub(super) fn consequence(&self) -> String {
        if self.affected.is_empty() {
            return String::new();
        }
        let shown: Vec<&str> = self.affected.iter().take(SHOWN).map(String::as_str).collect();
        let more = self.affected.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let (jobs, gets) = if self.affected.len() == 1 { ("job", "gets") } else { ("jobs", "get") };
        format!("; {jobs} {}{more} {gets} no new targets", shown.join(", "))
    }

    /// `pods in namespace shop; nodes in the whole cluster`.
    fn refused(&self) -> String {
        let mut scopes: BTreeMap<Option<&str>, BTreeSet<&str>> = BTreeMap::new();
        for denied in self.denied() {
            scopes.entry(denied.namespace.as_deref()).or_default().insert(&denied.resource);
        }
        let words = scopes.iter().map(|(namespace, resources)| {
            let resources: Vec<&str> = resources.iter().copied().collect();
            let place = namespace.map_or_else(|| "in the cluster".to_owned(), |n| format!("in namespace {n}"));
            format!("{} {place}", resources.join(", "))
        });
        words.collect::<Vec<_>>().join("; ")
    }
}

fn certificate_words(error: &str) -> &'static str {
    if error.contains("has expired") {
        "it has expired or is not yet valid"
    } else if error.contains("unknown authority") {
        "the CA that is mounted did not sign it (unknown authority)"
    } else if error.contains("valid for") {
        "it is for another name"
    } else {
        "the TLS handshake fails"
    }
}

pub(super) fn evidence(failure: &Failure) -> Evidence {
    let (namespace, pod, container) = &failure.pod;
    let template =
        "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }} --tail=200 | grep -iF -- {{ pattern }}";
    let value = if matches!(failure.reason, Cause::Other(_)) { redact(&failure.line) } else { failure.line.clone() };
    let pattern = match &failure.reason {
        Cause::Denied(_) => "is forbidden",
        _ if failure.line.contains("ailed to list *") => "failed to list",
        _ => failure.error.split(['"', '\n', '\\']).next().unwrap_or_default().trim(),
    };
    Evidence::new(format!("log of pod {namespace}/{pod}, said {} times", failure.lines), value, template)
        .with("namespace", namespace)
        .with("pod", pod)
        .with("container", container)
        .with("pattern", pattern)
}
