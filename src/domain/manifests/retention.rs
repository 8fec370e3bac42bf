//! What a Prometheus of the files may keep, against the volume that the files give it.

use super::values::{self, Values};
use crate::domain::prometheus::tsdb;
use crate::lint::Problem;
use crate::lint::yaml::{Node, join};
use crate::snapshot::manifests::{Manifest, ManifestFile};
use crate::snapshot::{Snapshot, format_bytes, parse_quantity};

/// Share of the volume from which on a limit by size does not protect it.
const FULL: f64 = 0.95;

/// A limit that is as large as the volume, and where it is written.
pub(crate) enum Kept<'a> {
    /// In an object.
    Object(&'a ManifestFile, &'a Manifest, Problem),
    /// In Helm values.
    Values(&'a ManifestFile, Values<'a>, Problem),
}

/// All of the files.
pub(crate) fn all(snap: &Snapshot) -> Vec<Kept<'_>> {
    let mut found = Vec::new();
    for (file, object) in snap.manifest_objects("monitoring.coreos.com", "Prometheus") {
        let problem = object.node.get("spec").and_then(|spec| of_spec(spec, "storage", "spec"));
        found.extend(problem.map(|p| Kept::Object(file, object, p)));
    }
    for (file, object) in snap.manifest_objects("apps", "StatefulSet") {
        found.extend(of_set(object).map(|p| Kept::Object(file, object, p)));
    }
    for file in snap.manifests.items().unwrap_or_default() {
        for values in values::all(file) {
            for (spec, path) in values::server_specs(&values) {
                found.extend(of_spec(spec, "storageSpec", &path).map(|p| Kept::Values(file, values, p)));
            }
            found.extend(of_server(values.node, values.path).map(|p| Kept::Values(file, values, p)));
        }
    }
    found
}

/// The spec of a Prometheus.
fn of_spec(spec: &Node, storage: &str, path: &str) -> Option<Problem> {
    let claim = ["volumeClaimTemplate", "spec", "resources", "requests", "storage"];
    let volume = spec.get(storage)?.at(&claim)?.as_str()?;
    let node = spec.get("retentionSize")?;
    compare(node, node.as_str()?, volume, &join(path, "retentionSize"))
}

/// `server` in the values of the chart prometheus.
fn of_server(values: &Node, path: &str) -> Option<Problem> {
    let server = values.get("server")?;
    let volume = server.at(&["persistentVolume", "size"])?.as_str()?;
    let node = server.get("retentionSize")?;
    compare(node, node.as_str()?, volume, &join(path, "server.retentionSize"))
}

/// A StatefulSet whose container keeps its blocks on a claim of its own.
fn of_set(object: &Manifest) -> Option<Problem> {
    let spec = object.node.get("spec")?;
    let containers = spec.at(&["template", "spec", "containers"]).and_then(Node::items)?;
    for (number, container) in containers.iter().enumerate() {
        let args = container.get("args").and_then(Node::items).unwrap_or_default();
        let flag = |name: &str| {
            args.iter().enumerate().find_map(|(at, node)| {
                let rest = node.as_str()?.trim_start_matches('-').strip_prefix(name)?;
                Some((at, node, rest.strip_prefix('=')?))
            })
        };
        let Some((at, node, size)) = flag("storage.tsdb.retention.size") else { continue };
        let data = flag("storage.tsdb.path").map_or("data", |(.., path)| path);
        let mounts = container.get("volumeMounts").and_then(Node::items)?;
        let holds = |m: &&Node| {
            m.get("mountPath").and_then(Node::as_str).is_some_and(|p| data == p || data.starts_with(&format!("{p}/")))
        };
        let mount = mounts.iter().find(holds)?.get("name")?.as_str()?;
        let claims = spec.get("volumeClaimTemplates").and_then(Node::items)?;
        let claim = claims.iter().find(|c| c.at(&["metadata", "name"]).and_then(Node::as_str) == Some(mount))?;
        let volume = claim.at(&["spec", "resources", "requests", "storage"])?.as_str()?;
        let path = format!("spec.template.spec.containers[{number}].args[{at}]");
        let problem = compare(node, size, volume, &path)?;
        let whole = problem.instead.as_ref().map(|fits| node.as_str().unwrap_or_default().replace(size, fits));
        return Some(Problem { instead: whole, ..problem });
    }
    None
}

fn compare(node: &Node, size: &str, volume: &str, path: &str) -> Option<Problem> {
    let (bytes, capacity) = (tsdb::size(size)?, parse_quantity(volume)?);
    if bytes < capacity * FULL || capacity <= 0.0 {
        return None;
    }
    let fits = tsdb::size_limit(capacity);
    let message = format!(
        "Prometheus may keep {} of blocks ({size}) on a volume of {}: it is full before the first block is deleted",
        format_bytes(bytes),
        format_bytes(capacity)
    );
    let meant = (capacity > 2_147_483_648.0).then_some(fits);
    Some(Problem::new(node.place, path, message).instead(meant))
}
