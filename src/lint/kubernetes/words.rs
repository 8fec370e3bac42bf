//! Words and quantities that an API server takes only as they are: access modes, policies, sizes.

use crate::lint::yaml::{Node, Value, join};
use crate::lint::{Problem, is_filled_in};
use crate::text::near::near;

/// Fields that hold one of a few words, wherever they stand in a built-in kind.
const WORDS: &[(&str, &[&str])] = &[
    ("imagePullPolicy", &["Always", "IfNotPresent", "Never"]),
    ("restartPolicy", &["Always", "OnFailure", "Never"]),
    ("accessModes", &["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"]),
    ("pathType", &["Exact", "Prefix", "ImplementationSpecific"]),
    ("protocol", &["TCP", "UDP", "SCTP"]),
    ("volumeMode", &["Filesystem", "Block"]),
    ("concurrencyPolicy", &["Allow", "Forbid", "Replace"]),
    ("podManagementPolicy", &["OrderedReady", "Parallel"]),
    ("volumeBindingMode", &["Immediate", "WaitForFirstConsumer"]),
    ("reclaimPolicy", &["Delete", "Retain", "Recycle"]),
    ("externalTrafficPolicy", &["Cluster", "Local"]),
    ("internalTrafficPolicy", &["Cluster", "Local"]),
    ("dnsPolicy", &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]),
    ("whenUnsatisfiable", &["DoNotSchedule", "ScheduleAnyway"]),
    ("policyTypes", &["Ingress", "Egress"]),
];

/// Checks a built-in kind below its `spec`.
pub(super) fn check(object: &Node, problems: &mut Vec<Problem>) {
    for part in ["spec", "volumeBindingMode", "reclaimPolicy"] {
        if let Some(node) = object.get(part) {
            field(part, node, part, problems);
        }
    }
}

fn walk(node: &Node, path: &str, problems: &mut Vec<Problem>) {
    match &node.value {
        Value::Scalar { .. } => {}
        Value::Sequence(items) => {
            for (at, item) in items.iter().enumerate() {
                walk(item, &format!("{path}[{at}]"), problems);
            }
        }
        Value::Mapping(entries) => {
            for (key, value) in entries {
                let Some(name) = key.as_str() else { continue };
                field(name, value, &join(path, name), problems);
            }
        }
    }
}

fn field(name: &str, node: &Node, path: &str, problems: &mut Vec<Problem>) {
    // Labels and selectors have keys of their own.
    if matches!(name, "metadata" | "matchLabels" | "selector" | "nodeSelector" | "annotations" | "labels") {
        return;
    }
    if matches!(name, "requests" | "limits" | "hard") {
        for (key, value) in node.entries().unwrap_or_default() {
            quantity(value, &join(path, key.as_str().unwrap_or_default()), problems);
        }
        return;
    }
    match WORDS.iter().find(|(field, _)| *field == name) {
        Some((_, words)) if node.entries().is_none() => {
            let all = node.items().unwrap_or(std::slice::from_ref(node));
            problems.extend(all.iter().filter_map(|node| word(node, path, words)));
        }
        _ => walk(node, path, problems),
    }
}

fn word(node: &Node, path: &str, words: &[&str]) -> Option<Problem> {
    let text = node.as_str().filter(|t| !t.is_empty() && !words.contains(t) && !is_filled_in(t))?;
    let message = format!("{text:?} is not one of {}", words.join(", "));
    Some(Problem::new(node.place, path, message).instead(near(text, words.iter().copied())))
}

fn quantity(node: &Node, path: &str, problems: &mut Vec<Problem>) {
    let Some(text) = node.as_str().filter(|t| !is_quantity(t) && !is_filled_in(t)) else { return };
    // What people mean by `10GB` and `10GiB`.
    let meant = text.trim_end_matches(['B', 'b']).replace(' ', "");
    let meant = Some(meant).filter(|m| m != text && is_quantity(m));
    problems
        .push(Problem::new(node.place, path, format!("{text:?} is no quantity such as 10Gi or 500m")).instead(meant));
}

fn is_quantity(text: &str) -> bool {
    let bare = text.trim_start_matches(['+', '-']);
    let end = bare.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(bare.len());
    let (number, suffix) = bare.split_at(end);
    let known = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let exponent = suffix.strip_prefix(['e', 'E']).is_some_and(|e| !e.is_empty() && e.parse::<i32>().is_ok());
    number.parse::<f64>().is_ok() && (known.contains(&suffix) || exponent)
}
