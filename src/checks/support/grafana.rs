//! Files, datasources and dashboards of Grafana as evidence and as values of fixes.

use crate::domain::grafana::dashboards::Dashboard;
use crate::domain::grafana::provisioned::{self, Datasource, File, Instance};
use crate::domain::kubernetes::managed::managed_by;
use crate::model::{Diagnosis, Evidence, Finding, Params};
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

/// Values that say where something is provisioned and how a change takes effect: `config_map`, `config_namespace`,
/// `config_key`, `managed_by`, `reloads`; `grafana`, `grafana_namespace`, `grafana_container`. Absent is null.
pub(crate) fn set_params(params: &mut Params, instance: Instance<'_>, file: Option<File<'_>>) {
    let meta = file.map(|f| &f.config_map.metadata);
    params.set("config_map", meta.map(|m| m.name.as_str()));
    params.set("config_namespace", meta.map(|m| m.namespace.as_str()));
    params.set("config_key", file.map(|f| f.key));
    params.set("managed_by", meta.map(managed_by).unwrap_or_default());
    params.set("reloads", file.is_some_and(|f| f.reloads));
    params.set("grafana", instance.kubectl_name());
    params.set("grafana_namespace", instance.namespace());
    params.set("grafana_container", &instance.container.name);
}

/// Something that stands in a file that Grafana loads.
pub(crate) fn in_file(file: &File<'_>, value: String) -> Evidence {
    let meta = &file.config_map.metadata;
    let source = format!("ConfigMap {}/{} {}", meta.namespace, meta.name, file.key);
    Evidence::new(source, value, "kubectl get configmap -n {{ namespace }} {{ name }} -o yaml")
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

/// Adds a dashboard to a finding, with the values of the page that say where it is.
pub(crate) fn named_in(dashboard: &Dashboard<'_>, made: Finding) -> Finding {
    let mut made =
        made.also(dashboard.reference()).key(format!("{} {}", dashboard.subject().key(), dashboard.reference().key()));
    set_params(&mut made.params, dashboard.instance, dashboard.file);
    made.param("dashboard", &dashboard.title).param("uid", &dashboard.uid)
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
