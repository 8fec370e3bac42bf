//! A CustomResourceDefinition that is to lose a version in which objects were once written.

use crate::text::pattern::pattern;

/// What keeps the old version there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// The definition: `helmreleases.helm.toolkit.fluxcd.io`.
    pub(crate) crd: String,
    /// The version that the new definition no longer has.
    pub(crate) version: String,
}

/// Reads a refusal of the API server, in whoever's words.
pub(crate) fn read(text: &str) -> Option<Stored> {
    let refused = pattern!(
        r#"(?s)CustomResourceDefinition(?:\.apiextensions\.k8s\.io)? \\?"([a-z0-9][a-z0-9.-]*)\\?" is invalid: .*?status\.storedVersions\[\d+\]: Invalid value: \\?"(v\w+)\\?": missing from spec\.versions"#
    );
    let found = refused.captures(text)?;
    Some(Stored { crd: found[1].to_owned(), version: found[2].to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_and_the_version_are_named() {
        let flux = "CustomResourceDefinition/helmreleases.helm.toolkit.fluxcd.io dry-run failed (Invalid): CustomResourceDefinition.apiextensions.k8s.io \"helmreleases.helm.toolkit.fluxcd.io\" is invalid: status.storedVersions[0]: Invalid value: \"v2beta2\": missing from spec.versions; v2beta2 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v2beta2 and removes v2beta2 from status.storedVersions";
        let stored = Stored { crd: "helmreleases.helm.toolkit.fluxcd.io".into(), version: "v2beta2".into() };
        assert_eq!(read(flux), Some(stored));
        let kubectl = "The CustomResourceDefinition \"nodepools.karpenter.sh\" is invalid: status.storedVersions[1]: Invalid value: \"v1beta1\": missing from spec.versions";
        assert_eq!(read(kubectl).map(|s| s.version), Some("v1beta1".to_owned()));
        let other = "CustomResourceDefinition.apiextensions.k8s.io \"prometheuses.monitoring.coreos.com\" is invalid: metadata.annotations: Too long: may not be more than 262144 bytes";
        assert_eq!(read(other), None);
    }
}
