//! Helm values: files of them, and those inside of objects that install a chart.

use crate::domain::manifests::given::is_encrypted;
use crate::lint::yaml::{Node, join};
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::{Holds, Manifest, ManifestFile};

/// Helm values in a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values<'a> {
    /// The object that they stand in; none for a file of values.
    pub(crate) object: Option<&'a Manifest>,
    /// The path at which they stand in it; empty for a file of values.
    pub(crate) path: &'a str,
    /// The values.
    pub(crate) node: &'a Node,
    /// They are a document of their own: what is said of the keys of an object is not said of them.
    pub(crate) is_text: bool,
}

/// Helm values inside of objects that install a chart.
pub(crate) fn embedded(file: &ManifestFile) -> impl Iterator<Item = Values<'_>> {
    let own = file.objects.iter().filter(|o| o.kind == "HelmRelease").filter_map(|object| {
        let node = object.node.at(&["spec", "values"])?;
        Some(Values { object: Some(object), path: "spec.values", node, is_text: false })
    });
    let inside = file.inside.iter().filter(|i| i.holds == Holds::Values);
    let of_text = |path: &str| !["valuesObject", "valuesInline", "parameters"].iter().any(|end| path.ends_with(end));
    own.chain(inside.map(move |i| {
        let object = file.objects.get(i.object);
        Values { object, path: &i.path, node: &i.node, is_text: of_text(&i.path) }
    }))
}

/// All values that a file holds, with the object that they stand in.
pub(crate) fn all(file: &ManifestFile) -> impl Iterator<Item = Values<'_>> {
    let readable = file.values.iter().filter(|node| !is_encrypted(node));
    readable.map(|node| Values { object: None, path: "", node, is_text: true }).chain(embedded(file))
}

/// True where some file holds values.
pub(crate) fn any(snap: &Snapshot) -> bool {
    snap.manifests.items().unwrap_or_default().iter().any(|file| all(file).next().is_some())
}

/// Depth at which a chart's values may stand below those of a chart that contains it.
const DEPTH: usize = 2;

/// `prometheus.prometheusSpec` of kube-prometheus-stack in values, also below the name of a chart, with the path of each.
pub(crate) fn server_specs<'a>(values: &Values<'a>) -> Vec<(&'a Node, String)> {
    let mut found = Vec::new();
    look(values.node, values.path, 0, &mut found);
    found
}

fn look<'a>(node: &'a Node, path: &str, depth: usize, found: &mut Vec<(&'a Node, String)>) {
    for (key, value) in node.entries().unwrap_or_default() {
        let Some(key) = key.as_str() else { continue };
        let path = join(path, key);
        match (key, value.get("prometheusSpec")) {
            ("prometheus", Some(spec)) => found.push((spec, format!("{path}.prometheusSpec"))),
            _ if depth < DEPTH => look(value, &path, depth + 1, found),
            _ => {}
        }
    }
}
