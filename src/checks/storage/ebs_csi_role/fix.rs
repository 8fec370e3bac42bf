//! What gives the controller its credentials, and what its commands hold.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Controller, role_name};
use crate::checks::support::addon;
use crate::domain::aws::ebs;
use crate::domain::aws::trust::{self, Mismatch};
use crate::domain::kubernetes::claims;
use crate::snapshot::aws::Role;
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
        region: String,
    },
    KmsKeyPolicy {
        role_arn: String,
        kms_key: String,
        region: String,
    },
    Kms {
        kms_policy: String,
        kms_key: String,
        region: String,
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

/// The controller's ServiceAccount, and the add-on that keeps it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Account {
    account: String,
    cluster: String,
    region: String,
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
        Way::RoleAbsent { trust_policy: self.trust_policy(), policy_arn: self.place.policy_arn() }
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
        Way::Policy { policy_arn: self.place.policy_arn() }
    }

    pub(super) fn annotation(&self, good_role: String) -> Way {
        Way::Annotation { good_role, account: self.account() }
    }

    pub(super) fn agent(&self) -> Way {
        Way::Agent { cluster: self.cluster.name.clone(), region: self.place.region.clone() }
    }

    pub(super) fn kms_key_policy(&self, role_arn: &str, key: Option<String>) -> Way {
        Way::KmsKeyPolicy { role_arn: role_arn.to_owned(), kms_key: named(key), region: self.place.region.clone() }
    }

    pub(super) fn kms(&self, key: Option<String>) -> Way {
        let kms_policy = self.kms_policy(key.as_deref());
        Way::Kms { kms_policy, kms_key: named(key), region: self.place.region.clone() }
    }

    pub(super) fn no_role(&self, role_arn: &str) -> Way {
        Way::NoRole { role_arn: role_arn.to_owned(), policy_arn: self.place.policy_arn(), account: self.account() }
    }

    fn account(&self) -> Account {
        let addon = ebs::addon(self.snap);
        Account {
            account: self.account.clone(),
            cluster: self.cluster.name.clone(),
            region: self.place.region.clone(),
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
