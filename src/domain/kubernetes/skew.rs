//! Versions of Kubernetes' own parts, and how far they may be apart.

use crate::snapshot::Snapshot;

/// Minor versions that kube-proxy may be older than the API server.
pub(crate) const KUBE_PROXY: u16 = 3;

/// `36` of `v1.36.2-eks-3025e55`.
pub(crate) fn minor(version: &str) -> Option<u16> {
    let rest = version.trim_start_matches('v').strip_prefix("1.")?;
    rest.split(['.', '+', '-']).next()?.parse().ok()
}

/// The same of the API server.
pub(crate) fn of_server(snap: &Snapshot) -> Option<u16> {
    minor(snap.kubernetes_version().ok()?)
}

/// The same of an image's tag.
pub(crate) fn minor_of_image(image: &str) -> Option<u16> {
    let name = image.split('@').next()?;
    minor(name.rsplit_once(':')?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions_of_eks() {
        assert_eq!(minor("v1.36.2-eks-3025e55"), Some(36));
        assert_eq!(minor("1.29+"), Some(29));
        let image = "602401143452.dkr.ecr.ap-northeast-2.amazonaws.com/eks/kube-proxy:v1.21.14-eksbuild.2";
        assert_eq!(minor_of_image(image), Some(21));
        assert_eq!(minor("v2.4"), None);
    }
}
