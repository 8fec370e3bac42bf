//! What is wrong with a program's credentials, and the fix.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::configuration::Configuration;
use crate::checks::support::kept::Kept;
use crate::model::Placeholder;

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Fix {
    HopLimit {
        #[serde(flatten)]
        of: InCluster,
        account: String,
        instance: String,
        /// The agent of Pod Identity is not installed: an association alone gives nothing.
        without_agent: bool,
    },
    OwnRole {
        #[serde(flatten)]
        of: InCluster,
        account: String,
        policy: String,
        without_agent: bool,
        /// The instance whose metadata reaches its pods; empty where that is not known.
        instance: String,
    },
    OtherAccount {
        #[serde(flatten)]
        of: Of,
        account: String,
        /// The ServiceAccount that has the role.
        holder: String,
        /// What has the pods run as it; empty for what cannot be changed.
        patch: String,
        #[serde(flatten)]
        kept: Kept,
    },
    Restart {
        #[serde(flatten)]
        of: Of,
    },
    Trust {
        #[serde(flatten)]
        of: Of,
        role: String,
        denied: String,
        added_trust: String,
        statement: String,
    },
    RoleAbsent {
        #[serde(flatten)]
        of: Of,
        account: String,
        role: String,
    },
    Provider {
        #[serde(flatten)]
        of: InCluster,
    },
    OtherIssuer {
        #[serde(flatten)]
        of: Of,
        pod: String,
    },
    Refused {
        #[serde(flatten)]
        of: Of,
    },
    Associated {
        #[serde(flatten)]
        of: InCluster,
        account: String,
        role: Placeholder,
    },
    Audience {
        #[serde(flatten)]
        of: Of,
        account: String,
        provider: String,
    },
    Agent {
        #[serde(flatten)]
        of: InCluster,
        installed: bool,
    },
    Proxied {
        #[serde(flatten)]
        of: Of,
        container: String,
        /// `NO_PROXY=…` with the address of the agent in it; empty where what is set comes from elsewhere.
        no_proxy: String,
        #[serde(flatten)]
        kept: Kept,
    },
    Sdk {
        #[serde(flatten)]
        of: InCluster,
        without_agent: bool,
    },
    Thumbprint {
        #[serde(flatten)]
        of: Of,
        provider: String,
        issuer_host: String,
    },
    Token {
        #[serde(flatten)]
        of: Of,
        /// What gives the pod a group that may read the token; empty for a pod or a Job, which cannot be changed.
        patch: String,
        group: i64,
        #[serde(flatten)]
        kept: Kept,
    },
    Endpoint {
        #[serde(flatten)]
        of: Of,
        asked: String,
        region: String,
        #[serde(flatten)]
        configuration: Configuration,
    },
    Sts {
        #[serde(flatten)]
        of: Of,
        host: String,
        region: String,
        vpc: Placeholder,
    },
    Permission {
        #[serde(flatten)]
        of: Of,
        role: Placeholder,
        policy: String,
        policy_name: String,
        /// The policy is all that the program's documentation asks for.
        is_documented: bool,
        denied: bool,
        /// ARN of the managed policy that is made for the program; empty where there is none.
        managed_policy: String,
    },
}

/// The program.
#[derive(Serialize, JsonSchema)]
pub(super) struct Of {
    pub(super) namespace: String,
    /// `daemonset/fluent-bit`.
    pub(super) workload: String,
}

/// The program and the cluster.
#[derive(Serialize, JsonSchema)]
pub(super) struct InCluster {
    #[serde(flatten)]
    pub(super) of: Of,
    pub(super) cluster: String,
}
