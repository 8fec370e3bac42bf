//! IAM roles that the files themselves bring, as objects of a controller that makes them: ACK, Crossplane.

use serde_json::Value;

use super::given::objects;
use crate::lint::yaml::Node;
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::{Manifest, ManifestFile};

/// A role of the files.
pub(crate) struct Brought<'a> {
    /// The file.
    pub(crate) file: &'a ManifestFile,
    /// The object.
    pub(crate) object: &'a Manifest,
    /// Its trust policy with the node and the path that hold it; none where it is not plain JSON.
    pub(crate) trust: Option<(Value, &'a Node, &'static str)>,
}

/// Where a kind keeps the name of its role and its trust policy.
struct Layout {
    group: &'static str,
    name: &'static [&'static str],
    trust: &'static [&'static str],
    trust_path: &'static str,
}

const LAYOUTS: &[Layout] = &[
    Layout {
        group: "iam.services.k8s.aws",
        name: &["spec", "name"],
        trust: &["spec", "assumeRolePolicyDocument"],
        trust_path: "spec.assumeRolePolicyDocument",
    },
    Layout {
        group: "iam.aws.upbound.io",
        name: &["metadata", "annotations", "crossplane.io/external-name"],
        trust: &["spec", "forProvider", "assumeRolePolicy"],
        trust_path: "spec.forProvider.assumeRolePolicy",
    },
];

/// The role of an ARN, where an object of the files makes it.
pub(crate) fn of<'a>(snap: &'a Snapshot, arn: &str) -> Option<Brought<'a>> {
    let wanted = arn.rsplit('/').next().unwrap_or(arn);
    objects(snap).filter(|(_, o)| o.kind == "Role").find_map(|(file, object)| {
        let layout = LAYOUTS.iter().find(|l| l.group == object.group())?;
        let named = object.node.at(layout.name).and_then(Node::as_str).unwrap_or(&object.name);
        let node = || object.node.at(layout.trust);
        let read = || Some((serde_json::from_str(node()?.as_str()?).ok()?, node()?, layout.trust_path));
        (named == wanted).then(|| Brought { file, object, trust: read() })
    })
}
