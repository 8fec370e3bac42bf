//! What is said of an agent whose lines do not arrive.

use super::Case;
use crate::domain::loki::agent::Agent;
use crate::domain::loki::agent_log;
use crate::domain::loki::reason::{Cause, Misfit, misfit, wants_tls};

impl Case<'_> {
    /// What it cannot do.
    pub(super) fn fails(&self) -> String {
        match self.reason {
            Cause::Watches | Cause::Unreadable => "cannot read all lines".to_owned(),
            Cause::NoFiles => "finds no log file to read".to_owned(),
            Cause::Metadata | Cause::Kubelet => "sends lines without the labels of their pods".to_owned(),
            Cause::Buffer if self.is_of_filter() => {
                "sends lines of some pods without the labels of their pods".to_owned()
            }
            Cause::Buffer => "does not read what its store answers".to_owned(),
            _ if self.sends_to_itself() => format!("cannot deliver by its output {}", self.config.plugin),
            Cause::Parser => "does not read lines as it is told".to_owned(),
            Cause::Reload => "does not take its configuration".to_owned(),
            Cause::Paused => "reads faster than it sends".to_owned(),
            _ => format!("cannot deliver to {}", self.place()),
        }
    }

    /// Why it cannot.
    pub(super) fn why(&self) -> String {
        let stream = || match agent_log::stream(&self.text)
            .or_else(|| self.all.iter().find_map(|f| agent_log::stream(&f.text)))
        {
            Some(stream) => format!(" {stream}"),
            None => String::new(),
        };
        match self.reason {
            Cause::Tenant => "it wants a tenant, and the agent names none (no org id)".into(),
            Cause::Credential => "it does not accept the agent's credential".into(),
            Cause::Order if self.shares_streams() => format!(
                "lines come too late for their stream (entry too far behind, out of order): the stream's labels{} do not tell the pods apart, so that lines of several pods share one stream",
                stream()
            ),
            Cause::Order => {
                format!("lines come too late for their stream{} (entry too far behind, out of order)", stream())
            }
            Cause::TooOld => "lines are older than it takes at all".into(),
            Cause::TooNew => format!("lines{} are of a time that has not come yet (timestamp too new)", stream()),
            Cause::Structured => "it does not take the structured metadata that the agent sends".into(),
            Cause::Product => {
                "the agent's client does not take it for an Elasticsearch that it knows, and sends nothing".into()
            }
            Cause::Rate => "it limits the rate (429)".into(),
            Cause::Streams => "the limit of streams, or of a stream's rate, is reached".into(),
            Cause::Size => "lines or requests are too large".into(),
            Cause::Labels => "it refuses the labels of streams".into(),
            Cause::NoLabels => "a stream has to have one label at least, and the agent sends lines without any".into(),
            Cause::Path => "it knows no such path (404)".into(),
            Cause::IndexReadOnly => "its indices are read-only, mostly because its disk is nearly full".into(),
            Cause::Mapping => match misfit(&self.text) {
                Some(Misfit::Object(field)) => format!(
                    "{field} is a group of fields in the index (of `{field}.…`), and has a plain value in these lines"
                ),
                Some(Misfit::Type { field, of }) => {
                    format!("{field} is of type {of} in the index, and of another in these lines")
                }
                Some(Misfit::Total(limit)) => format!("the index has as many fields as it may have ({limit})"),
                None => "fields do not fit the index's mapping".into(),
            },
            Cause::Shards => "it has as many shards as it may have".into(),
            Cause::TypeName => "it knows no document types any more (_type)".into(),
            Cause::Name => "the name does not resolve".into(),
            Cause::Unreachable if self.sends_to_itself() => {
                "the output names no host, and Fluent Bit then sends to its own pod (127.0.0.1)".into()
            }
            Cause::Unreachable => "it cannot be reached".into(),
            Cause::Tls => "TLS fails".into(),
            Cause::Scheme if wants_tls(&self.text) => {
                "its port speaks TLS, and the agent sends plain text to it".into()
            }
            Cause::Scheme => "the agent begins TLS, and its port speaks plain text".into(),
            Cause::Server => "it answers with a server error (5xx)".into(),
            Cause::Files => "the agent cannot use its own files".into(),
            Cause::Watches => "the node watches no more files for it (inotify); no disk is full".into(),
            Cause::Unreadable => "it may not read the log files of the node (permission denied)".into(),
            Cause::NoFiles if self.sees_logs() => {
                "none of the paths that its configuration makes (__path__) leads to a file".into()
            }
            Cause::NoFiles => {
                "its container mounts nothing of the node's /var/log/pods, where the kubelet keeps them".into()
            }
            Cause::Metadata => format!(
                "the API server does not tell it which pod a line is from (403): ServiceAccount {} may not read pods and namespaces",
                self.account()
            ),
            Cause::Denied => format!("{} may not write there (access denied)", self.identity()),
            Cause::Overload => {
                "it takes no more for now: its queues or its memory are full (rejected execution)".into()
            }
            Cause::Paused if self.last.agent == Agent::Fluentd => {
                "the buffer of its output is full, again and again: it sends less than what it reads".into()
            }
            Cause::Paused => "the memory of an input is full, so that it pauses again and again".into(),
            Cause::Unsigned => "AWS does not know who asks: the requests are not signed".into(),
            Cause::Group => "the log group does not exist, and the agent is not told to make it".into(),
            Cause::Throttled => "AWS takes no more requests in a second (throttling)".into(),
            Cause::Kubelet => "it gets nothing from the kubelet of its node, which it is told to ask".into(),
            Cause::Buffer => {
                let max = agent_log::buffer(&self.text).map(|m| format!(" ({m} bytes)")).unwrap_or_default();
                let whose = if self.is_of_filter() { "what the API server tells of them" } else { "the answer" };
                format!("{whose} is larger than the buffer{max} that it is read into")
            }
            Cause::Parser => {
                format!("it knows no parser {}", quoted(&self.text).unwrap_or("of the name that an input gives"))
            }
            Cause::Reload => "the file is refused, and it goes on with the one before".into(),
            Cause::Refused => "it refuses them (400), and the agent's log does not say why".into(),
            Cause::Unsaid => "chunks are not taken, again and again, and the log does not say why".into(),
        }
    }
}

/// `parser 'cri' is not registered`.
fn quoted(text: &str) -> Option<&str> {
    text.split_once("parser '")?.1.split('\'').next()
}
