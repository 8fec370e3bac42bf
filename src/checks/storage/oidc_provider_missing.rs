//! The cluster's OIDC issuer has no IAM OIDC provider.

use crate::checks::{Check, check};
use crate::model::{CheckMeta, Diagnosis, Gap};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    OidcProviderMissing {
        id: "oidc-provider-missing", suite: Storage, page: "storage/oidc_provider_missing.md", severity: Error,
        title: "the cluster's OIDC issuer has no IAM OIDC provider",
        requires: [EksCluster, IamOidcProviders, ServiceAccounts],
        uses: [EksAddons, PodIdentityAssociations, PersistentVolumeClaims, StorageClasses, CsiDrivers, Workloads],
    }
}

impl Check for OidcProviderMissing {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, _snap: &Snapshot) -> Result<Diagnosis, Gap> {
        Ok(Diagnosis::NotApplicable("not built yet".into()))
    }
}
