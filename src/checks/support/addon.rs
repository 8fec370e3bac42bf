//! Words of commands that update an EKS add-on.

use crate::snapshot::Snapshot;
use crate::snapshot::aws::Addon;

/// An add-on by its name, where the add-ons could be read.
pub(crate) fn named<'a>(snap: &'a Snapshot, name: &str) -> Option<&'a Addon> {
    snap.eks_addons.iter().flatten().find(|a| a.addon_name == name)
}

/// Options of an update that repeat the role of an add-on: without a role EKS has it use that of the nodes. Associations
/// of Pod Identity that are not named stay.
pub(crate) fn kept_role(addon: Option<&Addon>) -> Vec<String> {
    let role = addon.and_then(|a| a.service_account_role_arn.clone()).filter(|r| !r.is_empty());
    role.map(|role| vec!["--service-account-role-arn".to_owned(), role]).unwrap_or_default()
}

/// Options of an update that repeat the configuration of an add-on: one that overwrites sets what is left out back.
pub(crate) fn kept_values(addon: Option<&Addon>) -> Vec<String> {
    let values = addon.and_then(|a| a.configuration_values.clone()).filter(|v| !v.trim().is_empty());
    values.map(|values| vec!["--configuration-values".to_owned(), values]).unwrap_or_default()
}

/// Options of an update that repeat all that was given to an add-on.
pub(crate) fn kept(addon: Option<&Addon>) -> Vec<String> {
    [kept_role(addon), kept_values(addon)].concat()
}
