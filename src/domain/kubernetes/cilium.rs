//! Policies of Cilium as those of Kubernetes: what they say alike. What they say beyond that counts as admitted, so that
//! nothing is called blocked which may be let through.

use serde_json::{Map, Value, json};

use crate::snapshot::kubernetes::{CiliumPolicy, NetworkPolicy, PolicyOrigin};

/// The label by which Cilium knows a pod's namespace.
const NAMESPACE: &str = "io.kubernetes.pod.namespace";
/// What labels of the namespace itself begin with.
const OF_NAMESPACE: &str = "io.cilium.k8s.namespace.labels.";
/// The label by which Kubernetes knows a namespace.
const NAME: &str = "kubernetes.io/metadata.name";

/// The policies that a policy of Cilium amounts to; one of the whole cluster in each of these namespaces.
pub(crate) fn translated(policy: &CiliumPolicy, namespaces: &[&str]) -> Vec<NetworkPolicy> {
    let of_cluster = policy.metadata.namespace.is_empty();
    let homes = if of_cluster { namespaces.to_vec() } else { vec![policy.metadata.namespace.as_str()] };
    let one = policy.spec.iter().filter(|s| s.is_object());
    let specs: Vec<&Value> = one.chain(policy.specs.iter().flatten()).collect();
    let each = homes.iter().flat_map(|home| specs.iter().filter_map(|spec| of_spec(spec, home, of_cluster)));
    let made = each.filter_map(|(home, spec)| {
        let mut made: NetworkPolicy = serde_json::from_value(json!({"spec": spec})).ok()?;
        made.metadata = policy.metadata.clone();
        made.metadata.namespace = home;
        made.origin = Some(if of_cluster { PolicyOrigin::CiliumCluster } else { PolicyOrigin::Cilium });
        Some(made)
    });
    made.collect()
}

/// The namespace and the spec of one rule set; `None` where it selects no pods there, or isolates none.
fn of_spec(spec: &Value, home: &str, of_cluster: bool) -> Option<(String, Value)> {
    // Pods, and not nodes.
    let selected = selector(spec.get("endpointSelector")?)?;
    if of_cluster && !selected.is_of(home) {
        return None;
    }
    let mut made = Map::new();
    made.insert("podSelector".to_owned(), selected.pods);
    let mut types = Vec::new();
    for (direction, name, ends, networks) in [
        ("ingress", "Ingress", "fromEndpoints", ["fromCIDR", "fromCIDRSet"]),
        ("egress", "Egress", "toEndpoints", ["toCIDR", "toCIDRSet"]),
    ] {
        let Some(rules) = spec.get(direction).and_then(Value::as_array) else { continue };
        let is_open = spec.pointer(&format!("/enableDefaultDeny/{direction}")) == Some(&Value::Bool(false));
        if is_open {
            continue;
        }
        types.push(name);
        let peers = if direction == "ingress" { "from" } else { "to" };
        let rules = rules.iter().filter_map(|r| rule(r, peers, ends, networks, of_cluster));
        made.insert(direction.to_owned(), rules.collect());
    }
    made.insert("policyTypes".to_owned(), json!(types));
    (!types.is_empty()).then(|| (home.to_owned(), Value::Object(made)))
}

/// One rule; `None` of one that admits nothing.
fn rule(rule: &Value, peers: &str, ends: &str, networks: [&str; 2], of_cluster: bool) -> Option<Value> {
    let fields = rule.as_object()?;
    if fields.is_empty() {
        return None;
    }
    let mut made = Map::new();
    let known = |key: &String| key == ends || networks.contains(&key.as_str()) || key == "toPorts";
    let is_whole = fields.keys().all(known);
    let mut all: Vec<Value> = Vec::new();
    let mut is_plain = is_whole;
    for end in fields.get(ends).and_then(Value::as_array).into_iter().flatten() {
        match peer(end, of_cluster) {
            Some(peer) => all.push(peer),
            None => is_plain = false,
        }
    }
    for cidr in fields.get(networks[0]).and_then(Value::as_array).into_iter().flatten() {
        all.push(json!({"ipBlock": {"cidr": cidr}}));
    }
    for set in fields.get(networks[1]).and_then(Value::as_array).into_iter().flatten() {
        match set.get("cidr") {
            Some(cidr) => all.push(json!({"ipBlock": {"cidr": cidr, "except": set.get("except")}})),
            None => is_plain = false,
        }
    }
    let names_peers = fields.keys().any(|k| k != "toPorts");
    // Nobody is named by an empty list.
    if names_peers && is_plain && all.is_empty() {
        return None;
    }
    if names_peers && is_plain {
        made.insert(peers.to_owned(), Value::Array(all));
    }
    if let Some(ports) = fields.get("toPorts").and_then(Value::as_array) {
        made.insert("ports".to_owned(), ports.iter().flat_map(port).collect());
    }
    Some(Value::Object(made))
}

/// The ports of one entry of `toPorts`.
fn port(entry: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    for port in entry.get("ports").and_then(Value::as_array).into_iter().flatten() {
        let word = port.get("port").and_then(Value::as_str).unwrap_or_default();
        let protocols: &[&str] = match port.get("protocol").and_then(Value::as_str) {
            Some("TCP") => &["TCP"],
            Some("UDP") => &["UDP"],
            Some("SCTP") => &["SCTP"],
            _ => &["TCP", "UDP"],
        };
        for protocol in protocols {
            let mut made = Map::from_iter([("protocol".to_owned(), json!(protocol))]);
            match word.parse::<u16>() {
                Ok(0) => {}
                Ok(number) => _ = made.insert("port".to_owned(), json!(number)),
                Err(_) => _ = made.insert("port".to_owned(), json!(word)),
            }
            if let Some(end) = port.get("endPort").filter(|e| e.as_u64() != Some(0)) {
                made.insert("endPort".to_owned(), end.clone());
            }
            all.push(Value::Object(made));
        }
    }
    all
}

/// Pods that a selector of Cilium means, in which namespaces.
struct Selected {
    pods: Value,
    /// `None` where it does not say.
    namespaces: Option<Value>,
}

impl Selected {
    fn is_of(&self, home: &str) -> bool {
        let Some(namespaces) = &self.namespaces else { return true };
        namespaces.pointer("/matchLabels").and_then(|l| l.get(NAME)).is_none_or(|n| n == home)
    }
}

/// The other end; `None` where it is more than pods by their labels.
fn peer(end: &Value, of_cluster: bool) -> Option<Value> {
    let Selected { pods, namespaces } = selector(end)?;
    Some(match namespaces {
        Some(namespaces) => json!({"podSelector": pods, "namespaceSelector": namespaces}),
        None if of_cluster => json!({"podSelector": pods, "namespaceSelector": {}}),
        None => json!({"podSelector": pods}),
    })
}

/// A selector by labels of pods and of their namespaces; `None` where it is about something else.
fn selector(selector: &Value) -> Option<Selected> {
    let (mut pods, mut pod_terms) = (Map::new(), Vec::new());
    let (mut homes, mut home_terms) = (Map::new(), Vec::new());
    let mut names_homes = false;
    for (key, value) in selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
        match plain(key)? {
            (Of::Namespace, key) => {
                names_homes = true;
                homes.insert(key, value.clone());
            }
            (Of::Pod, key) => _ = pods.insert(key, value.clone()),
        }
    }
    for term in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
        let (of, key) = plain(term.get("key")?.as_str()?)?;
        let mut term = term.clone();
        term["key"] = json!(key);
        match of {
            Of::Namespace => {
                names_homes = true;
                home_terms.push(term);
            }
            Of::Pod => pod_terms.push(term),
        }
    }
    let namespaces = names_homes.then(|| json!({"matchLabels": homes, "matchExpressions": home_terms}));
    Some(Selected { pods: json!({"matchLabels": pods, "matchExpressions": pod_terms}), namespaces })
}

/// Whose label it is.
enum Of {
    Pod,
    Namespace,
}

/// A label without the source that Cilium puts before it; `None` of one that no object has.
fn plain(key: &str) -> Option<(Of, String)> {
    let key = key.strip_prefix("k8s:").or(key.strip_prefix("k8s.")).or(key.strip_prefix("any:")).unwrap_or(key);
    if key == NAMESPACE {
        return Some((Of::Namespace, NAME.to_owned()));
    }
    if let Some(own) = key.strip_prefix(OF_NAMESPACE) {
        return Some((Of::Namespace, own.to_owned()));
    }
    (!key.contains("cilium") && !key.starts_with("reserved")).then(|| (Of::Pod, key.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(spec: Value) -> Value {
        let policy = json!({"metadata": {"name": "p", "namespace": "shop"}, "spec": spec});
        let policy: CiliumPolicy = serde_json::from_value(policy).expect("a policy");
        let made = translated(&policy, &["shop"]);
        serde_json::to_value(made.first().and_then(|p| p.spec.as_ref())).expect("JSON")
    }

    #[test]
    fn endpoints_are_pods_of_namespaces() {
        let spec = json!({"endpointSelector": {"matchLabels": {"app": "checkout"}}, "ingress": [{
            "fromEndpoints": [{"matchLabels": {"k8s:io.kubernetes.pod.namespace": "gateway", "k8s:app": "web"}}],
            "toPorts": [{"ports": [{"port": "8080", "protocol": "TCP"}]}]}]});
        let made = of(spec);
        assert_eq!(made.pointer("/podSelector/matchLabels/app"), Some(&json!("checkout")));
        let from = "/ingress/0/from/0";
        let name = made.pointer(&format!("{from}/namespaceSelector/matchLabels")).and_then(|l| l.get(NAME));
        assert_eq!(name, Some(&json!("gateway")));
        assert_eq!(made.pointer(&format!("{from}/podSelector/matchLabels/app")), Some(&json!("web")));
        assert_eq!(made.pointer("/ingress/0/ports/0/port"), Some(&json!(8080)));
        assert_eq!(made.pointer("/policyTypes"), Some(&json!(["Ingress"])));
    }

    #[test]
    fn an_empty_rule_admits_nothing_and_what_is_not_known_admits_all() {
        let select = json!({"matchLabels": {}});
        let deny = of(json!({"endpointSelector": select, "ingress": [{}]}));
        assert_eq!(deny.pointer("/ingress").and_then(Value::as_array).map(Vec::len), None.or(Some(0)));
        let entities = of(json!({"endpointSelector": select, "ingress": [{"fromEntities": ["cluster"]}]}));
        assert_eq!(entities.pointer("/ingress/0"), Some(&json!({})));
        assert_eq!(of(json!({"nodeSelector": {}, "ingress": [{}]})), Value::Null);
        let open = json!({"endpointSelector": select, "enableDefaultDeny": {"ingress": false}, "ingress": [{}]});
        assert_eq!(of(open), Value::Null);
    }
}
