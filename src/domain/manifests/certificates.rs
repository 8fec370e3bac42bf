//! Certificates of AWS that Ingresses and Services of the files name.

use super::given::objects;
use super::overlaid::Overlaid;
use crate::lint::kubernetes::balancer::Annotations;
use crate::lint::yaml::Node;
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::{Manifest, ManifestFile};

/// A certificate of ACM that is asked for.
pub(crate) struct Named<'a> {
    /// The file.
    pub(crate) file: &'a ManifestFile,
    /// The object.
    pub(crate) object: &'a Manifest,
    /// Where it is named, alone or among others.
    pub(crate) node: &'a Node,
    /// The path of it.
    pub(crate) path: String,
    /// Region and account of each.
    all: Vec<(&'a str, &'a str)>,
}

/// Of a Service that makes a load balancer.
const OF_SERVICE: &str = "service.beta.kubernetes.io/aws-load-balancer-ssl-cert";

/// All of the files, but for what an overlay puts something else in place of.
pub(crate) fn of(snap: &Snapshot) -> Vec<Named<'_>> {
    let overlaid = Overlaid::of(snap);
    let mut found = Vec::new();
    for (file, object) in objects(snap) {
        let (node, text, path) = match (object.group(), object.kind.as_str()) {
            ("networking.k8s.io", "Ingress") => {
                let Some(annotations) = Annotations::of(&object.node) else { continue };
                let (Some(text), Some(node)) =
                    (annotations.text("certificate-arn"), annotations.node("certificate-arn"))
                else {
                    continue;
                };
                (node, text, "metadata.annotations.alb.ingress.kubernetes.io/certificate-arn".to_owned())
            }
            ("", "Service") => {
                let annotations = object.node.at(&["metadata", "annotations"]);
                let Some(node) = annotations.and_then(|a| a.get(OF_SERVICE)) else { continue };
                let Some(text) = node.as_str() else { continue };
                (node, text, format!("metadata.annotations.{OF_SERVICE}"))
            }
            _ => continue,
        };
        let all: Vec<(&str, &str)> = text.split(',').filter_map(|arn| place(arn.trim())).collect();
        if !all.is_empty() && !overlaid.covers(object, &path) {
            found.push(Named { file, object, node, path, all });
        }
    }
    found
}

/// Region and account of a certificate of ACM; others belong to no region.
fn place(arn: &str) -> Option<(&str, &str)> {
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", _, "acm", region, account, certificate] = parts.as_slice() else { return None };
    let plain = !arn.contains(['$', '{', '<']) && !region.is_empty() && certificate.starts_with("certificate/");
    (plain && account.len() == 12).then_some((*region, *account))
}

impl Named<'_> {
    /// Why a load balancer of the cluster cannot take one of them.
    pub(crate) fn misfit(&self, region: &str, account: Option<&str>) -> Option<String> {
        if let Some((other, _)) = self.all.iter().find(|(own, _)| *own != region) {
            return Some(format!(
                "the certificate is of {other}, and the cluster is in {region}: a load balancer takes certificates of its own region alone"
            ));
        }
        let account = account.filter(|a| a.len() == 12 && a.bytes().all(|b| b.is_ascii_digit()))?;
        let (_, other) = self.all.iter().find(|(_, own)| *own != account)?;
        Some(format!(
            "the certificate is of account {other}, and the cluster of {account}: a load balancer takes certificates of its own account alone"
        ))
    }
}
