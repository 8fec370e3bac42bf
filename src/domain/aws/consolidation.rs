//! What Karpenter says when it takes a pod off its node.

use crate::snapshot::kubernetes::Event;

/// Why it gives up a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The pods fit onto other or cheaper nodes.
    Underutilized,
    /// Nothing but DaemonSets runs there.
    Empty,
    /// The node is no longer as its NodePool wants it.
    Drifted,
    /// Another reason of Karpenter's own will.
    Other,
}

/// Why Karpenter evicted a pod; `None` of other events, and of evictions that nobody chose: the end of a spot instance.
pub(crate) fn reason(event: &Event) -> Option<Cause> {
    if event.reason != "Evicted" || event.involved_object.kind != "Pod" {
        return None;
    }
    // Evictions of the kubelet are Warnings with words of their own.
    let why = event.message.strip_prefix("Evicted pod")?.trim_start_matches(':').trim();
    match why {
        "Underutilized" => Some(Cause::Underutilized),
        "Empty" => Some(Cause::Empty),
        "Drifted" => Some(Cause::Drifted),
        "" => Some(Cause::Other),
        _ => None,
    }
}
