//! Helm values: files of them, and those inside of objects that install a chart.

use crate::lint::yaml::Node;
use crate::snapshot::manifests::{Manifest, ManifestFile};

/// Helm values inside of objects that install a chart, with the path at which they stand.
pub(crate) fn embedded(object: &Manifest) -> Vec<(&Node, &'static str)> {
    let paths: &[(&[&str], &str)] = match object.kind.as_str() {
        "HelmRelease" => &[(&["spec", "values"], "spec.values")],
        "Application" => &[(&["spec", "source", "helm", "valuesObject"], "spec.source.helm.valuesObject")],
        _ => &[],
    };
    paths.iter().filter_map(|(path, name)| Some((object.node.at(path)?, *name))).collect()
}

/// All values that a file holds, with the object that they stand in.
pub(crate) fn all(file: &ManifestFile) -> impl Iterator<Item = (Option<&Manifest>, &Node, &'static str)> {
    let own = file.values.iter().map(|values| (None, values, ""));
    let inside = file
        .objects
        .iter()
        .flat_map(|object| embedded(object).into_iter().map(move |(values, path)| (Some(object), values, path)));
    own.chain(inside)
}
