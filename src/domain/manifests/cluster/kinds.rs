//! Objects of kinds that the cluster does not have.

use super::{Lacks, Need, installs_more};
use crate::domain::kubernetes::not_served::defines;
use crate::domain::manifests::given::objects;
use crate::lint::Problem;
use crate::lint::yaml::Node;
use crate::model::{Fact, Gap};
use crate::snapshot::manifests::Manifest;
use crate::snapshot::{Snapshot, not_collected};

/// Groups whose kinds are defined by who brings them. Of others nobody knows whether they are for a cluster at all.
const BROUGHT: &[(&str, &str)] = &[
    ("monitoring.coreos.com", "the Prometheus operator (charts kube-prometheus-stack, prometheus-operator-crds)"),
    ("grafana.integreatly.org", "the Grafana operator"),
    ("loki.grafana.com", "the Loki operator"),
    ("tempo.grafana.com", "the Tempo operator"),
    ("opentelemetry.io", "the OpenTelemetry operator"),
    ("operator.victoriametrics.com", "the VictoriaMetrics operator"),
    ("cert-manager.io", "cert-manager"),
    ("acme.cert-manager.io", "cert-manager"),
    ("external-secrets.io", "the External Secrets operator"),
    ("bitnami.com", "Sealed Secrets"),
    ("secrets-store.csi.x-k8s.io", "the Secrets Store CSI driver"),
    ("argoproj.io", "Argo CD, or another program of Argo"),
    ("karpenter.sh", "Karpenter"),
    ("karpenter.k8s.aws", "Karpenter"),
    ("elbv2.k8s.aws", "the AWS Load Balancer Controller"),
    ("vpcresources.k8s.aws", "the VPC CNI of EKS"),
    ("gateway.networking.k8s.io", "the Gateway API, whose definitions a controller or its own release brings"),
    ("snapshot.storage.k8s.io", "the snapshot controller"),
    ("keda.sh", "KEDA"),
    ("traefik.io", "Traefik"),
    ("networking.istio.io", "Istio"),
    ("security.istio.io", "Istio"),
    ("kyverno.io", "Kyverno"),
];

/// Objects whose kind nothing defines.
pub(super) fn of(snap: &Snapshot) -> Result<Vec<Need<'_>>, Gap> {
    let wanted: Vec<_> = objects(snap)
        .filter_map(|(file, object)| {
            let (_, brings) = BROUGHT.iter().find(|(group, _)| *group == object.group())?;
            (!is_local(object)).then_some((file, object, *brings))
        })
        .collect();
    // A chart may bring them with itself.
    if wanted.is_empty() || installs_more(snap) {
        return Ok(Vec::new());
    }
    let own: Vec<&str> = snap
        .manifest_objects("apiextensions.k8s.io", "CustomResourceDefinition")
        .map(|(_, object)| object.name.as_str())
        .collect();
    let mut found = Vec::new();
    for (file, object, brings) in wanted {
        let is_it = |name: &str| defines(name, object.group(), &object.kind);
        let there = || snap.crds.items().map(|all| all.iter().any(|c| is_it(&c.metadata.name)));
        if own.iter().any(|name| is_it(name)) || there()? {
            continue;
        }
        // Of a list that broke off nobody knows the rest.
        if !snap.crds.is_whole() {
            return Err(snap.crds.gaps().first().cloned().unwrap_or_else(|| not_collected(Fact::Crds)));
        }
        let place = object.node.get("kind").map_or(object.place(), |n| n.place);
        let message = format!(
            "the cluster has no kind {} of {}: its CustomResourceDefinition is not installed",
            object.kind,
            object.group()
        );
        let lacks = Lacks::Kind { group: object.group().to_owned(), brings };
        found.push(Need { file, object, lacks, problem: Problem::new(place, "kind", message) });
    }
    Ok(found)
}

/// Read by tools, and not applied.
fn is_local(object: &Manifest) -> bool {
    let noted = object.node.at(&["metadata", "annotations"]).and_then(|n| n.get("config.kubernetes.io/local-config"));
    noted.is_some_and(Node::is_true)
}
