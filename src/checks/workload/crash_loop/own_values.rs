//! Values of the ways to fix what is the program's own: its files, flags and data.

use crate::checks::support::helm::Release;
use crate::checks::support::kept::Kept;
use crate::checks::support::kept::KeptMap;
use crate::checks::workload::crash_loop::values::Damaged;
use crate::checks::workload::crash_loop::values::Lines;
use crate::checks::workload::crash_loop::values::Ownership;
use crate::model::Placeholder;
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Serialize, JsonSchema)]
pub(super) struct Config {
    pub(super) map: String,
    #[serde(flatten)]
    pub(super) kept_map: KeptMap,
    pub(super) pod: String,
    #[serde(flatten)]
    pub(super) lines: Lines,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct ConfigDirectory {
    pub(super) file: String,
    pub(super) file_name: String,
    pub(super) pod: String,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct ConfigMissing {
    pub(super) file: String,
    pub(super) map: Option<String>,
    pub(super) secret: Option<String>,
    pub(super) key: String,
    #[serde(flatten)]
    pub(super) kept_map: KeptMap,
    pub(super) pod: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct ConfigOperator {
    pub(super) file: String,
    pub(super) operator_kind: String,
    pub(super) operator_name: String,
    pub(super) is_prometheus: bool,
    pub(super) additional: Option<String>,
    pub(super) additional_key: String,
    pub(super) additional_path: String,
    #[serde(flatten)]
    pub(super) release: Release,
    #[serde(flatten)]
    pub(super) lines: Lines,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct ConfigSecret {
    pub(super) map: String,
    pub(super) key: String,
    pub(super) key_path: String,
    pub(super) pod: String,
    #[serde(flatten)]
    pub(super) lines: Lines,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct RulesOperator {
    pub(super) file: String,
    pub(super) rule_namespace: Placeholder,
    pub(super) rule_name: Placeholder,
    #[serde(flatten)]
    pub(super) lines: Lines,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Unreadable {
    pub(super) file: String,
    pub(super) map: Option<String>,
    pub(super) secret: Option<String>,
    pub(super) pod: String,
    #[serde(flatten)]
    pub(super) ownership: Ownership,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct WebConfig {
    pub(super) file: String,
    pub(super) reason: String,
    pub(super) secret: Option<String>,
    pub(super) pod: String,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct BesideServer {
    pub(super) container: String,
    pub(super) image: String,
    pub(super) argument: String,
    /// It is the side-car of Thanos.
    pub(super) thanos: bool,
    /// The Deployment of the operator, where there is one alone, its namespace and its image.
    pub(super) operator: String,
    pub(super) operator_namespace: String,
    pub(super) operator_image: String,
    pub(super) pod: String,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Bind {
    pub(super) old_arg: Option<String>,
    pub(super) advice: String,
    /// The address that the node has now, where the pod still has the one of before.
    pub(super) stale: Option<String>,
    pub(super) node: String,
    pub(super) pod: String,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Flag {
    pub(super) container: String,
    pub(super) old_arg: Option<String>,
    pub(super) new_arg: Option<String>,
    /// Name and value of the new argument.
    pub(super) arg_name: String,
    pub(super) arg_value: String,
    /// It is no argument of the operator's server, but of a container that its resource names beside that.
    pub(super) beside: bool,
    /// The field of the operator's resource from which it makes the argument, and its value.
    pub(super) field: Option<&'static str>,
    pub(super) field_value: String,
    pub(super) advice: String,
    /// An argument that is to stand before it.
    pub(super) above: &'static str,
    /// What the image starts instead of the program that the arguments are for, and the image.
    pub(super) other_program: String,
    pub(super) image: String,
    pub(super) pod: String,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Port {
    pub(super) what: String,
    pub(super) is_port_shared: bool,
    /// Its node.
    pub(super) node: Option<String>,
    pub(super) pod: String,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Variable {
    pub(super) variable: String,
    /// `$(NAME)`.
    pub(super) reference: String,
    /// Where it may stand: kinds that the API server has.
    pub(super) kinds: String,
    pub(super) operator_kind: String,
    pub(super) operator_name: String,
    pub(super) container: String,
    pub(super) pod: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Chown {
    pub(super) container: String,
    pub(super) group: Option<i64>,
    /// The data lies on a network file system.
    pub(super) network: bool,
    /// What it may not change the owner of lies on a read-only file system.
    pub(super) sealed: bool,
    pub(super) patch: String,
    pub(super) remove_patch: String,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Lock {
    pub(super) pod: String,
    /// Empty where a rollout stops the old pod first already.
    pub(super) recreate_patch: &'static str,
    pub(super) operator_up: String,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct NewerData {
    pub(super) image: String,
    /// Patch of the operator's resource, or the image as `kubectl set image` takes it.
    pub(super) newer: String,
    #[serde(flatten)]
    pub(super) damaged: Damaged,
    pub(super) managed: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Permission {
    pub(super) gid: i64,
    pub(super) group: Option<i64>,
    pub(super) is_grafana: bool,
    pub(super) is_prometheus: bool,
    pub(super) pod: String,
    #[serde(flatten)]
    pub(super) ownership: Ownership,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct ReadOnly {
    pub(super) mounted_read_only: bool,
    /// The folder that no volume holds, where the root file system is read-only on purpose.
    pub(super) own_root: Option<String>,
    /// The template says nothing of that: something sets it when the pod is made.
    pub(super) set_for_it: bool,
    /// Rule and policy of Kyverno that do; empty where nobody says who does.
    pub(super) rule: String,
    pub(super) policy: String,
    pub(super) container: String,
    pub(super) pod: String,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Ini {
    pub(super) advice: String,
    /// The ConfigMap that holds the file, where it is known.
    pub(super) map: Option<String>,
    #[serde(flatten)]
    pub(super) kept_map: KeptMap,
    pub(super) pod: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Provisioning {
    pub(super) advice: String,
    /// The file, and the ConfigMap that it comes from, where that is known.
    pub(super) file: String,
    pub(super) map: String,
    pub(super) key: String,
    #[serde(flatten)]
    pub(super) kept_map: KeptMap,
    pub(super) pod: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct SecondDefault {
    pub(super) default_datasources: String,
    pub(super) datasource: Placeholder,
    pub(super) datasource_map: Placeholder,
    pub(super) datasource_namespace: String,
    pub(super) pod: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Panic {
    pub(super) advice: String,
    /// The kind that it was about, as kubectl takes it; empty where its stack names none.
    pub(super) reads: String,
    pub(super) container: String,
    pub(super) previous: bool,
    pub(super) pod: String,
    #[serde(flatten)]
    pub(super) kept: Kept,
}
