//! Which fix a Pending claim gets, and what its commands hold.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::cause::{Cause, Refusal, consumers, may_want_encryption};
use super::misfit;
use crate::checks::support::claims::{LostVolume, Waiting};
use crate::checks::support::place::Place;
use crate::domain::aws::csi_driver::Controller;
use crate::domain::aws::denied::Denied;
use crate::domain::aws::ebs;
use crate::domain::aws::efs::Unmade;
use crate::domain::kubernetes::claims;
use crate::domain::kubernetes::index::owner_of;
use crate::domain::kubernetes::json_patch;
use crate::domain::kubernetes::snapshots::lacks_controller as lacks_snapshot_controller;
use crate::domain::text::api_host::ApiHost;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{PersistentVolume, PersistentVolumeClaim, StorageClass, Workload};

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    #[serde(flatten)]
    claims: Waiting,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    ClassMissing,
    NoDefaultClass {
        candidate: String,
    },
    NoVolume {
        /// A volume of the kind that is meant, which does not fit, and what one like it has to be.
        like: Option<String>,
        new_volume: String,
        size: String,
        class: String,
        modes: String,
        candidate: String,
    },
    Released {
        freed: Vec<Freed>,
    },
    WaitsForPod,
    NoConsumer,
    Stranger {
        host: String,
        /// Of the shared steps.
        stranger: bool,
        unresolved: bool,
    },
    Iam {
        pvc: String,
        /// The driver's ServiceAccount, and its role where it names one. The check of EBS' role says more of that.
        account: String,
        account_namespace: String,
        role: String,
        policy_arn: String,
        is_ebs: bool,
    },
    Denied {
        pvc: String,
        /// What EC2 tells of it, for those who may decode it; empty where it tells nothing.
        encoded: String,
        /// The class asks for volumes without encryption, and that may be what is denied.
        plain: bool,
        class: String,
    },
    Throttled {
        pvc: String,
    },
    Key {
        class: String,
        kms_key: String,
    },
    Source {
        pvc: String,
        /// The snapshot that it names, where there is none in its namespace.
        missing: Option<String>,
        provisioner: String,
        /// Nothing makes snapshots ready: the add-on that does is to be installed.
        without_controller: bool,
        cluster: String,
    },
    Zone {
        class: String,
        pvc: String,
    },
    Quota {
        is_ebs: bool,
        pvc: String,
    },
    AccessMode {
        pvc: String,
        /// StatefulSets that somebody applies: their templates cannot be changed.
        orphans: Vec<String>,
    },
    Parameter {
        class: String,
        pvc: String,
    },
    Topology {
        class: String,
    },
    AccessPoints {
        class: String,
        file_system: String,
    },
    FileSystem {
        class: String,
        pvc: String,
        missing: bool,
    },
    ProvisionerSilent {
        #[serde(flatten)]
        driver: Driver,
        apis: &'static str,
    },
    Provisioning {
        #[serde(flatten)]
        driver: Driver,
        pvc: String,
        /// Whose own log says more, where it is none of EBS or EFS.
        provisioner: String,
        /// It makes folders on nodes by helper pods.
        local_path: bool,
    },
    NotProvisioned {
        class: String,
    },
    Lost {
        #[serde(flatten)]
        lost: LostVolume,
        /// What made it, and what it was.
        class: String,
        size: String,
        /// Only a volume that is reserved for it is bound to a claim that was bound before.
        claim_uid: String,
        on_aws: bool,
        pod: Option<String>,
    },
}

/// A volume that is given free for the claim that has its former one's name.
#[derive(Serialize, JsonSchema)]
struct Freed {
    volume: String,
    patch: String,
}

impl Freed {
    fn of(volume: &PersistentVolume) -> Option<Self> {
        let uid = volume.spec.claim_ref.as_ref()?.uid.as_deref()?;
        let patch = json_patch::text(json_patch::take("/spec/claimRef/uid", uid));
        Some(Self { volume: volume.metadata.name.clone(), patch })
    }
}

/// The controller of the class's driver; empty where it is not known.
#[derive(Serialize, JsonSchema)]
struct Driver {
    controller: String,
    label: String,
}

impl Driver {
    fn of(controller: Option<&Controller>) -> Self {
        let name = controller.map_or("", |c| c.name);
        let with = |before: &str| if name.is_empty() { String::new() } else { format!("{before}{name}") };
        Self { controller: with("deployment/"), label: with("app=") }
    }
}

/// What the fix is made for.
pub(super) struct Case<'a> {
    pub(super) snap: &'a Snapshot,
    pub(super) claims: &'a [&'a PersistentVolumeClaim],
    /// The class that the claims are served by, where it is known.
    pub(super) class: Option<&'a str>,
    /// What a policy refuses the driver.
    pub(super) denied: Option<Denied>,
}

impl Fix {
    pub(super) fn of(case: Case<'_>, cause: &Cause) -> Self {
        Self { claims: Waiting::of(case.claims), way: case.way(cause) }
    }
}

impl Case<'_> {
    fn way(self, cause: &Cause) -> Way {
        let first = self.claims[0];
        let class = self.class.or(first.class()).unwrap_or_default().to_owned();
        match cause {
            Cause::ClassMissing(_) => Way::ClassMissing,
            Cause::NoDefaultClass => Way::NoDefaultClass { candidate: candidate(self.snap) },
            Cause::NoStaticVolume(_) | Cause::VolumeNotAvailable(_) => {
                let former: Option<Vec<Freed>> =
                    self.claims.iter().map(|c| Freed::of(misfit::former(self.snap, c)?)).collect();
                match former {
                    Some(freed) => Way::Released { freed },
                    None => self.no_volume(class),
                }
            }
            Cause::AccessMode(_) => self.access_mode(),
            Cause::Topology(_) => Way::Topology { class },
            Cause::WaitsForPod => Way::WaitsForPod,
            Cause::NoConsumer => Way::NoConsumer,
            Cause::ProvisioningFailed(refusal) => self.refused(*refusal, class),
            Cause::NotProvisioned(_) => Way::NotProvisioned { class },
            Cause::Lost(volume) => {
                let meta = &first.metadata;
                let pods = consumers(self.snap, first).unwrap_or_default();
                Way::Lost {
                    lost: LostVolume::gone(self.snap, &meta.namespace, &meta.name, volume),
                    class,
                    size: first.spec.resources.requests.get("storage").cloned().unwrap_or_else(|| "<size>".to_owned()),
                    claim_uid: Some(meta.uid.clone()).filter(|u| !u.is_empty()).unwrap_or_else(|| "<uid>".to_owned()),
                    on_aws: self.snap.target.region.is_some(),
                    pod: pods.first().map(|p| p.metadata.name.clone()),
                }
            }
        }
    }

    fn no_volume(&self, class: String) -> Way {
        let first = self.claims[0];
        let unfit = misfit::unfit(self.snap, first).into_iter().next().map(|(v, _)| v.metadata.name.clone());
        // One volume serves one claim.
        let like = unfit.filter(|_| self.claims.len() == 1);
        Way::NoVolume {
            like,
            new_volume: format!("{}-{}", first.metadata.namespace, first.metadata.name),
            size: first.spec.resources.requests.get("storage").cloned().unwrap_or_else(|| "<size>".to_owned()),
            class,
            modes: json!(first.spec.access_modes).to_string(),
            candidate: candidate(self.snap),
        }
    }

    fn iam(&self, pvc: String, controller: Option<&Controller>, is_ebs: bool) -> Way {
        let (account_namespace, account) = controller.map(|c| c.account(self.snap)).unwrap_or_default();
        let policy = controller.map(|c| Place::of(self.snap).policy_arn(c.policy));
        Way::Iam {
            pvc,
            account,
            account_namespace,
            role: controller.and_then(|c| c.role(self.snap)).unwrap_or_default(),
            policy_arn: policy.unwrap_or_default(),
            is_ebs,
        }
    }

    fn access_mode(&self) -> Way {
        let sets = self.claims.iter().flat_map(|c| claims::users(self.snap, c)).filter(|w| w.kind == "StatefulSet");
        let applied = sets.filter(|w| owner_of(&w.metadata).is_none());
        let orphans: BTreeSet<String> = applied.map(Workload::kubectl_name).collect();
        Way::AccessMode { pvc: self.claims[0].metadata.name.clone(), orphans: orphans.into_iter().collect() }
    }

    fn refused(self, refusal: Refusal, class: String) -> Way {
        let pvc = self.claims[0].metadata.name.clone();
        let object = self.class.and_then(|name| self.snap.storage_classes.named(name).ok().flatten());
        let is_ebs = object.is_some_and(|c| ebs::serves(&c.provisioner));
        let controller = super::controller_of(object);
        let parameter = |name: &str| object.and_then(|c| c.parameters.get(name)).cloned();
        match refusal {
            Refusal::FileSystem(Unmade::AccessPoints) => Way::AccessPoints {
                class,
                file_system: parameter("fileSystemId").unwrap_or_else(|| "<file-system-id>".to_owned()),
            },
            Refusal::FileSystem(unmade) => Way::FileSystem { class, pvc, missing: unmade == Unmade::NoFileSystem },
            Refusal::AccessMode => self.access_mode(),
            Refusal::Denied => {
                let plain = object.is_some_and(|c| may_want_encryption(self.denied.as_ref(), c));
                let encoded = self.denied.and_then(|d| d.encoded).unwrap_or_default();
                Way::Denied { pvc, encoded, plain, class }
            }
            Refusal::Throttled => Way::Throttled { pvc },
            Refusal::Iam => self.iam(pvc, controller, is_ebs || object.is_none()),
            Refusal::Key => Way::Key { class, kms_key: kms_key(object) },
            Refusal::Parameter => Way::Parameter { class, pvc },
            Refusal::Stranger => {
                let said = self.claims.iter().find_map(|c| claims::provisioning_error(self.snap, c));
                let host = said.and_then(|e| ApiHost::lost(&e.message)).map(|(api, _)| api.host);
                Way::Stranger { host: host.unwrap_or_else(|| "<host>".to_owned()), stranger: true, unresolved: false }
            }
            Refusal::Silent => {
                Way::ProvisionerSilent { driver: Driver::of(controller), apis: controller.map_or("", |c| c.apis) }
            }
            Refusal::Other => {
                let other = object.filter(|_| controller.is_none()).map(|c| c.provisioner.clone()).unwrap_or_default();
                let local_path = other.ends_with("/local-path");
                Way::Provisioning { driver: Driver::of(controller), pvc, provisioner: other, local_path }
            }
            Refusal::Quota => Way::Quota { is_ebs, pvc },
            Refusal::Source => {
                let said = self.claims.iter().find_map(|c| claims::provisioning_error(self.snap, c));
                Way::Source {
                    pvc,
                    missing: said.and_then(|e| claims::missing_snapshot(&e.message)).map(str::to_owned),
                    provisioner: object.map_or_else(|| "<driver>".to_owned(), |c| c.provisioner.clone()),
                    without_controller: lacks_snapshot_controller(self.snap),
                    cluster: Place::of(self.snap).cluster,
                }
            }
            Refusal::Topology => Way::Topology { class },
            Refusal::Zone => Way::Zone { class, pvc },
        }
    }
}

fn kms_key(class: Option<&StorageClass>) -> String {
    class.and_then(|c| c.parameters.get("kmsKeyId")).cloned().unwrap_or_else(|| "<kms-key-id>".to_owned())
}

/// The class that would make a good default.
fn candidate(snap: &Snapshot) -> String {
    let classes = snap.storage_classes.items().unwrap_or_default();
    let auto_mode = snap.eks_cluster().is_ok_and(|c| c.auto_mode_storage());
    let own = if auto_mode { ebs::AUTO_MODE } else { ebs::DRIVER };
    let first = classes.first().map(|c| c.metadata.name.as_str());
    claims::candidate(classes, own).or(first).unwrap_or("<storage-class>").to_owned()
}
