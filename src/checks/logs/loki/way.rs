//! The ways to let it keep what it gets, with the values of their pages.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::checks::support::configuration::Configuration;
use crate::checks::support::volume::Larger;

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Way {
    Denied {
        program: &'static str,
        account: String,
        /// The role that the account names.
        role: Option<String>,
        partition: String,
        bucket: &'static str,
    },
    Credentials {
        program: &'static str,
        detail: String,
        account: String,
        role: Option<String>,
        account_read: bool,
        managed_by: String,
    },
    Key {
        program: &'static str,
        detail: String,
        account: String,
        role: Option<String>,
        /// ARN of the key, and the region in it: a key is asked for where it is.
        key: String,
        key_region: Option<String>,
        /// Its policy refuses, or does not speak of the role; otherwise the role's own policies lack the right.
        of_key: bool,
    },
    KeyOff {
        program: &'static str,
        detail: String,
        /// ARN of the key, and the region in it.
        key: String,
        key_region: Option<String>,
        /// It is about to be deleted; else it is switched off.
        deleting: bool,
    },
    Gone {
        program: &'static str,
        detail: String,
    },
    Slow {
        detail: String,
        config_path: String,
    },
    Flush {
        program: &'static str,
        detail: String,
        config_path: String,
        /// What it holds outlives its pod.
        on_claim: bool,
        #[serde(flatten)]
        configuration: Configuration,
    },
    Blocks {
        detail: String,
    },
    Period {
        detail: String,
        /// Seconds since 1970.
        time: String,
        #[serde(flatten)]
        change: Change,
    },
    IndexGateway {
        detail: String,
    },
    RuleFolder {
        program: &'static str,
        detail: String,
        folder: String,
        tenant: String,
        managed_by: String,
    },
    Cache {
        detail: String,
        too_large: bool,
    },
    Bucket {
        program: &'static str,
        detail: String,
        /// The Service of a store in the cluster; empty where it is another.
        store: String,
        store_namespace: String,
        /// The Job that was to make the buckets, and failed.
        job: String,
    },
    Endpoint {
        detail: String,
        #[serde(flatten)]
        change: Change,
    },
    Store {
        program: &'static str,
        detail: String,
        /// It is STS that does not answer.
        of_sts: bool,
    },
    DiskFull {
        program: &'static str,
        claim: Option<String>,
        #[serde(flatten)]
        larger: Larger,
    },
    ReadOnly {
        program: &'static str,
        detail: String,
    },
    Ring {
        program: &'static str,
        detail: String,
        ring_path: String,
        ring_url: String,
        /// Addresses in the ring that are no pod's any more.
        gone: String,
    },
    TooFew {
        detail: String,
        factor: u32,
        majority: u32,
        #[serde(flatten)]
        change: Change,
    },
    Loopback {
        detail: String,
        address_field: String,
        #[serde(flatten)]
        change: Change,
    },
    Generator {
        detail: String,
        /// Its pods are there.
        runs: bool,
        #[serde(flatten)]
        change: Change,
    },
    LocalBlocks {
        detail: String,
        overrides_path: String,
        #[serde(flatten)]
        change: Change,
    },
    Message {
        detail: String,
        /// Bytes: twice as many as the message had.
        message_bytes: u64,
        #[serde(flatten)]
        change: Change,
    },
    Scheduler {
        detail: String,
    },
    Members {
        detail: String,
        managed_by: String,
    },
    Compactor {
        detail: String,
        pod: String,
    },
    BlockList {
        detail: String,
        /// A pod that says that it cannot clean up, and its container.
        compactor: Option<String>,
        #[serde(flatten)]
        change: Change,
    },
    Topic {
        program: &'static str,
        detail: String,
        /// Kafka keeps its topics in folders that end with its pods.
        forgets: bool,
        /// Its workload, as kubectl takes it; empty where it is not in the cluster.
        kafka: String,
        kafka_namespace: String,
        /// The workloads that ask for the topic in vain.
        members: Vec<String>,
    },
    Broker {
        detail: String,
        /// Its Service; empty where it is not in the cluster.
        service: String,
        kafka_namespace: String,
    },
    Compactors {
        detail: String,
        ring_path: String,
        #[serde(flatten)]
        change: Change,
    },
    Streams {
        /// Labels that make a stream of each of their values.
        countless: String,
        labels_path: String,
        #[serde(flatten)]
        change: Change,
    },
    StreamRate {
        detail: String,
        config_path: String,
        #[serde(flatten)]
        change: Change,
    },
    QueryLimit {
        detail: String,
        config_path: String,
        limit_field: String,
        limit_new: Value,
        #[serde(flatten)]
        change: Change,
    },
    Rate {
        detail: String,
        config_path: String,
        #[serde(flatten)]
        change: Change,
    },
    Stopping {
        detail: String,
        /// The page of its ring, through the API server; none where its port is not known.
        ring_path: Option<String>,
        /// It is the ingesters' own workload, and can be rolled.
        rolls: bool,
    },
    Traces {
        detail: String,
        overrides_path: String,
        limit_field: String,
        limit_new: Value,
        #[serde(flatten)]
        change: Change,
    },
    Queries {
        config_path: String,
        #[serde(flatten)]
        change: Change,
    },
}

/// A change of its configuration: the values of the shared steps `change-log-store`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Change {
    pub(super) program: &'static str,
    #[serde(flatten)]
    pub(super) configuration: Configuration,
}
