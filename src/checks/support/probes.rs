//! What active probes say of a host or URL, as evidence; and where the API server asks what a readiness probe asks.

use crate::domain::kubernetes::{endpoints, proxy};
use crate::model::Evidence;
use crate::snapshot::kubernetes::{Container, Meta, Pod};
use crate::snapshot::probe::{Probe, Trial};

/// A probe as evidence, with the command that repeats it.
pub(crate) fn evidence(probe: &Probe) -> Evidence {
    let what = match &probe.trial {
        Trial::Http { url } => format!("GET {url}"),
        Trial::Dns { host } => format!("lookup of {host}"),
        Trial::PortForward { port } => format!("port-forward to port {port}"),
    };
    let source = format!("probe from pod {}/{}: {what}", probe.namespace, probe.pod);
    let said = if probe.said.is_empty() { String::new() } else { format!(" ({})", probe.said) };
    let template = "{% if container %}kubectl exec -n {{ namespace }} {{ pod }} -c {{ container }} -- {{ command|arguments }}\
        {% else %}{{ command|arguments }}{% endif %}";
    Evidence::new(source, format!("{}{said}", probe.words()), template)
        .with("namespace", &probe.namespace)
        .with("pod", &probe.pod)
        .with("container", &probe.container)
        .with("command", &probe.command)
}

/// The URL of a container's readiness probe through the API server, where it is one of HTTP.
pub(crate) fn readiness_path(pod: &Pod, container: &Container) -> Option<String> {
    let probe = container.readiness_probe.as_ref()?.http_get.as_ref()?;
    let port = endpoints::probe_port(container, &probe.port)?;
    let scheme = probe.scheme.as_deref().unwrap_or("HTTP").to_lowercase();
    let path = probe.path.as_deref().unwrap_or("/");
    let Meta { namespace, name, .. } = &pod.metadata;
    Some(proxy::of_pod(namespace, &scheme, name, u16::try_from(port).ok()?, path))
}
