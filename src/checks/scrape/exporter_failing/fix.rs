//! What lets an exporter measure.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::kubernetes::mounts::{Holder, Mounts, mount_of};
use crate::domain::kubernetes::proxy;
use crate::domain::kubernetes::service_host::in_cluster;
use crate::domain::kubernetes::{arguments, env_key};
use crate::domain::prometheus::exporter_log::{Failing, Why, pushed, user};
use crate::domain::prometheus::operator::serves;
use crate::domain::text::log_line::Line;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod};

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    pub(super) namespace: String,
    pub(super) owner: String,
    pub(super) container: String,
    pub(super) detail: String,
    pub(super) host: String,
    pub(super) managed_by: String,
    #[serde(flatten)]
    pub(super) way: Way,
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Way {
    Login {
        user: String,
        secret: String,
        key: String,
        /// The key holds a whole address, with user and password in it.
        whole: bool,
    },
    Rights {
        user: String,
        postgres: bool,
    },
    Reach {
        service: Option<String>,
        service_namespace: Option<String>,
        address: String,
        port: String,
    },
    Tls,
    Module {
        module: String,
        /// Kinds that ask for modules and that the API server has, as kubectl takes them.
        asking: String,
        modules: Vec<String>,
        map: String,
        key: String,
    },
    Socket,
    /// node-exporter may not read what it is to measure.
    Collector {
        collectors: String,
        /// Rights are missing, and no file.
        refused: bool,
        /// Type of SELinux that lets a container read the node, by the system of the nodes; empty where they have none.
        selinux: &'static str,
        system: String,
    },
    /// A file of the textfile collector.
    Textfile {
        file: String,
        pod: String,
        /// Where it lies on the node, as a debugging pod sees it; empty where it lies in another volume.
        on_node: String,
        node: String,
    },
    /// statsd-exporter throws values away.
    Conflict {
        metric: String,
        map: String,
    },
    Throttled {
        /// The call that is refused, where it is named.
        operation: String,
        yace: bool,
    },
    Snmp {
        module: String,
        auth: String,
    },
    Pushed {
        metric: String,
        groups_path: String,
        /// A filter of jq for the groups that hold the metric.
        holders: String,
        group_path: String,
    },
}

pub(super) fn way(
    snap: &Snapshot,
    failing: &Failing<'_>,
    (pod, container): (&Pod, &Container),
    host: Option<&str>,
    module: String,
    collectors: String,
) -> Way {
    let user = user(&failing.text).unwrap_or_else(|| "<user>".to_owned());
    match failing.why {
        Why::Login => {
            let (secret, key, whole) = login(container).unwrap_or_default();
            Way::Login { user, secret, key, whole }
        }
        Why::Rights => Way::Rights { user, postgres: container.image.contains("postgres") },
        Why::Collector => {
            let system = snap.node_of(pod).map(|n| n.status.node_info.os_image.clone()).unwrap_or_default();
            Way::Collector {
                collectors,
                refused: failing.said.contains("ermission denied"),
                selinux: selinux(&system),
                system,
            }
        }
        Why::Textfile => {
            let file = field(&failing.line, "file");
            Way::Textfile {
                on_node: on_node(pod, container, &file).unwrap_or_default(),
                file,
                pod: pod.metadata.name.clone(),
                node: pod.spec.node_name.clone().unwrap_or_default(),
            }
        }
        Why::Conflict => {
            let files = Mounts::of_pod(snap, pod, container).files();
            let map = files.iter().find(|f| f.text.contains("mappings:"));
            Way::Conflict {
                metric: statsd_metric(&failing.line),
                map: map.map(|f| f.map.metadata.name.clone()).unwrap_or_default(),
            }
        }
        Why::Tls => Way::Tls,
        Why::Socket => Way::Socket,
        Why::Throttled => {
            let quota = match failing.text.split_once("operation error CloudWatch: ") {
                Some((_, rest)) => rest.split(',').next().unwrap_or_default().to_owned(),
                None => String::new(),
            };
            Way::Throttled { operation: quota, yace: container.image.contains("yet-another") }
        }
        Why::Pushed => {
            let (metric, _) = pushed(&failing.text).unwrap_or_default();
            let port = container.ports.first().map_or(9091, |p| p.container_port);
            let at = proxy::of_pod(&pod.metadata.namespace, "http", &pod.metadata.name, port, "");
            let is_name = !metric.is_empty() && metric.chars().all(|c| c.is_ascii_alphanumeric() || "_:".contains(c));
            let holders = if is_name {
                format!(r#".data[] | select(has("{metric}")) | [.labels, .["{metric}"].type] | tojson"#)
            } else {
                ".data[] | .labels | tojson".to_owned()
            };
            // The group that contradicts is another one: a push replaces its own before it is compared.
            let group_path = format!("{at}/metrics/job/<job of that group>");
            Way::Pushed { metric, groups_path: format!("{at}/api/v1/metrics"), holders, group_path }
        }
        Why::Snmp => Way::Snmp { module, auth: field(&failing.line, "auth") },
        Why::Module => {
            let files = Mounts::of_pod(snap, pod, container).files();
            let file = files.iter().find(|f| f.text.contains("modules:"));
            let modules = file.map(|f| modules_of(f.text)).unwrap_or_default();
            let map = file.map(|f| f.map.metadata.name.clone()).unwrap_or_default();
            let key = file.map(|f| f.key.to_owned()).unwrap_or_default();
            let asking: Vec<&str> = ["probes", "scrapeconfigs"].into_iter().filter(|r| serves(snap, r)).collect();
            Way::Module { module, asking: asking.join(","), modules, map, key }
        }
        Why::Name | Why::Unreached => {
            let (address, port) = host.and_then(|h| h.rsplit_once(':')).unwrap_or((host.unwrap_or("<host>"), "<port>"));
            let named = in_cluster(snap, address, &pod.metadata.namespace);
            let (service, service_namespace) = named.map(|s| (s.service, s.namespace)).unzip();
            Way::Reach { service, service_namespace, address: address.to_owned(), port: port.to_owned() }
        }
    }
}

/// Secret and key of the exporter's password, and whether the key holds a whole address with the password in it. A key
/// with the user's name, or with an address without login (`DATA_SOURCE_URI`), is none.
pub(super) fn login(container: &Container) -> Option<(String, String, bool)> {
    let named = |words: &[&str]| {
        env_key::all(container, Holder::Secret).find(|(variable, _)| {
            let name = variable.name.to_ascii_uppercase();
            name != "DATA_SOURCE_URI" && words.iter().any(|w| name.contains(w))
        })
    };
    let (found, whole) = match named(&["PASS"]) {
        Some(password) => (password, false),
        None => (named(&["DATA_SOURCE_NAME", "URI", "DSN"])?, true),
    };
    Some((found.1.name.clone(), found.1.key.clone(), whole))
}

/// `metric=airflow_dag_processing`, or `metric with name airflow_dag_processing is already registered`.
pub(super) fn statsd_metric(line: &str) -> String {
    let named = field(line, "metric");
    if !named.is_empty() {
        return named;
    }
    let name = line.split_once("metric with name ").and_then(|(_, rest)| rest.split([' ', '"']).next());
    name.unwrap_or("<metric>").to_owned()
}

/// The path of a file of the textfile collector below the root of its node, as `kubectl debug node` mounts that.
fn on_node(pod: &Pod, container: &Container, file: &str) -> Option<String> {
    let directory = arguments::flag(container, "collector.textfile.directory")?.trim_end_matches('/');
    let mount = mount_of(container, directory)?;
    let volume = pod.spec.volumes.iter().find(|v| v.name == mount.name)?;
    let below = directory.strip_prefix(mount.mount_path.trim_end_matches('/'))?;
    let root = volume.host_path.as_ref()?.path.trim_end_matches('/');
    Some(format!("/host{root}{below}/{file}"))
}

/// Systems that confine containers by SELinux, and the type that may read the node.
pub(super) fn selinux(system: &str) -> &'static str {
    let of_red_hat = ["Red Hat", "CentOS", "Rocky", "AlmaLinux", "Fedora"];
    match () {
        () if system.contains("Bottlerocket") => "super_t",
        () if of_red_hat.iter().any(|s| system.contains(s)) => "spc_t",
        () => "",
    }
}

/// Names below `modules:`.
fn modules_of(text: &str) -> Vec<String> {
    let root = crate::lint::yaml::document(text).ok().flatten();
    let entries = root.as_ref().and_then(|r| r.get("modules")).and_then(crate::lint::yaml::Node::entries);
    entries.unwrap_or_default().iter().filter_map(|(name, _)| name.as_str().map(str::to_owned)).collect()
}

/// `module=http_2xx_auth`.
pub(super) fn module(line: &str) -> String {
    field(line, "module")
}

pub(super) fn field(line: &str, name: &str) -> String {
    Line::parse(line).get(name).trim_end_matches(',').to_owned()
}
