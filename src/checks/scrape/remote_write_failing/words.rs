//! What is said of a remote write that fails.

use super::fix::Fix;
use super::{Case, RemoteWriteFailing, amp};
use crate::checks::support::scrape::api_evidence;
use crate::domain::prometheus::remote_write::answer::{Cause, Receiver};
use crate::domain::prometheus::remote_write::queue::Queue;
use crate::domain::prometheus::targets::{Address, prometheus_pod};
use crate::domain::text::message_size;
use crate::domain::text::redact::redact;
use crate::domain::text::send_error::SendFailure;
use crate::domain::text::shorten::shorten;
use crate::model::{Finding, ResourceRef, Severity};
use crate::snapshot::Snapshot;

/// Letters of an answer that are shown.
const SHOWN: usize = 200;

/// What was said, without secrets.
pub(super) fn detail(case: &Case<'_>) -> String {
    let body = case.failing.failure.body();
    let said = if body.is_empty() { case.failing.error.as_str() } else { body };
    let said = if case.receiver == Receiver::Amp {
        said.split_whitespace().collect::<Vec<_>>().join(" ")
    } else {
        redact(said)
    };
    shorten(&said, SHOWN)
}

/// Who else writes there: `; deployment/alloy in monitoring writes there, too`.
pub(super) fn others(case: &Case<'_>) -> String {
    let names: Vec<String> = case.others.iter().map(|o| format!("{} ({})", o.owner.kubectl_name(), o.by)).collect();
    match names.as_slice() {
        [] => String::new(),
        [only] => format!("; {only} writes there, too, and is refused alike"),
        many => format!("; {} write there, too, and are refused alike", many.join(", ")),
    }
}

impl Case<'_> {
    /// Why it fails.
    pub(super) fn why(&self) -> String {
        if let Some(why) = amp::why(self) {
            return why;
        }
        let who = self.receiver.words();
        let code = self.failing.failure.status().map_or_else(String::new, |s| format!(" ({s})"));
        let detail = detail(self);
        match &self.reason {
            Cause::Denied { user, action, .. } => format!("{user} may not do {action}"),
            Cause::NoAwsCredentials => format!("the request cannot be signed: {detail}"),
            Cause::Unsigned | Cause::Signature => format!("{who} does not accept the signature{code}: {detail}"),
            Cause::Tenant => format!("{who} wants a tenant, and no header X-Scope-OrgID names one{code}"),
            Cause::Credential => format!("{who} does not accept the credential{code}: {detail}"),
            Cause::Path => format!("{who} knows no such path{code}{}", self.right_path()),
            Cause::ReceiverOff => {
                "the receiving Prometheus takes no remote writes (it runs without --web.enable-remote-write-receiver)"
                    .into()
            }
            Cause::OutOfOrder => format!("{who} refuses samples that are out of order{code}: {detail}"),
            Cause::TooOld => format!("{who} refuses samples that are too old or out of its window{code}: {detail}"),
            Cause::Future => format!("{who} refuses samples of a time that has not come yet{code}: {detail}"),
            Cause::Protocol => format!("{who} does not take remote write 2.0, which is configured{code}: {detail}"),
            Cause::Duplicate => format!("{who} gets another value for the same series and time{code}: {detail}"),
            Cause::RateLimit => format!("{who} limits the rate{code}: {detail}"),
            Cause::SeriesLimit => format!("the limit of active series is reached{code}: {detail}"),
            Cause::Labels => format!("{who} refuses labels{code}: {detail}"),
            Cause::Names => format!(
                "{who} takes no metric names with characters other than letters, digits, _ and :{code}: {detail}"
            ),
            Cause::TooLarge if self.is_answered_by_proxy() => {
                format!("a proxy before {who} lets no requests through that are as large as these{code}")
            }
            Cause::TooLarge => {
                format!("{who} refuses requests as large as these{code}{}", message_size::words(&self.failing.error))
            }
            Cause::Scheme => format!("its URL has no scheme (http:// or https://): {detail}"),
            Cause::Refused(_) => format!("{who} refuses the samples{code}: {detail}"),
            Cause::Server(_) => format!("{who} fails{code}: {detail}"),
            Cause::Transport => self.transport(),
        }
    }

    fn right_path(&self) -> String {
        let asked = self.address.as_ref().map_or("", |a| a.bare_path());
        match self.receiver.path() {
            Some(path) if !asked.ends_with(path) => format!(": {asked} is asked, and it takes writes at {path}"),
            _ => format!(": {asked} is asked"),
        }
    }

    fn transport(&self) -> String {
        let by =
            self.configured.proxy.as_ref().map(|p| format!(" through the proxy {}", redact(p))).unwrap_or_default();
        match &self.failing.failure {
            SendFailure::NoSuchHost(host) => format!("the name {host} does not resolve (no such host)"),
            SendFailure::Dns => "DNS fails to look the name up".into(),
            SendFailure::Timeout => {
                let round = self.round_about().map(|s| {
                    let meta = &s.metadata;
                    format!(
                        "; it is Service {}/{} of this cluster, asked through its load balancer: one that keeps the addresses of clients does not lead a node back to itself",
                        meta.namespace, meta.name
                    )
                });
                format!("no answer comes in time{by} (timeout){}", round.unwrap_or_default())
            }
            SendFailure::NoRoute => format!("there is no route to it{by}"),
            SendFailure::Refused => format!("nothing listens there{by} (connection refused)"),
            SendFailure::Reset => format!("the connection is closed{by}"),
            SendFailure::Expired => "its TLS certificate is expired, or not valid yet".into(),
            SendFailure::UnknownAuthority => {
                format!("its TLS certificate is signed by an authority that {} does not know", self.failing.by)
            }
            SendFailure::OtherName => "its TLS certificate is for other names".into(),
            SendFailure::ClientCertificate => "it asks for a client certificate".into(),
            SendFailure::PlainHttp => "it speaks plain HTTP where https is configured".into(),
            SendFailure::Tls => format!("the TLS handshake fails: {}", detail(self)),
            SendFailure::Proxy => format!("the proxy does not let it through{by}"),
            SendFailure::Credentials => format!("a file with its credentials cannot be read: {}", detail(self)),
            SendFailure::Signing | SendFailure::Status { .. } | SendFailure::Other => detail(self),
        }
    }

    /// What it does to the samples.
    pub(super) fn effect(&self) -> String {
        let waiting = self.queue().and_then(|q| q.pending).filter(|p| *p > 0.0);
        match (self.lost, waiting) {
            (0, Some(n)) => {
                format!("{n:.0} samples wait, and what is older than the write-ahead log (about 2 hours) will be lost")
            }
            (0, _) if self.is_of_collector() => {
                "samples wait in its queue, and are thrown away once that is full or they are too old".into()
            }
            (0, None) => "samples wait, and what is older than the write-ahead log (about 2 hours) will be lost".into(),
            (n, _) => format!("{n} samples were thrown away within the last 15 minutes"),
        }
    }
}

/// The finding of a queue at its limit.
pub(super) fn behind(snap: &Snapshot, name: &str, url: &str, queue: &Queue) -> Finding {
    let pod = prometheus_pod(snap);
    let subject = pod.map_or_else(|| ResourceRef::service("", "prometheus"), |p| snap.owner_ref(p));
    let host = Address::parse(url).map_or_else(|| redact(url), |a| a.host_port());
    let lag = queue.lag().map_or_else(|| "it has sent nothing yet".to_owned(), |l| format!("it is {l:.0} s behind"));
    let (desired, max) = (queue.desired.unwrap_or_default().ceil(), queue.max.unwrap_or_default());
    let message = format!(
        "Prometheus' remote write to {host} cannot keep up: {lag}, and would need {desired:.0} shards where {max:.0} are allowed"
    );
    let source = format!("prometheus_remote_storage_shards_desired{{remote_name={name:?}}}");
    let value = format!("{desired:.0}, max {max:.0}, running {:.0}", queue.shards.unwrap_or_default());
    let mut made = Finding::new(RemoteWriteFailing::META.id, Severity::Warning, subject, message)
        .key(format!("{host}/behind"))
        .evidence(api_evidence(snap, source, value, "/metrics"))
        .fix(Fix::behind(snap, pod, (max * 2.0).max(desired * 1.5).ceil()));
    made.breaks = Some(Vec::new());
    made
}
