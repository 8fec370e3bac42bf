//! Loki is told for how long to keep its lines, and deletes none.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::helm::Release;
use crate::checks::{Check, check};
use crate::domain::kubernetes::chart::release_of;
use crate::domain::kubernetes::owner::Target;
use crate::domain::kubernetes::store::Store;
use crate::domain::loki::retention::{Unenforced, unenforced};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    LokiRetention {
        id: "loki-retention", suite: Logs, severity: Warning,
        title: "Loki is told for how long to keep its lines, and deletes none",
        requires: [Pods, ConfigMaps],
        uses: [Workloads, PersistentVolumeClaims],
        fix: Fix,
    }
}

/// See the page's fix.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Enforce {
        period: String,
        namespace: String,
        owner: String,
        config_map: String,
        key: String,
        claim: Option<String>,
        managed: String,
        #[serde(flatten)]
        release: Release,
    },
}

impl Check for LokiRetention {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut containers = snap.pods()?.iter().flat_map(|p| &p.spec.containers);
        if !containers.any(|c| Store::of_image(&c.image) == Some(Store::Loki)) {
            return Ok(Diagnosis::NotApplicable("no Loki runs in the namespaces that were read".into()));
        }
        snap.config_maps()?;
        Ok(Diagnosis::Findings(unenforced(snap).iter().map(|found| finding(snap, found)).collect()))
    }
}

fn finding(snap: &Snapshot, found: &Unenforced<'_>) -> Finding {
    let target = Target::of(snap, found.pod);
    let meta = &found.map.metadata;
    let namespace = &found.pod.metadata.namespace;
    let claim = found.claim.map(|c| c.metadata.name.clone());
    let fills = claim.as_ref().map(|c| format!(", and fills PersistentVolumeClaim {c}")).unwrap_or_default();
    let message = format!(
        "Loki ({} in {namespace}) keeps everything{fills}: retention_period is {}, and only a compactor with retention_enabled deletes what is older",
        target.name, found.period
    );
    let value = format!("limits_config.retention_period: {}; no compactor.retention_enabled: true", found.period);
    let show = "kubectl get configmap {{ name }} -n {{ namespace }} -o yaml";
    let seen = Evidence::new(format!("{} of ConfigMap {}/{}", found.key, meta.namespace, meta.name), value, show)
        .with("namespace", &meta.namespace)
        .with("name", &meta.name);
    let release = release_of(snap, target.meta);
    let mut made = Finding::new(LokiRetention::META.id, Severity::Warning, target.owner.clone(), message)
        .key(format!("{}/{}", meta.namespace, meta.name))
        .evidence(seen);
    made = match &claim {
        Some(name) => made.breaks(ResourceRef::pvc(namespace, name)),
        None => made.breaks_nothing(),
    };
    made.fix(Fix::Enforce {
        period: found.period.clone(),
        namespace: namespace.clone(),
        owner: target.name.clone(),
        config_map: meta.name.clone(),
        key: found.key.to_owned(),
        claim,
        managed: if release.is_some() { String::new() } else { target.managed_by.clone() },
        release: Release::of(release.as_ref()),
    })
}
