//! The fixes of arguments: those that are refused, and those that say where it listens.

use crate::checks::workload::crash_loop::own_values::{BesideServer, Bind, Flag, Port, Variable};
use serde_json::json;

use crate::checks::support::addon;
use crate::checks::support::kept::Kept;
use crate::checks::support::place::Place;
use crate::checks::workload::crash_loop::case::{Case, operator_field};
use crate::checks::workload::crash_loop::naming::operator_beside;
use crate::checks::workload::crash_loop::values::node;
use crate::checks::workload::crash_loop::way::Way;
use crate::domain::aws::addon::{POD_IDENTITY_AGENT, with_values};
use crate::domain::crash::{Class, Crash, Detail};
use crate::domain::kubernetes::image::base_of;
use crate::domain::prometheus::operator;
use crate::snapshot::kubernetes::EnvVar;

pub(super) fn flag(case: &Case<'_>, crash: &Crash) -> Way {
    if let Some(way) = beside_server(case) {
        return way;
    }
    let (old_arg, new_arg) = case.argument();
    let new = new_arg.as_deref().and_then(|a| a.trim_start_matches('-').split_once('='));
    let (arg_name, arg_value) = new.unwrap_or_default();
    let is_operated = !case.target.operator_kind().is_empty();
    // A container that the resource itself names beside the server.
    let beside = is_operated && case.failing.container.name != case.target.operator_kind();
    Way::Flag(Flag {
        field: operator_field(arg_name).filter(|_| is_operated && !beside),
        beside,
        field_value: arg_value.to_owned(),
        arg_name: arg_name.to_owned(),
        arg_value: arg_value.to_owned(),
        container: case.failing.container.name.clone(),
        old_arg,
        new_arg,
        advice: crash.advice.clone(),
        above: match crash.detail {
            Detail::Below(above) => above,
            _ => "",
        },
        other_program: match &crash.detail {
            Detail::OtherProgram(program) => program.clone(),
            _ => String::new(),
        },
        image: case.failing.container.image.clone(),
        pod: case.pod_name(),
        kept: Kept::of(&case.target),
    })
}

/// What the operator puts beside a server has its arguments from the operator: the arguments of its resource are the server's.
fn beside_server(case: &Case<'_>) -> Option<Way> {
    let container = case.failing.container;
    let operator = operator_beside(case.snap, case.failing.pod, container)?;
    let operator = operator.as_ref();
    let meta = operator.map(|o| &o.workload.metadata);
    Some(Way::BesideServer(BesideServer {
        container: container.name.clone(),
        image: container.image.clone(),
        argument: case.argument().0.unwrap_or_default(),
        thanos: base_of(&container.image) == "thanos",
        operator: operator.map(|o| o.workload.kubectl_name()).unwrap_or_default(),
        operator_namespace: meta.map(|m| m.namespace.clone()).unwrap_or_default(),
        operator_image: operator.map(|o| o.container.image.clone()).unwrap_or_default(),
        pod: case.pod_name(),
        kept: Kept::of(&case.target),
    }))
}

/// A variable that the reloader is to put in, and does not have.
pub(super) fn variable(case: &Case<'_>, crash: &Crash) -> Way {
    let variable = crash.what.clone().unwrap_or_default();
    Way::Variable(Variable {
        reference: format!("$({variable})"),
        kinds: operator::scraping(case.snap),
        variable,
        operator_kind: case.target.operator_kind().to_owned(),
        operator_name: case.target.operator_name().to_owned(),
        container: case.failing.container.name.clone(),
        pod: case.pod_name(),
    })
}

/// The port or address on which it listens.
pub(super) fn listening(case: &Case<'_>, crash: &Crash) -> Way {
    let kept = Kept::of(&case.target);
    match crash.class {
        Class::Port => Way::Port(Port {
            what: crash.what.clone().unwrap_or_default(),
            is_port_shared: case.failing.pod.spec.host_network,
            node: case.failing.pod.spec.node_name.clone(),
            pod: case.pod_name(),
            kept,
        }),
        // A port alone is no address.
        Class::Bind => {
            let old_arg = case.argument().0.filter(|a| a.contains(':'));
            Way::Bind(Bind {
                stale: old_arg.as_deref().and_then(|a| stale_address(case, a)),
                node: node(case),
                pod: case.pod_name(),
                // All addresses may be taken by what it stands before.
                advice: match &old_arg {
                    Some(argument) if argument.contains("$(") => {
                        "The address comes from a variable: see what it holds when the container starts.".to_owned()
                    }
                    _ => crash.advice.clone(),
                },
                old_arg,
                kept,
            })
        }
        Class::AgentAddress => agent_address(case),
        _ => Way::Cluster { kept },
    }
}

/// The address of the node, where the pod is in the node's network and has another one since it began.
fn stale_address(case: &Case<'_>, argument: &str) -> Option<String> {
    let pod = case.failing.pod;
    // One that the kubelet makes of a file, or nobody makes again, is no better for being deleted.
    pod.metadata.controller().filter(|owner| owner.kind != "Node")?;
    let of_field = |v: &EnvVar| {
        let from_field =
            v.value_from.as_ref().is_some_and(|f| f.config_map_key_ref.is_none() && f.secret_key_ref.is_none());
        from_field && argument.contains(&format!("$({})", v.name))
    };
    let own = pod
        .status
        .pod_ip
        .as_deref()
        .filter(|_| pod.spec.host_network && case.failing.container.env.iter().any(of_field))?;
    let addresses = &case.snap.node_of(pod)?.status.addresses;
    let of_node = |kind: &str| addresses.iter().find(|a| a.kind == kind).map(|a| a.address.clone());
    let said = case.crash.as_ref().is_some_and(|c| c.reason.contains(own));
    of_node("InternalIP").filter(|_| said && !addresses.iter().any(|a| a.address == own))
}

/// The agent of Pod Identity listens on IPv4 alone.
fn agent_address(case: &Case<'_>) -> Way {
    let Place { cluster, .. } = Place::of(case.snap);
    let addon = addon::named(case.snap, POD_IDENTITY_AGENT);
    let alone = json!({"agent": {"additionalArgs": {"-b": "169.254.170.23"}}});
    Way::AgentAddress {
        cluster,
        addon_values: addon.and_then(|a| with_values(Some(a), &alone)),
        kept_role: addon::kept_role(addon),
    }
}
