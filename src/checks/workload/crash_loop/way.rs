//! The ways to fix a crash, with the values of their pages.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::kept::Kept;
use crate::checks::support::reach::Reach;
use crate::checks::support::trust::Certificate;
use crate::checks::support::volume::Repair;
use crate::checks::workload::crash_loop::outer_values::{
    ApiGone, Architecture, Cache, Cloud, CrdMissing, Ends, ExternalLabels, Gpu, Kernel, MapCount, MemoryMap, Metadata,
    NoToken, Other, Outgrown, PacketFilter, Probe, ProbeLocal, ProbeLogin, ProbePath, Runtime, StoreBucket,
    StoreDenied,
};
use crate::checks::workload::crash_loop::own_values::{
    BesideServer, Bind, Chown, Config, ConfigDirectory, ConfigMissing, ConfigOperator, ConfigSecret, Flag, Ini, Lock,
    NewerData, Panic, Permission, Port, Provisioning, ReadOnly, RulesOperator, SecondDefault, Unreadable, Variable,
    WebConfig,
};
use crate::checks::workload::crash_loop::values::{Damaged, DiskFull, Lines};

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Way {
    Config(Config),
    ConfigCorrected {
        map: String,
        pod: String,
    },
    ConfigSecret(ConfigSecret),
    ConfigOperator(ConfigOperator),
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
    RulesOperator(RulesOperator),
    ConfigMissing(ConfigMissing),
    ConfigDirectory(ConfigDirectory),
    Unreadable(Unreadable),
    WebConfig(WebConfig),
    Credentials {
        account: String,
        pod: String,
    },
    Permission(Permission),
    Chown(Chown),
    ReadOnly(ReadOnly),
    Lock(Lock),
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
    NewerData(NewerData),
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
    Flag(Flag),
    Port(Port),
    Bind(Bind),
    StoreDenied(StoreDenied),
    StoreBucket(StoreBucket),
    AgentAddress {
        cluster: String,
        /// The configuration of the add-on that leaves IPv6 out, and the options that keep its role; none without add-on.
        addon_values: Option<String>,
        kept_role: Vec<String>,
    },
    Variable(Variable),
    Cluster {
        #[serde(flatten)]
        kept: Kept,
    },
    SecondDefault(SecondDefault),
    Provisioning(Provisioning),
    Plugin {
        advice: String,
        /// Those that are asked for; empty where no variable says.
        asked: String,
        #[serde(flatten)]
        kept: Kept,
    },
    Ini(Ini),
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
    CrdMissing(CrdMissing),
    ApiGone(ApiGone),
    BesideServer(BesideServer),
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
    PacketFilter(PacketFilter),
    Gpu(Gpu),
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
    NoToken(NoToken),
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
    NodeKernel {
        node: String,
        /// Its kernel; empty where the node was not read.
        kernel: String,
        /// Of the add-on kube-proxy, with the mode that every kernel has; empty of other programs.
        values: String,
        /// The options that keep the add-on's role.
        kept_role: Vec<String>,
        /// The ConfigMap of a kube-proxy that is no add-on.
        config_map: String,
        cluster: String,
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
    Kernel(Kernel),
    MapCount(MapCount),
    Architecture(Architecture),
    ExternalLabels(ExternalLabels),
    Outgrown(Outgrown),
    Compaction {
        operator_kind: String,
        operator_name: String,
    },
    Panic(Panic),
    Metadata(Metadata),
    MemoryMap(MemoryMap),
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
    Runtime(Runtime),
    Cache(Cache),
    Unreached(Reach),
    Certificate(Certificate),
    Cloud(Cloud),
    Probe(Probe),
    TwoSources {
        variable: String,
        #[serde(flatten)]
        kept: Kept,
    },
    ProbeLogin(ProbeLogin),
    ProbePath(ProbePath),
    ProbeLocal(ProbeLocal),
    ProbeDemux {
        pod: String,
    },
    Ends(Ends),
    Other(Other),
}
