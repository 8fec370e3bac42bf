//! What is said of each part.

use super::facts::{
    asked, callback, client, has_no_groups, is_unauthorized, lacks_row, named_or, other_server, proxy_words, root_of,
    wanted,
};
use crate::domain::grafana::part_log::{Part, Said};
use crate::domain::grafana::provisioned::Instance;
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::snapshot::Snapshot;

/// Characters of an error that are shown in a message.
const WIDTH: usize = 200;

/// The fault as a sentence; the host is the one that Grafana names.
pub(super) fn message(snap: &Snapshot, instance: Instance<'_>, said: &Said<'_>, host: &str) -> String {
    let error = shorten(&redact(&said.error), WIDTH);
    let who = format!("Grafana ({})", instance.kubectl_name());
    match said.part {
        Part::Secrets if lacks_row(said) => format!(
            "{who} cannot decrypt what it keeps in its database (passwords of datasources and contact points): the data key with which it was encrypted is not in that database ({error})"
        ),
        Part::Secrets => format!(
            "{who} cannot decrypt what it keeps in its database (passwords of datasources and contact points): it was encrypted with another secret_key ({error})"
        ),
        Part::LoginClient => format!(
            "nobody can log in to {who} by {}: the identity provider does not accept Grafana itself ({error})",
            client(said)
        ),
        Part::LoginReach if error.contains("cannot fetch token: 50") => format!(
            "nobody can log in to {who} by {}: the identity provider {host} fails itself ({error})",
            client(said)
        ),
        Part::LoginReach => format!(
            "nobody can log in to {who} by {}: it does not reach the identity provider {host} ({error})",
            client(said)
        ),
        Part::LoginState => format!(
            "logins to {who} break off at their end: the cookie of their beginning is not there any more ({error})"
        ),
        Part::LoginUser => format!(
            "logins to {who} by {} fail: the identity provider does not say who the user is ({error})",
            client(said)
        ),
        Part::LoginMember => format!(
            "{who} refuses people who log in by {}: the provider says who they are, and they are in none of the organisations, groups or domains that its configuration wants ({error})",
            client(said)
        ),
        Part::SignUp => format!(
            "{who} refuses new people who log in by {}: it has no user for them, and may not make one ({error})",
            client(said)
        ),
        Part::ProxyAddress => format!(
            "logins to {who} by the proxy before it fail: it asks from {}, which is not in the whitelist of auth.proxy",
            if said.what.is_empty() { "an address" } else { &said.what }
        ),
        Part::UserSync => format!(
            "somebody who logs in to {who} by {} is refused: Grafana cannot join what the provider says with the users that it has ({error})",
            client(said)
        ),
        Part::Origin => format!(
            "{who} refuses live updates (403): it is opened at {}, and its root_url is {}",
            redact(&said.what),
            root_of(said)
        ),
        Part::Forwarded => format!(
            "{who} refuses what browsers send (403, origin not allowed), so that panels stay empty and nothing is saved: it is opened at {}, and is asked by another name (Host): {}",
            redact(&said.what),
            proxy_words(snap, instance, &said.what)
        ),
        Part::Ldap => format!("{who} cannot ask the directory (LDAP) who logs in ({error})"),
        Part::LdapGroups => format!(
            "{who} refuses people whom the directory (LDAP) knows: it {}",
            if has_no_groups(said) {
                "gives Grafana none of their groups"
            } else {
                "names groups of theirs, none of which is in Grafana's group_mappings"
            }
        ),
        Part::AlertingPeers => format!(
            "replicas of {who} do not find each other for alerting ({}), so that each of them sends every alert ({error})",
            if said.what.is_empty() { "ha_peers" } else { &said.what }
        ),
        Part::Sessions => format!(
            "users of {who} are logged out again and again: each of its {} replicas knows only its own sessions, in a SQLite database of its own",
            instance.pods(snap).len()
        ),
        Part::Database => format!("the database of {who} takes no more connections ({error})"),
        Part::GatewayTimeout => format!(
            "queries of datasource {} in {who} are cut off (504): {} gives up before the answer is there",
            said.what,
            // Behind a Service may be a gateway, or the store itself.
            asked(snap, instance, &said.what).map_or_else(
                || "what stands between the two".to_owned(),
                |s| format!("what answers behind Service {}/{}", s.metadata.namespace, s.metadata.name)
            )
        ),
        Part::OwnTimeout => format!(
            "{who} gives up queries of datasource {} before they are answered: they take longer than it waits ({error})",
            said.what
        ),
        Part::QueryTimeout => format!(
            "queries of datasource {} in {who} are ended by Prometheus itself: they take longer than its query.timeout ({error})",
            said.what
        ),
        Part::Angular if said.what.contains(", ") => format!(
            "{who} does not load plugins {}: they are made with Angular, which Grafana 11 turned off and 12 removed; their panels are empty",
            said.what
        ),
        Part::Angular => format!(
            "{who} does not load plugin {}: it is made with Angular, which Grafana 11 turned off and 12 removed; its panels are empty",
            said.what
        ),
        Part::PluginInstall if other_server(&said.error).is_some() => {
            let (names, host) = other_server(&said.error).unwrap_or_default();
            format!(
                "{who} cannot fetch plugins that it is to install ({}): another server answers as {host}, with a certificate for {names}",
                named_or(&said.what, "plugins")
            )
        }
        Part::PluginInstall => {
            format!("{who} cannot fetch plugins that it is to install ({}): {error}", named_or(&said.what, "plugins"))
        }
        Part::PluginMissing => match wanted(snap, instance).as_slice() {
            [] => format!("queries in {who} fail: the plugin of their datasource is not installed ({error})"),
            wanted => format!(
                "queries in {who} fail: the plugin of their datasource is not installed; of those that it does not bring along its datasources want {} ({error})",
                wanted.join(", ")
            ),
        },
        Part::Rendering if is_unauthorized(said) => {
            format!("{who} makes no images: its renderer {host} does not accept its token ({error})")
        }
        Part::Rendering => match callback(snap, instance, said).as_str() {
            "" => format!("{who} makes no images: its renderer {host} fails ({error})"),
            callback => format!("{who} makes no images: {callback}"),
        },
        Part::Signature => format!("{who} does not load plugin {}: it is not signed ({error})", said.what),
    }
}
