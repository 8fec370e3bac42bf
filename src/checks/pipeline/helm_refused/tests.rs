//! What `helm-refused` says of kinds that came after Helm had asked for them.

use serde_json::json;

use super::*;
use crate::checks::support::testing::{findings, steps};
use crate::domain::testing::snapshot;
use crate::snapshot::Listing;
use crate::snapshot::kubernetes::GitOpsObject;

/// The steps, where Helm asked at two o'clock and the definition is of another time.
fn asked_in_vain(made: &str, served: bool) -> String {
    let said = "Helm install failed for release monitoring/otel with chart opentelemetry-operator@0.90.0: unable to build kubernetes objects from release manifest: resource mapping not found for name: \"otel\" namespace: \"monitoring\" from \"\": no matches for kind \"Certificate\" in version \"cert-manager.io/v1\" ensure CRDs are installed first";
    let object = json!({"metadata": {"name": "otel", "namespace": "monitoring"}, "spec": {}, "status": {"conditions": [
        {"type": "Ready", "status": "False", "reason": "InstallFailed", "message": said, "lastTransitionTime": "2026-11-21T02:00:00Z"}]}});
    let mut object: GitOpsObject = serde_json::from_value(object).expect("a HelmRelease");
    object.kind = "HelmRelease".into();
    let mut snap = snapshot(json!({}));
    snap.git_ops = Listing::cluster(vec![object]);
    let crd = json!({"metadata": {"name": "certificates.cert-manager.io", "creationTimestamp": made}});
    snap.crds = Listing::cluster(vec![serde_json::from_value(crd).expect("a definition")]);
    let api =
        json!({"metadata": {"name": "v1.cert-manager.io"}, "spec": {"group": "cert-manager.io", "version": "v1"}});
    let all = if served { vec![serde_json::from_value(api).expect("an APIService")] } else { Vec::new() };
    snap.api_services = Listing::cluster(all);
    let found = findings(&HelmRefused, &snap);
    assert_eq!(found.len(), 1, "{found:?}");
    steps(&found[0])
}

#[test]
fn a_kind_that_is_served_by_now_was_made_later_only_where_it_was() {
    let later = asked_in_vain("2026-11-21T02:30:00Z", true);
    assert!(later.contains("is now: its CustomResourceDefinition was made after that. Helm only has to"), "{later}");
    let before = asked_in_vain("2026-11-01T00:00:00Z", true);
    assert!(before.contains("is now. Helm only has to try again"), "{before}");
    let other = asked_in_vain("2026-11-01T00:00:00Z", false);
    assert!(other.contains("knows Certificate, and not as cert-manager.io/v1"), "{other}");
}
