//! Service discovery fails, so jobs have no targets or those of before.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::checks::{Check, check};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::mounts::{self, Origin};
use crate::domain::kubernetes::network_policy;
use crate::domain::kubernetes::owner::operator_resource;
use crate::domain::prometheus::discovery_jobs::{self, Job};
use crate::domain::prometheus::discovery_log::{self, Denied, Failure, FileFault, Reason};
use crate::domain::prometheus::{origin, targets};
use crate::domain::text::redact::redact;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Params, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;

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
        Reason::Denied(denied) => format!("denied/{}", denied.user),
        Reason::File(_, path) => format!("file/{path}/{job}"),
        Reason::Other(words) => format!("other/{}/{job}/{words}", failure.mechanism),
        Reason::AwsDenied(_) | Reason::AwsCredentials | Reason::AwsRole => {
            format!("aws/{}/{owner}", variant(&failure.reason))
        }
        Reason::NotInCluster | Reason::Unauthorized | Reason::Certificate | Reason::Unreachable => {
            format!("{}/{owner}", variant(&failure.reason))
        }
    }
}

fn variant(reason: &Reason) -> &'static str {
    match reason {
        Reason::Denied(_) => "forbidden",
        Reason::NotInCluster => "token",
        Reason::Unauthorized => "unauthorized",
        Reason::Certificate => "certificate",
        Reason::Unreachable => "unreachable",
        Reason::File(..) => "file",
        Reason::AwsCredentials => "aws-credentials",
        Reason::AwsRole => "aws-role",
        Reason::AwsDenied(_) => "aws-denied",
        Reason::Other(_) => "other",
    }
}

fn pod_of<'a>(snap: &'a Snapshot, failure: &Failure) -> Option<&'a Pod> {
    snap.pods.find(&failure.pod.0, &failure.pod.1).ok().flatten()
}

/// Resources of one API group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Rule {
    group: String,
    resources: Vec<String>,
}

/// What is missing in one namespace, or in the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Scope {
    /// Null: the cluster.
    namespace: Option<String>,
    rules: Vec<Rule>,
}

/// One question to `kubectl auth can-i`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Question {
    resource: String,
    namespace: Option<String>,
    everywhere: bool,
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
        let variant = self.variant();
        let (subject, message) = (self.subject(), format!("{}{}", self.message(), self.consequence()));
        let mut made = Finding::new(DiscoveryFailing::META.id, severity, subject, message).fix(variant).key(self.key());
        made.breaks = Some(self.affected.iter().map(|job| ResourceRef::ScrapeJob { job: job.clone() }).collect());
        for failure in self.failures.iter().take(SHOWN) {
            made = made.evidence(evidence(failure));
        }
        made = self.dependencies().into_iter().fold(made, Finding::depends_on);
        if let (Reason::AwsCredentials | Reason::AwsRole, Ok(cluster)) = (&self.first.reason, self.snap.eks_cluster()) {
            made = made.fix_needs(ResourceRef::aws("iam", "oidc-provider", cluster.issuer_host_path()));
        }
        made.params = self.params();
        Some(made)
    }

    fn key(&self) -> String {
        let job = self.first.job.as_deref().unwrap_or_default();
        match &self.first.reason {
            Reason::Denied(denied) => denied.user.clone(),
            Reason::File(_, path) => format!("{job} {path}"),
            Reason::Other(_) => format!("{job} {}", self.first.mechanism),
            _ => self.variant().to_owned(),
        }
    }

    fn variant(&self) -> &'static str {
        match &self.first.reason {
            Reason::AwsCredentials if self.role_arn().is_some() && !self.has_aws_environment() => "aws-restart",
            reason => variant(reason),
        }
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
            Reason::Denied(denied) => match service_account(&denied.user) {
                Some((namespace, name)) => ResourceRef::service_account(namespace, name),
                None => self.owner(),
            },
            Reason::AwsCredentials | Reason::AwsRole | Reason::AwsDenied(_) if self.pod.is_some() => {
                let (namespace, name) = self.account();
                ResourceRef::service_account(&namespace, &name)
            }
            Reason::File(..) | Reason::Other(_) if !self.affected.is_empty() => {
                ResourceRef::ScrapeJob { job: self.affected[0].clone() }
            }
            _ => self.owner(),
        }
    }

    fn message(&self) -> String {
        let (namespace, account) = self.account();
        let account = format!("ServiceAccount {namespace}/{account}");
        match &self.first.reason {
            Reason::Denied(denied) => {
                let who = service_account(&denied.user)
                    .map_or_else(|| denied.user.clone(), |(ns, name)| format!("ServiceAccount {ns}/{name}"));
                format!("{who} may not list {}: no Role or ClusterRole bound to it allows that (RBAC)", self.refused())
            }
            Reason::NotInCluster => {
                let what = if self.first.error.contains("KUBERNETES_SERVICE_HOST") {
                    "KUBERNETES_SERVICE_HOST is not set"
                } else {
                    "the token of its ServiceAccount is not mounted"
                };
                format!("Prometheus has no in-cluster configuration for service discovery: {what}")
            }
            Reason::Unauthorized => format!("the API server does not accept the token of {account} (Unauthorized)"),
            Reason::Certificate => format!(
                "Prometheus does not accept the certificate of the API server: {}",
                certificate_words(&self.first.error)
            ),
            Reason::Unreachable => {
                let why = crate::domain::prometheus::scrape_error::ScrapeFailure::classify(&self.first.error).words();
                format!("Prometheus cannot reach the API server for service discovery: {why}")
            }
            Reason::File(fault, path) => match fault {
                FileFault::Missing => format!("{path} of file_sd_configs does not exist: no file of targets matches"),
                FileFault::Unreadable => format!("{path} of file_sd_configs cannot be read: permission denied"),
                FileFault::Invalid => {
                    let kind = if path.ends_with(".json") { "JSON" } else { "YAML" };
                    format!("{path} of file_sd_configs is not a valid list of targets ({kind}): {}", self.first.error)
                }
            },
            Reason::AwsCredentials => match self.role_arn() {
                Some(arn) if self.variant() == "aws-restart" => {
                    format!("Prometheus has no AWS credentials: its pods are older than the role of {account} ({arn})")
                }
                Some(arn) => format!("Prometheus has no AWS credentials, although {account} names role {arn}"),
                None => format!(
                    "Prometheus has no AWS credentials: {account} has no IAM role (neither annotation nor Pod Identity)"
                ),
            },
            Reason::AwsRole => format!("AWS lets {account} not assume its IAM role"),
            Reason::AwsDenied(action) => format!("the IAM role of {account} does not allow {action}"),
            Reason::Other(words) => format!("{} discovery of Prometheus fails: {words}", self.first.mechanism),
        }
    }

    /// What follows for which jobs.
    fn consequence(&self) -> String {
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

    fn denied(&self) -> impl Iterator<Item = &Denied> {
        self.failures.iter().filter_map(|f| if let Reason::Denied(denied) = &f.reason { Some(denied) } else { None })
    }

    /// What to allow: what was refused, and what the same discovery asks for next.
    fn scopes(&self) -> Vec<Scope> {
        let mut scopes: BTreeMap<Option<String>, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
        for denied in self.denied() {
            let groups = scopes.entry(denied.namespace.clone()).or_default();
            groups.entry(denied.group.clone()).or_default().insert(denied.resource.clone());
            let companions = discovery_jobs::companions(&denied.resource).iter().map(|c| (*c).to_owned());
            if denied.resource == "endpoints" || denied.resource == "endpointslices" {
                groups.entry(String::new()).or_default().extend(companions);
            }
        }
        let rules = |groups: BTreeMap<String, BTreeSet<String>>| {
            let all = groups.into_iter();
            all.map(|(group, resources)| Rule { group, resources: resources.into_iter().collect() }).collect()
        };
        scopes.into_iter().map(|(namespace, groups)| Scope { namespace, rules: rules(groups) }).collect()
    }

    fn questions(&self) -> Vec<Question> {
        let mut all = Vec::new();
        for scope in self.scopes() {
            for rule in &scope.rules {
                for resource in &rule.resources {
                    let name =
                        if rule.group.is_empty() { resource.clone() } else { format!("{resource}.{}", rule.group) };
                    let everywhere = scope.namespace.is_none() && resource != "nodes" && resource != "namespaces";
                    all.push(Question { resource: name, namespace: scope.namespace.clone(), everywhere });
                }
            }
        }
        all
    }

    /// The IAM role of the service account.
    fn role_arn(&self) -> Option<String> {
        let (namespace, name) = self.account();
        let account = self.snap.service_accounts.find(&namespace, &name).ok().flatten();
        let annotated = account.and_then(|a| a.role_arn().map(str::to_owned));
        let associations = self.snap.pod_identity_associations.iter().flatten();
        let of_it =
            |a: &&crate::snapshot::aws::PodIdentityAssociation| a.namespace == namespace && a.service_account == name;
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
            Reason::Unreachable => {
                let policies = self.pod.map(|p| network_policy::egress_policies(self.snap, p)).unwrap_or_default();
                policies.into_iter().chain([ResourceRef::service("default", "kubernetes")]).collect()
            }
            Reason::Other(_) => {
                let host = self.first.error.split("\"").find(|part| part.starts_with("http"));
                let address = host.and_then(targets::Address::parse);
                let service = address.and_then(|a| targets::cluster_host(self.snap, &a.host));
                service.map(|s| ResourceRef::service(&s.namespace, &s.service)).into_iter().collect()
            }
            Reason::NotInCluster => {
                let (namespace, account) = self.account();
                vec![ResourceRef::service_account(&namespace, &account)]
            }
            _ => Vec::new(),
        }
    }

    fn params(&self) -> Params {
        let mut params = Params::default();
        let job = self.affected.first().map_or("", String::as_str);
        crate::checks::support::origin::set_params(self.snap, job, &mut params);
        let user = self.denied().next().map(|d| d.user.clone());
        let (namespace, account) =
            user.as_deref().and_then(service_account).map_or_else(|| self.account(), |(ns, n)| (ns.into(), n.into()));
        let meta = self.snap.service_accounts.find(&namespace, &account).ok().flatten().map(|a| &a.metadata);
        params.set("account_managed_by", meta.map(managed_by).unwrap_or_default());
        params.set("is_account", user.as_deref().is_none_or(|u| service_account(u).is_some()));
        params.set("user", user.unwrap_or_else(|| format!("system:serviceaccount:{namespace}:{account}")));
        params.set("account", &account);
        params.set("account_namespace", &namespace);
        params.set("role", format!("{account}-discovery"));
        params.set("scopes", self.scopes());
        params.set("questions", self.questions());
        params.set("cluster_wide", self.denied().any(|d| d.namespace.is_none() && d.resource != "nodes"));
        params.set("job", job);
        params.set("mechanism", &self.first.mechanism);
        params.set("error", redact(&self.first.error));
        self.pod_params(&mut params);
        self.file_params(&mut params);
        self.aws_params(&mut params);
        let (namespace, pod, container) = &self.first.pod;
        params.set("log_namespace", namespace);
        params.set("log_pod", pod);
        params.set("log_container", container);
        params
    }

    fn pod_params(&self, params: &mut Params) {
        let reader = origin::reader_of(self.snap, None);
        params
            .set("workload", reader.as_ref().map_or("<deployment or statefulset of Prometheus>", |r| r.name.as_str()));
        params.set("workload_namespace", reader.as_ref().map_or(self.first.pod.0.as_str(), |r| r.namespace.as_str()));
        // The operator writes the StatefulSet anew: its own resource is what one changes.
        let operator = self.pod.and_then(|p| operator_resource(self.snap, p));
        params.set("prometheus_resource", operator.map(|(_, name)| name));
    }

    fn file_params(&self, params: &mut Params) {
        let (fault, path) = match &self.first.reason {
            Reason::File(fault, path) => (Some(fault), Some(path.as_str())),
            _ => (None, None),
        };
        params.set("path", path);
        params.set("missing", fault == Some(&FileFault::Missing));
        params.set("unreadable", fault == Some(&FileFault::Unreadable));
        params.set("is_json", path.is_some_and(|p| p.ends_with(".json")));
        let (_, file) = path.and_then(|p| p.rsplit_once('/')).unwrap_or_default();
        let (map, key) = path
            .filter(|_| fault != Some(&FileFault::Missing))
            .and_then(|p| self.mounted_at(p))
            .map_or((None, file.to_owned()), |(map, key)| (Some(map), key));
        params.set("file", file);
        params.set("file_map", &map);
        params.set("file_jsonpath", format!("{{.data.{}}}", key.replace('.', "\\.")));
    }

    /// The ConfigMap that fills a file, and its key.
    fn mounted_at(&self, path: &str) -> Option<(String, String)> {
        let pod = self.pod?;
        let container = pod.spec.containers.iter().find(|c| c.name == self.first.pod.2)?;
        match mounts::origin(self.snap, pod, container, path) {
            Origin::ConfigMap { name, key } => Some((name, key)),
            _ => None,
        }
    }

    fn aws_params(&self, params: &mut Params) {
        let cluster = self.snap.eks_cluster().ok();
        let target = &self.snap.target;
        let known = |value: Option<String>, hint: &str| value.unwrap_or_else(|| hint.to_owned());
        let name = known(target.cluster.clone().or(cluster.map(|c| c.name.clone())), "<cluster-name>");
        let region = known(cluster.and_then(|c| c.region().map(str::to_owned)).or(target.region.clone()), "<region>");
        let id = known(cluster.and_then(|c| c.account().map(str::to_owned)).or(target.account.clone()), "<account-id>");
        let partition = cluster.map_or("aws", |c| c.partition());
        let issuer = cluster.map_or("<oidc-issuer>", |c| c.issuer_host_path());
        let (namespace, account) = self.account();
        let assumed = self.first.error.split("assumed-role/").nth(1).and_then(|r| r.split('/').next());
        let arn = self.role_arn();
        let role = assumed.or(arn.as_deref().and_then(|a| a.rsplit('/').next()));
        let made: String = format!("{account}-{name}").chars().filter(|c| !matches!(c, '<' | '>')).take(64).collect();
        let action = match &self.first.reason {
            Reason::AwsDenied(action) => action.as_str(),
            _ => "ec2:DescribeInstances",
        };
        let mut actions = vec![action];
        // The zones' ids are labels of the targets.
        if action == "ec2:DescribeInstances" {
            actions.push("ec2:DescribeAvailabilityZones");
        }
        let policy = serde_json::json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]});
        let trust = serde_json::json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": {"Federated": format!("arn:{partition}:iam::{id}:oidc-provider/{issuer}")},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {
                format!("{issuer}:sub"): format!("system:serviceaccount:{namespace}:{account}"),
                format!("{issuer}:aud"): "sts.amazonaws.com",
            }},
        }]});
        params.set("cluster", &name);
        params.set("region", &region);
        params.set("has_role", arn.is_some());
        params.set("aws_role", role.unwrap_or("<role-name>"));
        params.set("new_role", &made);
        params.set("new_role_arn", format!("arn:{partition}:iam::{id}:role/{made}"));
        params.set("policy_name", "prometheus-ec2-discovery");
        params.set("policy_arn", format!("arn:{partition}:iam::{id}:policy/prometheus-ec2-discovery"));
        params.set("policy", policy.to_string());
        params.set("trust_policy", trust.to_string());
    }
}

/// True for a job whose discovery this failure concerns.
fn is_hit(job: &Job, failure: &Failure) -> bool {
    match &failure.reason {
        Reason::Denied(denied) => job.needs(&denied.resource, denied.namespace.as_deref()),
        _ => job.uses(&failure.mechanism),
    }
}

/// Namespace and name of `system:serviceaccount:<namespace>:<name>`.
fn service_account(user: &str) -> Option<(&str, &str)> {
    user.strip_prefix("system:serviceaccount:")?.split_once(':')
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

fn evidence(failure: &Failure) -> Evidence {
    let (namespace, pod, container) = &failure.pod;
    let template =
        "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }} --tail=200 | grep -iF -- {{ pattern }}";
    let value = if matches!(failure.reason, Reason::Other(_)) { redact(&failure.line) } else { failure.line.clone() };
    let pattern = match &failure.reason {
        Reason::Denied(_) => "is forbidden",
        _ if failure.line.contains("ailed to list *") => "failed to list",
        _ => failure.error.split(['"', '\n', '\\']).next().unwrap_or_default().trim(),
    };
    Evidence::new(format!("log of pod {namespace}/{pod}, said {} times", failure.lines), value, template)
        .with("namespace", namespace)
        .with("pod", pod)
        .with("container", container)
        .with("pattern", pattern)
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
    made.evidence = vec![crate::checks::support::scrape::api_evidence(snap, source, value, "/metrics")];
    Some(made)
}

#[cfg(test)]
mod tests;
