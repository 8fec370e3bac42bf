//! What mends a configuration, and what its commands hold.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::helm;
use crate::checks::support::written::Corrected;

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    pub(super) namespace: String,
    /// Empty where none is known.
    pub(super) pod: String,
    pub(super) container: String,
    pub(super) workload: String,
    #[serde(flatten)]
    pub(super) way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Way {
    #[serde(rename = "configmap")]
    ConfigMap {
        #[serde(flatten)]
        held: Held,
        key: String,
        managed: String,
        problem: String,
        place: String,
        advice: String,
        /// The line at fault, and what it should be: empty where that cannot be told.
        line: String,
        corrected: String,
    },
    Key {
        source: String,
        key: String,
        /// The keys that there are.
        there: String,
    },
    Receiver {
        #[serde(flatten)]
        refused: Refused,
        receiver: String,
        /// Nothing is to be sent by it.
        silent_receiver: bool,
        #[serde(flatten)]
        release: helm::Release,
    },
    Refused {
        #[serde(flatten)]
        refused: Refused,
        why: String,
    },
    Retention {
        receiver: String,
        kept: String,
        /// What has to be kept.
        needed: String,
        argument: String,
        patch: String,
        /// The operator's resource; empty where none makes the pod.
        operator_name: String,
        managed: String,
    },
    File(Corrected),
}

/// The object that holds a configuration.
#[derive(Serialize, JsonSchema)]
pub(super) struct Held {
    pub(super) source: String,
    /// The key as JSONPath takes it.
    pub(super) key_path: String,
}

/// A configuration that Alertmanager refuses, and who keeps it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Refused {
    #[serde(flatten)]
    pub(super) held: Held,
    pub(super) key: String,
    pub(super) is_secret: bool,
    pub(super) managed: String,
    /// The operator makes the pod.
    pub(super) operator: bool,
}

impl Fix {
    pub(super) fn of_file(lines: Corrected) -> Self {
        let none = String::new;
        Self { namespace: none(), pod: none(), container: none(), workload: none(), way: Way::File(lines) }
    }
}
