//! Names by which parts of a monitoring stack are known wherever they lie: of workloads, of charts and releases, of what a
//! repository brings.

/// Names of workloads that belong to a stack wherever they run.
pub(crate) const BESIDE: &[&str] = &[
    "alloy",
    "cloudwatch-agent",
    "fluent-bit",
    "fluentbit",
    "fluentd",
    "grafana-agent",
    "kube-state-metrics",
    "loki",
    "node-exporter",
    "prometheus-operator",
    "promtail",
];
/// The same of names that are parts of other names: whole words of a name (`otel-gateway`, not `hotel`).
pub(crate) const BESIDE_WORDS: &[&str] = &[
    "adot",
    "jaeger",
    "mimir",
    "opentelemetry",
    "otel",
    "otelcol",
    "prom",
    "tempo",
    "thanos",
    "vector",
    "vmagent",
    "vmalert",
    "vminsert",
    "vmselect",
    "vmsingle",
    "vmstorage",
    "victoria",
];
/// Words of what is called for the stack as a whole, or for one of its servers.
const WHOLE: &[&str] = &["prometheus", "alertmanager", "grafana", "monitoring", "observability"];

/// What a repository or a chart of that name brings is a stack, or a part of one.
pub(crate) fn is_of_monitoring(name: &str) -> bool {
    let is_word = |word: &str| BESIDE_WORDS.contains(&word) || WHOLE.contains(&word);
    BESIDE.iter().any(|part| name.contains(part)) || name.split(['-', '_', '.', '/']).any(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_known_by_whole_words() {
        for name in
            ["kube-prometheus-stack", "loki-distributed", "monitoring", "otel-gateway", "clusters/prod/monitoring"]
        {
            assert!(is_of_monitoring(name), "{name}");
        }
        for name in ["hotel", "shop", "temporal", "promotions", "ingress-nginx"] {
            assert!(!is_of_monitoring(name), "{name}");
        }
    }
}
