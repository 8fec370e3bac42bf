//! Service discovery fails, so jobs have no targets or those of before.

mod fix;
mod rights;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use crate::checks::support::scrape;
use crate::checks::{Check, check};
use crate::domain::aws::denied;
use crate::domain::kubernetes::network_policy;
use crate::domain::prometheus::discovery_jobs::{self, Job};
use crate::domain::prometheus::discovery_log::{self, Cause, Denied, Failure};
use crate::domain::prometheus::targets;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::aws::PodIdentityAssociation;
use crate::snapshot::kubernetes::Pod;
use fix::Fix;
use words::evidence;

/// Jobs and resources that a message names at most.
const SHOWN: usize = 3;

check! {
    /// See the check's page.
    DiscoveryFailing {
        id: "discovery-failing", suite: Scrape, severity: Error,
        title: "service discovery of Prometheus fails",
        requires: [ComponentLogs],
        uses: [
            PrometheusConfig, PrometheusTargets, PrometheusMetrics, Pods, ServiceAccounts, ConfigMaps, Workloads, Services,
            NetworkPolicies, Namespaces, EksCluster, PodIdentityAssociations,
        ],
        fix: Fix,
    }
}

impl Check for DiscoveryFailing {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let jobs = discovery_jobs::of(snap);
        let mut groups: BTreeMap<String, Vec<Failure>> = BTreeMap::new();
        for failure in discovery_log::failures(snap)? {
            groups.entry(group_of(snap, &failure)).or_default().push(failure);
        }
        let mut findings: Vec<Finding> = Vec::new();
        for group in groups.values() {
            findings.extend(Discovery::new(snap, &jobs, group).finding());
        }
        // client-go says nothing of a connection that is refused; the counter of its requests does.
        if !groups.values().flatten().any(|f| f.mechanism == "kubernetes") {
            findings.extend(silent(snap, &jobs));
        }
        Ok(Diagnosis::Findings(findings))
    }
}

/// Failures that one change repairs.
fn group_of(snap: &Snapshot, failure: &Failure) -> String {
    let job = failure.job.as_deref().unwrap_or_default();
    let owner = pod_of(snap, failure).map(|p| snap.owner_ref(p).key()).unwrap_or_default();
    match &failure.reason {
        Cause::Denied(denied) => format!("denied/{}", denied.user),
        Cause::File(_, path) => format!("file/{path}/{job}"),
        Cause::Other(words) => format!("other/{}/{job}/{words}", failure.mechanism),
        Cause::AwsDenied(_) | Cause::AwsCredentials | Cause::AwsRole => {
            format!("aws/{}/{owner}", kind(&failure.reason))
        }
        Cause::NotInCluster | Cause::Unauthorized | Cause::Certificate | Cause::Unreachable => {
            format!("{}/{owner}", kind(&failure.reason))
        }
    }
}

/// What failures of a pod have in common.
fn kind(reason: &Cause) -> &'static str {
    match reason {
        Cause::Denied(_) => "denied",
        Cause::NotInCluster => "token",
        Cause::Unauthorized => "unauthorized",
        Cause::Certificate => "certificate",
        Cause::Unreachable => "unreachable",
        Cause::File(..) => "file",
        Cause::AwsCredentials => "aws-credentials",
        Cause::AwsRole => "aws-role",
        Cause::AwsDenied(_) => "aws-denied",
        Cause::Other(_) => "other",
    }
}

fn pod_of<'a>(snap: &'a Snapshot, failure: &Failure) -> Option<&'a Pod> {
    snap.pods.find(&failure.pod.0, &failure.pod.1).ok().flatten()
}

/// A discovery that fails for one reason.
struct Discovery<'a> {
    snap: &'a Snapshot,
    failures: &'a [Failure],
    first: &'a Failure,
    /// Jobs that find their targets by it.
    affected: Vec<String>,
    pod: Option<&'a Pod>,
}

impl<'a> Discovery<'a> {
    fn new(snap: &'a Snapshot, jobs: &'a [Job], failures: &'a [Failure]) -> Self {
        let first = &failures[0];
        let named: BTreeSet<&str> = failures.iter().filter_map(|f| f.job.as_deref()).collect();
        let by_config = || jobs.iter().filter(|j| failures.iter().any(|f| is_hit(j, f))).map(|j| j.name.as_str());
        let affected: Vec<&str> = if named.is_empty() { by_config().collect() } else { named.into_iter().collect() };
        let affected = affected.into_iter().map(str::to_owned).collect();
        let pod = pod_of(snap, first).or_else(|| targets::prometheus_pod(snap));
        Self { snap, failures, first, affected, pod }
    }

    fn finding(&self) -> Option<Finding> {
        let have = discovery_jobs::with_targets(self.snap);
        let without = self.affected.iter().any(|j| !have.contains(j.as_str())) || self.affected.is_empty();
        let lines: usize = self.failures.iter().map(|f| f.lines).sum();
        if self.first.reason.may_pass() && lines < 3 && !without {
            return None;
        }
        // Targets that were found before go on being scraped.
        let severity = if self.first.reason.may_pass() && !without { Severity::Warning } else { Severity::Error };
        let (subject, message) = (self.subject(), format!("{}{}", self.message(), self.consequence()));
        let mut made = Finding::new(DiscoveryFailing::META.id, severity, subject, message).fix(Fix::of(self));
        made.key = self.key(made.variant);
        made.breaks = Some(self.affected.iter().map(|job| ResourceRef::ScrapeJob { job: job.clone() }).collect());
        for failure in self.failures.iter().take(SHOWN) {
            made = made.evidence(evidence(failure));
        }
        made = self.dependencies().into_iter().fold(made, Finding::depends_on);
        let needs_role = self.calls_as_node() || matches!(self.first.reason, Cause::AwsCredentials | Cause::AwsRole);
        if let (true, Ok(cluster)) = (needs_role, self.snap.eks_cluster()) {
            made = made.fix_needs(ResourceRef::aws("iam", "oidc-provider", cluster.issuer_host_path()));
        }
        Some(made)
    }

    fn key(&self, variant: &str) -> String {
        let job = self.first.job.as_deref().unwrap_or_default();
        match &self.first.reason {
            Cause::Denied(denied) => denied.user.clone(),
            Cause::File(_, path) => format!("{job} {path}"),
            Cause::Other(_) => format!("{job} {}", self.first.mechanism),
            _ => variant.to_owned(),
        }
    }

    /// AWS named the session of an instance as the one who asked.
    fn calls_as_node(&self) -> bool {
        denied::Denied::read(&self.first.error).is_some_and(|d| d.is_of_node())
    }

    /// The service account names a role, which the pod was not given when it was made.
    fn is_older_than_its_role(&self) -> bool {
        self.role_arn().is_some() && !self.has_aws_environment()
    }

    fn account(&self) -> (String, String) {
        let pod = self.pod;
        let name = pod.map_or("<service-account>", |p| p.spec.account());
        (pod.map_or(self.first.pod.0.as_str(), |p| &p.metadata.namespace).to_owned(), name.to_owned())
    }

    fn owner(&self) -> ResourceRef {
        self.pod.map_or_else(|| ResourceRef::pod(&self.first.pod.0, &self.first.pod.1), |pod| self.snap.owner_ref(pod))
    }

    fn subject(&self) -> ResourceRef {
        match &self.first.reason {
            Cause::Denied(denied) => match service_account(&denied.user) {
                Some((namespace, name)) => ResourceRef::service_account(namespace, name),
                None => self.owner(),
            },
            Cause::AwsCredentials | Cause::AwsRole | Cause::AwsDenied(_) if self.pod.is_some() => {
                let (namespace, name) = self.account();
                ResourceRef::service_account(&namespace, &name)
            }
            Cause::File(..) | Cause::Other(_) if !self.affected.is_empty() => {
                ResourceRef::ScrapeJob { job: self.affected[0].clone() }
            }
            _ => self.owner(),
        }
    }

    fn denied(&self) -> impl Iterator<Item = &Denied> {
        self.failures.iter().filter_map(|f| if let Cause::Denied(denied) = &f.reason { Some(denied) } else { None })
    }

    /// The IAM role of the service account.
    fn role_arn(&self) -> Option<String> {
        let (namespace, name) = self.account();
        let account = self.snap.service_accounts.find(&namespace, &name).ok().flatten();
        let annotated = account.and_then(|a| a.role_arn().map(str::to_owned));
        let associations = self.snap.pod_identity_associations.iter().flatten();
        let of_it = |a: &&PodIdentityAssociation| a.is_of(&namespace, &name);
        annotated.or_else(|| associations.into_iter().find(of_it).and_then(|a| a.role_arn.clone()))
    }

    /// What the webhooks of EKS put into a pod that gets a role.
    fn has_aws_environment(&self) -> bool {
        let Some(pod) = self.pod else { return true };
        let mut env = pod.spec.containers.iter().flat_map(|c| &c.env);
        env.any(|e| matches!(e.name.as_str(), "AWS_ROLE_ARN" | "AWS_CONTAINER_CREDENTIALS_FULL_URI"))
    }

    fn dependencies(&self) -> Vec<ResourceRef> {
        match &self.first.reason {
            Cause::Unreachable => {
                let policies = self.pod.map(|p| network_policy::egress_policies(self.snap, p)).unwrap_or_default();
                policies.into_iter().chain([ResourceRef::service("default", "kubernetes")]).collect()
            }
            Cause::Other(_) => {
                let host = self.first.error.split("\"").find(|part| part.starts_with("http"));
                let address = host.and_then(targets::Address::parse);
                let service = address.and_then(|a| targets::cluster_host(self.snap, &a.host));
                service.map(|s| ResourceRef::service(&s.namespace, &s.service)).into_iter().collect()
            }
            Cause::NotInCluster => {
                let (namespace, account) = self.account();
                vec![ResourceRef::service_account(&namespace, &account)]
            }
            _ => Vec::new(),
        }
    }
}

/// True for a job whose discovery this failure concerns.
fn is_hit(job: &Job, failure: &Failure) -> bool {
    match &failure.reason {
        Cause::Denied(denied) => job.needs(&denied.resource, denied.namespace.as_deref()),
        _ => job.uses(&failure.mechanism),
    }
}

/// Namespace and name of `system:serviceaccount:<namespace>:<name>`.
fn service_account(user: &str) -> Option<(&str, &str)> {
    user.strip_prefix("system:serviceaccount:")?.split_once(':')
}

/// Requests to the API server of which none was answered.
fn silent(snap: &Snapshot, jobs: &[Job]) -> Option<Finding> {
    let samples = snap.prometheus_metrics().ok()?;
    let requests = |failed: bool| -> f64 {
        let mine = samples.iter().filter(|s| {
            s.name == "prometheus_sd_kubernetes_http_request_total"
                && s.labels.get("status_code").is_some_and(|c| (c == "<error>") == failed)
        });
        mine.map(|s| s.value).sum()
    };
    let errors = requests(true);
    let have = discovery_jobs::with_targets(snap);
    let affected: Vec<&Job> = jobs.iter().filter(|j| j.uses("kubernetes")).collect();
    if errors < 3.0 || requests(false) > 0.0 || affected.iter().any(|j| have.contains(j.name.as_str())) {
        return None;
    }
    let pod = targets::prometheus_pod(snap)?;
    let container = pod.spec.containers.first().map_or("prometheus", |c| c.name.as_str());
    let failure = Failure::silent((pod.metadata.namespace.clone(), pod.metadata.name.clone(), container.to_owned()));
    let failures = [failure];
    let discovery = Discovery::new(snap, jobs, &failures);
    let mut made = discovery.finding()?;
    made.message = format!(
        "Prometheus cannot reach the API server for service discovery: none of its {errors} requests was answered{}",
        discovery.consequence()
    );
    let source = "Prometheus /metrics, prometheus_sd_kubernetes_http_request_total".to_owned();
    let value = format!("status_code=\"<error>\": {errors}; no other status");
    made.evidence = vec![scrape::api_evidence(snap, source, value, "/metrics")];
    Some(made)
}
