//! Which calls are open, in words: what is slow is what is waited for.

use std::sync::{Mutex, PoisonError};

use super::sanitize;
use crate::model::Observer;
use crate::text::redact::mask;

/// Counts calls, and knows those that are open.
#[derive(Debug, Default)]
pub struct Calls(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    begun: usize,
    failed: usize,
    /// In the order in which they began: the first one waits longest.
    open: Vec<String>,
}

impl Calls {
    /// `waiting for 3 of 59 answers: pods of kube-system`; `59 answers, 2 failed` where none is waited for.
    pub fn words(&self) -> String {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = if state.failed == 0 { String::new() } else { format!(", {} failed", state.failed) };
        match state.open.first() {
            Some(slow) => {
                let (open, slow) = (state.open.len(), sanitize(&in_words(slow)));
                format!("waiting for {open} of {} answers{failed}: {slow}", state.begun)
            }
            None if state.begun == 0 => "connecting".to_owned(),
            None => format!("{} answers{failed}", state.begun),
        }
    }
}

impl Observer for Calls {
    fn started(&self, label: &str) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.begun += 1;
        state.open.push(mask(label));
    }

    fn finished(&self, label: &str, error: Option<&str>) {
        let label = mask(label);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.failed += usize::from(error.is_some());
        if let Some(at) = state.open.iter().position(|l| *l == label) {
            state.open.remove(at);
        }
    }
}

/// A call of the Kubernetes API as one says it: `pods of kube-system`. Others are words already.
fn in_words(label: &str) -> String {
    if let Some(path) = label.strip_prefix("changes of ") {
        return format!("changes of {}", in_words(&format!("GET {path}")));
    }
    let path = label.strip_prefix("GET /").filter(|path| !path.contains(' ')).unwrap_or_default();
    let parts: Vec<&str> = path.split('/').collect();
    let resource = match parts.as_slice() {
        ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
        _ => return label.to_owned(),
    };
    match resource {
        [resource] => (*resource).to_owned(),
        ["namespaces", namespace, resource] => format!("{resource} of {namespace}"),
        ["namespaces", namespace, resource, name, ..] => format!("{resource}/{name} of {namespace}"),
        _ => label.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_call_is_named() {
        let calls = Calls::default();
        assert_eq!(calls.words(), "connecting");
        for label in ["GET /api/v1/nodes", "GET /api/v1/namespaces/kube-system/pods", "ec2:DescribeSubnets"] {
            calls.started(label);
        }
        assert_eq!(calls.words(), "waiting for 3 of 3 answers: nodes");
        calls.finished("GET /api/v1/nodes", None);
        assert_eq!(calls.words(), "waiting for 2 of 3 answers: pods of kube-system");
        calls.finished("GET /api/v1/namespaces/kube-system/pods", Some("timeout"));
        assert_eq!(calls.words(), "waiting for 1 of 3 answers, 1 failed: ec2:DescribeSubnets");
        calls.finished("ec2:DescribeSubnets", None);
        assert_eq!(calls.words(), "3 answers, 1 failed");
    }

    #[test]
    fn lists_and_objects_are_said_as_one_says_them() {
        assert_eq!(in_words("GET /apis/apps/v1/deployments"), "deployments");
        assert_eq!(in_words("GET /apis/apps/v1/namespaces/m/statefulsets/p"), "statefulsets/p of m");
        assert_eq!(in_words("GET /version"), "GET /version");
        assert_eq!(in_words("changes of /api/v1/namespaces/m/pods"), "changes of pods of m");
        assert_eq!(in_words("GET /api/v1/x of service m/p"), "GET /api/v1/x of service m/p");
    }
}
