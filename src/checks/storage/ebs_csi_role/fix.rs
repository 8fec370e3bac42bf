//! What gives the controller its credentials, and what its commands hold.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Controller, role_name};
use crate::checks::support::addon;
use crate::domain::aws::ebs;
use crate::domain::aws::trust::{self, Mismatch};
use crate::domain::kubernetes::claims;
use crate::snapshot::aws::Role;
use crate::snapshot::kubernetes::Event;
use crate::snapshot::{Snapshot, journal};

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    /// The controller's namespace, and the name of its role.
    namespace: String,
    role: String,
    /// Where a claim waits for the driver; without one nothing has to become Bound.
    pvc_namespace: Option<String>,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Way {
    RoleAbsent {
        trust_policy: String,
        policy_arn: String,
    },
    Trust(Trust),
    TrustPodIdentity(Trust),
    Policy {
        policy_arn: String,
    },
    PolicyDeny {
        policy: String,
    },
    Boundary {
        policy: String,
    },
    Annotation {
        good_role: String,
        #[serde(flatten)]
        account: Account,
    },
    Restart,
    Agent {
        cluster: String,
    },
    KmsKeyPolicy {
        role_arn: String,
        kms_key: String,
        #[serde(flatten)]
        claim: RolledBack,
    },
    Kms {
        kms_policy: String,
        /// One for each key: a policy of the same name would be replaced.
        kms_policy_name: String,
        kms_key: String,
        #[serde(flatten)]
        claim: RolledBack,
    },
    NoRole {
        role_arn: String,
        policy_arn: String,
        #[serde(flatten)]
        account: Account,
    },
}

/// The values of the shared steps `trust-statement`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Trust {
    /// The statement that denies, where one does.
    denied: Option<String>,
    /// The policy with the statement that admits.
    added_trust: String,
}

/// The values of the shared steps `claim-rolled-back`: a claim whose volume was made and taken back.
#[derive(Default, Serialize, JsonSchema)]
pub(super) struct RolledBack {
    rolled_back: Option<String>,
    claim_namespace: String,
    /// Its StatefulSet makes it with its pod.
    made_again: bool,
    waiting_pod: Option<String>,
}

impl RolledBack {
    /// Of the claim that an event is about, where the driver asks for the volume of before.
    pub(super) fn of(snap: &Snapshot, event: Option<&Event>) -> Self {
        let Some(event) = event.filter(|e| e.message.contains("IdempotentParameterMismatch")) else {
            return Self::default();
        };
        let (namespace, name) = (&event.involved_object.namespace, &event.involved_object.name);
        let claim = journal::aside(|| snap.persistent_volume_claims.find(namespace, name).ok().flatten());
        // What is bound since has its volume.
        if claim.is_some_and(|c| c.status.phase != "Pending") {
            return Self::default();
        }
        let pods = journal::aside(|| snap.pods().unwrap_or_default());
        let mut users = pods.iter().filter(|p| p.metadata.namespace == *namespace && p.claims().any(|c| c == name));
        Self {
            rolled_back: Some(name.clone()),
            claim_namespace: namespace.clone(),
            made_again: claim.is_some_and(|c| journal::aside(|| claims::is_made_again(snap, c))),
            waiting_pod: users.next().map(|p| p.metadata.name.clone()),
        }
    }
}

/// The controller's ServiceAccount, and the add-on that keeps it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Account {
    account: String,
    cluster: String,
    is_addon: bool,
    kept_values: Vec<String>,
}

impl Fix {
    pub(super) fn of(controller: &Controller<'_>, role_arn: &str, way: Way) -> Self {
        // Where the annotation is wrong, another role than the one that it names is to be right.
        let role = match &way {
            Way::Annotation { good_role, .. } => good_role,
            _ => role_arn,
        };
        Self {
            namespace: controller.namespace.clone(),
            role: role_name(role).to_owned(),
            pvc_namespace: waiting(controller.snap),
            way,
        }
    }
}

impl Controller<'_> {
    pub(super) fn role_absent(&self) -> Way {
        Way::RoleAbsent { trust_policy: self.trust_policy(), policy_arn: self.place.policy_arn(ebs::POLICY) }
    }

    pub(super) fn trust(&self, role: &Role, mismatch: &Mismatch, pod_identity: bool) -> Way {
        let own = if pod_identity { self.session_statement() } else { self.trust_statement() };
        let trust = Trust {
            denied: (mismatch.part == "Deny").then(|| mismatch.found.clone()),
            added_trust: trust::with_statement(&role.trust_policy, own).to_string(),
        };
        if pod_identity { Way::TrustPodIdentity(trust) } else { Way::Trust(trust) }
    }

    pub(super) fn policy(&self) -> Way {
        Way::Policy { policy_arn: self.place.policy_arn(ebs::POLICY) }
    }

    pub(super) fn annotation(&self, good_role: String) -> Way {
        Way::Annotation { good_role, account: self.account() }
    }

    pub(super) fn agent(&self) -> Way {
        Way::Agent { cluster: self.cluster.name.clone() }
    }

    pub(super) fn kms_key_policy(&self, role_arn: &str, key: Option<String>, event: Option<&Event>) -> Way {
        Way::KmsKeyPolicy {
            role_arn: role_arn.to_owned(),
            kms_key: named(key),
            claim: RolledBack::of(self.snap, event),
        }
    }

    pub(super) fn kms(&self, key: Option<String>, event: Option<&Event>) -> Way {
        let kms_policy = self.kms_policy(key.as_deref());
        let claim = RolledBack::of(self.snap, event);
        let kms_policy_name = policy_name(key.as_deref());
        Way::Kms { kms_policy, kms_policy_name, kms_key: named(key), claim }
    }

    pub(super) fn no_role(&self, role_arn: &str) -> Way {
        Way::NoRole {
            role_arn: role_arn.to_owned(),
            policy_arn: self.place.policy_arn(ebs::POLICY),
            account: self.account(),
        }
    }

    fn account(&self) -> Account {
        let addon = ebs::addon(self.snap);
        Account {
            account: self.account.clone(),
            cluster: self.cluster.name.clone(),
            is_addon: addon.is_some(),
            kept_values: addon::kept_values(addon),
        }
    }
}

/// The namespace of a claim that the driver was asked for.
fn waiting(snap: &Snapshot) -> Option<String> {
    // What can be verified hangs on it, no verdict.
    let all = journal::aside(|| ebs::pending_claims(snap).unwrap_or_default());
    let asked = all.into_iter().find(|c| journal::aside(|| claims::is_asked_for(snap, c)));
    asked.map(|c| c.metadata.namespace.clone())
}

fn named(key: Option<String>) -> String {
    key.unwrap_or_else(|| "<kms-key-arn>".to_owned())
}

/// `ebs-csi-kms-1234abcd-12ab-34cd-56ef-1234567890ab`.
fn policy_name(key: Option<&str>) -> String {
    let of = |key: &str| {
        key.rsplit('/').next().unwrap_or_default().chars().filter(char::is_ascii_graphic).take(80).collect()
    };
    let own: Option<String> = key.map(of);
    own.map_or_else(|| "ebs-csi-kms".to_owned(), |own| format!("ebs-csi-kms-{own}"))
}
