//! A web configuration (`--web.config.file`) that no program takes.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::written::{self, Corrected};
use crate::checks::{Check, check};
use crate::domain::kubernetes::arguments::flag;
use crate::domain::kubernetes::mounts::{Mounts, Origin};
use crate::domain::manifests::given::Parts;
use crate::domain::manifests::written::Dialect;
use crate::lint::yaml::Node;
use crate::lint::{Problem, within};
use crate::model::{CheckMeta, Diagnosis, Finding, Gap};
use crate::snapshot::kubernetes::{Container, Workload};
use crate::snapshot::manifests::{Manifest, ManifestFile};
use crate::snapshot::{Snapshot, journal};

check! {
    /// See the check's page.
    WebConfig {
        id: "web-config", suite: Manifests, severity: Error,
        title: "a web configuration is not valid, so that its program does not start",
        requires: [Manifests],
        uses: [Workloads, ConfigMaps],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    File(Corrected),
}

impl Check for WebConfig {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn judge(&self, snap: &Snapshot) -> Option<Result<Diagnosis, Gap>> {
        Some(self.diagnose(snap))
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        Ok(match written::judge(snap, Dialect::Web, &Self::META, Fix::File)? {
            Diagnosis::Findings(mut found) => {
                if found.is_empty() {
                    found.extend(unmounted(snap));
                }
                Diagnosis::Findings(found)
            }
            other => other,
        })
    }
}

/// Fields of `tls_server_config` that name a file.
const FILES: [&str; 3] = ["cert_file", "key_file", "client_ca_file"];
/// Where Kubernetes or an injector mounts what no manifest says.
const INJECTED: [&str; 3] = ["/var/run/secrets/", "/run/secrets/", "/vault/"];

/// Web configurations in ConfigMaps of the files that name a certificate where their container mounts nothing.
fn unmounted(snap: &Snapshot) -> Vec<Finding> {
    let parts = Parts::of(snap);
    let mut found = Vec::new();
    // What the cluster has may mount less than the files will.
    let of_files = snap.workloads.items().unwrap_or_default().iter();
    for workload in of_files.filter(|w| !journal::aside(|| snap.workloads.covers(&w.metadata.namespace))) {
        for container in workload.spec.template.spec.containers.iter().filter(|c| c.program().is_some()) {
            let Some(path) = flag(container, "web.config.file") else { continue };
            let Origin::ConfigMap { name, key } = origin(snap, workload, container, path) else { continue };
            // An overlay may mount more.
            let maps = snap.manifest_objects("", "ConfigMap").filter(|(file, _)| !parts.holds(file));
            let mut named = maps.filter(|(_, map)| map.name == name && map.namespace == workload.metadata.namespace);
            let (Some((file, map)), None) = (named.next(), named.next()) else { continue };
            found.extend(Read { snap, workload, container, file, map, key: &key, path }.finding());
        }
    }
    found
}

/// What is mounted at a path. Which keys a ConfigMap beside the files has makes no difference.
fn origin(snap: &Snapshot, workload: &Workload, container: &Container, path: &str) -> Origin {
    journal::aside(|| Mounts::of(snap, workload, container).origin(path))
}

/// A web configuration and the container that reads it.
struct Read<'a> {
    snap: &'a Snapshot,
    workload: &'a Workload,
    container: &'a Container,
    file: &'a ManifestFile,
    map: &'a Manifest,
    key: &'a str,
    path: &'a str,
}

impl Read<'_> {
    fn finding(&self) -> Option<Finding> {
        let value = self.map.node.at(&["data", self.key])?;
        let documents = within::documents(&self.file.text, value.as_str()?, value.place).ok()?;
        let tls = documents.first()?.get("tls_server_config")?;
        let field = format!("data.{}", self.key);
        let problems: Vec<Problem> =
            FILES.iter().filter_map(|name| self.problem(tls.get(name)?, &format!("{field}.{name}"))).collect();
        problems.first()?;
        let so = ": the program does not start";
        let made = written::of_object(&WebConfig::META, self.file, self.map, &problems, so);
        let lines = Corrected::new(self.file, &field, &problems, "", &written::still_read(self.file));
        Some(made.fix(Fix::File(lines)))
    }

    fn problem(&self, node: &Node, path: &str) -> Option<Problem> {
        let named = node.as_str().filter(|n| !n.is_empty() && !n.contains(['$', '{']))?;
        // A relative path is one beside the file.
        let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let at = if named.starts_with('/') { named.to_owned() } else { format!("{folder}/{named}") };
        let injected = INJECTED.iter().any(|i| at.starts_with(i));
        if injected || origin(self.snap, self.workload, self.container, &at) != Origin::Image {
            return None;
        }
        let message = format!(
            "nothing is mounted at {at} in container {} of {}, which reads its certificate there",
            self.container.name,
            self.workload.reference()
        );
        Some(Problem::new(node.place, path, message))
    }
}
