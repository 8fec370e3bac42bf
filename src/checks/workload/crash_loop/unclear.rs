//! The fixes where nobody reads what a program died of: its probe, its hook, the runtime, or the words themselves.

use crate::checks::workload::crash_loop::outer_values::{
    Ends, Other, Probe, ProbeLocal, ProbeLogin, ProbePath, Runtime,
};
use serde_json::json;

use crate::checks::support::instance::Instance;
use crate::checks::support::kept::Kept;
use crate::checks::workload::crash_loop::case::Case;
use crate::checks::workload::crash_loop::cause::Cause;
use crate::checks::workload::crash_loop::values::node;
use crate::checks::workload::crash_loop::way::Way;
use crate::domain::kubernetes::listening::Elsewhere;
use crate::domain::kubernetes::runtime_error::Known;
use crate::domain::kubernetes::{arguments, foundation, mounts, nodes};
use crate::domain::prometheus::collector_log::is_collector;
use crate::snapshot::kubernetes::Node;

/// The log does not say what it died of.
pub(super) fn unknown(case: &Case<'_>) -> Way {
    let (pod, container) = (case.pod_name(), case.failing.container.name.clone());
    match case.failing.cause {
        Cause::Probe(_) if case.loses_probes() => Way::ProbeDemux { pod },
        Cause::Probe(_) => {
            let (is_prometheus, kept) = (case.is_prometheus(), Kept::of(&case.target));
            if let Some(port) = case.asks_for_a_login() {
                let port = port.parse::<u16>().map_or_else(|_| port.into(), serde_json::Value::from);
                return Way::ProbeLogin(ProbeLogin { container, port, is_prometheus, pod, kept });
            }
            let below = foundation::is_part(case.failing.pod);
            if let Some(path) = case.asks_for_no_path().filter(|_| !below) {
                let ready = path.prefix.as_deref().map(|prefix| format!("{prefix}/-/ready"));
                return Way::ProbePath(ProbePath {
                    container,
                    asked: path.asked,
                    meant: path.meant,
                    ready,
                    is_prometheus,
                    pod,
                    kept,
                });
            }
            if let Some(address) = case.listens_to_itself() {
                let collector = is_collector(&case.failing.container.image);
                let config_map = if collector && case.target.has_rollout { config_map_of(case) } else { String::new() };
                return Way::ProbeLocal(ProbeLocal { container, address, collector, config_map, pod, kept });
            }
            let node = case.snap.node_of(case.failing.pod);
            let of_cni = case.failing.container.image.contains("amazon-k8s-cni");
            let instance = node.filter(|_| of_cni).and_then(Node::shell_instance).map(str::to_owned);
            let elsewhere = case.listens_elsewhere();
            Way::Probe(Probe {
                listens: elsewhere.as_ref().map(Elsewhere::ports).unwrap_or_default(),
                asked: elsewhere.as_ref().map(|e| e.asked),
                container,
                is_prometheus,
                work: case.still_at().filter(|_| !below).unwrap_or_default(),
                startup_patch: match case.still_at().filter(|_| !below) {
                    Some(_) => case.startup_patch(),
                    None => String::new(),
                },
                below,
                instance,
                commands: json!({"commands": ["tail -n 60 /var/log/aws-routed-eni/ipamd.log"]}).to_string(),
                pod,
                kept: if below { Kept::default() } else { kept },
            })
        }
        Cause::Hook(_) => Way::Hook { container, pod, kept: Kept::of(&case.target) },
        Cause::Ends(_, previous) => Way::Ends(Ends { container, previous, pod, kept: Kept::of(&case.target) }),
        Cause::Said(_, previous) | Cause::Unknown(_, previous) => {
            runtime(case).unwrap_or_else(|| other(case, previous))
        }
        Cause::Unread(_) => other(case, true),
    }
}

/// The ConfigMap that a collector reads its configuration from, where no operator makes it.
fn config_map_of(case: &Case<'_>) -> String {
    let (pod, container) = (case.failing.pod, case.failing.container);
    let file = arguments::flag(container, "config");
    let origin = file.map(|file| mounts::origin(case.snap, pod, container, file));
    let map = origin.and_then(|o| mounts::config_map(case.snap, &pod.metadata.namespace, &o)).map(|(map, _)| map);
    let own = map.filter(|m| m.metadata.controller().is_none());
    own.map(|m| m.metadata.name.clone()).unwrap_or_default()
}

/// The runtime of its node does not get it begun.
fn runtime(case: &Case<'_>) -> Option<Way> {
    let (_, known) = case.runtime()?;
    let own = case.snap.node_of(case.failing.pod)?;
    Some(Way::Runtime(Runtime {
        node: node(case),
        pod: case.pod_name(),
        remade: case.failing.pod.metadata.controller().is_some(),
        elsewhere: nodes::can_move(case.snap, case.failing.pod),
        filters: known == Known::Filters,
        instance: Instance::of(own),
    }))
}

/// Its words are of the run before.
pub(super) fn is_previous(case: &Case<'_>) -> bool {
    case.failing.cause.said().is_none_or(|(_, previous)| previous)
}

/// What its last words name, for want of a reader of them.
pub(super) fn other(case: &Case<'_>, previous: bool) -> Way {
    Way::Other(Other {
        container: case.failing.container.name.clone(),
        previous,
        pod: case.pod_name(),
        named: case.named(),
        kept: Kept::of(&case.target),
    })
}
