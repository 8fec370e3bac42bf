//! What the configuration of Loki, Mimir or Tempo says of its ring, beside the members that run.

use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::mounts::{Mounts, Seen};
use crate::domain::kubernetes::store::Store;
use crate::lint::yaml::{self, Node};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod, Workload};

/// Why the members of a ring cannot be enough, however well they run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Slip {
    /// More copies are asked for than ingesters are wanted; by nobody, where it is the program's own number.
    TooFew { factor: u32, ingesters: u32, by_default: bool },
    /// Each member enters the ring under the address of its own loopback.
    Loopback { field: String },
}

/// Places of the address that a member gives to the others.
const ADDRESSES: &[&[&str]] = &[
    &["common", "instance_addr"],
    &["common", "ring", "instance_addr"],
    &["ingester", "lifecycler", "address"],
    &["ingester", "ring", "instance_addr"],
    &["query_scheduler", "scheduler_ring", "instance_addr"],
    &["memberlist", "advertise_addr"],
];
/// Places of the number of copies.
const FACTORS: &[&[&str]] = &[
    &["common", "replication_factor"],
    &["ingester", "lifecycler", "ring", "replication_factor"],
    &["ingester", "ring", "replication_factor"],
];

/// Copies that have to be there for an answer.
pub(crate) fn majority(factor: u32) -> u32 {
    factor / 2 + 1
}

/// What a member's file says that its ring cannot hold.
pub(crate) fn slip(snap: &Snapshot, pod: &Pod, container: &Container) -> Option<Slip> {
    let store = Store::of_image(&container.image)?;
    let path = arguments::flag(container, "config.file")?;
    let Seen::File(file) = Mounts::of_pod(snap, pod, container).look(path) else { return None };
    let config = yaml::document(file.text).ok().flatten()?;
    let pods = snap.pods.items().unwrap_or_default().iter();
    let own = pods.filter(|p| p.metadata.namespace == pod.metadata.namespace && !p.is_finished());
    let members: Vec<&Container> =
        own.filter_map(|p| p.spec.containers.iter().find(|c| Store::of_image(&c.image) == Some(store))).collect();
    // A flag wins over the file, and is not read here.
    let by_flag = container.args.iter().chain(&container.command).any(|a| a.contains("replication-factor"));
    let default = own_factor(store).filter(|_| !by_flag);
    slip_in(&config, members.len(), ingesters(snap, store, &pod.metadata.namespace), default)
}

/// The number of copies where nobody says one.
fn own_factor(store: Store) -> Option<u32> {
    match store {
        Store::Loki | Store::Mimir => Some(3),
        Store::Tempo => None,
    }
}

/// Ingesters that are wanted there, whether they run or not; `None` where the workloads were not read.
fn ingesters(snap: &Snapshot, store: Store, namespace: &str) -> Option<u32> {
    let workloads = snap.workloads.covers(namespace).then(|| snap.workloads.items().ok())??;
    let is_one = |c: &Container| Store::of_image(&c.image) == Some(store) && ingests(c);
    let own = workloads
        .iter()
        .filter(|w| w.metadata.namespace == namespace && w.spec.template.spec.containers.iter().any(is_one));
    Some(own.map(Workload::desired).sum())
}

/// A member that takes what is written: told so, or told nothing.
pub(crate) fn ingests(container: &Container) -> bool {
    let targets = arguments::flag(container, "target").unwrap_or("all");
    targets.split(',').any(|t| matches!(t.trim(), "all" | "write" | "ingester" | "scalable-single-binary"))
}

fn slip_in(config: &Node, members: usize, ingesters: Option<u32>, default: Option<u32>) -> Option<Slip> {
    let text = |path: &&[&str]| config.at(path).and_then(Node::as_str);
    let is_own = |path: &&&[&str]| text(path).is_some_and(|a| matches!(a, "127.0.0.1" | "localhost" | "::1"));
    // A member that is alone may ask itself.
    if members > 1
        && let Some(path) = ADDRESSES.iter().find(is_own)
    {
        return Some(Slip::Loopback { field: path.join(".") });
    }
    let ingesters = ingesters?;
    let said = FACTORS.iter().find_map(text);
    let factor: u32 = match said {
        Some(text) => text.parse().ok()?,
        None => default?,
    };
    let by_default = said.is_none();
    (ingesters > 0 && ingesters < majority(factor)).then_some(Slip::TooFew { factor, ingesters, by_default })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, members: usize, ingesters: u32) -> Option<Slip> {
        slip_in(&yaml::document(text).expect("YAML").expect("a document"), members, Some(ingesters), None)
    }

    #[test]
    fn as_many_ingesters_as_make_a_majority() {
        let three = "common: {replication_factor: 3}\n";
        assert_eq!(read(three, 3, 1), Some(Slip::TooFew { factor: 3, ingesters: 1, by_default: false }));
        assert_eq!(read(three, 3, 2), None, "two of three are enough");
        assert_eq!(read(three, 3, 0), None, "whoever ingests is elsewhere");
        assert_eq!(read("common: {replication_factor: 1}\n", 1, 1), None);
        assert_eq!(read("auth_enabled: false\n", 1, 1), None);
        let unread = yaml::document(three).expect("YAML").expect("a document");
        assert_eq!(slip_in(&unread, 1, None, Some(3)), None, "how many are wanted is not known");
        let unsaid = yaml::document("multitenancy_enabled: false\n").expect("YAML").expect("a document");
        let own = Slip::TooFew { factor: 3, ingesters: 1, by_default: true };
        assert_eq!(slip_in(&unsaid, 1, Some(1), Some(3)), Some(own), "three, unless it is told otherwise");
        assert_eq!(slip_in(&unsaid, 3, Some(2), Some(3)), None);
    }

    #[test]
    fn a_loopback_is_right_for_one_alone() {
        let own = "common: {ring: {instance_addr: 127.0.0.1}, replication_factor: 1}\n";
        assert_eq!(read(own, 3, 1), Some(Slip::Loopback { field: "common.ring.instance_addr".into() }));
        assert_eq!(read(own, 1, 1), None);
    }
}
