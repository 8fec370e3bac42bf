//! The fix of a webhook that cannot be called: by who keeps it, and by what is wrong.

use schemars::JsonSchema;
use serde::Serialize;

use super::kubelet_port::KubeletPort;
use super::{Group, WebhookBroken, is_installed, told_evidence};
use crate::checks::support::helm;
use crate::checks::support::host_network::HostNetwork;
use crate::domain::aws::interface::Interfaces;
use crate::domain::kubernetes::chart::release_named;
use crate::domain::kubernetes::endpoints;
use crate::domain::kubernetes::gitops;
use crate::domain::kubernetes::json_patch;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::releases::{self, Release};
use crate::domain::kubernetes::service_port;
use crate::domain::kubernetes::webhook_call::{CallCause, FailedCall};
use crate::domain::kubernetes::webhooks::{self, Cause, Hook, Told};
use crate::model::{Finding, ResourceRef, Severity};
use crate::snapshot::kubernetes::{HelmRelease, WebhookConfiguration};
use crate::snapshot::manifests::HelmCall;
use crate::snapshot::{Platform, Snapshot};

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    /// A namespace of the stack in which a rule can be tried.
    probe: Option<String>,
    /// The Service that is called, where it is to come back: its namespace, and what selects its endpoints.
    called_namespace: String,
    called_slices: Option<String>,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Leftover {
        release: String,
        release_namespace: String,
        validating: Vec<String>,
        mutating: Vec<String>,
        /// The one release that these webhooks let fail, which has to be repeated.
        failed_release: Option<String>,
        failed_namespace: Option<String>,
    },
    ServiceLost {
        service: String,
        release: String,
        release_namespace: String,
        #[serde(flatten)]
        home: helm::Release,
        #[serde(flatten)]
        stop_gap: StopGap,
    },
    ServiceUnknown {
        namespace: String,
        service: String,
        /// Empty where it belongs to none.
        release: String,
        managed_by: String,
        /// Its labels name a release of which nothing is kept.
        perhaps_left: bool,
        #[serde(flatten)]
        stop_gap: StopGap,
    },
    ScaledToZero {
        namespace: String,
        workload: String,
        managed_by: String,
    },
    NoEndpoints {
        namespace: String,
        service: String,
        workload: String,
        #[serde(flatten)]
        stop_gap: StopGap,
    },
    Port {
        namespace: String,
        service: String,
        /// The port that is called, and those that there are.
        port: u16,
        ports: Vec<String>,
        installed: bool,
        managed_by: String,
        #[serde(flatten)]
        home: helm::Release,
        #[serde(flatten)]
        stop_gap: StopGap,
    },
    Certificate {
        namespace: String,
        workload: String,
        /// cert-manager fills in the CA bundle.
        injected: bool,
        /// Where its CA injector runs, if that was seen.
        injector_namespace: Option<String>,
        #[serde(flatten)]
        home: helm::Release,
        #[serde(flatten)]
        stop_gap: StopGap,
    },
    Timeout {
        namespace: String,
        workload: String,
        slice_selector: String,
        target_port: String,
        is_eks: bool,
        cluster: String,
        /// Security groups: of the control plane, and of the pods that serve it.
        cluster_group: String,
        node_group: String,
        #[serde(flatten)]
        stop_gap: StopGap,
    },
    Overlay {
        #[serde(flatten)]
        host: HostNetwork,
        #[serde(flatten)]
        stop_gap: StopGap,
    },
    KubeletPort {
        #[serde(flatten)]
        on: KubeletPort,
        #[serde(flatten)]
        stop_gap: StopGap,
    },
    Look {
        namespace: String,
        workload: String,
        #[serde(flatten)]
        stop_gap: StopGap,
    },
    Unread {
        namespace: String,
        service: String,
        webhook: String,
    },
}

/// Values of the shared step `webhook-stop-gap`: patches that let everything pass, and those that take it back.
#[derive(Serialize, JsonSchema)]
struct StopGap {
    ignore: Vec<Patch>,
    strict: Vec<Patch>,
}

/// A change of one configuration: its kind and name as kubectl takes them, and a JSON patch.
#[derive(Debug, Serialize, JsonSchema)]
struct Patch {
    kind: String,
    name: String,
    patch: String,
}

/// The fix of webhooks that cannot be called.
pub(super) fn of(snap: &Snapshot, group: &Group<'_>, release: Option<&Release>) -> Fix {
    let probe = snap.scope.stack.first().filter(|_| group.hooks.iter().any(super::guards_operator));
    let called = group.hooks[0].service().filter(|_| !release.is_some_and(Release::is_gone));
    Fix {
        probe: probe.cloned(),
        called_namespace: called.map(|s| s.namespace.clone()).unwrap_or_default(),
        called_slices: called.map(|s| format!("kubernetes.io/service-name={}", s.name)),
        way: Way::of(snap, group, release),
    }
}

/// The release that failed because a webhook of the group could not be called: a record of Helm's output says so. What Flux
/// or Argo CD keeps they try again by themselves.
fn refused<'a>(snap: &'a Snapshot, group: &Group<'_>) -> Option<&'a HelmRelease> {
    let files = snap.manifests.items().unwrap_or_default();
    let told = group.calls.iter().filter_map(|(_, told)| match told {
        Told::Record(path, line) => {
            let mut errors = files.iter().filter(|f| f.path == *path).flat_map(|f| &f.errors);
            errors.find(|e| e.line == *line)?.helm.as_ref()
        }
        _ => None,
    });
    let called: Vec<&HelmCall> = told.collect();
    let is_called = |release: &HelmRelease| {
        called
            .iter()
            .any(|c| c.release == release.name && c.namespace.as_ref().is_none_or(|n| *n == release.metadata.namespace))
    };
    let kept = |release: &HelmRelease| {
        let objects = snap.git_ops.items().unwrap_or_default();
        objects.iter().any(|o| gitops::release(o) == (release.metadata.namespace.clone(), release.name.clone()))
    };
    let mut newest = HelmRelease::newest(snap.helm_releases.items().unwrap_or_default());
    newest.retain(|r| r.status == "failed" && is_called(r) && !kept(r));
    if let [only] = newest.as_slice() { Some(*only) } else { None }
}

impl Way {
    fn of(snap: &Snapshot, group: &Group<'_>, release: Option<&Release>) -> Self {
        let called = group.hooks[0].service();
        let (namespace, service) = called.map(|s| (s.namespace.clone(), s.name.clone())).unwrap_or_default();
        let meta = &group.hooks[0].configuration.metadata;
        let named = release.map(|r| r.name.clone()).unwrap_or_default();
        let release_namespace = release.and_then(|r| r.namespace.clone()).unwrap_or_else(|| namespace.clone());
        let strict = strict_hooks(snap, group);
        let stop_gap = StopGap { ignore: policies(&strict, "Ignore"), strict: policies(&strict, "Fail") };
        let workload = || workload(snap, group).as_ref().map(ResourceRef::kubectl_name).unwrap_or_default();
        let installed = release.filter(|_| is_installed(release));
        let home = |by: Option<&Release>| {
            let known = by.map(|r| release_named(snap, &r.name, r.namespace.as_deref().unwrap_or(&namespace)));
            helm::Release::of(known.as_ref())
        };
        match &group.fault {
            _ if release.is_some_and(Release::is_gone) => {
                let validating = group.of_kind("ValidatingWebhookConfiguration");
                let mutating = group.of_kind("MutatingWebhookConfiguration");
                let failed = refused(snap, group);
                Self::Leftover {
                    release: named,
                    release_namespace,
                    validating,
                    mutating,
                    failed_release: failed.map(|r| r.name.clone()),
                    failed_namespace: failed.map(|r| r.metadata.namespace.clone()),
                }
            }
            Cause::NoService | Cause::Told(CallCause::NoService) if installed.is_some() => {
                let home = home(installed);
                Self::ServiceLost { service, release: named, release_namespace, home, stop_gap }
            }
            Cause::NoService | Cause::Told(CallCause::NoService) => {
                let perhaps_left =
                    !named.is_empty() && !releases::is_of_gitops(meta) && releases::is_kept_nowhere(snap, &named);
                let managed_by = managed_by(meta);
                Self::ServiceUnknown { namespace, service, release: named, managed_by, perhaps_left, stop_gap }
            }
            Cause::NoEndpoints(_, endpoints::Cause::ScaledToZero(_)) => {
                Self::ScaledToZero { namespace, workload: workload(), managed_by: managed_by(meta) }
            }
            Cause::NoEndpoints(..) | Cause::Told(CallCause::NoEndpoints | CallCause::Refused) => {
                Self::NoEndpoints { namespace, service, workload: workload(), stop_gap }
            }
            Cause::NoPort(..) | Cause::Told(CallCause::NoPort) => Self::Port {
                home: home(installed),
                namespace,
                service,
                port: called.and_then(|s| s.port).unwrap_or(443),
                ports: ports(&group.fault),
                installed: installed.is_some(),
                managed_by: managed_by(meta),
                stop_gap,
            },
            fault if is_of_certificate(fault) => {
                if let Some(on) = KubeletPort::of(snap, group).filter(|_| is_of_name(fault)) {
                    return Self::KubeletPort { on, stop_gap };
                }
                let injected = webhooks::is_injected(meta);
                // cert-manager fills in what the chart's hooks do elsewhere.
                let home = home(installed.filter(|_| !injected));
                let injector_namespace = injector_namespace(snap);
                Self::Certificate { namespace, workload: workload(), injected, injector_namespace, home, stop_gap }
            }
            Cause::Told(CallCause::Timeout | CallCause::NotAllowed) => {
                match called.and_then(|c| HostNetwork::behind(snap, c)) {
                    Some(host) => Self::Overlay { host, stop_gap },
                    None => Self::timeout(snap, group, namespace, &service, stop_gap),
                }
            }
            _ => Self::Look { namespace, workload: workload(), stop_gap },
        }
    }

    fn timeout(snap: &Snapshot, group: &Group<'_>, namespace: String, service: &str, stop_gap: StopGap) -> Self {
        let of_cluster = snap.eks_cluster().map(|c| c.resources_vpc_config.cluster_security_group_id.clone());
        Self::Timeout {
            namespace,
            workload: workload(snap, group).as_ref().map(ResourceRef::kubectl_name).unwrap_or_default(),
            slice_selector: format!("kubernetes.io/service-name={service}"),
            target_port: target_port(snap, group).map_or_else(|| "<container-port>".into(), |p| p.to_string()),
            is_eks: snap.platform == Platform::Eks,
            cluster: snap.target.cluster.as_deref().unwrap_or("<cluster>").to_owned(),
            cluster_group: of_cluster.unwrap_or_else(|_| "<cluster-security-group>".to_owned()),
            node_group: node_group(snap, group).unwrap_or_else(|| "<node-security-group>".into()),
            stop_gap,
        }
    }
}

pub(super) fn is_of_certificate(fault: &Cause<'_>) -> bool {
    match fault {
        Cause::NoBundle | Cause::BadBundle => true,
        Cause::Told(told) => told.is_tls(),
        _ => false,
    }
}

/// The certificate is for another name: somebody else's, perhaps.
fn is_of_name(fault: &Cause<'_>) -> bool {
    matches!(fault, Cause::Told(CallCause::WrongName))
}

/// The security group in front of the pods that serve it, where it is one.
fn node_group(snap: &Snapshot, group: &Group<'_>) -> Option<String> {
    let called = group.hooks[0].service()?;
    let service = snap.services.find(&called.namespace, &called.name).ok()??;
    let interface = Interfaces::new(snap).of_pod(snap.pods_of_service(service).next()?)?;
    interface.groups.first().map(|g| (*g).to_owned()).filter(|_| interface.groups.len() == 1)
}

/// Where cert-manager's CA injector runs.
fn injector_namespace(snap: &Snapshot) -> Option<String> {
    let mut all = snap.workloads.items().ok()?.iter();
    Some(all.find(|w| webhooks::is_injector(&w.spec.template.spec))?.metadata.namespace.clone())
}

/// The workload that serves it.
fn workload(snap: &Snapshot, group: &Group<'_>) -> Option<ResourceRef> {
    if let Cause::NoEndpoints(_, reason) = &group.fault {
        return reason.owners(snap).into_iter().next();
    }
    let called = group.hooks[0].service()?;
    let service = snap.services.find(&called.namespace, &called.name).ok()??;
    snap.pods_of_service(service).next().map(|p| snap.owner_ref(p))
}

/// The container's port behind the one that is called.
fn target_port(snap: &Snapshot, group: &Group<'_>) -> Option<u16> {
    let called = group.hooks[0].service()?;
    let service = snap.services.find(&called.namespace, &called.name).ok()??;
    let port = called.port.unwrap_or(443);
    match snap.pods_of_service(service).next() {
        Some(pod) => service_port::reached(service, port, pod),
        // Without pods a name leads nowhere, a number does.
        None => service_port::find(service, port)?.1.target_port.as_u64().and_then(|n| u16::try_from(n).ok()),
    }
}

fn ports(fault: &Cause<'_>) -> Vec<String> {
    match fault {
        Cause::NoPort(service, _) => service.spec.ports.iter().map(|p| p.port.to_string()).collect(),
        _ => Vec::new(),
    }
}

/// The strict webhooks of the group, and those that call the same Service where nobody answers behind it: with the first ones
/// let through, they would be the next to refuse.
fn strict_hooks<'a>(snap: &'a Snapshot, group: &Group<'a>) -> Vec<Hook<'a>> {
    let mut all: Vec<Hook<'a>> = group.hooks.iter().filter(|h| h.webhook.blocks()).copied().collect();
    let unanswered = matches!(
        group.fault,
        Cause::NoEndpoints(..) | Cause::Told(CallCause::Timeout | CallCause::Refused | CallCause::NoEndpoints)
    );
    let at = |hook: &Hook<'_>| hook.service().map(|s| (s.namespace.clone(), s.name.clone()));
    let called = at(&group.hooks[0]).filter(|_| unanswered);
    for hook in webhooks::all(snap).filter(|h| h.webhook.blocks() && called.is_some() && at(h) == called) {
        let is_known = |known: &Hook<'_>| known.reference() == hook.reference() && known.at == hook.at;
        if !all.iter().any(is_known) {
            all.push(hook);
        }
    }
    all
}

/// JSON patches that set the policy of these webhooks.
fn policies(hooks: &[Hook<'_>], policy: &str) -> Vec<Patch> {
    let mut all: Vec<(&WebhookConfiguration, Vec<serde_json::Value>)> = Vec::new();
    for hook in hooks {
        let path = format!("/webhooks/{}/failurePolicy", hook.at);
        // The order of webhooks may have changed since: another one's policy must not be touched.
        let operations = [
            json_patch::test(&format!("/webhooks/{}/name", hook.at), hook.webhook.name.as_str()),
            json_patch::add(&path, policy),
        ];
        match all.iter_mut().find(|(c, _)| webhooks::reference(c) == hook.reference()) {
            Some((_, own)) => own.extend(operations),
            None => all.push((hook.configuration, operations.to_vec())),
        }
    }
    let patch = |(configuration, operations): (&WebhookConfiguration, Vec<serde_json::Value>)| Patch {
        kind: configuration.kind.to_ascii_lowercase(),
        name: configuration.metadata.name.clone(),
        patch: serde_json::Value::Array(operations).to_string(),
    };
    all.into_iter().map(patch).collect()
}

/// A webhook of which only the API server's words are known.
pub(super) fn unread(name: &str, calls: &[&(FailedCall, Told<'_>)]) -> Finding {
    let (call, _) = calls[0];
    let (namespace, service) = call.service.clone().unwrap_or_default();
    let subject = if service.is_empty() { webhooks::named(name) } else { ResourceRef::service(&namespace, &service) };
    let message = format!("the API server cannot call webhook {name} and refuses what it guards: {}", call.text);
    let mut made = Finding::new(WebhookBroken::META.id, Severity::Error, subject.clone(), message)
        .key(format!("webhook {name}"))
        .breaks(webhooks::named(name))
        .depends_on(subject)
        .fix(Fix {
            probe: None,
            called_namespace: String::new(),
            called_slices: None,
            way: Way::Unread { namespace, service, webhook: name.to_owned() },
        });
    for (call, told) in calls.iter().take(3) {
        made = made.evidence(told_evidence(call, told));
    }
    made
}
