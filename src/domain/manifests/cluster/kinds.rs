//! Objects of kinds that the cluster does not have.

use super::{Lacks, Need, installs_more};
use crate::domain::kubernetes::image::base_of;
use crate::domain::kubernetes::not_served::defines;
use crate::domain::manifests::given::objects;
use crate::lint::Problem;
use crate::lint::yaml::Node;
use crate::model::{Fact, Gap};
use crate::snapshot::manifests::{Manifest, ManifestFile};
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

/// Who brings the kinds of a group.
pub(crate) fn bringer(group: &str) -> Option<&'static str> {
    BROUGHT.iter().find(|(known, _)| *known == group).map(|(_, brings)| *brings)
}

/// Objects whose kind nothing defines.
pub(super) fn of(snap: &Snapshot) -> Result<Vec<Need<'_>>, Gap> {
    // `helm template` leaves out what a chart has in `crds/`, and an operator's chart has its kinds there.
    let with_operator = brings_operator(snap);
    let wanted: Vec<_> = objects(snap)
        .filter(|(file, object)| !(with_operator && is_rendered(file, object)))
        .filter_map(|(file, object)| {
            let brings = bringer(object.group())?;
            (!is_local(object)).then_some((file, object, brings))
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
        if own.iter().any(|name| is_it(name)) {
            continue;
        }
        if there()? {
            found.extend(of_version(snap, file, object)?);
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

/// An object in a version that the cluster does not serve of its group.
fn of_version<'a>(snap: &Snapshot, file: &'a ManifestFile, object: &'a Manifest) -> Result<Option<Need<'a>>, Gap> {
    let Some((group, version)) = object.api_version.split_once('/') else { return Ok(None) };
    let all = snap.api_services.items()?.iter().filter(|a| a.spec.group == group);
    let mut served: Vec<&str> = all.map(|a| a.spec.version.as_str()).collect();
    // Where the group is not among them, the list is not that of what the server itself answers.
    if served.is_empty() || served.contains(&version) || !snap.api_services.is_whole() {
        return Ok(None);
    }
    served.sort_unstable();
    let served = served.join(", ");
    let place = object.node.get("apiVersion").map_or(object.place(), |n| n.place);
    let message = format!("the cluster does not serve {}: of {group} it serves {served}", object.api_version);
    let lacks = Lacks::Version { group: group.to_owned(), served };
    Ok(Some(Need { file, object, lacks, problem: Problem::new(place, "apiVersion", message) }))
}

/// A chart made it.
fn is_rendered(file: &ManifestFile, object: &Manifest) -> bool {
    let label = |key: &str| object.node.at(&["metadata", "labels", key]).and_then(Node::as_str);
    file.text.contains("# Source: ")
        || label("app.kubernetes.io/managed-by").or(label("heritage")) == Some("Helm")
        || label("helm.sh/chart").is_some()
}

/// Something that works on objects of kinds of its own is among the files.
fn brings_operator(snap: &Snapshot) -> bool {
    const NAMES: [&str; 6] = ["operator", "controller", "cert-manager", "karpenter", "keda", "kyverno"];
    snap.manifest_objects("apps", "Deployment").any(|(_, object)| {
        let containers = object.node.at(&["spec", "template", "spec", "containers"]).and_then(Node::items);
        let images = containers.unwrap_or_default().iter().filter_map(|c| c.get("image")?.as_str());
        images.map(base_of).any(|base| NAMES.iter().any(|name| base.contains(name)))
    })
}

/// Read by tools, and not applied.
fn is_local(object: &Manifest) -> bool {
    let noted = object.node.at(&["metadata", "annotations"]).and_then(|n| n.get("config.kubernetes.io/local-config"));
    noted.is_some_and(Node::is_true)
}
