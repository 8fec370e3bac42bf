//! What is wrong, in words; and what a line of its log names.

use crate::domain::kubernetes::old_certificate::{self, OldCertificate};
use crate::domain::prometheus::thanos::{Cause, Failing};
use crate::domain::text::message_size;
use crate::domain::text::object_store::{StoreFailure, regions};
use crate::domain::text::redact::redact;
use crate::domain::text::windows::minute;
use crate::model::Severity;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod};
use crate::text::pattern::pattern;

pub(super) fn container<'a>(pod: Option<&'a Pod>, failing: &Failing<'_>) -> Option<&'a Container> {
    pod?.spec.containers.iter().find(|c| c.name == failing.log.container)
}

/// It has the address of a store, and gets no answer there.
pub(super) fn is_silent(failing: &Failing<'_>) -> bool {
    let said = ["DeadlineExceeded", "code = Unavailable", "connection refused", "i/o timeout", "no route to host"];
    !failing.text.contains("lookup") && said.iter().any(|w| failing.text.contains(w))
}

/// The store that shows a certificate which was renewed since it began: its address, and what it holds.
pub(super) fn old_certificate<'a, 'b>(
    snap: &'a Snapshot,
    failing: &'b Failing<'_>,
) -> Option<(&'b str, OldCertificate<'a>)> {
    let address = address(&failing.text)?;
    Some((address, old_certificate::held(snap, address, &failing.text)?))
}

/// The address that a line names, IPv6 in brackets.
pub(super) fn address(text: &str) -> Option<&str> {
    let address = pattern!(r"(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:]+\]):\d{2,5}");
    address.find(text).map(|m| m.as_str())
}

/// What is wrong, and how bad that is.
pub(super) fn words(snap: &Snapshot, failing: &Failing<'_>, part: &str) -> (String, Severity) {
    let blocks = || match failing.blocks.as_slice() {
        [] => String::new(),
        all => format!(" ({})", all.join(", ")),
    };
    let since = failing.last.map(|t| format!(" since {}", minute(t))).unwrap_or_default();
    // A sidecar keeps its blocks on Prometheus' own disk until retention takes them; nothing else is lost at once.
    let of_store =
        if part == "sidecar" { "; blocks that retention deletes before they are uploaded are lost" } else { "" };
    let old = (failing.trouble == Cause::Stores).then(|| old_certificate(snap, failing)).flatten();
    match failing.trouble {
        Cause::Overlap => (
            format!(
                "it has halted{since}: blocks{} overlap, and nothing is compacted, downsampled or deleted any more",
                blocks()
            ),
            Severity::Error,
        ),
        Cause::Halted => (
            format!(
                "it has halted{since}, and nothing is compacted, downsampled or deleted any more: {}",
                shorten(&failing.text)
            ),
            Severity::Error,
        ),
        Cause::Store(StoreFailure::Credentials) => {
            (format!("it has no valid credentials for its object store{of_store}"), Severity::Error)
        }
        Cause::Store(StoreFailure::Endpoint) => (
            format!("it asks the endpoint of its object store for its AWS credentials, which only STS gives{of_store}"),
            Severity::Error,
        ),
        Cause::Store(StoreFailure::Denied) => (format!("it may not use the bucket{of_store}"), Severity::Error),
        Cause::Store(StoreFailure::Bucket) if regions(&failing.text).is_some() => {
            let (configured, bucket) = regions(&failing.text).unwrap_or_default();
            (format!("the bucket lies in {bucket}, and {configured} is configured{of_store}"), Severity::Error)
        }
        Cause::Store(StoreFailure::Bucket) => {
            (format!("the bucket does not exist, or lies in another region{of_store}"), Severity::Error)
        }
        Cause::Store(StoreFailure::Unreachable) => {
            (format!("its object store cannot be reached{of_store}"), Severity::Error)
        }
        Cause::Twins => {
            let (address, labels) = failing.twin.clone().unwrap_or_default();
            let labels = if labels.is_empty() { "none at all".to_owned() } else { labels };
            let words = format!(
                "two stores have the same external labels ({labels}; one is {address}): their series are taken for one another, and in one bucket their blocks overlap"
            );
            (words, Severity::Warning)
        }
        Cause::Hashring => (
            format!(
                "its hashring has fewer members than samples are to have copies, and it refuses what is written: {}",
                shorten(&failing.text)
            ),
            Severity::Error,
        ),
        Cause::DiskFull => ("its disk is full".into(), Severity::Error),
        Cause::Prometheus => (
            format!(
                "it cannot ask its Prometheus, so that no query gets what is not in the bucket, and nothing is uploaded: {}",
                shorten(&failing.text)
            ),
            Severity::Error,
        ),
        Cause::Limit => (
            format!(
                "queries fail, for they ask for more than a store may give at once ({} lines in 3 hours): {}",
                failing.times,
                shorten(&failing.text)
            ),
            Severity::Warning,
        ),
        Cause::Message => {
            let size = message_size::words(&failing.text);
            let effect = match part {
                "receive" => "what is written is refused",
                _ => "what a store answers is lost to the query",
            };
            (
                format!("a message from one part of Thanos to another is larger than is taken{size}: {effect}"),
                Severity::Error,
            )
        }
        Cause::Stores if old.is_some() => {
            let Some((address, old)) = old else { return (shorten(&failing.text), Severity::Error) };
            let text = format!(
                "the store at {address} ({}) shows a certificate that has expired: Certificate {} was renewed {}, and container {} has run since {} with the one of before",
                format_args!("{}/{}", old.pod.metadata.namespace, old.pod.metadata.name),
                old.certificate.metadata.name,
                minute(old.renewed),
                old.container,
                minute(old.started)
            );
            (text, Severity::Error)
        }
        Cause::Stores => {
            let what = if is_silent(failing) {
                "a store that it is to ask does not answer"
            } else {
                "it does not find the stores that it is to ask"
            };
            (format!("{what}: {}", shorten(&failing.text)), Severity::Error)
        }
    }
}

fn shorten(text: &str) -> String {
    let said = text.split_once("halting: ").map_or(text, |(_, why)| why);
    redact(said)
}

pub(super) fn account(pod: Option<&Pod>) -> &str {
    pod.map_or("default", |p| p.spec.account())
}
