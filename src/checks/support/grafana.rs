//! Files, datasources and dashboards of Grafana as evidence and as values of fixes.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::located::Text;
use crate::domain::grafana::dashboards::Dashboard;
use crate::domain::grafana::provisioned::{self, Datasource, File, Instance};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::own_address::OwnAddress;
use crate::model::{Diagnosis, Evidence, Finding, Location, Program};
use crate::snapshot::kubernetes::{Container, Pod};
use crate::snapshot::{Fetched, Snapshot};

/// Asks Grafana's API with the token of the environment.
pub(crate) const SHOW_API: &str = "curl -s -H \"Authorization: Bearer $KDOCTOR_GRAFANA_TOKEN\" {{ path }}";

/// The Grafanas that run; `None` where none does.
///
/// # Errors
/// The gap, if their workloads or the ConfigMaps that they load were not read.
pub(crate) fn running(snap: &Snapshot) -> Fetched<Option<Vec<Instance<'_>>>> {
    snap.config_maps()?;
    let instances = provisioned::instances(snap)?;
    Ok((!instances.is_empty()).then_some(instances))
}

/// The Grafana whose pod this is, else the first.
pub(crate) fn of_pod<'a>(snap: &Snapshot, instances: &[Instance<'a>], pod: &str) -> Option<Instance<'a>> {
    let own = instances.iter().find(|i| i.pods(snap).iter().any(|p| p.metadata.name == pod));
    own.or_else(|| instances.first()).copied()
}

/// What a check of Grafana says where none runs.
pub(crate) fn none_runs() -> Diagnosis {
    Diagnosis::NotApplicable("no Grafana runs in the stack's namespaces".into())
}

/// The file in which something is provisioned; none where it is in Grafana's database.
#[derive(Serialize, JsonSchema)]
pub(crate) struct KeptIn {
    config_map: Option<String>,
    config_namespace: Option<String>,
    config_key: Option<String>,
    /// Who keeps the ConfigMap; empty where nobody does.
    managed_by: String,
}

impl KeptIn {
    /// Of a file.
    pub(crate) fn of(file: Option<File<'_>>) -> Self {
        let meta = file.map(|f| &f.config_map.metadata);
        Self {
            config_map: meta.map(|m| m.name.clone()),
            config_namespace: meta.map(|m| m.namespace.clone()),
            config_key: file.map(|f| f.key.to_owned()),
            managed_by: meta.map(managed_by).unwrap_or_default(),
        }
    }
}

/// A Grafana as commands name it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Grafana {
    grafana: String,
    grafana_namespace: String,
    grafana_container: String,
}

impl Grafana {
    /// Of one that runs.
    pub(crate) fn of(instance: Instance<'_>) -> Self {
        Self {
            grafana: instance.kubectl_name(),
            grafana_namespace: instance.namespace().to_owned(),
            grafana_container: instance.container.name.clone(),
        }
    }
}

/// Shell command that asks the Grafana of this container to read its files of a kind (`datasources`) again, with the login that the
/// chart's container has in its variables.
pub(crate) fn reload(of: Option<(&Pod, &Container)>, kind: &str) -> String {
    own_call(of, "-X POST ", &format!("admin/provisioning/{kind}/reload"))
}

/// Shell command that lists what the Grafana of this container has of a kind, with the same login.
pub(crate) fn list(of: Option<(&Pod, &Container)>, kind: &str) -> String {
    own_call(of, "", kind)
}

fn own_call(of: Option<(&Pod, &Container)>, method: &str, path: &str) -> String {
    let address = of.map(|(pod, container)| OwnAddress::of_pod(pod, container));
    let url = address.unwrap_or_else(|| OwnAddress::usual(Program::Grafana)).url();
    format!("curl -sS {method}-u \"$GF_SECURITY_ADMIN_USER:$GF_SECURITY_ADMIN_PASSWORD\" {url}/api/{path}")
}

/// One container of a Grafana, as the steps about it name it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct At {
    namespace: String,
    grafana: String,
    container: String,
}

impl At {
    /// Of one that runs, by the name of the container.
    pub(crate) fn of(instance: Instance<'_>, container: &str) -> Self {
        Self {
            namespace: instance.namespace().to_owned(),
            grafana: instance.kubectl_name(),
            container: container.to_owned(),
        }
    }
}

/// Something that stands in a file that Grafana loads.
pub(crate) fn in_file(file: &File<'_>, value: String) -> Evidence {
    let meta = &file.config_map.metadata;
    let source = format!("ConfigMap {}/{} {}", meta.namespace, meta.name, file.key);
    Evidence::new(source, value, "kubectl get configmap {{ name }} -n {{ namespace }} -o yaml")
        .with("namespace", &meta.namespace)
        .with("name", &meta.name)
}

/// Something that is set in a datasource.
pub(crate) fn in_datasource(datasource: &Datasource<'_>, value: String) -> Evidence {
    match datasource.file {
        Some(file) => in_file(&file, value),
        None => {
            Evidence::new("grafana /api/datasources", value, SHOW_API).with("path", "<grafana-url>/api/datasources")
        }
    }
}

/// Adds a dashboard to a finding.
pub(crate) fn named_in(dashboard: &Dashboard<'_>, made: Finding) -> Finding {
    made.also(dashboard.reference()).key(format!("{} {}", dashboard.subject().key(), dashboard.reference().key()))
}

/// Something that stands in a dashboard.
pub(crate) fn in_dashboard(dashboard: &Dashboard<'_>, value: String) -> Evidence {
    match dashboard.file {
        Some(file) => in_file(&file, value),
        None => {
            let path = format!("/api/dashboards/uid/{}", dashboard.uid);
            let show = "curl -s -H \"Authorization: Bearer $KDOCTOR_GRAFANA_TOKEN\" {{ url }}";
            Evidence::new(format!("grafana {path}"), value, show).with("url", format!("<grafana-url>{path}"))
        }
    }
}

/// Where the file of a dashboard has a word in the value of one of these keys; none where only Grafana's API shows it.
pub(crate) fn place_in(dashboard: &Dashboard<'_>, keys: &[&str], word: &str) -> Option<Location> {
    let file = dashboard.file?;
    Text { map: &file.config_map.reference(), key: file.key, text: file.text }.value(keys, word)
}
