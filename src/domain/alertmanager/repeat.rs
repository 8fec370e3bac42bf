//! How often a route tells of an alert that lasts, against how long Alertmanager remembers that it did.

use crate::lint::alertmanager as lint;
use crate::lint::go;
use crate::lint::yaml::Node;

/// Milliseconds of an hour.
const HOUR: u64 = 3_600_000;
/// What Alertmanager keeps unless `--data.retention` says otherwise.
pub(crate) const KEPT: &str = "120h";
/// What a route waits unless it says otherwise.
const REPEAT: &str = "4h";

/// The route that waits longest.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Forgotten {
    pub(crate) receiver: String,
    /// As the file has it.
    pub(crate) repeat: String,
    /// Line in the configuration, from 1.
    pub(crate) line: usize,
    /// What has to be kept for it: a day more than the interval.
    pub(crate) needed: String,
}

/// The route whose `repeat_interval` is longest, where that is longer than what is kept.
pub(crate) fn forgotten(config: &str, kept: &str) -> Option<Forgotten> {
    let root = lint::read(config).ok()??;
    let kept = go::duration(kept).ok()?;
    let mut all = Vec::new();
    routes(root.get("route")?, "", REPEAT, &mut all);
    // A receiver without integrations is told nothing.
    let told = all.into_iter().filter(|((receiver, _), _)| tells(&root, receiver));
    let longest = told.filter_map(|(found, line)| Some((go::duration(found.1).ok()?, found, line)));
    let (repeat, (receiver, text), line) = longest.filter(|(repeat, ..)| *repeat > kept).max_by_key(|(r, ..)| *r)?;
    let needed = format!("{}h", repeat.div_ceil(HOUR) + 24);
    Some(Forgotten { receiver: receiver.to_owned(), repeat: text.to_owned(), line, needed })
}

/// A receiver sends anything anywhere; so may one that is not in the file.
fn tells(root: &Node, receiver: &str) -> bool {
    let mut receivers = root.get("receivers").and_then(Node::items).unwrap_or_default().iter();
    let own = receivers.find(|r| r.get("name").and_then(Node::as_str) == Some(receiver));
    own.and_then(Node::entries).is_none_or(|fields| {
        fields.iter().any(|(key, value)| {
            key.as_str().is_some_and(|k| k.ends_with("_configs")) && value.items().is_some_and(|i| !i.is_empty())
        })
    })
}

fn routes<'n>(node: &'n Node, receiver: &'n str, repeat: &'n str, all: &mut Vec<((&'n str, &'n str), usize)>) {
    let of = |key: &str| node.get(key).and_then(Node::as_str);
    let (receiver, own) = (of("receiver").unwrap_or(receiver), of("repeat_interval"));
    let line = node.get("repeat_interval").map_or(node.place.line, |n| n.place.line);
    let repeat = own.unwrap_or(repeat);
    if own.is_some() {
        all.push(((receiver, repeat), line));
    }
    for child in node.get("routes").and_then(Node::items).unwrap_or_default() {
        routes(child, receiver, repeat, all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_longer_than_what_is_kept() {
        let config = |repeat: &str| {
            format!(
                "route:\n  receiver: a\n  repeat_interval: 12h\n  routes:\n  - matchers: [severity=info]\n    repeat_interval: {repeat}\nreceivers:\n- name: a\n  webhook_configs: [{{url: http://w}}]\n- name: nobody\n"
            )
        };
        let found = forgotten(&config("7d"), KEPT).expect("is longer");
        assert_eq!((found.receiver.as_str(), found.repeat.as_str(), found.line), ("a", "7d", 6));
        assert_eq!(found.needed, "192h");
        assert_eq!(forgotten(&config("5d"), KEPT), None);
        assert_eq!(forgotten(&config("7d"), "720h"), None);
        // Nobody is told anything by a receiver without integrations.
        let silent = config("7d").replace("    repeat_interval", "    receiver: nobody\n    repeat_interval");
        assert_eq!(forgotten(&silent, KEPT), None);
    }
}
