//! The quota that refuses the pods of a workload.

use crate::snapshot::{Snapshot, format_cpu, parse_quantity};

/// `exceeded quota: compute, requested: limits.memory=2Gi, used: limits.memory=3Gi, limited: limits.memory=4Gi`.
pub(super) struct Quota {
    pub(super) name: String,
    /// Resource, requested, used, limited, as written.
    exceeded: Vec<(String, String, String, String)>,
}

impl Quota {
    pub(super) fn of(message: &str) -> Option<Self> {
        let rest = message.split_once("exceeded quota: ")?.1;
        let (name, rest) = rest.split_once(", requested: ")?;
        let (requested, rest) = rest.split_once(", used: ")?;
        let (used, limited) = rest.split_once(", limited: ")?;
        let pairs = |text: &str| -> Vec<(String, String)> {
            let all = text.trim().split(',').filter_map(|pair| pair.split_once('='));
            all.map(|(k, v)| (k.trim().to_owned(), v.trim().trim_end_matches('.').to_owned())).collect()
        };
        let value = |all: &[(String, String)], key: &str| {
            all.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone()).unwrap_or_default()
        };
        let (used, limited) = (pairs(used), pairs(limited));
        let exceeded = pairs(requested)
            .into_iter()
            .map(|(key, asked)| (key.clone(), asked, value(&used, &key), value(&limited, &key)))
            .collect();
        Some(Self { name: name.trim().to_owned(), exceeded })
    }

    /// What is used and allowed now: the message is of the moment when a pod was refused.
    pub(super) fn now(mut self, snap: &Snapshot, namespace: &str) -> Self {
        let mut all = snap.resource_quotas.items().unwrap_or_default().iter();
        let own = all.find(|q| q.metadata.namespace == namespace && q.metadata.name == self.name);
        for (key, _, used, limit) in &mut self.exceeded {
            let status = own.map(|q| &q.status);
            for (value, read) in [(used, status.map(|s| &s.used)), (limit, status.map(|s| &s.hard))] {
                if let Some(read) = read.and_then(|map| map.get(key)) {
                    value.clone_from(read);
                }
            }
        }
        self
    }

    pub(super) fn text(&self) -> String {
        let each = self.exceeded.iter();
        let each = each.map(|(key, asked, used, limit)| format!("{key}: {asked} more than {used} of {limit}"));
        each.collect::<Vec<_>>().join("; ")
    }

    /// A merge patch that makes room for one more pod.
    pub(super) fn patch(&self) -> Option<String> {
        let mut hard = serde_json::Map::new();
        for (key, asked, used, limit) in &self.exceeded {
            let sum = parse_quantity(asked)? + parse_quantity(used)?;
            // There is room by now.
            if parse_quantity(limit).is_some_and(|limit| sum <= limit) {
                continue;
            }
            let text = match key.as_str() {
                key if key.ends_with("memory") || key.ends_with("storage") => whole_bytes(sum),
                key if key.ends_with("cpu") => format_cpu(sum),
                _ => format!("{}", sum.ceil()),
            };
            hard.insert(key.clone(), text.into());
        }
        (!hard.is_empty()).then(|| serde_json::json!({"spec": {"hard": hard}}).to_string())
    }
}

/// Bytes in whole Mi or Gi, never less than asked for.
fn whole_bytes(bytes: f64) -> String {
    let mi = (bytes / 1_048_576.0).ceil();
    if mi % 1024.0 == 0.0 { format!("{}Gi", mi / 1024.0) } else { format!("{mi}Mi") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_quota_lacks() {
        let message = "pods \"grafana-0\" is forbidden: exceeded quota: compute, requested: limits.memory=2Gi,pods=1, used: limits.memory=3Gi,pods=10, limited: limits.memory=4Gi,pods=10";
        let quota = Quota::of(message).expect("a quota");
        assert_eq!(quota.name, "compute");
        assert_eq!(quota.patch().as_deref(), Some(r#"{"spec":{"hard":{"limits.memory":"5Gi","pods":"11"}}}"#));
    }
}
