//! The keys of ConfigMaps and Secrets that variables of a container's environment take their values from.

use crate::domain::kubernetes::mounts::Holder;
use crate::snapshot::kubernetes::{Container, EnvVar, KeyRef};

/// The key that a variable takes its value from, and what kind of object holds it.
pub(crate) fn of(variable: &EnvVar) -> Option<(Holder, &KeyRef)> {
    let from = variable.value_from.as_ref()?;
    let map = from.config_map_key_ref.as_ref().map(|key| (Holder::ConfigMap, key));
    map.or_else(|| from.secret_key_ref.as_ref().map(|key| (Holder::Secret, key)))
}

/// The key of a Secret that a variable takes its value from.
pub(crate) fn of_secret(variable: &EnvVar) -> Option<&KeyRef> {
    of(variable).filter(|(holder, _)| *holder == Holder::Secret).map(|(_, key)| key)
}

/// The variables of a container that take their values from keys of one kind of object.
pub(crate) fn all(container: &Container, holder: Holder) -> impl Iterator<Item = (&EnvVar, &KeyRef)> {
    let own = container.env.iter().filter_map(|variable| Some((variable, of(variable)?)));
    own.filter(move |(_, (of, _))| *of == holder).map(|(variable, (_, key))| (variable, key))
}
