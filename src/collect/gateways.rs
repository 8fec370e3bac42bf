//! The objects of the Gateway API: asked for where the cluster says that it knows the kinds.

use std::collections::BTreeSet;

use super::client::{Client, IfAbsent};
use crate::snapshot::kubernetes::GatewayObject;
use crate::snapshot::{Listing, Snapshot};

/// Their API group.
const GROUP: &str = "gateway.networking.k8s.io";

/// Reads them. A route that leads to the stack, and the Gateway that it hangs on, lie anywhere.
pub(super) async fn read(client: &Client, snap: &Snapshot, scope: &BTreeSet<String>) -> Listing<GatewayObject> {
    let crds = snap.crds.items().unwrap_or_default();
    let list = |resource: &'static str, kind: &'static str| async move {
        let mut all = Listing::cluster(Vec::new());
        if !crds.iter().any(|c| c.metadata.name == format!("{resource}.{GROUP}")) {
            return all;
        }
        // Clusters of before 2023 serve the second alone.
        for version in ["v1", "v1beta1"] {
            let prefix = format!("/apis/{GROUP}/{version}");
            let found: Listing<GatewayObject> = match kind {
                "GatewayClass" => client.cluster_list(&format!("{prefix}/{resource}"), IfAbsent::Empty).await,
                _ => client.wide_list(&prefix, resource, scope, IfAbsent::Empty).await,
            };
            all = found.map(|object| GatewayObject { kind: kind.to_owned(), ..object });
            if !matches!(all.items(), Ok([])) {
                break;
            }
        }
        all
    };
    let (classes, gateways, routes) = futures::join!(
        list("gatewayclasses", "GatewayClass"),
        list("gateways", "Gateway"),
        list("httproutes", "HTTPRoute"),
    );
    classes.merge(gateways).merge(routes)
}
