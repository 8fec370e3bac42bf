//! Files of Prometheus' pod that a monitor names, which a server may forbid (`arbitraryFSAccessThroughSMs`).

use crate::snapshot::kubernetes::{MonitorEndpoint, MonitorSpec};

/// The first field of a monitor that names a file, as the operator says it when it refuses the monitor.
pub(crate) fn named(spec: &MonitorSpec) -> Option<(&'static str, &'static str)> {
    spec.endpoints.iter().find_map(of_endpoint)
}

fn of_endpoint(endpoint: &MonitorEndpoint) -> Option<(&'static str, &'static str)> {
    let is_set = |file: &Option<String>| file.as_deref().is_some_and(|f| !f.is_empty());
    if is_set(&endpoint.bearer_token_file) {
        return Some((
            "bearerTokenFile",
            "it accesses file system via bearer token file which Prometheus specification prohibits",
        ));
    }
    let tls = endpoint.tls_config.as_ref()?;
    let files = [("caFile", &tls.ca_file), ("certFile", &tls.cert_file), ("keyFile", &tls.key_file)];
    let field = files.into_iter().find(|(_, file)| is_set(file))?.0;
    Some((field, "it accesses file system via tls config which Prometheus specification prohibits"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn files_are_named_in_endpoints() {
        let of = |endpoint: serde_json::Value| {
            let spec: MonitorSpec = serde_json::from_value(json!({"endpoints": [endpoint]})).expect("a monitor");
            named(&spec).map(|(field, _)| field)
        };
        assert_eq!(of(json!({"bearerTokenFile": "/var/run/secrets/token"})), Some("bearerTokenFile"));
        assert_eq!(of(json!({"tlsConfig": {"caFile": "/etc/ca.crt"}})), Some("caFile"));
        assert_eq!(of(json!({"port": "web", "bearerTokenFile": "", "tlsConfig": {"insecureSkipVerify": true}})), None);
    }
}
