//! What the service discoveries of clouds and schedulers refuse of their own fields, as the `UnmarshalYAML` of each does.
//! Fields that are not named here are not judged: they differ from version to version.

use super::http;
use crate::lint::Place;
use crate::lint::go::url_fault;
use crate::lint::strict::{Object, Strict};

/// Something that must hold of a section.
enum Must {
    /// A field is set.
    Have(&'static str, &'static str),
    /// One of two fields is set, and not both.
    HaveOne([&'static str; 2]),
    /// A list has an item.
    List(&'static str, &'static str),
    /// A word is one of these; the default where there is one.
    Be(&'static str, &'static [&'static str], Option<&'static str>),
    /// A URL with a scheme, and a host.
    Url(&'static str, &'static str),
    /// What it takes more words to say.
    Hold(fn(&Object<'_>) -> Broken),
}

/// What is said of a section that breaks a rule, and where.
type Broken = Option<(Place, String)>;

use Must::{Be, Have, HaveOne, Hold, List, Url};

/// By section.
const RULES: &[(&str, &[Must])] = &[
    ("azure_sd_configs", &[Have("subscription_id", "azure SD configuration requires a subscription_id"), Hold(azure)]),
    ("digitalocean_sd_configs", &[Be("role", &["droplets", "databases"], Some("droplets"))]),
    ("docker_sd_configs", &[Have("host", "host missing")]),
    ("dockerswarm_sd_configs", &[Have("host", "host missing"), Be("role", &["services", "nodes", "tasks"], None)]),
    (
        "eureka_sd_configs",
        &[
            Have("server", "eureka_sd: empty or null eureka server"),
            Url("server", "eureka_sd: invalid eureka server URL"),
        ],
    ),
    (
        "gce_sd_configs",
        &[
            Have("project", "GCE SD configuration requires a project"),
            Have("zone", "GCE SD configuration requires a zone"),
        ],
    ),
    ("hetzner_sd_configs", &[Be("role", &["robot", "hcloud"], None)]),
    ("ionos_sd_configs", &[Have("datacenter_id", "datacenter id can't be empty")]),
    (
        "kuma_sd_configs",
        &[
            Have("server", "kuma SD server must not be empty"),
            Url("server", "kuma SD server must not be empty and have a scheme"),
        ],
    ),
    (
        "marathon_sd_configs",
        &[List("servers", "marathon_sd: must contain at least one Marathon server"), Hold(marathon)],
    ),
    (
        "nerve_sd_configs",
        &[
            List("servers", "nerve SD config must contain at least one Zookeeper server"),
            List("paths", "nerve SD config must contain at least one path"),
        ],
    ),
    (
        "oci_sd_configs",
        &[
            Have("region", "oci_sd: region is required"),
            Be("auth", &["api_key", "instance_principal"], Some("api_key")),
        ],
    ),
    (
        "openstack_sd_configs",
        &[
            Be("availability", &["public", "internal", "admin"], Some("public")),
            Be("role", &["instance", "hypervisor", "loadbalancer"], None),
            Have("region", "openstack SD configuration requires a region"),
        ],
    ),
    (
        "outscale_sd_configs",
        &[
            Have("region", "outscale SD configuration requires a region"),
            Have("access_key", "outscale SD configuration requires access_key"),
            HaveOne(["secret_key", "secret_key_file"]),
        ],
    ),
    (
        "ovhcloud_sd_configs",
        &[
            // The endpoint has a default.
            Have("application_key", "application key can not be empty"),
            Have("application_secret", "application secret can not be empty"),
            Have("consumer_key", "consumer key can not be empty"),
            Be("service", &["dedicated_server", "vps"], None),
        ],
    ),
    (
        "puppetdb_sd_configs",
        &[
            Have("url", "URL is missing"),
            Hold(web),
            Url("url", "host is missing in URL"),
            Have("query", "query missing"),
        ],
    ),
    (
        "scaleway_sd_configs",
        &[
            Be("role", &["instance", "baremetal"], None),
            Have("project_id", "project_id is mandatory"),
            HaveOne(["secret_key", "secret_key_file"]),
            Have("access_key", "access_key is mandatory"),
        ],
    ),
    (
        "serverset_sd_configs",
        &[
            List("servers", "serverset SD config must contain at least one Zookeeper server"),
            List("paths", "serverset SD config must contain at least one path"),
        ],
    ),
    ("stackit_sd_configs", &[Hold(stackit)]),
    (
        "triton_sd_configs",
        &[
            Be("role", &["container", "cn"], Some("container")),
            Have("account", "triton SD configuration requires an account"),
            Have("dns_suffix", "triton SD configuration requires a dns_suffix"),
            Have("endpoint", "triton SD configuration requires an endpoint"),
        ],
    ),
    (
        "uyuni_sd_configs",
        &[
            Have("server", "Uyuni SD configuration requires server host"),
            Have("username", "Uyuni SD configuration requires a username"),
            Have("password", "Uyuni SD configuration requires a password"),
        ],
    ),
];

/// The first thing that is refused, as the program itself says only one.
pub(super) fn check(strict: &mut Strict, sd: &Object<'_>, path: &str) {
    let section = path.rsplit('.').next().unwrap_or_default().split('[').next().unwrap_or_default();
    let rules = RULES.iter().find(|(name, _)| *name == section).map_or(&[][..], |(_, rules)| *rules);
    match rules.iter().find_map(|must| broken(sd, must)) {
        Some((place, message)) => strict.report(place, path, message),
        None => http::client(strict, sd, path),
    }
}

fn broken(sd: &Object<'_>, must: &Must) -> Broken {
    let say = |field: &str, message: String| Some((sd.key_place(field), message));
    match *must {
        Have(field, message) if sd.text(field).is_none() => say(field, message.to_owned()),
        HaveOne([one, other]) => match sd.set(&[one, other]).len() {
            1 => None,
            0 => say(one, format!("one of {one} & {other} must be configured")),
            _ => say(other, format!("at most one of {one} & {other} must be configured")),
        },
        List(field, message) if sd.items(field).is_empty() => say(field, message.to_owned()),
        Be(field, words, default) => match sd.text(field).or(default) {
            None => say(field, format!("{field} missing (one of: {})", words.join(", "))),
            Some(word) if words.contains(&word) => None,
            Some(word) => say(field, format!("unknown {field} {word:?}, expected one of: {}", words.join(", "))),
        },
        Url(field, message) => {
            let (scheme, rest) = sd.text(field)?.split_once("://").unwrap_or_default();
            let is_whole = !scheme.is_empty() && !rest.is_empty() && !rest.starts_with('/');
            if is_whole { None } else { say(field, message.to_owned()) }
        }
        Hold(rule) => rule(sd),
        Have(..) | List(..) => None,
    }
}

fn azure(sd: &Object<'_>) -> Broken {
    let known = ["OAuth", "ManagedIdentity", "SDK", "WorkloadIdentity"];
    let method = sd.text("authentication_method").unwrap_or("OAuth");
    if !known.contains(&method) {
        let message = format!("unknown authentication_type {method:?}, expected one of: {}", known.join(", "));
        return Some((sd.key_place("authentication_method"), message));
    }
    let needed = ["tenant_id", "client_id", "client_secret"];
    let missing = needed.into_iter().find(|name| method == "OAuth" && sd.text(name).is_none())?;
    Some((sd.key_place(missing), format!("azure SD configuration requires a {missing}")))
}

fn marathon(sd: &Object<'_>) -> Broken {
    let token = ["auth_token", "auth_token_file"];
    let others = [&["basic_auth"][..], &["bearer_token", "bearer_token_file"], &["authorization"]];
    let with = |other: &&[&str]| http::too_many(sd, &[&token[..], *other].concat());
    let is_set = !sd.set(&token).is_empty();
    http::too_many(sd, &token).or_else(|| others.iter().filter(|_| is_set).find_map(with))
}

fn web(sd: &Object<'_>) -> Broken {
    let scheme = sd.text("url")?.split_once("://").unwrap_or_default().0;
    let message = "URL scheme must be 'http' or 'https'";
    (!matches!(scheme, "http" | "https")).then(|| (sd.key_place("url"), message.to_owned()))
}

fn stackit(sd: &Object<'_>) -> Broken {
    let endpoint = sd.get("endpoint")?.as_str()?;
    let fault = url_fault(endpoint)?;
    Some((sd.key_place("endpoint"), format!("stackit_sd: invalid endpoint {endpoint:?}: {fault}")))
}
