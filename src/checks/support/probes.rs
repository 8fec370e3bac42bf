//! What active probes say of a host or URL, as evidence.

use crate::model::Evidence;
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
