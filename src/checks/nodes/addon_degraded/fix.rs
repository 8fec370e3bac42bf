//! What makes an add-on well, and what its commands hold.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Cause, Subject};
use crate::checks::support::addon::{self as own, kept, kept_role};
use crate::checks::support::place::Place;
use crate::domain::aws::addon::{self, Conflict};
use crate::domain::aws::addon_part::Part;
use crate::domain::aws::{oidc_provider, trust};
use crate::domain::kubernetes::{not_created, scheduling, webhook_call};
use crate::snapshot::Snapshot;
use crate::snapshot::aws::{Addon, PodIdentityAssociation};
use crate::snapshot::kubernetes::{ServiceAccount, Workload};

/// Letters that the name of a role may have.
const LONGEST_ROLE: usize = 64;

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    addon: String,
    cluster: String,
    /// EKS keeps it: a driver that was installed otherwise is somebody's own.
    is_addon: bool,
    namespace: &'static str,
    /// Its deletion failed: it may also be gone in the end.
    deleted: bool,
    /// Its workloads.
    targets: Vec<String>,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Conflict {
        /// The objects whose fields conflict, and the fields.
        objects: Vec<String>,
        fields: String,
        /// The file that keeps the objects as they are.
        saved: String,
        /// The add-on's configuration with what is set now, where all of it can stand there.
        configuration: Option<String>,
        kept_role: Vec<String>,
        /// The add-on was never made.
        in_creation: bool,
        #[serde(flatten)]
        update: Update,
    },
    Fargate {
        daemon_sets: Vec<String>,
        kubernetes: String,
        /// The add-on's configuration that tolerates only what the other nodes have.
        tolerations: Option<String>,
        kept_role: Vec<String>,
        #[serde(flatten)]
        update: Update,
    },
    NoNodes,
    Access(Update),
    Permission {
        role: Option<String>,
        policy_arn: Option<String>,
        /// The id of its association of Pod Identity, whose role is not known.
        association: Option<String>,
        made: Option<OwnRole>,
        #[serde(flatten)]
        update: Update,
    },
    Replicas {
        pods: Vec<String>,
        target: Option<String>,
    },
    Refused {
        /// The API server waited too long for what it asks before.
        slow: bool,
    },
    Version {
        kubernetes: String,
        kept: Vec<String>,
    },
    Objects {
        kubernetes: String,
        /// The object that is refused, as kubectl takes it.
        object: Option<String>,
        /// It is there, and no pod comes of it.
        is_idle: bool,
        #[serde(flatten)]
        update: Update,
    },
    Admission(Update),
    Webhook {
        webhook: String,
        #[serde(flatten)]
        update: Update,
    },
    CertManager(Update),
    Rights {
        kubernetes: String,
        /// The name of the role that is made, and its rules as YAML.
        role: String,
        rules: Vec<Right>,
        #[serde(flatten)]
        update: Update,
    },
    ResourceMissing(Update),
    Retry(Update),
    Stuck(Pods),
    Delete(Update),
    Other(Pods),
    Artefact {
        /// Pods are on their way, and are just waited for.
        rolling: bool,
        #[serde(flatten)]
        pods: Pods,
    },
}

/// An update of the add-on to what it is.
#[derive(Serialize, JsonSchema)]
struct Update {
    version: String,
    /// The options that repeat its role and its configuration.
    kept: Vec<String>,
}

/// A role that is made for an add-on without one.
#[derive(Serialize, JsonSchema)]
struct OwnRole {
    name: String,
    trust: String,
    /// The options of an update that give it to the add-on.
    given: Vec<String>,
}

/// A rule of a role.
#[derive(Serialize, JsonSchema)]
struct Right {
    groups: Vec<String>,
    resources: Vec<String>,
    verbs: Vec<String>,
}

impl From<addon::Rule> for Right {
    fn from(rule: addon::Rule) -> Self {
        Self { groups: rule.groups, resources: rule.resources, verbs: rule.verbs }
    }
}

/// The workload that lacks pods, or the first; none where none is seen.
#[derive(Serialize, JsonSchema)]
struct Pods {
    target: Option<String>,
}

impl Fix {
    pub(super) fn of(subject: &Subject<'_>, cause: Cause, place: &Place) -> Self {
        Self {
            addon: subject.name.to_owned(),
            cluster: place.cluster.clone(),
            is_addon: subject.addon.is_some(),
            namespace: addon::namespace(subject.name),
            deleted: cause == Cause::Delete,
            targets: subject.parts.iter().map(Part::target).collect(),
            way: subject.way(cause, place),
        }
    }
}

impl Subject<'_> {
    fn way(&self, cause: Cause, place: &Place) -> Way {
        match cause {
            Cause::Conflict => self.conflict(),
            Cause::Fargate => self.off_fargate(),
            Cause::NoNodes => Way::NoNodes,
            Cause::Access => Way::Access(self.update()),
            Cause::Permission => self.permission(place),
            Cause::Replicas => Way::Replicas {
                pods: self.parts.iter().flat_map(|p| &p.unready).map(|p| p.metadata.name.clone()).collect(),
                target: self.pods().target,
            },
            Cause::Refused => {
                Way::Refused { slow: self.not_made().is_some_and(|(_, said)| not_created::is_slow(said)) }
            }
            Cause::Version => Way::Version { kubernetes: self.kubernetes(), kept: kept(self.addon) },
            Cause::Objects => self.objects(),
            Cause::Admission => Way::Admission(self.update()),
            Cause::Webhook => Way::Webhook { webhook: self.webhook(), update: self.update() },
            Cause::CertManager => Way::CertManager(self.update()),
            Cause::Rights => Way::Rights {
                kubernetes: self.kubernetes(),
                role: format!("eks-addon-manager-{}", self.name),
                rules: self
                    .addon
                    .iter()
                    .flat_map(|a| &a.health.issues)
                    .flat_map(|i| addon::rights(&i.message))
                    .map(Right::from)
                    .collect(),
                update: self.update(),
            },
            Cause::ResourceMissing => Way::ResourceMissing(self.update()),
            Cause::Retry => Way::Retry(self.update()),
            Cause::Stuck => Way::Stuck(self.pods()),
            Cause::Delete => Way::Delete(self.update()),
            Cause::Other => Way::Other(self.pods()),
            Cause::Artefact => Way::Artefact { rolling: self.is_rolling(), pods: self.pods() },
        }
    }

    fn update(&self) -> Update {
        Update { version: self.addon.map(|a| a.addon_version.clone()).unwrap_or_default(), kept: kept(self.addon) }
    }

    fn objects(&self) -> Way {
        let object = self.addon.iter().flat_map(|a| &a.health.issues).find_map(|i| addon::invalid(&i.message));
        let namespace = addon::namespace(self.name);
        let is_it = |w: &&Workload| {
            let name = format!("{}.apps/{}", w.kind.to_ascii_lowercase(), w.metadata.name);
            w.metadata.namespace == namespace && object.as_ref() == Some(&name)
        };
        let there = self.snap.workloads.items().unwrap_or_default().iter().find(is_it);
        Way::Objects {
            kubernetes: self.kubernetes(),
            is_idle: there.is_some_and(|w| {
                w.kind == "DaemonSet" && w.desired() == 0 && self.snap.pods_of_workload(w).next().is_none()
            }),
            object,
            update: self.update(),
        }
    }

    /// The webhook that could not be called.
    fn webhook(&self) -> String {
        let mut said = self.addon.iter().flat_map(|a| &a.health.issues);
        said.find_map(|i| webhook_call::read(&i.message)).map(|c| c.webhook).unwrap_or_default()
    }

    fn pods(&self) -> Pods {
        let part = self.parts.iter().find(|p| p.missing() > 0).or(self.parts.first());
        Pods { target: part.map(Part::target) }
    }

    fn kubernetes(&self) -> String {
        self.snap.eks_cluster().map_or_else(|_| "<version>".to_owned(), |c| c.version.clone())
    }

    fn conflict(&self) -> Way {
        let issues = self.addon.iter().flat_map(|a| &a.health.issues);
        let conflicts: Vec<Conflict> = issues.flat_map(addon::conflicts).collect();
        let mut objects: Vec<String> = conflicts.iter().map(|c| format!("{}/{}", c.kind, c.name)).collect();
        objects.dedup();
        let fields: Vec<String> = conflicts.iter().map(|c| format!("{} {} {}", c.kind, c.name, c.field)).collect();
        Way::Conflict {
            objects,
            fields: fields.join(", "),
            saved: format!("{}-before.yaml", self.name),
            configuration: self.configuration(&conflicts),
            kept_role: kept_role(self.addon),
            in_creation: self.addon.is_some_and(|a| a.status == "CREATE_FAILED"),
            update: self.update(),
        }
    }

    fn off_fargate(&self) -> Way {
        let sets = self.parts.iter().filter(|p| p.on_fargate > 0);
        // Its configuration has tolerations for all of its DaemonSets.
        let configurable = self.addon.filter(|a| a.addon_name == "amazon-cloudwatch-observability");
        Way::Fargate {
            daemon_sets: sets.map(Part::target).collect(),
            kubernetes: self.kubernetes(),
            tolerations: configurable.and_then(|a| tolerations(self.snap, a)),
            kept_role: kept_role(self.addon),
            update: self.update(),
        }
    }

    fn permission(&self, place: &Place) -> Way {
        let (namespace, account) = (addon::namespace(self.name), addon::account(self.name));
        // An association, or an annotation, may have been made beside the add-on.
        let of_account = |a: &&PodIdentityAssociation| account.is_some_and(|name| a.is_of(namespace, name));
        let own = self.snap.pod_identity_associations.iter().flatten().find(of_account);
        let named = self.addon.and_then(|a| a.pod_identity_associations.first());
        let associated = named.or(own.map(|a| &a.association_arn));
        let association = associated
            .and_then(|arn| self.snap.pod_identity_associations.iter().flatten().find(|a| a.association_arn == *arn));
        let annotated = account.and_then(|name| self.snap.service_accounts.find(namespace, name).ok().flatten());
        let role = self.addon.and_then(|a| a.service_account_role_arn.as_deref());
        let role = role.or(association.and_then(|a| a.role_arn.as_deref())).and_then(|arn| arn.rsplit('/').next());
        let role = role.or(annotated.and_then(ServiceAccount::role_name));
        let policy_arn = addon::policy(self.name).map(|name| place.policy_arn(name));
        let has_role = role.is_some() || associated.is_some();
        Way::Permission {
            role: role.map(str::to_owned),
            made: (policy_arn.is_some() && !has_role).then(|| self.own_role(place)).flatten(),
            policy_arn,
            association: associated
                .filter(|_| role.is_none())
                .and_then(|arn| arn.rsplit('/').next())
                .map(str::to_owned),
            update: self.update(),
        }
    }

    /// A role for its ServiceAccount, by the way that this cluster has.
    fn own_role(&self, place: &Place) -> Option<OwnRole> {
        let cluster = self.snap.eks_cluster().ok()?;
        let account = addon::account(self.name)?;
        // With IPv6 the VPC CNI needs a policy that one writes oneself.
        if self.name == "vpc-cni" && cluster.kubernetes_network_config.ip_family == "ipv6" {
            return None;
        }
        let namespace = addon::namespace(self.name);
        let name: String = format!("{}-{}", place.cluster, self.name).chars().take(LONGEST_ROLE).collect();
        let arn = place.role_arn(&name);
        let has_agent = own::named(self.snap, addon::POD_IDENTITY_AGENT).is_some();
        let issuer = cluster.issuer_host_path();
        // What could not be read may be there.
        let read = self.snap.pod_identity_associations.is_ok() && self.snap.service_accounts.covers(namespace);
        if !read {
            return None;
        }
        let (statement, given) = if has_agent {
            let session = trust::Session {
                cluster_arn: &cluster.arn,
                cluster: &cluster.name,
                account: &place.account,
                namespace,
                service_account: account,
            };
            let given = format!("serviceAccount={account},roleArn={arn}");
            (trust::session_statement(&session), vec!["--pod-identity-associations".to_owned(), given])
        } else {
            let providers = self.snap.iam_oidc_providers.as_deref().ok()?;
            if issuer.is_empty() || oidc_provider::fault(issuer, providers).is_some() {
                return None;
            }
            let statement = trust::irsa_statement(&place.provider_arn(issuer), issuer, namespace, account);
            (statement, vec!["--service-account-role-arn".to_owned(), arn])
        };
        Some(OwnRole { name, trust: trust::document(statement), given })
    }

    /// The add-on's configuration with the values that its DaemonSet has now, where all that is in conflict can be put there.
    fn configuration(&self, conflicts: &[Conflict]) -> Option<String> {
        if self.name != "vpc-cni" || conflicts.is_empty() {
            return None;
        }
        let mut env = serde_json::Map::new();
        for name in conflicts.iter().map(conflicting_env) {
            env.insert(name?.to_owned(), self.env_value(name?)?.into());
        }
        addon::with_values(self.addon, &serde_json::json!({"env": env}))
    }

    /// What a variable of the workload is set to, where it may be read.
    fn env_value(&self, name: &str) -> Option<&str> {
        let containers = self.parts.iter().flat_map(|p| &p.workload.spec.template.spec.containers);
        let mut env = containers.flat_map(|c| &c.env).filter(|e| e.name == name);
        env.find_map(|e| e.value.as_deref())
    }
}

/// The variable that a conflict is about: `….env[name="ENABLE_PREFIX_DELEGATION"].value`.
fn conflicting_env(conflict: &Conflict) -> Option<&str> {
    let rest = conflict.field.split_once(".env[name=\"")?.1;
    rest.split_once('"').map(|(name, _)| name)
}

/// Configuration values that have the add-on's DaemonSets tolerate the taints of the nodes that are there, and no more: the
/// ones that it has already are kept.
fn tolerations(snap: &Snapshot, addon: &Addon) -> Option<String> {
    let text = addon.configuration_values.as_deref().unwrap_or("{}");
    let mut values: serde_json::Value = serde_json::from_str(if text.trim().is_empty() { "{}" } else { text }).ok()?;
    let nodes = snap.nodes.items().unwrap_or_default().iter().filter(|n| !n.is_fargate());
    let keys: BTreeSet<&str> = nodes.flat_map(|n| &n.spec.taints).map(|t| t.key.as_str()).collect();
    let own = keys.into_iter().filter(|k| scheduling::signal(k).is_none());
    let list: Vec<serde_json::Value> = own.map(|key| serde_json::json!({"key": key, "operator": "Exists"})).collect();
    values.as_object_mut()?.insert("tolerations".into(), list.into());
    Some(values.to_string())
}
