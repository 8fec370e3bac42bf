//! Namespaces that do not end: what is left in them, and what keeps it.

use crate::domain::kubernetes::api_services;
use crate::domain::kubernetes::webhooks;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Meta, Namespace, Workload};
use crate::text::pattern::pattern;

/// Seconds that a deletion takes where nothing holds it up.
const ENDING: i64 = 300;

/// What `remover` says of the operator's finalizers.
pub(crate) const OPERATOR: &str = "the Prometheus operator";

/// A part of the image of those who remove finalizers.
const IMAGES: &[(&str, &str)] = &[
    ("the AWS Load Balancer Controller", "/aws-load-balancer-controller:"),
    ("Karpenter", "karpenter/controller:"),
    ("External Secrets", "/external-secrets:"),
    ("cert-manager", "/cert-manager-controller:"),
    ("the OpenTelemetry operator", "/opentelemetry-operator:"),
    ("the Grafana operator", "/grafana-operator:"),
    ("KEDA", "/keda:"),
];

/// What holds up a namespace that is being deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HeldUp {
    /// APIs that do not answer, so that nobody knows what is in it: APIServices.
    pub(crate) apis: Vec<ResourceRef>,
    /// Webhook configurations that refuse the deletion of its content.
    pub(crate) webhooks: Vec<ResourceRef>,
    /// Resources that are left, with their number: `servicemonitors.monitoring.coreos.com`.
    pub(crate) resources: Vec<(String, u32)>,
    /// Finalizers that they have, with the number of objects.
    pub(crate) finalizers: Vec<(String, u32)>,
    /// What the controller says.
    pub(crate) messages: Vec<String>,
}

/// What holds up a namespace; `None` where it is not being deleted, or only since minutes.
pub(crate) fn held_up(snap: &Snapshot, namespace: &Namespace) -> Option<HeldUp> {
    let since = namespace.metadata.deletion_timestamp?;
    if !namespace.is_terminating() || snap.seconds_since(since) < ENDING {
        return None;
    }
    let mut held = HeldUp::default();
    for condition in namespace.status.conditions.iter().filter(|c| c.status == "True") {
        let message = condition.message.as_deref().unwrap_or_default();
        held.messages.push(format!("{}: {message}", condition.kind));
        match condition.kind.as_str() {
            "NamespaceDeletionDiscoveryFailure" => held.apis.extend(apis(message)),
            "NamespaceDeletionContentFailure" => {
                held.webhooks.extend(webhooks::blamed(snap, message));
                held.apis.extend(apis(message));
            }
            "NamespaceContentRemaining" => held.resources = counts(message, "has"),
            "NamespaceFinalizersRemaining" => held.finalizers = counts(message, "in"),
            _ => {}
        }
    }
    held.apis.dedup();
    Some(held)
}

/// The APIs that a text names: `metrics.k8s.io/v1beta1: the server is currently unable to handle the request`.
fn apis(message: &str) -> Vec<ResourceRef> {
    let words = message.split([' ', ',', ';', '"', '[', ']']).map(|w| w.trim_end_matches(':'));
    let mut found: Vec<ResourceRef> = Vec::new();
    for api in words.filter_map(api_services::of_group_version) {
        if !found.contains(&api) {
            found.push(api);
        }
    }
    found
}

/// `configmaps. has 1 resource instances, pods. has 2 resource instances`; `x/y in 1 resource instances`.
fn counts(message: &str, verb: &str) -> Vec<(String, u32)> {
    let count = pattern!(r"(\S+) (has|in) (\d+) resource instances");
    let of_verb = count.captures_iter(message).filter(|c| &c[2] == verb);
    of_verb.filter_map(|c| Some((c[1].trim_end_matches('.').to_owned(), c[3].parse().ok()?))).collect()
}

/// Who removes a finalizer, in a few words; `None` where its name does not say.
pub(crate) fn remover(finalizer: &str) -> Option<&'static str> {
    let known = [
        ("service.kubernetes.io/load-balancer-cleanup", "the controller that made the load balancer"),
        ("service.k8s.aws/", "the AWS Load Balancer Controller"),
        ("elbv2.k8s.aws/", "the AWS Load Balancer Controller"),
        ("ingress.k8s.aws/", "the AWS Load Balancer Controller"),
        ("group.ingress.k8s.aws/", "the AWS Load Balancer Controller"),
        ("kubernetes.io/pvc-protection", "the end of the pods that use the claim"),
        ("kubernetes.io/pv-protection", "the deletion of the claim"),
        ("foregroundDeletion", "the end of the dependent objects"),
        ("orphan", "the garbage collector"),
        ("monitoring.coreos.com/", OPERATOR),
        ("karpenter.sh/", "Karpenter"),
        ("resources-finalizer.argocd.argoproj.io", "Argo CD"),
        ("post-delete-finalizer.argocd.argoproj.io", "Argo CD"),
        ("finalizers.fluxcd.io", "Flux"),
        ("networking.k8s.aws/", "the VPC CNI's controller"),
        ("vpcresources.k8s.aws/", "the VPC resource controller"),
        ("external-secrets.io/", "External Secrets"),
        ("finalizer.acme.cert-manager.io", "cert-manager"),
        ("opentelemetry.io/", "the OpenTelemetry operator"),
        ("operator.grafana.com/", "the Grafana operator"),
        ("keda.sh", "KEDA"),
    ];
    known.iter().find(|(prefix, _)| finalizer.contains(prefix)).map(|(_, who)| *who)
}

/// What is left in a namespace and is being deleted, of the lists that were read: resource as kubectl takes it, and name.
/// Only of the resources that the controller says are left, and with a finalizer that it names.
pub(crate) fn left(snap: &Snapshot, namespace: &str, held: &HeldUp) -> Vec<(String, String)> {
    let mut all: Vec<(String, &Meta)> = Vec::new();
    for server in snap.monitoring_resources.items().unwrap_or_default() {
        let plural = if server.kind == "Prometheus" { "prometheuses" } else { "alertmanagers" };
        all.push((format!("{plural}.monitoring.coreos.com"), &server.metadata));
    }
    let claims = snap.persistent_volume_claims.items().unwrap_or_default().iter();
    all.extend(claims.map(|c| ("persistentvolumeclaims".to_owned(), &c.metadata)));
    let services = snap.services.items().unwrap_or_default().iter();
    all.extend(services.map(|s| ("services".to_owned(), &s.metadata)));
    let pods = snap.pods.items().unwrap_or_default().iter();
    all.extend(pods.map(|p| ("pods".to_owned(), &p.metadata)));
    let is_held = |(resource, meta): &(String, &Meta)| {
        meta.namespace == namespace
            && meta.deletion_timestamp.is_some()
            && meta.finalizers.iter().any(|f| held.finalizers.iter().any(|(name, _)| name == f))
            && held.resources.iter().any(|(r, _)| r == resource)
    };
    all.into_iter().filter(is_held).map(|(resource, meta)| (resource, meta.name.clone())).collect()
}

/// The controller that a finalizer's `remover` names, where it is ready. The Prometheus operator's is not looked for here.
pub(crate) fn running<'a>(snap: &'a Snapshot, remover: &str) -> Option<&'a Workload> {
    let (_, image) = IMAGES.iter().find(|(who, _)| *who == remover)?;
    let is_it = |w: &&Workload| w.spec.template.spec.containers.iter().any(|c| c.image.contains(image));
    let all = snap.workloads.items().unwrap_or_default().iter();
    all.filter(|w| w.kind == "Deployment" && w.ready() > 0).find(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_conditions() {
        let left = "Some resources are remaining: configmaps. has 1 resource instances, grafanas.grafana.integreatly.org has 2 resource instances";
        let expected = vec![("configmaps".to_owned(), 1), ("grafanas.grafana.integreatly.org".to_owned(), 2)];
        assert_eq!(counts(left, "has"), expected);
        let held = "Some content in the namespace has finalizers remaining: operator.grafana.com/finalizer in 2 resource instances";
        assert_eq!(counts(held, "in"), vec![("operator.grafana.com/finalizer".to_owned(), 2)]);
        let failure = "Discovery failed for some groups, 2 failing: unable to retrieve the complete list of server APIs: metrics.k8s.io/v1beta1: the server is currently unable to handle the request, external.metrics.k8s.io/v1beta1: stale GroupVersion discovery: external.metrics.k8s.io/v1beta1";
        let names: Vec<String> = apis(failure).iter().map(ResourceRef::name).collect();
        assert_eq!(names, ["v1beta1.metrics.k8s.io", "v1beta1.external.metrics.k8s.io"]);
    }
}
