//! Whether a finding is about the thing of a link.

use crate::model::{Finding, Link, ResourceRef};

/// Owners: several pods have the same one.
const OWNERS: &[&str] = &["DaemonSet", "Deployment", "Job", "ReplicaSet", "StatefulSet"];

/// Everything that a finding is about.
pub(super) fn names(finding: &Finding) -> impl Iterator<Item = &ResourceRef> {
    finding.subjects.iter().chain(finding.broken())
}

/// A finding about other pods than the link's, which has nothing in common with it but the owner.
pub(super) fn is_of_another(link: &Link, finding: &Finding) -> bool {
    let is_one_of = |r: &ResourceRef, kinds: &[&str]| match r {
        ResourceRef::Kubernetes { kind, .. } => kinds.contains(&kind.as_str()),
        _ => false,
    };
    let is_pod = |r: &ResourceRef| is_one_of(r, &["Pod"]);
    link.about.iter().any(is_pod)
        && names(finding).any(is_pod)
        && !names(finding).any(|r| !is_one_of(r, OWNERS) && link.about.contains(r))
}

/// Whether a text has the word, and not as a part of a longer one.
pub(super) fn speaks_of(text: &str, word: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    !word.is_empty()
        && text
            .match_indices(word)
            .any(|(at, _)| !text[..at].ends_with(goes_on) && !text[at + word.len()..].starts_with(goes_on))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CheckId, LinkState, Severity};

    fn link(about: &[ResourceRef]) -> Link {
        let (title, text) = (String::new(), String::new());
        let about = about.to_vec();
        Link { title, state: LinkState::Right, text, about, evidence: None, gap: None, findings: Vec::new() }
    }

    #[test]
    fn what_another_pod_of_the_owner_has_is_not_held_against_a_pod() {
        let owner = ResourceRef::workload("StatefulSet", "ns", "store");
        let pod = |at: u8| ResourceRef::pod("ns", &format!("store-{at}"));
        let found = |refs: &[ResourceRef]| {
            let made = Finding::new(CheckId("crash-loop"), Severity::Error, owner.clone(), "");
            refs.iter().cloned().fold(made.breaks(owner.clone()), Finding::breaks)
        };
        let first = link(&[pod(0), owner.clone()]);
        assert!(is_of_another(&first, &found(&[pod(1)])));
        assert!(!is_of_another(&first, &found(&[pod(0), pod(1)])));
        // It is about all of them.
        assert!(!is_of_another(&first, &found(&[])));
        assert!(!is_of_another(&link(std::slice::from_ref(&owner)), &found(&[pod(1)])));
        let claim = ResourceRef::pvc("ns", "shared");
        assert!(!is_of_another(&link(&[claim.clone(), pod(0), owner.clone()]), &found(&[claim, pod(1)])));
    }

    #[test]
    fn names_are_whole_words() {
        assert!(speaks_of("KubePod, KubeNode are muted", "KubePod") && speaks_of("muted: KubePod", "KubePod"));
        assert!(!speaks_of("KubePodCrashLooping is muted", "KubePod") && !speaks_of("night-shift", "night"));
        assert!(speaks_of("KubePodNotReady and KubePod", "KubePod") && !speaks_of("anything", ""));
    }
}
