//! The CSI drivers of AWS: what their controllers are called, what they call, and what they may do.

use crate::domain::aws::{ebs, efs};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Pod, ServiceAccount, Workload};

/// A driver's controller.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Controller {
    /// Part of the name of its image.
    image: &'static str,
    /// Its usual name.
    pub(crate) name: &'static str,
    /// Its usual ServiceAccount.
    account: &'static str,
    /// The container that speaks to AWS.
    pub(crate) container: &'static str,
    /// Services whose API it calls, as the endpoints of a VPC name them.
    pub(crate) apis: &'static str,
    /// The managed policy that is made for its role.
    pub(crate) policy: &'static str,
}

const CONTROLLERS: &[(&str, Controller)] = &[
    (
        ebs::DRIVER,
        Controller {
            image: "ebs-csi-driver",
            name: "ebs-csi-controller",
            account: "ebs-csi-controller-sa",
            container: "ebs-plugin",
            apis: "ec2 and sts",
            policy: ebs::POLICY,
        },
    ),
    (
        efs::DRIVER,
        Controller {
            image: "efs-csi-driver",
            name: "efs-csi-controller",
            account: "efs-csi-controller-sa",
            container: "efs-plugin",
            apis: "elasticfilesystem and sts",
            policy: "service-role/AmazonEFSCSIDriverPolicy",
        },
    ),
    (
        "fsx.csi.aws.com",
        Controller {
            image: "fsx-csi-driver",
            name: "fsx-csi-controller",
            account: "fsx-csi-controller-sa",
            container: "fsx-plugin",
            apis: "fsx and sts",
            policy: "AmazonFSxFullAccess",
        },
    ),
];

/// The controller of a provisioner; `None` for those of others, and for EKS Auto Mode, which runs its own outside.
pub(crate) fn controller(provisioner: &str) -> Option<&'static Controller> {
    let driver = if ebs::serves(provisioner) { ebs::DRIVER } else { provisioner };
    CONTROLLERS.iter().find(|(name, _)| *name == driver).map(|(_, controller)| controller)
}

impl Controller {
    /// Its Deployment, by its name or by what it runs.
    fn deployment<'a>(&self, snap: &'a Snapshot) -> Option<&'a Workload> {
        let all = || snap.workloads.items().unwrap_or_default().iter().filter(|w| w.kind == "Deployment");
        let runs = |w: &&Workload| w.spec.template.spec.containers.iter().any(|c| c.image.contains(self.image));
        all().find(|w| w.metadata.name == self.name).or_else(|| all().find(runs))
    }

    /// Its pods.
    pub(crate) fn pods<'a>(&self, snap: &'a Snapshot) -> Vec<&'a Pod> {
        self.deployment(snap).map(|w| snap.pods_of_workload(w).collect()).unwrap_or_default()
    }

    /// Its ServiceAccount: namespace and name.
    pub(crate) fn account(&self, snap: &Snapshot) -> (String, String) {
        match self.deployment(snap) {
            Some(w) => (w.metadata.namespace.clone(), w.spec.template.spec.account().to_owned()),
            None => ("kube-system".to_owned(), self.account.to_owned()),
        }
    }

    /// The role that its ServiceAccount names, or is associated with.
    pub(crate) fn role(&self, snap: &Snapshot) -> Option<String> {
        let (namespace, name) = self.account(snap);
        let account = snap.service_accounts.find(&namespace, &name).ok().flatten();
        let named = account.and_then(ServiceAccount::role_name).map(str::to_owned);
        named.or_else(|| {
            let all = snap.pod_identity_associations.as_deref().unwrap_or_default();
            let own = all.iter().find(|a| a.is_of(&namespace, &name))?;
            own.role_arn.as_deref().and_then(|arn| arn.rsplit('/').next()).map(str::to_owned)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_provisioner_has_its_own_controller() {
        let name = |provisioner: &str| controller(provisioner).map(|c| c.name);
        assert_eq!(name("kubernetes.io/aws-ebs"), Some("ebs-csi-controller"));
        assert_eq!(name("efs.csi.aws.com"), Some("efs-csi-controller"));
        assert_eq!(name("ebs.csi.eks.amazonaws.com"), None, "Auto Mode");
        assert_eq!(name("driver.longhorn.io"), None);
    }

    #[test]
    fn the_role_is_that_of_its_account() {
        let snap = crate::domain::testing::snapshot(serde_json::json!({}));
        let efs = controller("efs.csi.aws.com").expect("a controller");
        assert_eq!(efs.account(&snap), ("kube-system".to_owned(), "efs-csi-controller-sa".to_owned()));
        assert_eq!(efs.role(&snap), None);
    }
}
