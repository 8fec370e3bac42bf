//! Failed notifications by receiver, integration and reason.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::domain::alertmanager::log::Failure;
use crate::domain::alertmanager::notify_error::Cause;

/// Failures of one integration for one reason.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) reason: Cause,
    /// Notifications given up.
    pub(crate) lost: usize,
    /// When the last line was written.
    pub(crate) last: Option<Timestamp>,
    /// The line that says most: it names receiver, integration, pod and cause.
    pub(crate) sample: Failure,
    /// Pods that said so.
    pub(crate) pods: BTreeSet<(String, String)>,
}

/// Failures by receiver, integration and reason.
pub(crate) fn groups(failures: Vec<Failure>) -> Vec<Group> {
    let mut by_key: BTreeMap<(String, String, usize, Cause), Group> = BTreeMap::new();
    for failure in failures {
        let reason = Cause::classify(&failure.cause, &failure.integration);
        let key = (failure.receiver.clone(), failure.integration.clone(), failure.index, reason);
        let group = by_key.entry(key).or_insert_with(|| Group {
            reason,
            lost: 0,
            last: None,
            sample: failure.clone(),
            pods: BTreeSet::new(),
        });
        group.lost += usize::from(failure.lost);
        group.last = group.last.max(failure.at);
        group.pods.insert((failure.namespace.clone(), failure.pod.clone()));
        // An address or host in the line says more than "deadline exceeded".
        if failure.cause.len() > group.sample.cause.len() {
            group.sample = failure;
        }
    }
    fold_deadlines(by_key)
}

/// A notification that is given up after retries often ends in a bare "context deadline exceeded"; why is in its retries.
fn fold_deadlines(mut by_key: BTreeMap<(String, String, usize, Cause), Group>) -> Vec<Group> {
    let bare: Vec<_> = by_key
        .iter()
        .filter(|((.., reason), g)| *reason == Cause::Timeout && !g.sample.cause.contains("dial tcp"))
        .map(|(key, _)| key.clone())
        .collect();
    for key in bare {
        let same =
            |k: &&(String, String, usize, Cause)| (&k.0, &k.1, k.2) == (&key.0, &key.1, key.2) && k.3 != Cause::Timeout;
        let Some(other) = by_key.keys().find(same).cloned() else { continue };
        if let Some(deadline) = by_key.remove(&key)
            && let Some(group) = by_key.get_mut(&other)
        {
            group.lost += deadline.lost;
            group.last = group.last.max(deadline.last);
            group.pods.extend(deadline.pods);
        }
    }
    by_key.into_values().collect()
}
