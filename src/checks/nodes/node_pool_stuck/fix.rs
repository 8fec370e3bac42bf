//! What mends a NodePool, by what keeps it from making nodes.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::checks::support::node_pool::Pool;
use crate::checks::support::place::Place;
use crate::domain::aws::access::{self, Admits};
use crate::domain::aws::node_pool::{self, Cause, Launch, Stuck, Unfound};
use crate::domain::aws::node_pool_said::is_controller;
use crate::model::Placeholder;
use crate::snapshot::kubernetes::NodeMaker;
use crate::snapshot::{Snapshot, journal};
use crate::text::near::near_name;

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Fix {
    Subnets {
        class: Class,
        /// A merge patch with the tag that subnets have; empty where none comes near.
        patch: String,
        /// Tags as `aws ec2 create-tags` takes them; empty where the selector asks for none.
        tags: Vec<String>,
        subnets: Vec<String>,
    },
    SecurityGroups {
        class: Class,
        tags: Vec<String>,
    },
    Images {
        class: Class,
    },
    Profile {
        class: Class,
        role: String,
    },
    Allow {
        action: String,
        /// EKS Auto Mode: no controller runs in the cluster.
        auto: bool,
        cluster: String,
        controller: String,
        namespace: String,
        account: String,
    },
    ClassOther {
        class: Class,
    },
    NoClass {
        #[serde(flatten)]
        pool: Pool,
        class: Placeholder,
        kind: String,
    },
    Pool {
        #[serde(flatten)]
        pool: Pool,
    },
    Quota {
        pool: String,
    },
    Capacity {
        #[serde(flatten)]
        pool: Pool,
    },
    SpotRole,
    Disk {
        class: Class,
    },
    Key {
        pool: String,
        /// The key that the class names.
        key: Placeholder,
        /// EKS Auto Mode: the cluster's own role makes the nodes.
        auto: bool,
    },
    Launch {
        /// None where the claim is gone already.
        claim: Option<String>,
        auto: bool,
        controller: String,
        namespace: String,
    },
    Taint {
        class: Class,
        /// The image family; `Custom` leaves all user data to the class.
        family: String,
        claim: String,
    },
    Joins {
        cluster: String,
        role: String,
        /// The role has no access entry, as the list of them says.
        unmapped: bool,
        /// Nodes of EKS Auto Mode have another kind of entry.
        auto: bool,
        /// What nodes of EKS Auto Mode may do in the cluster.
        node_policy: String,
        instance: String,
        claim: String,
        /// What its instances begin with.
        class: Class,
    },
}

/// A node class as kubectl takes it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Class {
    kind: String,
    name: String,
}

impl Class {
    fn of(object: &NodeMaker) -> Self {
        Self { kind: node_pool::kubectl_kind(object), name: object.metadata.name.clone() }
    }
}

/// Namespace and name of Karpenter's Deployment.
pub(super) fn controller(snap: &Snapshot) -> (String, String) {
    let all = snap.workloads.items().unwrap_or_default().iter().filter(|w| w.kind == "Deployment");
    let mut own = all.filter(|w| w.spec.template.spec.containers.iter().any(|c| is_controller(&c.image)));
    own.next().map_or_else(
        || ("kube-system".to_owned(), "karpenter".to_owned()),
        |w| (w.metadata.namespace.clone(), w.metadata.name.clone()),
    )
}

pub(super) fn of(snap: &Snapshot, stuck: &Stuck<'_>) -> Fix {
    let Place { cluster, partition, .. } = Place::of(snap);
    let pool = stuck.pools.first().map_or_else(|| "<nodepool>".to_owned(), |p| (*p).to_owned());
    let (namespace, controller) = controller(snap);
    let class = || Class::of(stuck.object);
    let auto = node_pool::is_of_auto_mode(stuck.object);
    match &stuck.fault {
        Cause::Class { what: Unfound::Subnets } => Fix::Subnets {
            class: class(),
            patch: near_tag(snap, stuck).map(|(patch, _)| patch).unwrap_or_default(),
            tags: tags(&stuck.object.spec.subnet_selector_terms),
            subnets: snap.eks_cluster.iter().flat_map(|c| c.resources_vpc_config.subnet_ids.clone()).collect(),
        },
        Cause::Class { what: Unfound::SecurityGroups } => {
            Fix::SecurityGroups { class: class(), tags: tags(&stuck.object.spec.security_group_selector_terms) }
        }
        Cause::Class { what: Unfound::Images } => Fix::Images { class: class() },
        Cause::Class { what: Unfound::InstanceProfile } => {
            Fix::Profile { class: class(), role: stuck.object.spec.role.clone().unwrap_or_else(|| "<role>".to_owned()) }
        }
        Cause::Unauthorized { action } => {
            let (action, account) = (action.clone(), account(snap));
            Fix::Allow { action, auto, cluster, controller, namespace, account }
        }
        Cause::ClassOther => Fix::ClassOther { class: class() },
        Cause::NoClass { name } => no_class(snap, stuck, pool, name),
        Cause::Pool => Fix::Pool { pool: Pool::of(snap, pool) },
        Cause::Launch { why } => match why {
            Launch::Denied => {
                let action = crate::domain::aws::denied::Denied::read(stuck.condition.message.as_deref().unwrap_or(""));
                let action = action.and_then(|d| d.action).unwrap_or_else(|| "ec2:RunInstances".to_owned());
                Fix::Allow { action, auto, cluster, controller, namespace, account: account(snap) }
            }
            Launch::Quota => Fix::Quota { pool },
            Launch::Capacity => Fix::Capacity { pool: Pool::of(snap, pool) },
            Launch::SpotRole => Fix::SpotRole,
            Launch::Disk => Fix::Disk { class: class_of(snap, stuck) },
            Launch::Key => {
                let key = Placeholder::new("key-id").candidates(key(snap, stuck));
                Fix::Key { pool, key, auto: is_of_auto(snap, stuck) }
            }
            Launch::Other => {
                let claim = stuck.event.is_none().then(|| stuck.object.metadata.name.clone());
                Fix::Launch { claim, auto, controller, namespace }
            }
        },
        Cause::Joins if is_untainted(stuck) => {
            let family = family(snap, stuck).unwrap_or_default().to_owned();
            Fix::Taint { class: class_of(snap, stuck), family, claim: stuck.object.metadata.name.clone() }
        }
        Cause::Joins => {
            let role = role(snap, stuck).unwrap_or_else(|| "<node-role>".to_owned());
            let instance = stuck.object.status.provider_id.rsplit('/').next().unwrap_or_default().to_owned();
            let unmapped = is_unmapped(snap, stuck).is_some();
            let node_policy = format!("arn:{partition}:eks::aws:cluster-access-policy/AmazonEKSAutoNodePolicy");
            let claim = stuck.object.metadata.name.clone();
            let class = class_of(snap, stuck);
            Fix::Joins { cluster, role, unmapped, auto, node_policy, instance, claim, class }
        }
    }
}

/// The class itself, or that by which a pool or a claim makes its instances.
fn class_of(snap: &Snapshot, stuck: &Stuck<'_>) -> Class {
    Class::of(node_pool::class(snap, stuck.object).unwrap_or(stuck.object))
}

/// The controller's ServiceAccount.
fn account(snap: &Snapshot) -> String {
    let (namespace, name) = controller(snap);
    let mut all = snap.workloads.items().unwrap_or_default().iter();
    let own = all.find(|w| w.metadata.namespace == namespace && w.metadata.name == name && w.kind == "Deployment");
    own.and_then(|w| w.spec.template.spec.service_account_name.clone()).unwrap_or(name)
}

fn no_class(snap: &Snapshot, stuck: &Stuck<'_>, pool: String, name: &str) -> Fix {
    let wanted = stuck.object.spec.template.spec.node_class_ref.as_ref();
    let kind = wanted.map(|r| r.kind.clone()).filter(|k| !k.is_empty()).unwrap_or_else(|| "EC2NodeClass".to_owned());
    let all = snap.node_makers.items().unwrap_or_default();
    let classes: Vec<&str> = all.iter().filter(|o| o.kind == kind).map(|o| o.metadata.name.as_str()).collect();
    let near = near_name(name, classes.iter().copied());
    let candidates = near.into_iter().chain(classes.iter().copied());
    let pool = Pool::of(snap, pool);
    Fix::NoClass { pool, class: Placeholder::new("class").candidates(candidates), kind: kind.to_ascii_lowercase() }
}

/// `Key=karpenter.sh/discovery,Value=shop` for each tag of the first term.
fn tags(terms: &Value) -> Vec<String> {
    let first = terms.get(0).and_then(|t| t.get("tags")).and_then(Value::as_object);
    let value = |v: &Value| v.as_str().filter(|v| *v != "*").unwrap_or_default().to_owned();
    first.into_iter().flatten().map(|(k, v)| format!("Key={k},Value={}", value(v))).collect()
}

/// What a selector asks for, as the end of a sentence.
pub(super) fn selector_text(stuck: &Stuck<'_>) -> String {
    let spec = &stuck.object.spec;
    let terms = match stuck.condition.kind.as_str() {
        "SubnetsReady" => &spec.subnet_selector_terms,
        "SecurityGroupsReady" => &spec.security_group_selector_terms,
        _ => &spec.ami_selector_terms,
    };
    let Some(all) = terms.as_array().filter(|a| !a.is_empty()) else { return String::new() };
    let term = |t: &Value| {
        let Some(fields) = t.as_object() else { return String::new() };
        let field = |(key, value): (&String, &Value)| match (key.as_str(), value.as_object()) {
            ("tags", Some(tags)) => {
                let each = tags.iter().map(|(k, v)| format!("tag {k}={}", v.as_str().unwrap_or_default()));
                each.collect::<Vec<_>>().join(" and ")
            }
            (key, _) => format!("{key} {}", value.as_str().unwrap_or_default()),
        };
        fields.iter().map(field).collect::<Vec<_>>().join(" and ")
    };
    format!(" ({})", all.iter().map(term).collect::<Vec<_>>().join(", or "))
}

/// The tag that subnets of the cluster have, where the selector asks for another value of the same key: the patch, and words.
pub(super) fn near_tag(snap: &Snapshot, stuck: &Stuck<'_>) -> Option<(String, String)> {
    if stuck.fault != (Cause::Class { what: Unfound::Subnets }) {
        return None;
    }
    let terms = stuck.object.spec.subnet_selector_terms.as_array()?;
    let [term] = terms.as_slice() else { return None };
    let tags = term.get("tags").and_then(Value::as_object).filter(|t| t.len() == 1)?;
    let (key, wanted) = tags.iter().next()?;
    let subnets = snap.subnets.iter().flatten();
    let values: std::collections::BTreeSet<&str> =
        subnets.flat_map(|s| &s.tags).filter(|t| t.key == *key).map(|t| t.value.as_str()).collect();
    let found = near_name(wanted.as_str()?, values.iter().copied())
        .or_else(|| values.iter().next().copied().filter(|_| values.len() == 1))?;
    let patch = json!({"spec": {"subnetSelectorTerms": [{"tags": {key: found}}]}}).to_string();
    Some((patch, format!("subnets of the VPC have {key}={found}")))
}

/// The node is there, and Karpenter does not take it for the claim's: its kubelet did not set the taint that it begins with.
pub(super) fn is_untainted(stuck: &Stuck<'_>) -> bool {
    stuck.condition.reason.as_deref() == Some("UnregisteredTaintNotFound")
}

/// The image family of the class.
fn family<'a>(snap: &'a Snapshot, stuck: &Stuck<'_>) -> Option<&'a str> {
    node_pool::class(snap, stuck.object)?.spec.ami_family.as_deref()
}

/// The key that it encrypts the volumes of its instances with.
fn key(snap: &Snapshot, stuck: &Stuck<'_>) -> Option<String> {
    let spec = &node_pool::class(snap, stuck.object)?.spec;
    let of_auto = spec.ephemeral_storage.get("kmsKeyID");
    let devices = spec.block_device_mappings.as_array().into_iter().flatten();
    let of_device = devices.filter_map(|d| d.get("ebs")?.get("kmsKeyID")).next();
    of_auto.or(of_device).and_then(Value::as_str).filter(|k| !k.is_empty()).map(str::to_owned)
}

/// Its instances are made by EKS Auto Mode.
fn is_of_auto(snap: &Snapshot, stuck: &Stuck<'_>) -> bool {
    node_pool::class(snap, stuck.object).is_some_and(node_pool::is_of_auto_mode)
        || node_pool::is_of_auto_mode(stuck.object)
}

/// The role of the nodes that a claim makes, by its class.
fn role(snap: &Snapshot, stuck: &Stuck<'_>) -> Option<String> {
    let name = node_pool::class(snap, stuck.object)?.spec.role.as_deref().filter(|r| !r.is_empty())?;
    Some(if name.starts_with("arn:") { name.to_owned() } else { Place::of(snap).role_arn(name) })
}

/// The role of the nodes, where the access entries were read and none is of it, nor is it known to stand in the map of the old
/// way.
pub(super) fn is_unmapped(snap: &Snapshot, stuck: &Stuck<'_>) -> Option<String> {
    let role = role(snap, stuck)?;
    let entries = snap.access_entries().ok()?;
    let own = role.rsplit('/').next().unwrap_or(&role);
    let has = entries.iter().any(|e| e.contains(":role/") && e.rsplit('/').next() == Some(own));
    // The map only takes the charge back.
    let mapped = !has && journal::aside(|| access::admits(snap, &role)) == Admits::Yes;
    (!has && !mapped && !entries.is_empty()).then_some(role)
}
