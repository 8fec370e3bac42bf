//! The fixes, and what they name.

use schemars::JsonSchema;
use serde::Serialize;

use super::object::{Common, Controller, Installed, Kept};
use crate::model::Placeholder;

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Fix {
    Class {
        #[serde(flatten)]
        of: Kept,
        patch: String,
    },
    Backend {
        #[serde(flatten)]
        of: Kept,
        service: String,
    },
    Controller {
        #[serde(flatten)]
        of: Common,
        #[serde(flatten)]
        by: Controller,
        scaled_to_zero: bool,
    },
    NoController {
        #[serde(flatten)]
        of: Common,
        cluster: String,
        /// Empty where it is not known.
        region: String,
        vpc: String,
    },
    Subnets {
        #[serde(flatten)]
        of: Common,
        tag: &'static str,
        subnets: Vec<String>,
        annotation: String,
    },
    ClusterName {
        #[serde(flatten)]
        of: Common,
        #[serde(flatten)]
        by: Installed,
        cluster: String,
    },
    Vpc {
        #[serde(flatten)]
        of: Common,
        #[serde(flatten)]
        by: Installed,
        vpc: String,
    },
    SubnetFull {
        #[serde(flatten)]
        of: Common,
        annotation: String,
    },
    NameTaken {
        #[serde(flatten)]
        of: Kept,
        taken: String,
        /// A load balancer has the name; else a target group.
        balancer: bool,
        annotation: String,
    },
    Quota {
        #[serde(flatten)]
        of: Common,
        /// As the quotas of AWS call it.
        service: &'static str,
        /// An ALB, which serves several Ingresses.
        alb: bool,
    },
    Certificate {
        #[serde(flatten)]
        of: Kept,
        host: String,
        annotation: String,
    },
    Unvalidated {
        #[serde(flatten)]
        of: Kept,
        certificate: String,
        /// It has not been issued yet; else it is to be renewed.
        pending: bool,
        /// What ACM looks for in the DNS.
        records: Vec<Record>,
    },
    Imported {
        #[serde(flatten)]
        of: Kept,
        certificate: String,
    },
    Group {
        #[serde(flatten)]
        of: Common,
    },
    Denied {
        #[serde(flatten)]
        of: Common,
        role: Placeholder,
        policy: String,
        policy_name: String,
    },
    Credentials {
        #[serde(flatten)]
        of: Common,
        #[serde(flatten)]
        by: Controller,
        account: String,
        cluster: String,
    },
    NodePort {
        #[serde(flatten)]
        of: Kept,
        annotation: String,
        /// All nodes are of Fargate, where node ports lead nowhere.
        fargate: bool,
    },
    Protocol {
        #[serde(flatten)]
        of: Kept,
        target_kind: &'static str,
        target_name: String,
        annotation: String,
        protocol: &'static str,
        /// An annotation that the controller does not read, as kubectl takes it away; empty where there is none.
        strange: String,
        pod: String,
    },
    ProxyProtocol {
        #[serde(flatten)]
        of: Common,
        /// The Service whose load balancer sends to nginx; empty where it is none.
        service: String,
        /// It is an NLB of the cloud provider, which does not heed the annotation.
        unable: bool,
        config_map: String,
        /// Who keeps the Service and the ConfigMap.
        managed: String,
    },
    InstanceTargets {
        #[serde(flatten)]
        of: Kept,
        annotation: String,
        /// Services without node ports.
        services: Vec<String>,
    },
    NoGroup {
        #[serde(flatten)]
        of: Common,
        /// The network interface that the controller looked at; empty where it does not say.
        interface: String,
        group: Placeholder,
        cluster: String,
    },
    SecurityGroups {
        #[serde(flatten)]
        of: Common,
        group: Placeholder,
        groups: Vec<String>,
        cluster: String,
    },
    Rules {
        #[serde(flatten)]
        of: Kept,
        /// The annotation with which networks are admitted, and how many it names; empty where there is none.
        networks: String,
        count: usize,
        /// The annotation that names lists of networks.
        lists: String,
        groups: String,
    },
    NoSuchGroups {
        #[serde(flatten)]
        of: Kept,
        annotation: String,
        names: Vec<String>,
        vpc: String,
        group: Placeholder,
        /// The groups that it names besides, each after a comma.
        others: String,
    },
    Address {
        #[serde(flatten)]
        of: Kept,
        address: bool,
    },
    Region {
        #[serde(flatten)]
        of: Common,
        #[serde(flatten)]
        by: Installed,
        /// Empty where it is not known.
        region: String,
    },
    Firewalls {
        #[serde(flatten)]
        of: Common,
        #[serde(flatten)]
        by: Installed,
        host: String,
        /// Ingresses that ask for what it could not reach.
        users: Vec<String>,
    },
    Unreached {
        #[serde(flatten)]
        of: Common,
        #[serde(flatten)]
        by: Controller,
        host: String,
        /// Somebody else answers, or opens TLS.
        stranger: bool,
        /// The name is not found, or not told.
        unresolved: bool,
    },
    Look {
        #[serde(flatten)]
        of: Common,
        #[serde(flatten)]
        by: Controller,
    },
    HealthPath {
        #[serde(flatten)]
        of: Kept,
        target_kind: &'static str,
        target_name: String,
        annotation: String,
        path: Placeholder,
        /// The Ingress has the annotation as well, and the Service's wins.
        also: bool,
    },
    TargetTimeout {
        #[serde(flatten)]
        of: Common,
        groups: Vec<String>,
        port: String,
        node_group: Placeholder,
        admitted: bool,
    },
    TargetFailed {
        #[serde(flatten)]
        of: Common,
        pod: String,
    },
    RouterHeader {
        #[serde(flatten)]
        of: Routed,
    },
    RouterBody {
        #[serde(flatten)]
        of: Routed,
    },
    RouterSlow {
        #[serde(flatten)]
        of: Routed,
    },
    RouterRefused {
        #[serde(flatten)]
        of: Common,
        service: String,
        /// The workload whose pod was asked.
        owner: String,
        /// Who keeps the Service as it is.
        managed: String,
        /// Leads the port to where the pod listens; absent where that is not known.
        patch: Option<String>,
    },
    Record {
        #[serde(flatten)]
        of: Kept,
        host: String,
        /// Id of the hosted zone; empty where it is not told.
        zone: String,
        /// Another record has the name.
        taken: bool,
        no_zone: bool,
        writer: String,
        writer_namespace: String,
    },
}

/// An option of ingress-nginx for this Ingress.
#[derive(Serialize, JsonSchema)]
pub(super) struct Routed {
    #[serde(flatten)]
    pub(super) of: Kept,
    /// The annotation, and what it is to be.
    pub(super) option: &'static str,
    pub(super) value: String,
}

/// A record of the DNS.
#[derive(Serialize, JsonSchema)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) value: String,
}
