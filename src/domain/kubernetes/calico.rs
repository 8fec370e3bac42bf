//! Policies of Calico as those of Kubernetes: what they say alike. What they say beyond that counts as admitted, so that
//! nothing is called blocked which may be let through. The order of rules is left out: an address that some rule admits
//! counts as admitted, even where another one denies it before.

use serde_json::{Map, Value, json};

use crate::snapshot::kubernetes::{CalicoPolicy, NetworkPolicy, PolicyOrigin};

/// The label by which Calico knows a namespace, and Kubernetes.
const NAME: (&str, &str) = ("projectcalico.org/name", "kubernetes.io/metadata.name");
/// The tier at whose end everything is denied that no rule spoke of.
const TIER: &str = "default";

/// The policies that a policy of Calico amounts to; one of the whole cluster in each of these namespaces.
pub(crate) fn translated(policy: &CalicoPolicy, namespaces: &[&str]) -> Vec<NetworkPolicy> {
    let Some(spec) = &policy.spec else { return Vec::new() };
    let home = policy.metadata.namespace.as_str();
    let is_global = home.is_empty();
    let text = |key: &str| spec.get(key).and_then(Value::as_str).unwrap_or_default();
    // These two are about hosts.
    if ["doNotTrack", "preDNAT"].iter().any(|k| spec.get(*k) == Some(&Value::Bool(true))) {
        return Vec::new();
    }
    let homes = labels(text("namespaceSelector"), true);
    let pods = labels(text("selector"), false).filter(|_| is_known(spec, is_global, homes.as_ref()));
    let made = match pods {
        Some(pods) => rules(spec, pods, is_global),
        None => open(spec),
    };
    let Some(made) = made else { return Vec::new() };
    let denies = ["ingress", "egress"].iter().any(|k| {
        let rules = spec.get(*k).and_then(Value::as_array);
        rules.into_iter().flatten().any(|r| r.get("action").and_then(Value::as_str) == Some("Deny"))
    });
    let homes: Vec<&str> = match is_global {
        false => vec![home],
        true => namespaces.iter().copied().filter(|n| homes.as_ref().is_none_or(|h| may_mean(h, n))).collect(),
    };
    let one = |namespace: &str| {
        let mut one: NetworkPolicy = serde_json::from_value(json!({"spec": made.clone()})).ok()?;
        one.metadata = policy.metadata.clone();
        one.metadata.namespace = namespace.to_owned();
        one.origin = Some(match is_global {
            true => PolicyOrigin::CalicoGlobal { denies },
            false => PolicyOrigin::Calico { denies },
        });
        Some(one)
    };
    homes.into_iter().filter_map(one).collect()
}

/// It can be told whom a policy is about: in the last tier (others may hand on what they do not speak of), whatever the
/// ServiceAccount, and in namespaces that are told by their names.
fn is_known(spec: &Value, is_global: bool, homes: Option<&Value>) -> bool {
    let text = |key: &str| spec.get(key).and_then(Value::as_str).unwrap_or_default();
    let by_name = |homes: &Value| terms(homes).all(|t| said_of_name(t).is_some());
    matches!(text("tier"), "" | TIER)
        && spec.get("serviceAccountSelector").is_none_or(|s| s.as_str() == Some(""))
        && (!is_global || homes.is_some_and(by_name))
}

/// Of a policy of which it cannot be told whom it is about: where it admits something, it may admit everything to everybody.
fn open(spec: &Value) -> Option<Value> {
    let admits = |key: &str| {
        let rules = spec.get(key).and_then(Value::as_array).into_iter().flatten();
        rules.into_iter().any(|r| matches!(r.get("action").and_then(Value::as_str), Some("Allow" | "Pass")))
    };
    let mut made = Map::from_iter([("podSelector".to_owned(), json!({}))]);
    let mut types = Vec::new();
    for (key, kind) in [("ingress", "Ingress"), ("egress", "Egress")] {
        if admits(key) {
            made.insert(key.to_owned(), json!([{}]));
            types.push(kind);
        }
    }
    made.insert("policyTypes".to_owned(), json!(types));
    (!types.is_empty()).then_some(Value::Object(made))
}

fn terms(selector: &Value) -> impl Iterator<Item = &Value> {
    selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten()
}

/// Of a term about the name of a namespace: the names, and whether it has to be one of them.
fn said_of_name(term: &Value) -> Option<(Vec<&str>, bool)> {
    let values = term.get("values").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let is_name = term.get("key").and_then(Value::as_str) == Some(NAME.1);
    match term.get("operator").and_then(Value::as_str).filter(|_| is_name)? {
        "In" => Some((values.collect(), true)),
        "NotIn" => Some((values.collect(), false)),
        _ => None,
    }
}

/// Whether a selector of namespaces may mean this one: labels of namespaces are looked at where they are known, not here.
fn may_mean(homes: &Value, name: &str) -> bool {
    terms(homes).all(|t| said_of_name(t).is_none_or(|(names, is_in)| names.contains(&name) == is_in))
}

/// The spec, for the directions that it isolates; `None` where it isolates none.
fn rules(spec: &Value, pods: Value, is_global: bool) -> Option<Value> {
    let list = |key: &str| spec.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let types: Vec<&str> = match spec.get("types").and_then(Value::as_array) {
        Some(types) if !types.is_empty() => types.iter().filter_map(Value::as_str).collect(),
        // Calico fills them in the same way.
        _ if list("egress").is_empty() => vec!["Ingress"],
        _ if list("ingress").is_empty() => vec!["Egress"],
        _ => vec!["Ingress", "Egress"],
    };
    let mut made = Map::from_iter([("podSelector".to_owned(), pods)]);
    for (key, kind, peer, side) in [("ingress", "Ingress", "source", "from"), ("egress", "Egress", "destination", "to")]
    {
        if types.contains(&kind) {
            let all: Vec<Value> = list(key).iter().filter_map(|r| rule(r, peer, side, is_global)).collect();
            made.insert(key.to_owned(), Value::Array(all));
        }
    }
    made.insert("policyTypes".to_owned(), json!(types));
    (!types.is_empty()).then_some(Value::Object(made))
}

/// What one rule admits; `None` of one that admits nothing.
fn rule(rule: &Value, peer: &str, side: &str, is_global: bool) -> Option<Value> {
    match rule.get("action").and_then(Value::as_str) {
        // What is handed on is admitted by the profile of the namespace.
        Some("Allow" | "Pass") => {}
        _ => return None,
    }
    let mut made = Map::new();
    if let Some(peers) = rule.get(peer).and_then(|end| peers(end, is_global)) {
        made.insert(side.to_owned(), Value::Array(peers));
    }
    if let Some(ports) = ports(rule) {
        made.insert("ports".to_owned(), Value::Array(ports));
    }
    Some(Value::Object(made))
}

/// The other ends that it names; `None` where it names none, or in a way that Kubernetes does not know.
fn peers(end: &Value, is_global: bool) -> Option<Vec<Value>> {
    let text = |key: &str| end.get(key).and_then(Value::as_str).unwrap_or_default();
    let nets = end.get("nets").and_then(Value::as_array).filter(|n| !n.is_empty());
    let (pods, homes) = (text("selector"), text("namespaceSelector"));
    match (nets, pods.is_empty() && homes.is_empty()) {
        (Some(nets), true) => Some(nets.iter().map(|cidr| json!({"ipBlock": {"cidr": cidr}})).collect()),
        (None, false) => {
            let selected = labels(pods, false)?;
            let homes = match (homes.is_empty(), is_global) {
                (false, _) => Some(labels(homes, true)?),
                (true, true) => Some(json!({})),
                (true, false) => None,
            };
            let mut peer = json!({"podSelector": selected});
            if let Some(homes) = homes {
                peer["namespaceSelector"] = homes;
            }
            Some(vec![peer])
        }
        // Both at once are met by nobody but pods in these networks; none at all is everybody.
        _ => None,
    }
}

/// The ports that a rule is about; `None` where it is about all, or what Kubernetes does not know.
fn ports(rule: &Value) -> Option<Vec<Value>> {
    let protocol = match rule.get("protocol").map(|p| p.to_string().trim_matches('"').to_ascii_uppercase()) {
        None => None,
        Some(p) if matches!(p.as_str(), "TCP" | "6") => Some("TCP"),
        Some(p) if matches!(p.as_str(), "UDP" | "17") => Some("UDP"),
        Some(p) if p == "SCTP" => Some("SCTP"),
        // ICMP and the like: no connection of the stack's.
        Some(_) => return Some(vec![json!({"protocol": "SCTP", "port": 1})]),
    };
    let protocols: &[&str] = protocol.as_ref().map_or(&["TCP", "UDP"], std::slice::from_ref);
    let listed = rule.pointer("/destination/ports").and_then(Value::as_array).filter(|p| !p.is_empty());
    let Some(listed) = listed else {
        return protocol.map(|p| vec![json!({"protocol": p})]);
    };
    let one = |port: &Value| match port {
        Value::Number(n) => json!({"port": n}),
        other => match other.as_str().unwrap_or_default().split_once(':') {
            Some((from, to)) => {
                json!({"port": from.parse::<u16>().unwrap_or(0), "endPort": to.parse::<u16>().unwrap_or(0)})
            }
            None => match other.as_str().unwrap_or_default().parse::<u16>() {
                Ok(number) => json!({"port": number}),
                Err(_) => json!({"port": other}),
            },
        },
    };
    let all = listed.iter().flat_map(|port| {
        protocols.iter().map(move |p| {
            let mut made = one(port);
            made["protocol"] = json!(p);
            made
        })
    });
    Some(all.collect())
}

/// A selector of Calico as one of labels; `None` where it says more than terms that all have to hold.
fn labels(selector: &str, of_namespaces: bool) -> Option<Value> {
    let mut terms = Vec::new();
    for term in split(selector)? {
        terms.extend(requirement(term.trim(), of_namespaces)?);
    }
    Some(json!({"matchExpressions": terms}))
}

/// The terms between `&&`, none of an empty one; `None` where there is `||` or a group.
fn split(selector: &str) -> Option<Vec<&str>> {
    if selector.contains("||") || selector.replace("all()", "").replace("has(", "").contains('(') {
        return None;
    }
    Some(selector.split("&&").map(str::trim).filter(|t| !t.is_empty()).collect())
}

/// One term; nothing of one that always holds.
fn requirement(term: &str, of_namespaces: bool) -> Option<Option<Value>> {
    if term == "all()" {
        return Some(None);
    }
    let key = |name: &str| {
        let name = name.trim();
        let own = if of_namespaces && name == NAME.0 { NAME.1 } else { name };
        let is_label = !own.is_empty() && own.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
        // Other names of Calico's own are no labels of Kubernetes.
        (is_label && !own.starts_with("projectcalico.org/")).then(|| own.to_owned())
    };
    let found = |name: &str, operator: &str, values: &[&str]| match values {
        [] => Some(Some(json!({"key": key(name)?, "operator": operator}))),
        values => Some(Some(json!({"key": key(name)?, "operator": operator, "values": values}))),
    };
    if let Some(name) = term.strip_prefix("!has(") {
        return found(name.strip_suffix(')')?, "DoesNotExist", &[]);
    }
    if let Some(name) = term.strip_prefix("has(") {
        return found(name.strip_suffix(')')?, "Exists", &[]);
    }
    // Every pod is one of Kubernetes.
    if term.replace(' ', "") == "projectcalico.org/orchestrator=='k8s'" {
        return Some(None);
    }
    for (words, operator) in [(" not in ", "NotIn"), (" in ", "In")] {
        if let Some((name, set)) = term.split_once(words) {
            let set = set.trim().strip_prefix('{')?.strip_suffix('}')?;
            let values: Option<Vec<&str>> = set.split(',').map(quoted).collect();
            return found(name, operator, &values.filter(|v| !v.is_empty())?);
        }
    }
    for (words, operator) in [("==", "In"), ("!=", "NotIn")] {
        if let Some((name, value)) = term.split_once(words) {
            return found(name, operator, &[quoted(value)?]);
        }
    }
    None
}

/// `shop` of `'shop'`.
fn quoted(value: &str) -> Option<&str> {
    let value = value.trim();
    let of = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    of('\'').or(of('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(namespace: &str, spec: Value) -> Vec<NetworkPolicy> {
        let meta = json!({"name": "default.p", "namespace": namespace});
        let policy: CalicoPolicy = serde_json::from_value(json!({"metadata": meta, "spec": spec})).expect("a policy");
        translated(&policy, &["shop", "monitoring", "kube-system"])
    }

    fn spec(namespace: &str, spec: Value) -> Value {
        let all = of(namespace, spec);
        serde_json::to_value(all.first().and_then(|p| p.spec.as_ref())).expect("JSON")
    }

    #[test]
    fn rules_and_selectors_are_those_of_kubernetes() {
        let made = spec(
            "shop",
            json!({"tier": "default", "selector": "app == 'checkout' && has(tier)", "types": ["Ingress"], "ingress": [
                {"action": "Allow", "protocol": "TCP", "destination": {"ports": [8080, "9000:9010"]},
                 "source": {"namespaceSelector": "projectcalico.org/name in {'gateway', \"edge\"}"}},
                {"action": "Deny", "source": {"nets": ["0.0.0.0/0"]}}]}),
        );
        assert_eq!(made.pointer("/podSelector/matchExpressions/0/values/0"), Some(&json!("checkout")));
        assert_eq!(made.pointer("/ingress").and_then(Value::as_array).map(Vec::len), Some(1));
        let homes = "/ingress/0/from/0/namespaceSelector/matchExpressions/0";
        assert_eq!(made.pointer(&format!("{homes}/key")), Some(&json!(NAME.1)));
        assert_eq!(made.pointer(&format!("{homes}/values/1")), Some(&json!("edge")));
        assert_eq!(made.pointer("/ingress/0/ports/1/endPort"), Some(&json!(9010)));
    }

    #[test]
    fn those_of_the_cluster_are_of_the_namespaces_that_they_name() {
        let deny = json!({"namespaceSelector": "projectcalico.org/name not in {'kube-system', 'monitoring'}", "types": ["Ingress"]});
        let homes: Vec<String> = of("", deny).into_iter().map(|p| p.metadata.namespace).collect();
        assert_eq!(homes, ["shop"]);
        assert_eq!(of("", json!({"selector": "all()", "types": ["Ingress"]})).len(), 3);
        assert!(of("", json!({"namespaceSelector": "team == 'a'", "types": ["Ingress"]})).is_empty(), "not known");
    }

    #[test]
    fn what_a_policy_that_is_not_understood_admits_may_be_everything() {
        let allow = json!([{"action": "Allow", "source": {"selector": "app == 'prometheus'"}}]);
        for (namespace, key, value) in [
            ("shop", "selector", "app == 'a' || app == 'b'"),
            ("shop", "tier", "platform"),
            ("shop", "serviceAccountSelector", "team == 'x'"),
            ("", "namespaceSelector", "team == 'x'"),
        ] {
            let all = of(namespace, json!({"types": ["Ingress", "Egress"], "ingress": allow, key: value}));
            assert_eq!(all.len(), if namespace.is_empty() { 3 } else { 1 }, "{value}");
            let made = serde_json::to_value(&all[0].spec).expect("JSON");
            assert_eq!(made.pointer("/ingress/0"), Some(&json!({})), "{value}");
            assert_eq!(
                made.pointer("/policyTypes"),
                Some(&json!(["Ingress"])),
                "it admits nothing that leaves: {value}"
            );
        }
        let named = json!({"namespaceSelector": "projectcalico.org/name == 'shop' && team == 'x'", "ingress": allow});
        assert_eq!(of("", named).len(), 1, "the name is known");
    }

    #[test]
    fn what_is_not_sure_blocks_nothing() {
        let types = json!(["Ingress"]);
        assert!(of("shop", json!({"tier": "security", "selector": "all()", "types": types})).is_empty());
        assert!(of("shop", json!({"selector": "a == 'b' || c == 'd'", "types": types})).is_empty());
        let wide = spec(
            "shop",
            json!({"selector": "all()", "types": types, "ingress": [
            {"action": "Allow", "source": {"selector": "a == 'b' || c == 'd'"}}]}),
        );
        assert_eq!(wide.pointer("/ingress/0"), Some(&json!({})));
    }
}
