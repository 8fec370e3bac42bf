//! An admission webhook that cannot be called: what it guards cannot be written.

mod fix;
mod kubelet_port;

use std::collections::BTreeMap;

use crate::checks::support::host_network::HostNetwork;
use crate::checks::support::pipeline::{release_ref, sync_evidence};
use crate::checks::support::seen::{event_quote, log_evidence, replica_failure};
use crate::checks::{Check, check};
use crate::domain::kubernetes::endpoints;
use crate::domain::kubernetes::nodes::dead_nodes;
use crate::domain::kubernetes::releases::{self, Presence, Release};
use crate::domain::kubernetes::webhook_call::{CallCause, FailedCall};
use crate::domain::kubernetes::webhooks::{self, Cause, Hook, Told};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Map;
use kubelet_port::KubeletPort;

/// Seconds that the pods of a webhook have to become ready.
const STARTING: i64 = 120;
/// Calls that are shown.
const SHOWN: usize = 4;

check! {
    /// See the check's page.
    WebhookBroken {
        id: "webhook-broken", suite: Pipeline, severity: Error,
        title: "an admission webhook cannot be called",
        requires: [Webhooks, Services],
        uses: [EndpointSlices, Pods, Workloads, Events, HelmReleases, Namespaces, Manifests, PartLogs, Nodes, EksCluster, MonitoringResources, Instances, EksAddons, CallerIdentity, Vpcs, GitOps],
        fix: fix::Fix,
    }
}

/// The webhooks that call one Service in vain.
struct Group<'a> {
    hooks: Vec<Hook<'a>>,
    fault: Cause<'a>,
    calls: Vec<(FailedCall, Told<'a>)>,
}

impl Check for WebhookBroken {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let told = webhooks::failed_calls(snap);
        if let Err(gap) = snap.webhooks() {
            let named = unread(&told);
            return if named.is_empty() { Err(gap) } else { Ok(Diagnosis::Findings(named)) };
        }
        snap.services()?;
        let findings = groups(snap, &told).into_iter().map(|g| g.finding(snap)).collect();
        Ok(Diagnosis::Findings(findings))
    }
}

/// Webhooks by the Service that they call.
fn groups<'a>(snap: &'a Snapshot, told: &[(FailedCall, Told<'a>)]) -> Vec<Group<'a>> {
    let mut groups: BTreeMap<String, Group<'a>> = BTreeMap::new();
    for hook in webhooks::all(snap) {
        let calls: Vec<_> = told.iter().filter(|(call, _)| webhooks::is_called(&hook, call)).cloned().collect();
        let Some(fault) = fault(snap, &hook, &calls) else { continue };
        let key = match hook.service() {
            Some(service) => format!("{}/{}", service.namespace, service.name),
            None => hook.reference().key(),
        };
        let group = groups.entry(key).or_insert_with(|| Group { hooks: Vec::new(), fault, calls: Vec::new() });
        group.hooks.push(hook);
        group.calls.extend(calls);
    }
    groups.into_values().collect()
}

/// What is wrong with a webhook, if something is that matters.
fn fault<'a>(snap: &'a Snapshot, hook: &Hook<'a>, calls: &[(FailedCall, Told<'a>)]) -> Option<Cause<'a>> {
    let told = calls.first().map(|(call, _)| Cause::Told(call.fault)).filter(|_| hook.webhook.blocks());
    let own = hook.fault(snap).filter(|fault| match fault {
        // A chart's job fills the bundle in and then makes the webhook strict.
        Cause::NoBundle => hook.webhook.blocks(),
        Cause::NoEndpoints(_, endpoints::Cause::NotReady(pods) | endpoints::Cause::Pending(pods)) => {
            !calls.is_empty() || pods.iter().any(|p| snap.age_seconds(&p.metadata) >= STARTING)
        }
        _ => true,
    });
    own.or(told)
}

impl Group<'_> {
    fn finding(self, snap: &Snapshot) -> Finding {
        let release = self.release(snap);
        let subjects = self.configurations();
        let mut made = Finding::new(
            WebhookBroken::META.id,
            self.severity(snap),
            subjects[0].clone(),
            self.message(snap, release.as_ref()),
        )
        .also_all(subjects.iter().cloned())
        .key(self.hooks[0].service().map_or_else(|| subjects[0].key(), |s| format!("{}/{}", s.namespace, s.name)));
        made = self.evidence(snap, made);
        made = subjects.into_iter().fold(made, Finding::breaks);
        for reference in self.depends_on(snap, release.as_ref()) {
            made = made.depends_on(reference);
        }
        made.fix(fix::of(snap, &self, release.as_ref()))
    }

    /// The configurations, each once.
    fn configurations(&self) -> Vec<ResourceRef> {
        let mut all: Vec<ResourceRef> = Vec::new();
        for hook in &self.hooks {
            let reference = hook.reference();
            if !all.contains(&reference) {
                all.push(reference);
            }
        }
        all
    }

    /// Names of the configurations of a kind.
    fn of_kind(&self, kind: &str) -> Vec<String> {
        self.configurations().iter().filter(|c| c.kind_label() == kind).map(ResourceRef::name).collect()
    }

    fn release(&self, snap: &Snapshot) -> Option<Release> {
        let hook = self.hooks.first()?;
        let home = hook.service().map_or("", |s| s.namespace.as_str());
        releases::of(snap, &hook.configuration.metadata, home)
    }

    fn blocks(&self) -> bool {
        self.hooks.iter().any(|h| h.webhook.blocks())
    }

    fn severity(&self, snap: &Snapshot) -> Severity {
        if !self.blocks() {
            return Severity::Info;
        }
        let matters = |h: &Hook<'_>| h.webhook.blocks() && (guards_operator(h) || guards_pods_of_stack(snap, h));
        if !self.calls.is_empty() || self.hooks.iter().any(matters) { Severity::Error } else { Severity::Warning }
    }

    /// What the webhooks are asked about: `prometheusrules, alertmanagerconfigs`.
    fn guarded(&self) -> String {
        let strict = self.hooks.iter().filter(|h| h.webhook.blocks() || !self.blocks());
        let mut names: Vec<&str> = Vec::new();
        for resource in strict.flat_map(|h| &h.webhook.rules).flat_map(|r| &r.resources) {
            if !names.contains(&resource.as_str()) {
                names.push(resource);
            }
        }
        match names.as_slice() {
            [] => "objects".to_owned(),
            names if names.contains(&"*") || names.contains(&"*/*") => "all objects that it selects".to_owned(),
            names if names.len() > 4 => format!("{} and others", names[..4].join(", ")),
            names => names.join(", "),
        }
    }

    /// What is not done: `create or change`, by the operations of the strict webhooks.
    fn refused(&self) -> String {
        let rules = || self.hooks.iter().filter(|h| h.webhook.blocks()).flat_map(|h| &h.webhook.rules);
        let asked = |operation: &str| rules().any(|r| r.operations.iter().any(|o| o == operation || o == "*"));
        let words = [("CREATE", "create"), ("UPDATE", "change"), ("DELETE", "delete"), ("CONNECT", "connect to")];
        let asked: Vec<&str> = words.iter().filter(|(o, _)| asked(o)).map(|(_, word)| *word).collect();
        match asked.as_slice() {
            [] => "create or change".to_owned(),
            [all @ .., last] if !all.is_empty() => format!("{} or {last}", all.join(", ")),
            one => one.join(""),
        }
    }

    fn message(&self, snap: &Snapshot, release: Option<&Release>) -> String {
        let mut names: Vec<&str> = self.hooks.iter().map(|h| h.configuration.metadata.name.as_str()).collect();
        names.dedup();
        names.sort_unstable();
        names.dedup();
        let kinds = self.configurations();
        let kind = match kinds.as_slice() {
            [one] => one.kind_label(),
            _ => "webhook configurations".to_owned(),
        };
        let why = self.why(snap);
        let of = match release {
            Some(r) if r.is_gone() => format!("; it is left over from Helm release {}, which is not installed", r.name),
            _ => String::new(),
        };
        let guarded = self.guarded();
        let effect = match self.blocks() {
            false => format!("; {guarded} pass unseen (failurePolicy Ignore)"),
            true => {
                format!("; the API server refuses to {} {guarded} (failurePolicy Fail)", self.refused())
            }
        };
        format!("{kind} {}: {why}{of}{effect}", names.join(", "))
    }

    /// What is wrong, as a sentence.
    fn why(&self, snap: &Snapshot) -> String {
        let hook = &self.hooks[0];
        let called = hook.service().map(|s| format!("Service {}/{}", s.namespace, s.name));
        let called = called.unwrap_or_else(|| "what it calls".to_owned());
        match &self.fault {
            Cause::NoService => format!("{called} does not exist"),
            Cause::NoPort(_, port) => format!("{called} has no port {port}"),
            Cause::NoEndpoints(service, reason) => {
                format!("{called} has no ready endpoint: {}", reason.words(snap, service))
            }
            Cause::NoBundle => format!("it has no CA bundle, so the certificate of {called} is not trusted"),
            Cause::BadBundle => "its CA bundle is no certificate".to_owned(),
            Cause::Told(fault) => match fault {
                CallCause::NoService => format!("{called} was not found"),
                CallCause::NoEndpoints => format!("{called} has no endpoint"),
                CallCause::NoPort => format!("{called} does not have the port that is called"),
                CallCause::Timeout => match hook.service().and_then(|s| HostNetwork::behind(snap, s)) {
                    Some(host) => host.why(called.trim_start_matches("Service ")),
                    None => format!("the API server gets no answer from {called} in time"),
                },
                CallCause::NotAllowed => match hook.service().and_then(|s| HostNetwork::behind(snap, s)) {
                    Some(host) => host.why(called.trim_start_matches("Service ")),
                    None => format!("the control plane does not call addresses such as those behind {called}"),
                },
                CallCause::Refused => format!("{called} refuses the API server's connections"),
                CallCause::UnknownAuthority => format!("the certificate of {called} is not signed by its CA bundle"),
                CallCause::WrongName => match KubeletPort::of(snap, self) {
                    Some(kubelet) => kubelet.why(&called),
                    None => format!("the certificate of {called} is for another name"),
                },
                CallCause::Expired => format!("the certificate of {called} is not valid at this time"),
                CallCause::BadBundle => "its CA bundle is no certificate".to_owned(),
                CallCause::NoHost => format!("the API server cannot resolve {called}"),
                CallCause::Other => format!("calls of {called} fail"),
            },
        }
    }

    /// What would explain it: the Service, its pods and their nodes; a release that is gone.
    fn depends_on(&self, snap: &Snapshot, release: Option<&Release>) -> Vec<ResourceRef> {
        if let Some(gone) = release.filter(|r| r.is_gone()) {
            let home = self.hooks[0].service().map_or("", |s| s.namespace.as_str());
            return vec![release_ref(gone.namespace.as_deref().unwrap_or(home), &gone.name)];
        }
        let mut all = Vec::new();
        all.extend(self.hooks[0].service().map(|s| ResourceRef::service(&s.namespace, &s.name)));
        if let Cause::NoEndpoints(_, reason) = &self.fault {
            all.extend(reason.pods().iter().map(|p| ResourceRef::pod(&p.metadata.namespace, &p.metadata.name)));
            all.extend(reason.owners(snap));
            all.extend(dead_nodes(snap, reason.pods().iter().copied()));
        }
        // Without whom the bundle stays empty.
        if fix::is_of_certificate(&self.fault) && webhooks::is_injected(&self.hooks[0].configuration.metadata) {
            for pod in webhooks::injectors(snap).filter(|p| !p.is_ready()) {
                all.push(ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name));
                all.push(snap.owner_ref(pod));
            }
        }
        all
    }

    fn evidence(&self, snap: &Snapshot, mut made: Finding) -> Finding {
        let mut seen: Vec<ResourceRef> = Vec::new();
        for hook in &self.hooks {
            if seen.contains(&hook.reference()) {
                continue;
            }
            seen.push(hook.reference());
            let (kind, name) = (&hook.configuration.kind, &hook.configuration.metadata.name);
            let to = hook.service().map_or_else(
                || hook.webhook.client_config.url.clone().unwrap_or_default(),
                |s| format!("Service {}/{} port {}", s.namespace, s.name, s.port.unwrap_or(443)),
            );
            let policy = if hook.webhook.blocks() { "Fail" } else { "Ignore" };
            let bundle = hook.webhook.client_config.ca_bundle.as_deref().unwrap_or_default();
            let bundle = if bundle.is_empty() { "no caBundle" } else { "caBundle set" };
            let value = format!("{}: {to}, failurePolicy {policy}, {bundle}", hook.webhook.name);
            made = made.evidence(
                Evidence::new(format!("{kind} {name}"), value, "kubectl get {{ kind }} {{ name }} -o yaml")
                    .with("kind", kind.to_ascii_lowercase())
                    .with("name", name),
            );
        }
        if let Some(service) = self.hooks[0].service() {
            made = made.evidence(service_evidence(snap, &service.namespace, &service.name, &self.fault));
        }
        let mut texts: Vec<&str> = Vec::new();
        for (call, told) in &self.calls {
            if texts.len() < SHOWN && !texts.contains(&call.text.as_str()) {
                texts.push(&call.text);
                made = made.evidence(told_evidence(call, told));
            }
        }
        made
    }
}

fn service_evidence(snap: &Snapshot, namespace: &str, name: &str, fault: &Cause<'_>) -> Evidence {
    let value = match fault {
        Cause::NoService => "not found".to_owned(),
        Cause::NoPort(service, _) | Cause::NoEndpoints(service, _) => {
            let ports: Vec<String> = service.spec.ports.iter().map(|p| p.port.to_string()).collect();
            let (ready, unready) = snap.endpoints_of(service).unwrap_or_default();
            format!("ports {}; {ready} ready endpoints, {unready} not ready", ports.join(", "))
        }
        _ => "exists".to_owned(),
    };
    Evidence::new(
        format!("Service {namespace}/{name}"),
        value,
        "kubectl get service,endpointslices -n {{ namespace }} -o wide",
    )
    .with("namespace", namespace)
}

fn told_evidence(call: &FailedCall, told: &Told<'_>) -> Evidence {
    let text = call.text.as_str();
    match told {
        Told::Event(event) => event_quote(event, text),
        Told::Condition(workload) => replica_failure(workload, text),
        Told::Record(path, line) => {
            Evidence::new(format!("{path}:{line}"), text, "grep -n 'failed calling webhook' {{ path }}")
                .with("path", *path)
        }
        // arn:aws:eks:eu-west-1:111122223333:addon/cluster/name/id
        Told::Addon(addon) => Evidence::new(
            format!("eks:DescribeAddon {}, health", addon.addon_name),
            text,
            "aws eks describe-addon --cluster-name {{ cluster }} --addon-name {{ addon }} --query addon.health",
        )
        .with("addon", &addon.addon_name)
        .with("cluster", addon.addon_arn.split('/').nth(1).unwrap_or("<cluster-name>")),
        Told::Sync(object) => sync_evidence(object, text),
        Told::Namespace(name) => {
            Evidence::new(format!("Namespace {name}, conditions"), text, "kubectl describe namespace {{ name }}")
                .with("name", *name)
        }
        Told::Log(namespace, pod, container) => log_evidence(namespace, pod, container, false, text),
    }
}

/// It guards objects of the Prometheus operator.
fn guards_operator(hook: &Hook<'_>) -> bool {
    hook.webhook.rules.iter().any(|r| r.api_groups.iter().any(|g| g == "monitoring.coreos.com" || g == "*"))
}

/// It guards pods or workloads in a namespace of the stack.
fn guards_pods_of_stack(snap: &Snapshot, hook: &Hook<'_>) -> bool {
    let workloads = [
        ("", "pods"),
        ("apps", "deployments"),
        ("apps", "statefulsets"),
        ("apps", "daemonsets"),
        ("batch", "jobs"),
        ("apps", "replicasets"),
    ];
    if !workloads.iter().any(|(group, resource)| hook.is_asked_about(group, resource)) {
        return false;
    }
    let namespaces = snap.namespaces.items().unwrap_or_default();
    let labels = |name: &str| namespaces.iter().find(|n| n.metadata.name == name).map(|n| n.metadata.labels.clone());
    snap.scope.stack.iter().any(|name| {
        let mut labels: Map = labels(name).unwrap_or_default();
        labels.entry("kubernetes.io/metadata.name".to_owned()).or_insert_with(|| name.clone());
        hook.admits_namespace(&labels)
    })
}

/// Where the configurations could not be read: what the API server's own words say.
fn unread(told: &[(FailedCall, Told<'_>)]) -> Vec<Finding> {
    let mut by_hook: BTreeMap<&str, Vec<&(FailedCall, Told<'_>)>> = BTreeMap::new();
    for call in told {
        by_hook.entry(&call.0.webhook).or_default().push(call);
    }
    by_hook.into_iter().map(|(name, calls)| fix::unread(name, &calls)).collect()
}

/// The presence in words: who keeps the configuration.
fn is_installed(release: Option<&Release>) -> bool {
    release.is_some_and(|r| r.presence == Presence::Installed)
}
