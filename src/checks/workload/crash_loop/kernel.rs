//! The fixes of what the kernel of its node does not give, or has no more of.

use crate::checks::workload::crash_loop::outer_values::{Kernel, MapCount, PacketFilter};
use serde_json::json;

use crate::checks::support::kept::Kept;
use crate::checks::workload::crash_loop::case::Case;
use crate::checks::workload::crash_loop::values::{file, node};
use crate::checks::workload::crash_loop::way::Way;
use crate::domain::crash::{Class, Crash};
use crate::snapshot::kubernetes::Node;

/// Loads the modules by which iptables has its tables.
const LOAD_MODULES: &str = "modprobe -a ip_tables iptable_nat iptable_mangle iptable_filter xt_REDIRECT xt_owner; lsmod | grep -E 'ip_tables|iptable_|xt_REDIRECT|xt_owner'";

/// Istio adds nothing to the pods of such a template.
const WITHOUT_ISTIO: &str = r#"{"spec":{"template":{"metadata":{"labels":{"sidecar.istio.io/inject":"false"}}}}}"#;

/// The kernel of its node.
pub(super) fn kernel(case: &Case<'_>, crash: &Crash) -> Way {
    let (reason, pod) = (crash.reason.clone(), case.pod_name());
    match crash.class {
        Class::Kernel => Way::Kernel(Kernel {
            setting: file(crash),
            kube_proxy: case.failing.container.name == "kube-proxy",
            pod,
            container: case.failing.container.name.clone(),
            kept: Kept::of(&case.target),
        }),
        Class::PacketFilter if crash.what.is_none() && !is_of_mesh(&case.failing.container.name) => Way::PacketTables {
            commands: json!({"commands": [LOAD_MODULES]}).to_string(),
            instance: case.snap.node_of(case.failing.pod).and_then(Node::shell_instance).map(str::to_owned),
            node: node(case),
        },
        Class::PacketFilter => Way::PacketFilter(PacketFilter {
            validates: crash.what.is_some(),
            commands: json!({"commands": [LOAD_MODULES]}).to_string(),
            instance: case.snap.node_of(case.failing.pod).and_then(Node::shell_instance).map(str::to_owned),
            node: node(case),
            patch: if case.failing.container.name.starts_with("istio") { WITHOUT_ISTIO } else { "" },
            pod,
            kept: Kept::of(&case.target),
        }),
        Class::MapCount => Way::MapCount(MapCount {
            reason,
            wanted: crash.what.clone().unwrap_or_default(),
            node: node(case),
            pod,
            kept: Kept::of(&case.target),
        }),
        Class::Inotify => Way::Inotify { reason, node: node(case), pod },
        _ => Way::Processes { reason, node: node(case), pod },
    }
}

/// A container that a mesh puts into pods to write its rules.
fn is_of_mesh(container: &str) -> bool {
    ["istio", "linkerd", "kuma", "consul", "osm-", "proxy-init"].iter().any(|mesh| container.contains(mesh))
}
