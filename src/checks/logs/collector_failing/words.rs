//! The sentence of a finding.

use super::case::Case;
use crate::domain::aws::credentials;
use crate::domain::prometheus::collector_log::Cause;
use crate::domain::text::redact::redact;

impl Case<'_> {
    /// What does not go on, and where.
    pub(super) fn what(&self) -> String {
        let (exporter, place) = (&self.last.component, self.place());
        match self.last.trouble {
            Cause::Memory => "its memory_limiter refuses data: more memory is in use than it allows".to_owned(),
            Cause::Queue => {
                format!("the queue of exporter {exporter} is full: {place} takes less than what comes in")
            }
            Cause::Scrape => {
                let instance = Some(redact(&self.last.error)).filter(|i| !i.is_empty());
                let at = instance.map(|i| format!(" ({i})")).unwrap_or_default();
                format!("its prometheus receiver cannot scrape job {exporter}{at}")
            }
            Cause::Allocator => format!(
                "its prometheus receiver does not learn from the target allocator ({place}) what it is to scrape"
            ),
            Cause::Runtime => {
                let why = match self.socket() {
                    Some(path) => {
                        format!("the socket of the container runtime that is mounted ({path}) does not answer")
                    }
                    None => "no socket of containerd is mounted into its pods".to_owned(),
                };
                format!("Container Insights has no metrics of pods: {why}")
            }
            Cause::Instance => {
                let why = match credentials::out_of_reach(self.snap, self.pod) {
                    Some(instance) => format!(
                        ": the metadata of instance {} does not reach pods (off, or a hop limit of 1)",
                        instance.instance_id
                    ),
                    None if self.last.error.is_empty() => ": the instance has no tag that names one".to_owned(),
                    None => ": the metadata of the instance (169.254.169.254) is not read".to_owned(),
                };
                format!("Container Insights has no metrics at all: it does not know its cluster{why}")
            }
            Cause::Name => format!("exporter {exporter} cannot send: the name {} does not resolve", self.host()),
            Cause::Unreached => format!("exporter {exporter} does not reach {place}"),
            Cause::PlainText => format!("exporter {exporter} begins TLS, and {place} speaks plain text"),
            Cause::Tls => format!("exporter {exporter}: TLS to {place} fails"),
            Cause::Path if self.otlp_off().is_some() => {
                format!("exporter {exporter}: {place} is a Prometheus that is not told to take OTLP")
            }
            Cause::Path => format!("exporter {exporter}: {place} does not take such data (no such path or service)"),
            Cause::Credential => format!("exporter {exporter}: {place} does not accept its credential"),
            Cause::Denied => format!("exporter {exporter}: AWS does not let it write"),
            Cause::Size => format!("exporter {exporter}: its requests are larger than {place} takes"),
            Cause::Rate => format!("exporter {exporter}: {place} limits the rate"),
            Cause::Full => format!("exporter {exporter}: {place} does not keep up, and takes no more"),
            Cause::Server => format!("exporter {exporter}: {place} fails itself (5xx)"),
            Cause::Refused => format!("exporter {exporter}: {place} refuses the data"),
        }
    }
}
