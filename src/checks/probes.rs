//! What active probes say of a host or URL, as evidence.

use crate::model::Evidence;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Program;
use crate::snapshot::probe::{Probe, Trial, Verdict};

/// Probes of one program that learnt something.
pub(crate) fn of(snap: &Snapshot, program: Program) -> impl Iterator<Item = &Probe> {
    let all = snap.probes().unwrap_or_default();
    all.iter().filter(move |p| p.program == program && p.verdict != Verdict::NotTried)
}

/// Probes of one program that tried a host.
pub(crate) fn of_host<'a>(snap: &'a Snapshot, program: Program, host: &'a str) -> impl Iterator<Item = &'a Probe> {
    of(snap, program).filter(move |p| p.host().as_deref() == Some(host))
}

/// A probe as evidence, with the command that repeats it.
pub(crate) fn evidence(probe: &Probe) -> Evidence {
    let what = match &probe.trial {
        Trial::Http { url } => format!("GET {url}"),
        Trial::Dns { host } => format!("lookup of {host}"),
        Trial::PortForward { port } => format!("port-forward to port {port}"),
    };
    let source = format!("probe from pod {}/{}: {what}", probe.namespace, probe.pod);
    let said = if probe.said.is_empty() { String::new() } else { format!(" ({})", probe.said) };
    let template = "{% if container %}kubectl exec -n {{ namespace }} {{ pod }} -c {{ container }} -- {{ command }}\
        {% else %}{{ command }}{% endif %}";
    Evidence::new(source, format!("{}{said}", probe.words()), template)
        .with("namespace", &probe.namespace)
        .with("pod", &probe.pod)
        .with("container", &probe.container)
        .with("command", &probe.command)
}
