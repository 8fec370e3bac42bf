//! IAM roles that the files give to ServiceAccounts.

use super::given::objects;
use super::overlaid::Overlaid;
use super::values::{self, Values};
use crate::lint::yaml::{Node, Value, join};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::ROLE_ANNOTATION;
use crate::snapshot::manifests::{Manifest, ManifestFile};

/// A role that is asked for.
pub(crate) struct Asked<'a> {
    /// The file.
    pub(crate) file: &'a ManifestFile,
    /// The ServiceAccount; none where a chart makes it.
    pub(crate) object: Option<&'a Manifest>,
    /// The values that it stands in.
    pub(crate) values: Option<Values<'a>>,
    /// The role.
    pub(crate) arn: &'a str,
    /// Where it is named.
    pub(crate) node: &'a Node,
    /// The path of it.
    pub(crate) path: String,
}

/// All of the files, but for what an overlay puts something else in place of.
pub(crate) fn of(snap: &Snapshot) -> Vec<Asked<'_>> {
    let overlaid = Overlaid::of(snap);
    let mut found = Vec::new();
    for (file, object) in objects(snap).filter(|(_, o)| o.kind == "ServiceAccount" && o.group().is_empty()) {
        let annotations = object.node.at(&["metadata", "annotations"]);
        let Some(node) = annotations.and_then(|a| a.get(ROLE_ANNOTATION)) else { continue };
        let path = format!("metadata.annotations.{ROLE_ANNOTATION}");
        if overlaid.covers(object, &path) {
            continue;
        }
        found.extend(arn(node).map(|arn| Asked { file, object: Some(object), values: None, arn, node, path }));
    }
    for file in snap.manifests.items().unwrap_or_default() {
        for values in values::all(file) {
            let mut nodes = Vec::new();
            walk(values.node, values.path, &mut nodes);
            nodes.retain(|(_, path)| !values.object.is_some_and(|object| overlaid.covers(object, path)));
            found.extend(nodes.into_iter().filter_map(|(node, path)| {
                Some(Asked { file, object: None, values: Some(values), arn: arn(node)?, node, path })
            }));
        }
    }
    found
}

/// A kustomization of the files gives its objects another name or namespace than they are written with.
pub(crate) fn are_renamed(snap: &Snapshot) -> bool {
    const BY: [&[&str]; 7] = [
        &["namespace"],
        &["namePrefix"],
        &["nameSuffix"],
        &["transformers"],
        &["spec", "targetNamespace"],
        &["spec", "namePrefix"],
        &["spec", "nameSuffix"],
    ];
    objects(snap)
        .filter(|(_, object)| object.kind == "Kustomization")
        .any(|(_, object)| BY.iter().any(|path| object.node.at(path).is_some_and(|n| !n.is_null())))
}

/// A role that nothing fills in later.
fn arn(node: &Node) -> Option<&str> {
    let text = node.as_str()?.trim();
    let parts: Vec<&str> = text.split(':').collect();
    let account = *parts.get(4)?;
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    let plain = !text.contains(['$', '{', '<', ' ']);
    (parts.first() == Some(&"arn") && parts.get(2) == Some(&"iam") && is_account && plain && text.contains(":role/"))
        .then_some(text)
}

fn walk<'a>(node: &'a Node, path: &str, found: &mut Vec<(&'a Node, String)>) {
    match &node.value {
        Value::Scalar { .. } => {}
        Value::Sequence(items) => {
            for (at, item) in items.iter().enumerate() {
                walk(item, &format!("{path}[{at}]"), found);
            }
        }
        Value::Mapping(entries) => {
            if node.get("enabled").and_then(Node::as_str) == Some("false") {
                return;
            }
            for (key, value) in entries {
                let Some(key) = key.as_str() else { continue };
                let path = join(path, key);
                if key == ROLE_ANNOTATION { found.push((value, path)) } else { walk(value, &path, found) }
            }
        }
    }
}
