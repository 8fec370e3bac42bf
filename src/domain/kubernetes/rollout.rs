//! Rollouts that wait for themselves: the new pod needs what the old one holds, and the old one stays until the new one is ready.

use serde_json::Value;

use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{RollingUpdate, Workload};

/// A Deployment whose update starts the new pod beside the old one, and its claim that only one of them can have.
pub(crate) fn waits_for_itself<'a>(snap: &'a Snapshot, namespace: &str, name: &str) -> Option<(&'a Workload, &'a str)> {
    let all = snap.workloads.items().unwrap_or_default();
    let mut same = all.iter().filter(|w| w.metadata.namespace == namespace && w.metadata.name == name);
    let workload = same.find(|w| w.kind == "Deployment")?;
    if workload.spec.strategy.kind.as_deref() == Some("Recreate") || goes_first(&workload.spec.strategy.rolling_update)
    {
        return None;
    }
    let claims = snap.persistent_volume_claims.items().unwrap_or_default();
    let mounted = workload.spec.template.spec.volumes.iter().filter_map(|v| v.persistent_volume_claim.as_ref());
    let exclusive = mounted.map(|c| c.claim_name.as_str()).find(|claim| {
        let mut own = claims.iter().filter(|c| c.metadata.namespace == namespace && c.metadata.name == *claim);
        own.next().is_some_and(|c| {
            let modes = &c.spec.access_modes;
            !modes.is_empty() && modes.iter().all(|m| matches!(m.as_str(), "ReadWriteOnce" | "ReadWriteOncePod"))
        })
    });
    exclusive.map(|claim| (workload, claim))
}

/// The old pod goes before the new one comes.
fn goes_first(update: &RollingUpdate) -> bool {
    let is_none = |value: &Value| value.as_u64() == Some(0) || value.as_str().is_some_and(|t| t == "0" || t == "0%");
    is_none(&update.max_surge) && !is_none(&update.max_unavailable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Listing;
    use serde_json::json;

    fn held(strategy: Value, modes: Value) -> Option<String> {
        let mut snap = Snapshot::empty(jiff::Timestamp::UNIX_EPOCH);
        let volumes = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]);
        let deployment = json!({"metadata": {"name": "p", "namespace": "n"},
            "spec": {"strategy": strategy, "template": {"spec": {"volumes": volumes}}}});
        let mut deployment: Workload = serde_json::from_value(deployment).expect("a workload");
        deployment.kind = "Deployment".into();
        snap.workloads = Listing::cluster(vec![deployment]);
        let claim = json!([{"metadata": {"name": "data", "namespace": "n"}, "spec": {"accessModes": modes}}]);
        snap.persistent_volume_claims = Listing::cluster(serde_json::from_value(claim).expect("claims"));
        waits_for_itself(&snap, "n", "p").map(|(_, claim)| claim.to_owned())
    }

    #[test]
    fn a_rolling_update_waits_for_the_claim_that_its_old_pod_holds() {
        let (rolling, once) = (json!({"type": "RollingUpdate", "rollingUpdate": null}), json!(["ReadWriteOnce"]));
        assert_eq!(held(rolling.clone(), once.clone()).as_deref(), Some("data"));
        assert_eq!(held(json!({}), once.clone()).as_deref(), Some("data"));
        assert_eq!(held(json!({"type": "Recreate"}), once.clone()), None);
        assert_eq!(held(rolling, json!(["ReadWriteMany"])), None);
        let first = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}});
        assert_eq!(held(first, once), None);
    }
}
