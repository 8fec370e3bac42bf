//! Annotations of an Ingress as the AWS Load Balancer Controller reads them.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::lint::yaml::Node;
use crate::lint::{Problem, is_filled_in};
use crate::text::near::{is_slip, near_name};
use crate::text::pattern::pattern;

/// What its annotations begin with.
pub(crate) const PREFIX: &str = "alb.ingress.kubernetes.io/";
/// The class as it was named before `ingressClassName`.
const OLD_CLASS: &str = "kubernetes.io/ingress.class";

/// Annotations that hold one of a few words.
const WORDS: &[(&str, &[&str])] = &[
    ("scheme", &["internal", "internet-facing"]),
    ("target-type", &["instance", "ip"]),
    ("ip-address-type", &["ipv4", "dualstack", "dualstack-without-public-ipv4"]),
    ("backend-protocol", &["HTTP", "HTTPS"]),
    ("backend-protocol-version", &["HTTP1", "HTTP2", "GRPC"]),
    ("healthcheck-protocol", &["HTTP", "HTTPS"]),
];
/// Annotations that hold a number.
const NUMBERS: &[&str] = &[
    "group.order",
    "healthcheck-interval-seconds",
    "healthcheck-timeout-seconds",
    "healthy-threshold-count",
    "unhealthy-threshold-count",
    "ssl-redirect",
    "auth-session-timeout",
];
/// Other annotations, so that a slip can be told.
const OTHERS: &[&str] = &[
    "load-balancer-name",
    "group.name",
    "tags",
    "subnets",
    "load-balancer-attributes",
    "wafv2-acl-arn",
    "security-groups",
    "listen-ports",
    "inbound-cidrs",
    "certificate-arn",
    "ssl-policy",
    "target-group-attributes",
    "healthcheck-port",
    "healthcheck-path",
    "success-codes",
    "auth-type",
    "auth-idp-cognito",
    "auth-idp-oidc",
    "auth-on-unauthenticated-request",
    "auth-scope",
    "auth-session-cookie",
    "target-node-labels",
    "manage-backend-security-group-rules",
    "mutual-authentication",
    "security-group-prefix-lists",
    "shield-advanced-protection",
];

/// The annotations of one Ingress that the controller may read.
pub(crate) struct Annotations<'a>(BTreeMap<&'a str, (&'a Node, &'a Node)>);

impl<'a> Annotations<'a> {
    /// `None` where another controller serves it.
    pub(crate) fn of(ingress: &'a Node) -> Option<Self> {
        let all = ingress.at(&["metadata", "annotations"]).and_then(Node::entries).unwrap_or_default();
        let class = ingress.at(&["spec", "ingressClassName"]).and_then(Node::as_str);
        let old = all.iter().find(|(k, _)| k.as_str() == Some(OLD_CLASS)).and_then(|(_, v)| v.as_str());
        let is_ours = class.or(old).is_none_or(|c| c.contains("alb"));
        is_ours.then(|| Self::all(all))
    }

    /// Those of a Service that an Ingress leads to: they go before those of the Ingress.
    pub(crate) fn of_service(service: &'a Node) -> Self {
        Self::all(service.at(&["metadata", "annotations"]).and_then(Node::entries).unwrap_or_default())
    }

    fn all(entries: &'a [(Node, Node)]) -> Self {
        let own = entries.iter().filter_map(|(k, v)| Some((k.as_str()?.strip_prefix(PREFIX)?, (k, v))));
        Self(own.collect())
    }

    /// A value that nothing fills in later.
    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        let text = self.0.get(name)?.1.as_str()?;
        let named = text.strip_prefix('$').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
        let stands_for_another = named
            || ["${", "{{", "$(", "REPLACE", "CHANGEME"].iter().any(|sign| text.contains(sign))
            || (text.contains('<') && text.contains('>'));
        (!stands_for_another).then_some(text)
    }

    /// Where a value stands.
    pub(crate) fn node(&self, name: &str) -> Option<&'a Node> {
        self.0.get(name).map(|(_, value)| *value)
    }

    /// True where it has none of them.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn problem(&self, name: &str, message: String, meant: Option<&str>) -> Option<Problem> {
        Some(Problem::new(self.node(name)?.place, path(name), message).instead(meant))
    }
}

/// The path of an annotation.
pub(crate) fn path(name: &str) -> String {
    format!("metadata.annotations.{PREFIX}{name}")
}

/// What the controller, or AWS, refuses of the annotations of an Ingress by itself.
pub(crate) fn lint(object: &Node) -> Vec<Problem> {
    if object.get("kind").and_then(Node::as_str) != Some("Ingress") {
        return Vec::new();
    }
    let Some(annotations) = Annotations::of(object) else { return Vec::new() };
    let all = object.at(&["metadata", "annotations"]).and_then(Node::entries).unwrap_or_default();
    let mut found: Vec<Problem> = all.iter().filter_map(|(key, _)| misplaced(key)).collect();
    for (name, (key, _)) in &annotations.0 {
        found.extend(misspelt(name, key));
        found.extend(word(&annotations, name));
        if let Some(text) =
            annotations.text(name).filter(|t| NUMBERS.contains(name) && t.trim().parse::<i64>().is_err())
        {
            found.extend(annotations.problem(name, format!("{text:?} is no whole number"), None));
        }
    }
    found.extend(group(&annotations));
    found.extend(certificates(&annotations));
    found.extend(codes(&annotations));
    found.extend(health_check(&annotations));
    found.extend(listeners(&annotations));
    found
}

/// A slip in what comes before the name.
fn misplaced(key: &Node) -> Option<Problem> {
    let text = key.as_str()?;
    let (domain, name) = text.split_once('/')?;
    if !is_slip(domain, PREFIX.trim_end_matches('/'), 2) {
        return None;
    }
    let message = format!("the controller knows no annotation {text} and leaves it out ({PREFIX}{name}?)");
    Some(Problem::new(key.place, format!("metadata.annotations.{text}"), message))
}

fn misspelt(name: &str, key: &Node) -> Option<Problem> {
    let known = || WORDS.iter().map(|(word, _)| *word).chain(NUMBERS.iter().copied()).chain(OTHERS.iter().copied());
    if known().any(|k| k == name) {
        return None;
    }
    let meant = known().filter(|k| k.len() > 4).find(|k| is_slip(name, k, 2))?;
    let message = format!("the controller knows no annotation {PREFIX}{name} and leaves it out ({meant}?)");
    Some(Problem::new(key.place, path(name), message))
}

fn word(annotations: &Annotations<'_>, name: &str) -> Option<Problem> {
    let (_, words) = WORDS.iter().find(|(word, _)| *word == name)?;
    let text = annotations.text(name).filter(|t| !words.contains(t))?;
    let meant = words.iter().find(|w| w.eq_ignore_ascii_case(text)).copied();
    let meant = meant.or_else(|| near_name(text, words.iter().copied()));
    annotations.problem(name, format!("{text:?} is not one of {}", words.join(", ")), meant)
}

fn group(annotations: &Annotations<'_>) -> Option<Problem> {
    let order = annotations.text("group.order").and_then(|t| t.trim().parse::<i64>().ok());
    if let Some(order) = order.filter(|o| !(-1000..=1000).contains(o)) {
        let message = format!("explicit Ingress group order must be within [-1000:1000], order: {order}");
        return annotations.problem("group.order", message, None);
    }
    let name = annotations.text("group.name")?;
    if !pattern!("^([a-z0-9][-a-z0-9.]*)?[a-z0-9]$").is_match(name) {
        let message = "groupName must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
        return annotations.problem("group.name", message.to_owned(), None);
    }
    (name.len() > 63)
        .then(|| annotations.problem("group.name", "groupName must be no more than 63 characters".to_owned(), None))
        .flatten()
}

/// ARNs of certificates: of ACM in one region, or of IAM.
fn certificates(annotations: &Annotations<'_>) -> Option<Problem> {
    let text = annotations.text("certificate-arn")?;
    let arn = pattern!(
        r"^arn:aws[a-z-]*:(?:acm:([a-z]{2,}(?:-[a-z]+)+-\d+):\d{12}:certificate/[A-Za-z0-9-]+|iam::\d{12}:server-certificate/\S+)$"
    );
    let mut regions: Vec<String> = Vec::new();
    for one in text.split(',').map(str::trim).filter(|t| !t.is_empty()) {
        let Some(parts) = arn.captures(one) else {
            let message = format!(
                "{one:?} is no ARN of a certificate (arn:aws:acm:<region>:<account>:certificate/<id>, or one of IAM)"
            );
            return annotations.problem("certificate-arn", message, None);
        };
        regions.extend(parts.get(1).map(|r| r.as_str().to_owned()));
    }
    regions.sort();
    regions.dedup();
    let message = format!(
        "a load balancer takes certificates of its own region alone, and these are of {}",
        regions.join(" and ")
    );
    (regions.len() > 1).then(|| annotations.problem("certificate-arn", message, None)).flatten()
}

fn codes(annotations: &Annotations<'_>) -> Option<Problem> {
    let text = annotations.text("success-codes")?;
    // Of gRPC they are numbers of another kind.
    if annotations.text("backend-protocol-version").is_some_and(|v| v == "GRPC") {
        return None;
    }
    // The Service may say that it is gRPC, and then that counts.
    let of_grpc = pattern!(r"^\d{1,2}(-\d{1,2})?(,\d{1,2}(-\d{1,2})?)*$").is_match(text);
    if of_grpc && annotations.node("backend-protocol-version").is_none() {
        return None;
    }
    let right = pattern!(r"^\d{3}(-\d{3})?(,\d{3}(-\d{3})?)*$").is_match(text);
    let message = format!("{text:?} is no list of HTTP codes such as 200, 200,302 or 200-399");
    (!right).then(|| annotations.problem("success-codes", message, None)).flatten()
}

fn health_check(annotations: &Annotations<'_>) -> Option<Problem> {
    let number = |name: &str| annotations.text(name).and_then(|t| t.trim().parse::<i64>().ok());
    let (interval, timeout) = (number("healthcheck-interval-seconds")?, number("healthcheck-timeout-seconds")?);
    let message = format!("the timeout of {timeout}s is not shorter than the interval of {interval}s");
    (timeout >= interval).then(|| annotations.problem("healthcheck-timeout-seconds", message, None)).flatten()
}

/// `listen-ports`, and the port that `ssl-redirect` leads to.
fn listeners(annotations: &Annotations<'_>) -> Option<Problem> {
    let text = annotations.text("listen-ports")?;
    let read = serde_json::from_str::<Vec<BTreeMap<String, Json>>>(text);
    let Ok(entries) = read else {
        let message = format!("failed to parse listen-ports configuration: {text}");
        return annotations.problem("listen-ports", message, None);
    };
    let mut ports: BTreeMap<i64, String> = BTreeMap::new();
    for (protocol, port) in entries.into_iter().flatten() {
        let Some(port) = port.as_i64().filter(|p| (1..=65535).contains(p)) else {
            let message = format!("listen port must be within [1, 65535], without quotes: {port}");
            return annotations.problem("listen-ports", message, None);
        };
        if !["HTTP", "HTTPS"].contains(&protocol.as_str()) {
            let message = format!("listen protocol must be within [HTTP, HTTPS]: {protocol}");
            return annotations.problem("listen-ports", message, None);
        }
        ports.insert(port, protocol);
    }
    if ports.is_empty() {
        return annotations.problem("listen-ports", "empty listen-ports configuration".to_owned(), None);
    }
    // Another Ingress of the group may have the port.
    let redirect = annotations.text("ssl-redirect").filter(|_| annotations.node("group.name").is_none())?;
    let port = redirect.trim().parse::<i64>().ok()?;
    match ports.get(&port).map(String::as_str) {
        Some("HTTPS") => None,
        Some(_) => {
            let message =
                format!("listener protocol non-SSL for SSLRedirect port: {port} (listen-ports has it as HTTP)");
            annotations.problem("ssl-redirect", message, None)
        }
        None => {
            let message = format!("listener does not exist for SSLRedirect port: {port} (listen-ports has none)");
            annotations.problem("ssl-redirect", message, None)
        }
    }
}

/// Two classes: the API server takes no new Ingress with an annotation that says another one than the field.
pub(super) fn class(object: &Node, problems: &mut Vec<Problem>) {
    if object.get("kind").and_then(Node::as_str) != Some("Ingress") {
        return;
    }
    let all = object.at(&["metadata", "annotations"]).and_then(Node::entries).unwrap_or_default();
    let old = all.iter().find(|(k, _)| k.as_str() == Some(OLD_CLASS)).map(|(_, v)| v);
    let class = object.at(&["spec", "ingressClassName"]).and_then(Node::as_str);
    if let (Some(node), Some(class)) = (old, class)
        && node.as_str().is_some_and(|text| text != class && !is_filled_in(text) && !is_filled_in(class))
    {
        let message = format!(
            "it must match `ingressClassName` when both are specified ({class}): a new Ingress with both is refused"
        );
        problems.push(Problem::new(node.place, format!("metadata.annotations.{OLD_CLASS}"), message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::yaml;

    fn said(annotations: &str) -> Vec<String> {
        let text = format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: a\n  annotations:\n{annotations}spec: {{ingressClassName: alb}}\n"
        );
        let object = yaml::document(&text).expect("is YAML").expect("is no empty document");
        lint(&object).into_iter().map(|p| p.message).collect()
    }

    fn one(name: &str, value: &str) -> Vec<String> {
        said(&format!("    {PREFIX}{name}: {value}\n"))
    }

    const ARN: &str = "arn:aws:acm:eu-west-1:123456789012:certificate/0a1b2c3d-1111-2222-3333-444455556666";

    #[test]
    fn what_the_controller_takes_is_quiet() {
        for (name, value) in [
            ("scheme", "internet-facing"),
            ("scheme", "'${SCHEME}'"),
            ("target-type", "ip"),
            ("listen-ports", "'[{\"HTTP\": 80}, {\"HTTPS\":443}]'"),
            ("certificate-arn", ARN),
            ("certificate-arn", "arn:aws-us-gov:iam::123456789012:server-certificate/path/name"),
            ("certificate-arn", "'{{ .Values.arn }}'"),
            ("success-codes", "200-399,404"),
            ("group.name", "shared.internal-1"),
            ("group.order", "'-10'"),
            ("actions.ssl-redirect", "'{\"Type\": \"redirect\"}'"),
            ("subnets", "subnet-1,subnet-2"),
            ("waf-acl-id", "x"),
            ("ssl-redirect", "'443'"),
        ] {
            assert_eq!(one(name, value), Vec::<String>::new(), "{name}: {value}");
        }
        let both = format!("    {PREFIX}listen-ports: '[{{\"HTTP\": 80}}]'\n    {PREFIX}ssl-redirect: '443'\n");
        assert_eq!(said(&format!("{both}    {PREFIX}group.name: shared\n")), Vec::<String>::new());
        assert_eq!(said(&both).len(), 1);
    }

    #[test]
    fn what_it_refuses_is_named() {
        for (name, value, expected) in [
            ("scheme", "internet_facing", "is not one of internal, internet-facing"),
            ("target-type", "pod", "is not one of instance, ip"),
            ("backend-protocol", "https", "is not one of HTTP, HTTPS"),
            ("listen-ports", "'[{HTTP: 80}]'", "failed to parse listen-ports configuration"),
            ("listen-ports", "'[{\"HTTP\": \"80\"}]'", "listen port must be within"),
            ("listen-ports", "'[{\"TCP\": 80}]'", "listen protocol must be within"),
            ("listen-ports", "'[]'", "empty listen-ports"),
            ("certificate-arn", "arn:aws:acm:eu-west-1:1234:certificate/x", "is no ARN of a certificate"),
            ("success-codes", "2xx", "is no list of HTTP codes"),
            ("group.name", "Shared", "groupName must consist of lower case"),
            ("group.order", "'2000'", "must be within [-1000:1000]"),
            ("group.order", "first", "is no whole number"),
            ("shceme", "internal", "knows no annotation alb.ingress.kubernetes.io/shceme"),
        ] {
            let found = one(name, value);
            assert!(found.len() == 1 && found[0].contains(expected), "{name}: {value}: {found:?}");
        }
        let regions = format!("{ARN},{}", ARN.replace("eu-west-1", "us-east-1"));
        assert!(one("certificate-arn", &regions)[0].contains("these are of eu-west-1 and us-east-1"));
    }

    #[test]
    fn a_slip_before_the_name_is_named() {
        let found =
            said("    alb.ingress.kuberentes.io/backend-protocol: HTTPS\n    nginx.ingress.kubernetes.io/a: b\n");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("alb.ingress.kubernetes.io/backend-protocol?"), "{found:?}");
    }
}
