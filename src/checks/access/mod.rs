//! Whether the cluster lets anybody in, and whether there is anything to look at.

mod account_forbidden;
mod api_access;
mod stack_missing;

use crate::checks::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] =
    &[&api_access::ApiAccess, &stack_missing::StackMissing, &account_forbidden::AccountForbidden];
