//! What the cluster adds to the words of a crash: which argument, node, operator, Service or other pod is meant.

use crate::domain::aws::credentials;
use crate::domain::crash::{Class, Crash};
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::owner::operator_resource;
use crate::domain::prometheus::operator::deployment::{Operator, operators};
use crate::snapshot::kubernetes::{Container, Node, Pod};
use crate::snapshot::{Snapshot, journal};

/// Says which argument holds a refused value.
pub(super) fn name_argument(crash: &mut Crash, container: &Container) {
    let bare = |argument: &str| argument.split_once('=').map_or("", |(_, value)| value).to_owned();
    let mut quoted = arguments::quoted(container).filter(|(_, meant)| crash.reason.contains(&bare(meant)));
    if let (Class::Flag | Class::ConfigMissing | Class::Cluster, Some((argument, meant))) = (crash.class, quoted.next())
    {
        crash.reason = format!("{argument} is given with its quotes: {}", crash.reason);
        (crash.class, crash.what, crash.instead) = (Class::Flag, Some(argument.to_owned()), Some(meant));
        crash.advice = "No shell reads the arguments of a container: quotes inside an argument are part of its value. In YAML quote the whole argument, or nothing.".to_owned();
        return;
    }
    if crash.class != Class::Flag {
        return;
    }
    let Some(what) = crash.what.as_deref().filter(|w| !w.starts_with('-')) else { return };
    if let Some(argument) = argument_with(container, what).filter(|a| *a != what) {
        crash.reason = format!("{argument}: {}", crash.reason);
    }
}

/// The operator that makes a container beside its server, where it is not the server itself; and whether it is known which one.
pub(super) fn operator_beside<'a>(
    snap: &'a Snapshot,
    pod: &Pod,
    container: &Container,
) -> Option<Option<Operator<'a>>> {
    operator_resource(snap, pod)?;
    // Others stand in the resource itself, with their arguments.
    if !["config-reloader", "configmap-reloader", "thanos-sidecar"].iter().any(|own| container.name.ends_with(own)) {
        return None;
    }
    let all = operators(snap);
    let mut own = all.into_iter().filter(|o| o.scope().holds(&pod.metadata.namespace));
    let first = own.next();
    Some(first.filter(|_| own.next().is_none()))
}

/// Says who else names a port that is taken: a pod in the network of its node, or another container of its own.
pub(super) fn name_holder(snap: &Snapshot, pod: &Pod, container: &Container, crash: &mut Crash) {
    let port = crash.what.as_deref().and_then(|p| p.parse::<u16>().ok()).filter(|_| crash.class == Class::Port);
    let Some(port) = port else { return };
    let end = format!(":{port}");
    let listens = |c: &Container| {
        let declares = c.ports.iter().any(|p| p.container_port == port && p.protocol.as_deref() != Some("UDP"));
        // An address of a flag: what is called at such a port mostly has a name.
        let own = |a: &String| a.contains("listen") && a.ends_with(&end);
        declares || c.args.iter().chain(&c.command).any(own)
    };
    // Others are only named: who holds it may be no pod at all.
    let all = journal::aside(|| snap.pods.items().unwrap_or_default());
    let near = |p: &&Pod| {
        let other = p.metadata.name != pod.metadata.name || p.metadata.namespace != pod.metadata.namespace;
        let runs = !p.is_finished() && p.metadata.deletion_timestamp.is_none();
        let same = p.spec.node_name.is_some() && p.spec.node_name == pod.spec.node_name;
        pod.spec.host_network && other && runs && same
    };
    let has = |p: &&Pod| {
        let on_host = |c: &Container| c.ports.iter().any(|p| p.host_port == Some(port));
        p.spec.containers.iter().any(|c| on_host(c) || p.spec.host_network && listens(c))
    };
    if let Some(other) = all.iter().filter(near).find(has) {
        let (namespace, name) = (&other.metadata.namespace, &other.metadata.name);
        crash.reason.push_str(&format!("; pod {namespace}/{name} on the same node names that port, too"));
        return;
    }
    let beside = pod.spec.containers.iter().filter(|c| c.name != container.name).find(|c| listens(c));
    if let Some(other) = beside {
        crash.reason.push_str(&format!("; container {} of the same pod names that port, too", other.name));
    }
}

/// Says whose arguments these are, where the operator writes them for another image than its own version has.
pub(super) fn name_operator(snap: &Snapshot, pod: &Pod, container: &Container, crash: &mut Crash) {
    if crash.class != Class::Flag {
        return;
    }
    if let Some(Some(operator)) = operator_beside(snap, pod, container) {
        let (by, image) = (&operator.container.image, &container.image);
        crash.reason = format!(
            "{}; the operator ({by}) writes the arguments of this container, whose image is {image}",
            crash.reason
        );
    }
}

/// Says which processor the program is not built for.
pub(super) fn name_processor(snap: &Snapshot, pod: &Pod, crash: &mut Crash) {
    if crash.class != Class::Architecture {
        return;
    }
    let what = crash.what.as_deref().unwrap_or_default();
    let arch = snap.node_of(pod).and_then(Node::architecture).unwrap_or("the processor");
    let node = pod.spec.node_name.as_deref().unwrap_or_default();
    crash.reason = format!("{what} is not built for {arch} of node {node} (exec format error)");
}

/// Says what keeps the pod from the metadata of its instance, where that is known.
pub(super) fn name_instance(snap: &Snapshot, pod: &Pod, crash: &mut Crash) {
    if crash.class != Class::Metadata {
        return;
    }
    if let Some(instance) = credentials::out_of_reach(snap, pod) {
        let off = instance.metadata_options.as_ref().is_some_and(|o| o.http_endpoint.as_deref() == Some("disabled"));
        let why = if off { "it is turned off" } else { "its hop limit is 1, which ends before pods" };
        crash.reason = format!("{}: {why} (instance {})", crash.reason, instance.instance_id);
    }
}

/// The argument of a container that is, begins with or ends in a word.
pub(super) fn argument_with<'a>(container: &'a Container, what: &str) -> Option<&'a str> {
    let all = container.command.iter().chain(&container.args).map(String::as_str);
    let ends = format!("={what}");
    let begins = format!("{what}=");
    let port = format!(":{what}");
    all.clone()
        .find(|a| *a == what || a.starts_with(&begins))
        .or_else(|| all.clone().find(|a| a.ends_with(&ends)))
        .or_else(|| all.clone().find(|a| a.starts_with('-') && a.ends_with(&port)))
        // `-config.file` is read as the short flags -c, -o …
        .or_else(|| all.clone().find(|a| what.len() == 2 && a.starts_with(what) && !a.starts_with("--")))
}
