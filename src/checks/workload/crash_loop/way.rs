//! The ways to fix a crash, with the values of their pages.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::helm::Release;
use crate::checks::support::instance::Instance;
use crate::checks::support::kept::{Kept, KeptMap};
use crate::checks::support::named::Named;
use crate::checks::support::reach::Reach;
use crate::checks::support::trust::Certificate;
use crate::checks::support::volume::Repair;
use crate::checks::workload::crash_loop::values::{Damaged, DiskFull, Lines, Ownership};
use crate::model::Placeholder;

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Way {
    Config {
        map: String,
        #[serde(flatten)]
        kept_map: KeptMap,
        pod: String,
        #[serde(flatten)]
        lines: Lines,
    },
    ConfigCorrected {
        map: String,
        pod: String,
    },
    ConfigSecret {
        map: String,
        key: String,
        key_path: String,
        pod: String,
        #[serde(flatten)]
        lines: Lines,
    },
    ConfigOperator {
        file: String,
        operator_kind: String,
        operator_name: String,
        is_prometheus: bool,
        additional: Option<String>,
        additional_key: String,
        additional_path: String,
        #[serde(flatten)]
        release: Release,
        #[serde(flatten)]
        lines: Lines,
    },
    ConfigCrds {
        crds: String,
        operator_kind: String,
        operator_name: String,
    },
    ConfigOther {
        pod: String,
        #[serde(flatten)]
        lines: Lines,
    },
    RulesOperator {
        file: String,
        rule_namespace: Placeholder,
        rule_name: Placeholder,
        #[serde(flatten)]
        lines: Lines,
    },
    ConfigMissing {
        file: String,
        map: Option<String>,
        secret: Option<String>,
        key: String,
        #[serde(flatten)]
        kept_map: KeptMap,
        pod: String,
    },
    ConfigDirectory {
        file: String,
        file_name: String,
        pod: String,
        #[serde(flatten)]
        kept: Kept,
    },
    Unreadable {
        file: String,
        map: Option<String>,
        secret: Option<String>,
        pod: String,
        #[serde(flatten)]
        ownership: Ownership,
        #[serde(flatten)]
        kept: Kept,
    },
    WebConfig {
        file: String,
        reason: String,
        secret: Option<String>,
        pod: String,
        #[serde(flatten)]
        kept: Kept,
    },
    Credentials {
        account: String,
        pod: String,
    },
    Permission {
        gid: i64,
        group: Option<i64>,
        is_grafana: bool,
        is_prometheus: bool,
        pod: String,
        #[serde(flatten)]
        ownership: Ownership,
        #[serde(flatten)]
        kept: Kept,
    },
    Chown {
        container: String,
        group: Option<i64>,
        /// The data lies on a network file system.
        network: bool,
        /// What it may not change the owner of lies on a read-only file system.
        sealed: bool,
        patch: String,
        remove_patch: String,
        #[serde(flatten)]
        kept: Kept,
    },
    ReadOnly {
        mounted_read_only: bool,
        /// The folder that no volume holds, where the root file system is read-only on purpose.
        own_root: Option<String>,
        /// The template says nothing of that: something sets it when the pod is made.
        set_for_it: bool,
        /// Rule and policy of Kyverno that do; empty where nobody says who does.
        rule: String,
        policy: String,
        container: String,
        pod: String,
        #[serde(flatten)]
        kept: Kept,
    },
    Lock {
        pod: String,
        /// Empty where a rollout stops the old pod first already.
        recreate_patch: &'static str,
        operator_up: String,
        #[serde(flatten)]
        kept: Kept,
    },
    DiskFull {
        #[serde(flatten)]
        disk: DiskFull,
        #[serde(flatten)]
        kept: Kept,
    },
    Wal {
        advice: String,
        #[serde(flatten)]
        damaged: Damaged,
    },
    IndexLog {
        /// The folder of the damaged segment, and where it goes.
        folder: String,
        aside: String,
        #[serde(flatten)]
        repair: Repair,
    },
    Block {
        /// Shell command that shows how each block's index begins.
        look: String,
        #[serde(flatten)]
        damaged: Damaged,
    },
    NewerData {
        image: String,
        /// Patch of the operator's resource, or the image as `kubectl set image` takes it.
        newer: String,
        #[serde(flatten)]
        damaged: Damaged,
        managed: String,
    },
    HeadChunks {
        #[serde(flatten)]
        damaged: Damaged,
    },
    DatabaseDamaged {
        container: String,
        /// Where it lies.
        folder: String,
        #[serde(flatten)]
        damaged: Damaged,
    },
    State {
        advice: String,
        #[serde(flatten)]
        damaged: Damaged,
    },
    Flag {
        container: String,
        old_arg: Option<String>,
        new_arg: Option<String>,
        /// Name and value of the new argument.
        arg_name: String,
        arg_value: String,
        /// It is no argument of the operator's server, but of a container that its resource names beside that.
        beside: bool,
        /// The field of the operator's resource from which it makes the argument, and its value.
        field: Option<&'static str>,
        field_value: String,
        advice: String,
        /// An argument that is to stand before it.
        above: &'static str,
        /// What the image starts instead of the program that the arguments are for, and the image.
        other_program: String,
        image: String,
        pod: String,
        #[serde(flatten)]
        kept: Kept,
    },
    Port {
        what: String,
        is_port_shared: bool,
        /// Its node.
        node: Option<String>,
        pod: String,
        #[serde(flatten)]
        kept: Kept,
    },
    Bind {
        old_arg: Option<String>,
        advice: String,
        /// The address that the node has now, where the pod still has the one of before.
        stale: Option<String>,
        node: String,
        pod: String,
        #[serde(flatten)]
        kept: Kept,
    },
    StoreDenied {
        program: &'static str,
        reason: String,
        account: String,
        /// The role that the pod is meant to have.
        role: Option<String>,
        /// How it is to have it: `irsa`, `pod-identity`, or `node` where it has none of its own.
        identity: &'static str,
        /// The store named nobody: it may have been asked without credentials.
        nobody: bool,
        partition: String,
        bucket: String,
        pod: String,
    },
    StoreBucket {
        program: &'static str,
        reason: String,
        pod: String,
        /// The Service of a store in the cluster; empty where it is another.
        store: String,
        store_namespace: String,
        /// The Job that was to make the buckets, and failed.
        job: String,
    },
    AgentAddress {
        cluster: String,
        /// The configuration of the add-on that leaves IPv6 out, and the options that keep its role; none without add-on.
        addon_values: Option<String>,
        kept_role: Vec<String>,
    },
    Variable {
        variable: String,
        /// `$(NAME)`.
        reference: String,
        /// Where it may stand: kinds that the API server has.
        kinds: String,
        operator_kind: String,
        operator_name: String,
        container: String,
        pod: String,
    },
    Cluster {
        #[serde(flatten)]
        kept: Kept,
    },
    SecondDefault {
        default_datasources: String,
        datasource: Placeholder,
        datasource_map: Placeholder,
        datasource_namespace: String,
        pod: String,
    },
    Provisioning {
        advice: String,
        /// The file, and the ConfigMap that it comes from, where that is known.
        file: String,
        map: String,
        key: String,
        #[serde(flatten)]
        kept_map: KeptMap,
        pod: String,
    },
    Plugin {
        advice: String,
        /// Those that are asked for; empty where no variable says.
        asked: String,
        #[serde(flatten)]
        kept: Kept,
    },
    Ini {
        advice: String,
        /// The ConfigMap that holds the file, where it is known.
        map: Option<String>,
        #[serde(flatten)]
        kept_map: KeptMap,
        pod: String,
    },
    Migration {
        #[serde(flatten)]
        kept: Kept,
    },
    DatabaseLocked {
        /// Empty where a rollout stops the old pod first already.
        recreate_patch: &'static str,
        #[serde(flatten)]
        kept: Kept,
    },
    Database {
        /// What the server's answer means.
        advice: String,
        pod: String,
    },
    CrdMissing {
        /// Those of the Prometheus operator; empty where the kind is of another program.
        crds: String,
        /// The add-on of EKS that brings the kind, where one does.
        addon: &'static str,
        cluster: String,
        /// The kind that is missing and its group; the group is empty where it is the operator's.
        kind: String,
        group: String,
        vpc_cni: bool,
        pod: String,
    },
    ApiGone {
        /// The API group, where one is named.
        group: String,
        /// The version of the cluster.
        version: String,
        image: String,
        /// The container with its image, as `kubectl set image` takes it; empty where that does not last.
        newer: String,
        #[serde(flatten)]
        kept: Kept,
    },
    BesideServer {
        container: String,
        image: String,
        argument: String,
        /// It is the side-car of Thanos.
        thanos: bool,
        /// The Deployment of the operator, where there is one alone, its namespace and its image.
        operator: String,
        operator_namespace: String,
        operator_image: String,
        pod: String,
        #[serde(flatten)]
        kept: Kept,
    },
    Forbidden {
        /// `get pods`, as kubectl auth can-i takes it.
        can_i: Vec<String>,
        user: String,
        pod: String,
    },
    Webhook {
        /// It is a part of the Prometheus operator.
        ours: bool,
        /// The Secret that is mounted where the certificate is looked for.
        secret: Option<String>,
        pod: String,
    },
    PacketFilter {
        /// It only looks whether another one has written the rules.
        validates: bool,
        commands: String,
        instance: Option<String>,
        node: String,
        patch: &'static str,
        pod: String,
        #[serde(flatten)]
        kept: Kept,
    },
    Gpu {
        node: String,
        /// The node has no GPU of NVIDIA.
        without: bool,
        /// Keeps the pods to nodes that have one, where there are such; empty else.
        affinity: String,
        /// The words after `aws eks create-nodegroup` that make a group whose image has the driver.
        create: Vec<String>,
        /// The container may not be started with NVIDIA's runtime.
        runtime: bool,
        #[serde(flatten)]
        kept: Kept,
    },
    PacketTables {
        commands: String,
        instance: Option<String>,
        node: String,
    },
    Hook {
        container: String,
        pod: String,
        #[serde(flatten)]
        kept: Kept,
    },
    ApiServer {
        pod: String,
    },
    NoToken {
        patch: &'static str,
        account: String,
        pod: String,
        #[serde(flatten)]
        kept: Kept,
    },
    Processes {
        reason: String,
        node: String,
        pod: String,
    },
    Inotify {
        reason: String,
        node: String,
        pod: String,
    },
    Kernel {
        setting: String,
        kube_proxy: bool,
        pod: String,
        container: String,
        #[serde(flatten)]
        kept: Kept,
    },
    NodeKernel {
        node: String,
        /// Its kernel; empty where the node was not read.
        kernel: String,
        /// Of the add-on kube-proxy, with the mode that every kernel has; empty of other programs.
        values: String,
        /// The ConfigMap of a kube-proxy that is no add-on.
        config_map: String,
        cluster: String,
        region: String,
        #[serde(flatten)]
        kept: Kept,
    },
    PageSize {
        node: String,
        kernel: String,
        image: String,
        #[serde(flatten)]
        kept: Kept,
    },
    MapCount {
        reason: String,
        wanted: String,
        node: String,
        pod: String,
        #[serde(flatten)]
        kept: Kept,
    },
    Architecture {
        image: String,
        arch: String,
        other: &'static str,
        selector_patch: Option<String>,
        node: String,
        pod: String,
        #[serde(flatten)]
        kept: Kept,
    },
    ExternalLabels {
        operator_kind: String,
        operator_name: String,
        /// The fields by which its resource switches the operator's own labels off.
        cleared: String,
        labels_patch: String,
    },
    Outgrown {
        container: String,
        /// Its image, with a tag to choose.
        newer_image: String,
        pod: String,
        #[serde(flatten)]
        kept: Kept,
    },
    Compaction {
        operator_kind: String,
        operator_name: String,
    },
    Panic {
        advice: String,
        /// The kind that it was about, as kubectl takes it; empty where its stack names none.
        reads: String,
        container: String,
        previous: bool,
        pod: String,
        #[serde(flatten)]
        kept: Kept,
    },
    Metadata {
        pod: String,
        instance: String,
        /// Patches that tell the program what it would ask for.
        without: Vec<String>,
        #[serde(flatten)]
        kept: Kept,
    },
    MemoryMap {
        node: String,
        pod: String,
        container: String,
        #[serde(flatten)]
        kept: Kept,
    },
    Device {
        pod: String,
        node: String,
        /// The EBS volume, where it is known.
        volume: Option<String>,
    },
    Memberlist {
        /// The interfaces at which it looks for one, where it names them.
        interfaces: String,
        #[serde(flatten)]
        kept: Kept,
    },
    Runtime {
        node: String,
        pod: String,
        /// Somebody makes the pod again.
        remade: bool,
        /// Another node can take it.
        elsewhere: bool,
        filters: bool,
        #[serde(flatten)]
        instance: Instance,
    },
    Cache {
        /// What it waits for, as kubectl takes it; empty where its log does not say.
        resource: String,
        user: String,
        account: String,
        pod: String,
        #[serde(flatten)]
        kept: Kept,
    },
    Unreached(Reach),
    Certificate(Certificate),
    Cloud {
        advice: String,
        /// What is not there; empty where something else is wrong.
        absent: &'static str,
        karpenter: bool,
        container: String,
        pod: String,
        #[serde(flatten)]
        named: Named,
        #[serde(flatten)]
        kept: Kept,
    },
    Probe {
        container: String,
        is_prometheus: bool,
        /// Where it says that it listens, where that is not where its probe asks; and where that does.
        listens: String,
        asked: Option<u16>,
        /// What it is still at when it is ended, and what gives it time for that; empty where nobody knows.
        work: &'static str,
        startup_patch: String,
        /// It is a part of the cluster, whose probe comes with it.
        below: bool,
        /// The instance whose log of the VPC CNI is read, and what reads it.
        instance: Option<String>,
        commands: String,
        pod: String,
        #[serde(flatten)]
        kept: Kept,
    },
    TwoSources {
        variable: String,
        #[serde(flatten)]
        kept: Kept,
    },
    ProbeLogin {
        container: String,
        /// A number, or the name of a port: what is quoted is taken for a name.
        port: serde_json::Value,
        is_prometheus: bool,
        pod: String,
        #[serde(flatten)]
        kept: Kept,
    },
    ProbePath {
        container: String,
        asked: String,
        /// Where it answers such a probe, and one that asks whether it is ready; none where that is not known.
        meant: Option<String>,
        ready: Option<String>,
        is_prometheus: bool,
        pod: String,
        #[serde(flatten)]
        kept: Kept,
    },
    ProbeLocal {
        container: String,
        address: String,
        /// It is an OpenTelemetry Collector.
        collector: bool,
        /// The ConfigMap with its configuration; empty where an operator makes it, or nobody knows it.
        config_map: String,
        pod: String,
        #[serde(flatten)]
        kept: Kept,
    },
    ProbeDemux {
        pod: String,
    },
    Ends {
        container: String,
        previous: bool,
        pod: String,
        #[serde(flatten)]
        kept: Kept,
    },
    Other {
        container: String,
        previous: bool,
        pod: String,
        #[serde(flatten)]
        named: Named,
        #[serde(flatten)]
        kept: Kept,
    },
}
