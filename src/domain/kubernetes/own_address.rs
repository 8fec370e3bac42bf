//! Where a program of the stack answers within its own pod: what its flags and its probes say.

use std::collections::BTreeSet;

use serde_json::Value;
use url::Url;

use super::arguments::{flag, flags};
use super::endpoints::probe_port;
use super::proxy;
use super::service_port::named;
use crate::model::Program;
use crate::snapshot::kubernetes::{Container, HttpGet, Meta, Pod};

/// The address that commands in its pod ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnAddress {
    /// It serves TLS; its certificate is hardly for this address.
    pub(crate) tls: bool,
    /// `localhost` where it listens on all addresses.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// `/alertmanager`; empty where it is the root.
    pub(crate) prefix: String,
}

impl OwnAddress {
    /// Of a container in its pod.
    pub(crate) fn of_pod(pod: &Pod, container: &Container) -> Self {
        Self::of(container, pod.status.pod_ip.as_deref())
    }

    /// Of a container, whose pod has this address.
    pub(crate) fn of(container: &Container, pod_ip: Option<&str>) -> Self {
        let host = flags(container, "web.listen-address").next().and_then(|a| a.rsplit_once(':'));
        Self {
            tls: asked(container).any(|probe| probe.scheme.as_deref() == Some("HTTPS")),
            host: own_host(host.map_or("", |(host, _)| host), pod_ip),
            port: set_port(container).unwrap_or_else(|| usual_port(container)),
            prefix: prefix(container).or_else(|| probed_prefix(container)).unwrap_or_default(),
        }
    }

    /// Of a program of which nothing is seen.
    pub(crate) fn usual(program: Program) -> Self {
        Self { tls: false, host: "localhost".to_owned(), port: program.port(), prefix: String::new() }
    }

    /// `http://localhost:9093/alertmanager`, without a slash at its end.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}:{}{}", self.scheme(), self.host, self.port, self.prefix)
    }

    /// A path of it through the API server, which passes over what its certificate says.
    pub(crate) fn through_api_server(&self, pod: &Pod, path: &str) -> String {
        let Meta { namespace, name, .. } = &pod.metadata;
        proxy::of_pod(namespace, self.scheme(), name, self.port, &format!("{}{path}", self.prefix))
    }

    fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}

/// The path below which Prometheus or Alertmanager answers, by its flags: `/x`, or empty for the root. `None` where it is
/// known at run time only.
pub(crate) fn prefix(container: &Container) -> Option<String> {
    let by_url = || flag(container, "web.external-url").map(path_of);
    let path = flag(container, "web.route-prefix").map(str::to_owned).or_else(by_url).unwrap_or_default();
    (!path.contains('$')).then(|| bare(&path))
}

fn path_of(url: &str) -> String {
    Url::parse(url).map_or_else(|_| url.to_owned(), |u| u.path().to_owned())
}

/// A path as a prefix: `/x`, or empty for the root.
pub(crate) fn bare(path: &str) -> String {
    match path.trim_matches('/') {
        "" => String::new(),
        path => format!("/{path}"),
    }
}

/// `/x` of a probe that asks `/x/-/ready`.
fn probed_prefix(container: &Container) -> Option<String> {
    asked(container).find_map(|probe| {
        let path = probe.path.as_deref()?;
        path.strip_suffix("/-/ready").or(path.strip_suffix("/-/healthy")).map(bare)
    })
}

/// What its probes ask of it.
fn asked(container: &Container) -> impl Iterator<Item = &HttpGet> {
    let probes = [&container.readiness_probe, &container.liveness_probe, &container.startup_probe];
    probes.into_iter().flatten().filter_map(|p| p.http_get.as_ref())
}

/// The host of a listening address as one who asks from within writes it.
fn own_host(host: &str, pod_ip: Option<&str>) -> String {
    let address = |ip: &str| if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
    match host {
        "" | "0.0.0.0" | "[::]" | "127.0.0.1" => "localhost".to_owned(),
        // A variable can hardly be anything but the pod's own address.
        host if host.contains('$') => pod_ip.map_or_else(|| "localhost".to_owned(), address),
        host => host.to_owned(),
    }
}

/// The port that its flags or its environment set.
pub(crate) fn set_port(container: &Container) -> Option<u16> {
    let mut addresses = flags(container, "web.listen-address");
    let flag = addresses.find_map(|a| a.rsplit(':').next()?.parse().ok());
    flag.or_else(|| container.env("GF_SERVER_HTTP_PORT")?.parse().ok())
}

/// Where a program of the stack is known to listen: by its flags or environment, or by a probe that succeeds.
pub(crate) fn listens_on(pod: &Pod) -> Option<u16> {
    let container = pod.spec.containers.iter().find(|c| c.program().is_some())?;
    let probe = || {
        let probe = container.readiness_probe.as_ref().filter(|_| pod.is_ready())?;
        let port = probe.http_get.as_ref().map(|h| &h.port).or(probe.tcp_socket.as_ref().map(|t| &t.port))?;
        match port {
            Value::Number(n) => n.as_u64().and_then(|n| u16::try_from(n).ok()),
            Value::String(name) => named(pod, name),
            _ => None,
        }
    };
    set_port(container).or_else(probe)
}

/// The ports that the containers of a pod declare.
pub(crate) fn declared(pod: &Pod) -> BTreeSet<u16> {
    pod.all_containers().flat_map(|c| &c.ports).map(|p| p.container_port).collect()
}

/// Where nothing sets it: Grafana's configuration may, which its probe then asks at; the others have their own.
fn usual_port(container: &Container) -> u16 {
    let probed = || asked(container).find_map(|p| u16::try_from(probe_port(container, &p.port)?).ok());
    match container.program() {
        Some(Program::Grafana) => probed().unwrap_or_else(|| Program::Grafana.port()),
        Some(program) => program.port(),
        None => probed().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn url(args: &[&str], probe: serde_json::Value, ip: Option<&str>) -> String {
        let made = json!({"name": "alertmanager", "image": "prom/alertmanager:v0.28.1", "args": args, "readinessProbe": probe});
        let container: Container = serde_json::from_value(made).expect("a container");
        OwnAddress::of(&container, ip).url()
    }

    #[test]
    fn flags_say_where_it_answers() {
        let none = || json!(null);
        assert_eq!(url(&[], none(), None), "http://localhost:9093");
        assert_eq!(url(&["--web.listen-address=:9094"], none(), None), "http://localhost:9094");
        assert_eq!(
            url(&["--web.listen-address=0.0.0.0:80", "--web.route-prefix=/a/"], none(), None),
            "http://localhost:80/a"
        );
        assert_eq!(url(&["--web.listen-address=$(POD_IP):9093"], none(), Some("10.0.1.9")), "http://10.0.1.9:9093");
        assert_eq!(url(&["--web.listen-address=$(POD_IP):9093"], none(), Some("fd00::9")), "http://[fd00::9]:9093");
        assert_eq!(url(&["--web.listen-address=[::1]:9093"], none(), None), "http://[::1]:9093");
        assert_eq!(url(&["--web.external-url=https://x.example.com/am"], none(), None), "http://localhost:9093/am");
        let root = ["--web.external-url=https://x.example.com/am", "--web.route-prefix=/"];
        assert_eq!(url(&root, none(), None), "http://localhost:9093");
    }

    #[test]
    fn probes_say_what_flags_do_not() {
        let probe = json!({"httpGet": {"path": "/am/-/ready", "port": 9093, "scheme": "HTTPS"}});
        assert_eq!(url(&["--web.external-url=$(URL)"], probe.clone(), None), "https://localhost:9093/am");
        assert_eq!(url(&["--web.route-prefix=/"], probe, None), "https://localhost:9093");
    }

    #[test]
    fn the_prefix_of_a_variable_is_not_known() {
        let of = |args: &[&str]| {
            let args = args.iter().map(|a| (*a).to_owned()).collect();
            prefix(&Container { args, ..Container::default() })
        };
        assert_eq!(of(&[]).as_deref(), Some(""));
        assert_eq!(of(&["--web.external-url=https://x.example.com/prom/"]).as_deref(), Some("/prom"));
        assert_eq!(of(&["--web.external-url=https://x/prom", "--web.route-prefix=/"]).as_deref(), Some(""));
        assert_eq!(of(&["--web.route-prefix", "/p"]).as_deref(), Some("/p"));
        assert_eq!(of(&["--web.external-url=$(URL)"]), None);
    }
}
