//! Whether the cluster lets anybody in, whether there is anything to look at, and whether AWS lets its programs in.

mod account_forbidden;
mod api_access;
mod pod_without_credentials;
mod stack_missing;
mod token_refused;

use crate::checks::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[
    &api_access::ApiAccess,
    &stack_missing::StackMissing,
    &account_forbidden::AccountForbidden,
    &token_refused::TokenRefused,
    &pod_without_credentials::PodWithoutCredentials,
];
