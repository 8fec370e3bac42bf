//! Whether IAM knows a cluster's OIDC issuer, as STS wants it.

use crate::snapshot::aws::OidcProvider;

/// The audience of tokens for AWS STS.
pub(crate) const AUDIENCE: &str = "sts.amazonaws.com";

/// What is wrong with the registration.
pub(crate) enum Cause {
    /// There is none.
    Absent,
    /// Registered under another URL of the same id: STS compares the whole URL.
    OtherUrl,
    /// Registered without the audience of STS; its ARN.
    NoAudience(String),
}

/// What is wrong with the registration of an issuer (host and path).
pub(crate) fn fault(issuer: &str, providers: &[OidcProvider]) -> Option<Cause> {
    let same = |p: &&OidcProvider| {
        p.url.trim_start_matches("https://") == issuer || p.arn.ends_with(&format!("oidc-provider/{issuer}"))
    };
    if let Some(provider) = providers.iter().find(same) {
        let lacks = provider.client_id_list.as_ref().is_some_and(|ids| !ids.iter().any(|i| i == AUDIENCE));
        return lacks.then(|| Cause::NoAudience(provider.arn.clone()));
    }
    let id = issuer.rsplit('/').next().filter(|id| id.len() >= 16)?;
    let other = providers.iter().find(|p| p.url.ends_with(id) || p.arn.ends_with(id));
    Some(other.map_or(Cause::Absent, |_| Cause::OtherUrl))
}
