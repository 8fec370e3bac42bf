//! What the service discoveries of clouds and schedulers refuse of their own fields, as the `UnmarshalYAML` of each does.
//! Fields that are not named here are not judged: they differ from version to version.

use super::http;
use crate::lint::go::url_fault;
use crate::lint::strict::{Object, Strict};
use crate::lint::yaml::Node;

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
}

use Must::{Be, Have, HaveOne, List, Url};

/// By section.
const RULES: &[(&str, &[Must])] = &[
    ("azure_sd_configs", &[Have("subscription_id", "azure SD configuration requires a subscription_id")]),
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
    ("marathon_sd_configs", &[List("servers", "marathon_sd: must contain at least one Marathon server")]),
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
        &[Have("url", "URL is missing"), Url("url", "host is missing in URL"), Have("query", "query missing")],
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
    for must in rules {
        if let Some((field, message)) = broken(sd, must) {
            return strict.report(sd.key_place(field), path, message);
        }
    }
    match section {
        "azure_sd_configs" if !azure(strict, sd, path) => return,
        "marathon_sd_configs" if !marathon(strict, sd, path) => return,
        "stackit_sd_configs" if !stackit(strict, sd, path) => return,
        _ => {}
    }
    http::client(strict, sd, path);
}

/// What a rule says of a section that breaks it, and the field that it is about.
fn broken(sd: &Object<'_>, must: &Must) -> Option<(&'static str, String)> {
    match *must {
        Have(field, message) => sd.text(field).is_none().then(|| (field, message.to_owned())),
        HaveOne([one, other]) => match sd.set(&[one, other]).len() {
            1 => None,
            0 => Some((one, format!("one of {one} & {other} must be configured"))),
            _ => Some((other, format!("at most one of {one} & {other} must be configured"))),
        },
        List(field, message) => sd.items(field).is_empty().then(|| (field, message.to_owned())),
        Be(field, words, default) => match sd.text(field).or(default) {
            None => Some((field, format!("{field} missing (one of: {})", words.join(", ")))),
            Some(word) if words.contains(&word) => None,
            Some(word) => Some((field, format!("unknown {field} {word:?}, expected one of: {}", words.join(", ")))),
        },
        Url(field, message) => {
            let text = sd.text(field)?;
            let (scheme, rest) = text.split_once("://").unwrap_or_default();
            if field == "url" && !matches!(scheme, "http" | "https") {
                return Some((field, "URL scheme must be 'http' or 'https'".to_owned()));
            }
            (scheme.is_empty() || rest.is_empty() || rest.starts_with('/')).then(|| (field, message.to_owned()))
        }
    }
}

fn azure(strict: &mut Strict, sd: &Object<'_>, path: &str) -> bool {
    let known = ["OAuth", "ManagedIdentity", "SDK", "WorkloadIdentity"];
    let method = sd.text("authentication_method").unwrap_or("OAuth");
    if !known.contains(&method) {
        let message = format!("unknown authentication_type {method:?}, expected one of: {}", known.join(", "));
        strict.report(sd.key_place("authentication_method"), path, message);
        return false;
    }
    let needed = ["tenant_id", "client_id", "client_secret"];
    let missing = needed.into_iter().find(|name| method == "OAuth" && sd.text(name).is_none());
    if let Some(name) = missing {
        strict.report(sd.key_place(name), path, format!("azure SD configuration requires a {name}"));
    }
    missing.is_none()
}

fn marathon(strict: &mut Strict, sd: &Object<'_>, path: &str) -> bool {
    let before = strict.count();
    let token = ["auth_token", "auth_token_file"];
    http::at_most_one(strict, sd, &token, path);
    for other in [&["basic_auth"][..], &["bearer_token", "bearer_token_file"], &["authorization"]] {
        if !sd.set(&token).is_empty() && strict.count() == before {
            http::at_most_one(strict, sd, &[&token, other].concat(), path);
        }
    }
    strict.count() == before
}

fn stackit(strict: &mut Strict, sd: &Object<'_>, path: &str) -> bool {
    let fault = sd.get("endpoint").and_then(Node::as_str).and_then(url_fault);
    if let Some(fault) = &fault {
        let message = format!("stackit_sd: invalid endpoint {:?}: {fault}", sd.text("endpoint").unwrap_or_default());
        strict.report(sd.key_place("endpoint"), path, message);
    }
    fault.is_none()
}
