//! Service discovery. The kinds that Kubernetes stacks use are read strictly; of the others only the name is known: a
//! field that is missing in a table must not be an alarm.

use super::{clouds, http};
use crate::lint::strict::{ANY_OTHER, Fault, Field, Kind, Object, Schema, Strict, field};
use crate::lint::yaml::Node;

macro_rules! sections {
    ($($name:literal)*) => { [$(field($name, Kind::Items(&OTHER, concat!("section in ", $name)))),*] };
}

/// Every `*_configs` that finds targets.
pub(super) const ALL: &[Field] = &{
    let own = [
        field("static_configs", Kind::Items(&STATIC, "section in static_configs")),
        field("kubernetes_sd_configs", Kind::Items(&KUBERNETES, "section in kubernetes_sd_configs")),
        field("file_sd_configs", Kind::Items(&FILE, "section in file_sd_configs")),
        field("dns_sd_configs", Kind::Items(&DNS, "section in dns_sd_configs")),
        field("http_sd_configs", Kind::Items(&HTTP, "section in http_sd_configs")),
        field("ec2_sd_configs", Kind::Items(&EC2, "section in ec2_sd_configs")),
        field("consul_sd_configs", Kind::Items(&CONSUL, "section in consul_sd_configs")),
        field("stackit_sd_configs", Kind::Items(&OTHER, "section in stackit_sd_configs")).since(3, 5),
        field("aws_sd_configs", Kind::Items(&OTHER, "section in aws_sd_configs")).since(3, 8),
        field("ecs_sd_configs", Kind::Items(&OTHER, "section in ecs_sd_configs")).since(3, 8),
        field("msk_sd_configs", Kind::Items(&OTHER, "section in msk_sd_configs")).since(3, 10),
        field("elasticache_sd_configs", Kind::Items(&OTHER, "section in elasticache_sd_configs")).since(3, 11),
        field("rds_sd_configs", Kind::Items(&OTHER, "section in rds_sd_configs")).since(3, 11),
        field("outscale_sd_configs", Kind::Items(&OTHER, "section in outscale_sd_configs")).since(3, 12),
        field("oci_sd_configs", Kind::Items(&OTHER, "section in oci_sd_configs")).since(3, 14),
    ];
    let others = sections!(
        "azure_sd_configs" "digitalocean_sd_configs" "docker_sd_configs" "dockerswarm_sd_configs" "eureka_sd_configs"
        "gce_sd_configs" "hetzner_sd_configs" "ionos_sd_configs" "kuma_sd_configs" "lightsail_sd_configs"
        "linode_sd_configs" "marathon_sd_configs" "nerve_sd_configs" "nomad_sd_configs" "openstack_sd_configs"
        "ovhcloud_sd_configs" "puppetdb_sd_configs" "scaleway_sd_configs" "serverset_sd_configs" "triton_sd_configs"
        "uyuni_sd_configs" "vultr_sd_configs"
    );
    let mut all = [field("static_configs", Kind::Any); 37];
    let mut at = 0;
    while at < all.len() {
        all[at] = if at < own.len() { own[at] } else { others[at - own.len()] };
        at += 1;
    }
    all
};

/// A section of which only the HTTP client is known: it has fields of its own.
static OTHER: Schema = Schema {
    what: "service discovery",
    fields: &[&[REFRESH, ANY_OTHER], http::CLIENT],
    hints: &[],
    check: Some(clouds::check),
};

const REFRESH: Field = field("refresh_interval", Kind::Duration);

static STATIC: Schema = Schema {
    what: "static_configs",
    fields: &[&[field("targets", Kind::List(&Kind::Str)), field("labels", Kind::Labels)]],
    hints: &[],
    check: None,
};

static KUBERNETES: Schema = Schema {
    what: "kubernetes_sd_configs",
    fields: &[
        &[
            field("api_server", Kind::Url),
            field("role", Kind::Word(role)),
            field("kubeconfig_file", Kind::Str),
            field("namespaces", Kind::Struct(&NAMESPACES)),
            field("selectors", Kind::List(&Kind::Struct(&SELECTOR))),
            field("attach_metadata", Kind::Struct(&ATTACH)),
        ],
        http::CLIENT,
    ],
    hints: &[
        ("namespace", "write namespaces: with names: [namespace]"),
        ("relabel_configs", "it belongs in the job, further left"),
    ],
    check: Some(kubernetes),
};

static NAMESPACES: Schema = Schema {
    what: "namespaces",
    fields: &[&[field("own_namespace", Kind::Bool), field("names", Kind::List(&Kind::Str))]],
    hints: &[],
    check: None,
};

static SELECTOR: Schema = Schema {
    what: "selectors",
    fields: &[&[field("role", Kind::Word(role)), field("label", Kind::Str), field("field", Kind::Str)]],
    hints: &[],
    check: None,
};

static ATTACH: Schema = Schema {
    what: "attach_metadata",
    fields: &[&[field("node", Kind::Bool), field("namespace", Kind::Bool).since(3, 5)]],
    hints: &[],
    check: None,
};

const ROLES: [&str; 6] = ["pod", "service", "endpoints", "endpointslice", "node", "ingress"];

fn role(_: &Strict, text: &str) -> Fault {
    let lower = text.to_lowercase();
    let meant = ROLES.iter().find(|r| r.trim_end_matches('s') == lower.trim_end_matches('s'));
    (!ROLES.contains(&text)).then(|| (format!("unknown Kubernetes SD role {text:?}"), meant.map(|m| (*m).to_owned())))
}

fn kubernetes(strict: &mut Strict, sd: &Object<'_>, path: &str) {
    if sd.text("role").is_none() {
        let message = "role missing (one of: pod, service, endpoints, endpointslice, node, ingress)";
        return strict.report(sd.place(), path, message);
    }
    http::client(strict, sd, path);
    let server = sd.text("api_server").is_some();
    let file = sd.text("kubeconfig_file").is_some();
    if file && server {
        let message = "cannot use 'kubeconfig_file' and 'api_server' simultaneously";
        strict.report(sd.key_place("kubeconfig_file"), path, message);
    }
    let own = sd.object("namespaces").is_some_and(|n| n.get("own_namespace").is_some_and(Node::is_true));
    if server && own {
        let message = "cannot use 'api_server' and 'namespaces.own_namespace' simultaneously";
        strict.report(sd.key_place("api_server"), path, message);
    }
    if file && !server && own {
        let message = "cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously";
        strict.report(sd.key_place("kubeconfig_file"), path, message);
    }
    if file && let Some(name) = custom_client(sd) {
        let message = "cannot use a custom HTTP client configuration together with 'kubeconfig_file'";
        return strict.report(sd.key_place(name), path, format!("{message}: remove {name}"));
    }
    if !server && let Some(name) = custom_client(sd) {
        let message = "to use custom HTTP client configuration please provide the 'api_server' URL explicitly";
        strict.report(sd.key_place(name), path, format!("{message}, or move {name} to the job"));
    }
    selectors(strict, sd, path);
}

/// A setting of the HTTP client that is not the default.
fn custom_client(sd: &Object<'_>) -> Option<&'static str> {
    let set =
        ["basic_auth", "authorization", "oauth2", "bearer_token", "bearer_token_file", "proxy_url", "http_headers"];
    if let Some(name) = sd.set(&set).first() {
        return Some(name);
    }
    let value = |v: &Node| v.as_str().is_some_and(|t| !t.is_empty() && !matches!(t, "false" | "no" | "off"));
    let tls = sd.get("tls_config").and_then(Node::entries).is_some_and(|e| e.iter().any(|(_, v)| value(v)));
    if tls {
        return Some("tls_config");
    }
    ["follow_redirects", "enable_http2"].into_iter().find(|n| sd.get(n).is_some_and(|v| !v.is_true()))
}

fn selectors(strict: &mut Strict, sd: &Object<'_>, path: &str) {
    let role = sd.text("role").unwrap_or_default();
    let allowed: &[&str] = match role {
        "endpointslice" => &["pod", "service", "endpointslice"],
        "endpoints" => &["pod", "service", "endpoints"],
        "pod" => &["pod", "node"],
        "service" => &["service"],
        "node" => &["node"],
        _ => &["ingress"],
    };
    let mut seen = Vec::new();
    for selector in sd.items("selectors").iter().filter_map(Object::of) {
        let of = selector.text("role").unwrap_or_default();
        if seen.contains(&of) {
            strict.report(selector.place(), path, format!("duplicated selector role: {of}"));
        } else if !allowed.contains(&of) {
            let message = format!("{role} role supports only {} selectors", allowed.join(", "));
            strict.report(selector.place(), path, message);
        }
        if let Some(term) = selector.text("field").and_then(no_term) {
            let message = format!("invalid selector: {term:?} has no =, == or !=");
            strict.report(selector.get("field").map_or(selector.place(), |n| n.place), path, message);
        }
        seen.push(of);
    }
}

/// The part of a field selector that compares nothing.
fn no_term(selector: &str) -> Option<&str> {
    selector.split(',').map(str::trim).find(|t| !t.is_empty() && !t.contains('='))
}

static FILE: Schema = Schema {
    what: "file_sd_configs",
    fields: &[&[field("files", Kind::List(&Kind::Word(targets_file))), REFRESH]],
    hints: &[],
    check: Some(file),
};

/// `^[^*]*(\*[^/]*)?\.(json|yml|yaml|JSON|YML|YAML)$`
fn targets_file(_: &Strict, text: &str) -> Fault {
    let kind =
        text.rsplit_once('.').is_some_and(|(_, e)| matches!(e, "json" | "yml" | "yaml" | "JSON" | "YML" | "YAML"));
    let star = text.find('*').is_some_and(|at| text[at..].contains('/'));
    (!kind || star).then(|| {
        (format!("path name {text:?} is not valid for file discovery: it ends in .json, .yml or .yaml, and a * stands in the file's name only"), None)
    })
}

fn file(strict: &mut Strict, sd: &Object<'_>, path: &str) {
    if sd.items("files").is_empty() {
        strict.report(sd.place(), path, "file service discovery config must contain at least one path name");
    }
}

static DNS: Schema = Schema {
    what: "dns_sd_configs",
    fields: &[&[field("names", Kind::List(&Kind::Str)), field("type", Kind::Str), field("port", Kind::Int), REFRESH]],
    hints: &[("targets", "the field is names")],
    check: Some(dns),
};

fn dns(strict: &mut Strict, sd: &Object<'_>, path: &str) {
    if sd.items("names").is_empty() {
        return strict.report(sd.place(), path, "DNS-SD config must contain at least one SRV record name");
    }
    let kind = sd.text("type").unwrap_or("SRV").to_uppercase();
    let port = sd.text("port").is_some_and(|p| p != "0");
    match kind.as_str() {
        "SRV" => {}
        "NS" if strict.before((2, 49)) => strict.report(sd.key_place("type"), path, "invalid DNS-SD records type NS"),
        "A" | "AAAA" | "MX" | "NS" if port => {}
        "A" | "AAAA" | "MX" | "NS" => {
            strict.report(sd.place(), path, "a port is required in DNS-SD configs for all record types except SRV");
        }
        other => strict.report(sd.key_place("type"), path, format!("invalid DNS-SD records type {other}")),
    }
}

static HTTP: Schema = Schema {
    what: "http_sd_configs",
    fields: &[&[field("url", Kind::Url), REFRESH], http::CLIENT],
    hints: &[],
    check: Some(http_sd),
};

fn http_sd(strict: &mut Strict, sd: &Object<'_>, path: &str) {
    let url = sd.text("url").unwrap_or_default();
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let message = match scheme {
        _ if url.is_empty() => "URL is missing",
        "http" | "https" if rest.starts_with('/') || rest.is_empty() => "host is missing in URL",
        "http" | "https" => return http::client(strict, sd, path),
        _ => "URL scheme must be 'http' or 'https'",
    };
    strict.report(sd.key_place("url"), path, message);
}

static EC2: Schema = Schema {
    what: "ec2_sd_configs",
    fields: &[
        &[
            field("endpoint", Kind::Str),
            field("region", Kind::Str),
            field("access_key", Kind::Str),
            field("secret_key", Kind::Str),
            field("profile", Kind::Str),
            field("role_arn", Kind::Str),
            field("external_id", Kind::Str).since(3, 3),
            field("port", Kind::Int),
            field("filters", Kind::List(&Kind::Struct(&FILTER))),
            REFRESH,
        ],
        http::CLIENT,
    ],
    hints: &[],
    check: Some(ec2),
};

static FILTER: Schema = Schema {
    what: "filters",
    fields: &[&[field("name", Kind::Str), field("values", Kind::List(&Kind::Str))]],
    hints: &[],
    check: None,
};

fn ec2(strict: &mut Strict, sd: &Object<'_>, path: &str) {
    for filter in sd.items("filters").iter().filter_map(Object::of).filter(|f| f.items("values").is_empty()) {
        strict.report(filter.place(), path, "EC2 SD configuration filter values cannot be empty");
    }
    http::client(strict, sd, path);
}

static CONSUL: Schema = Schema {
    what: "consul_sd_configs",
    fields: &[
        &[
            field("server", Kind::Str),
            field("path_prefix", Kind::Str),
            field("token", Kind::Str),
            field("datacenter", Kind::Str),
            field("namespace", Kind::Str),
            field("partition", Kind::Str),
            field("tag_separator", Kind::Str),
            field("scheme", Kind::Str),
            field("username", Kind::Str),
            field("password", Kind::Str),
            field("allow_stale", Kind::Bool),
            field("services", Kind::List(&Kind::Str)),
            field("tags", Kind::List(&Kind::Str)),
            field("node_meta", Kind::Map(&Kind::Str)),
            field("filter", Kind::Str).since(3, 0),
            field("health_filter", Kind::Str).since(3, 8),
            REFRESH,
        ],
        http::CLIENT,
    ],
    hints: &[],
    check: Some(consul),
};

fn consul(strict: &mut Strict, sd: &Object<'_>, path: &str) {
    if sd.get("server").and_then(Node::as_str).is_some_and(|s| s.trim().is_empty()) {
        strict.report(sd.key_place("server"), path, "consul SD configuration requires a server address");
    }
    if sd.text("username").is_some() && sd.get("basic_auth").is_some() {
        let message = "at most one of consul SD configuration username and password and basic auth can be configured";
        strict.report(sd.key_place("username"), path, message);
    }
    http::client(strict, sd, path);
}
