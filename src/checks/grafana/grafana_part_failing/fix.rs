//! The fix of each part.

use schemars::JsonSchema;
use serde::Serialize;

use super::facts::{
    asked, bare_proxy, callback, client, has_no_groups, host_of, is_unauthorized, lacks_row, named_or, other_server,
    renaming_ingress, root_of, wanted,
};
use crate::domain::alertmanager::notify_error;
use crate::domain::grafana::ini;
use crate::domain::grafana::part_log::{Part, Said};
use crate::domain::grafana::provisioned::Instance;
use crate::domain::grafana::url::Written;
use crate::domain::kubernetes::label_selector;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::mounts::Mounts;
use crate::domain::kubernetes::owner::{operator_owner, workload};
use crate::domain::kubernetes::service_host::in_cluster;
use crate::domain::text::redact::redact;
use crate::snapshot::kubernetes::{Ingress, Service};
use crate::snapshot::{Snapshot, journal};

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    namespace: String,
    grafana: String,
    container: String,
    detail: String,
    /// What selects its pods.
    selector: String,
    #[serde(flatten)]
    pub(super) way: Way,
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Way {
    Secrets {
        key_set: bool,
        replicas: bool,
        /// The database has no such data key: the secret_key decides nothing.
        row_missing: bool,
    },
    LoginClient {
        client: String,
        root_url: String,
    },
    LoginReach {
        /// Scheme, host and port of the provider; empty where the log does not say them.
        url: String,
    },
    LoginState {
        root_url: String,
        replicas: bool,
    },
    LoginUser {
        client: String,
    },
    LoginMember {
        client: String,
    },
    SignUp {
        client: String,
    },
    ProxyAddress {
        /// From where was asked; empty where the log does not say it.
        address: String,
    },
    UserSync {
        client: String,
        /// The provider's role would leave the organisation without an administrator.
        last_admin: bool,
    },
    Origin {
        origin: String,
        root_url: String,
        /// As it should be; a placeholder where nothing says that people are meant to open it at the origin.
        right_url: String,
        managed_by: String,
    },
    Forwarded {
        /// The host at which it is opened.
        host: String,
        /// The ConfigMap of an nginx that leads to Grafana and sets no Host; empty where none is known.
        proxy_map: String,
        proxy_map_namespace: String,
        /// The Ingress that names another host to what is behind it; empty where none does.
        ingress: String,
        ingress_namespace: String,
        managed_by: String,
    },
    Ldap,
    LdapGroups {
        /// The directory gives no groups at all.
        no_groups: bool,
    },
    AlertingPeers {
        address: String,
    },
    Sessions {
        managed_by: String,
    },
    Database {
        host: String,
    },
    GatewayTimeout {
        source: String,
    },
    OwnTimeout {
        source: String,
        /// Seconds that it waits now, where the environment says so.
        now: String,
    },
    QueryTimeout {
        source: String,
        /// The Prometheus of the operator that answers.
        prometheus: Option<String>,
        prometheus_namespace: String,
        limit: String,
    },
    Angular {
        plugins: Vec<String>,
        /// Any of them, as a regular expression.
        pattern: String,
        /// What the environment asks to install.
        installed: String,
    },
    Rendering {
        host: String,
        service: Option<String>,
        service_namespace: Option<String>,
        exists: bool,
        /// It answers, and does not take Grafana's token.
        unauthorized: bool,
        /// Where it is told to open Grafana, and what is wrong with that; empty where nothing is.
        callback: String,
    },
    PluginInstall {
        plugins: String,
        /// The host as which another server answers; empty where none does.
        other_host: String,
        managed_by: String,
    },
    PluginMissing {
        /// What the datasources want beside what Grafana brings along.
        candidates: String,
        managed_by: String,
    },
    Signature {
        plugin: String,
        /// It never had a signature, so it may be allowed; one that does not fit is never loaded.
        unsigned: bool,
        /// The plugins that are allowed, this one included.
        allowed: String,
    },
}

impl Fix {
    /// Of what Grafana says; the host is the one that it names.
    pub(super) fn of(snap: &Snapshot, instance: Instance<'_>, said: &Said<'_>, host: String) -> Self {
        Self {
            namespace: instance.namespace().to_owned(),
            grafana: instance.kubectl_name(),
            container: instance.container.name.clone(),
            detail: redact(&said.error),
            selector: instance.workload.spec.selector.as_ref().map(label_selector::words).unwrap_or_default(),
            way: way(snap, instance, said, host),
        }
    }
}

fn way(snap: &Snapshot, instance: Instance<'_>, said: &Said<'_>, host: String) -> Way {
    let replicas = instance.pods(snap).len() > 1;
    let root_url = instance.container.env("GF_SERVER_ROOT_URL").unwrap_or_default().to_owned();
    match said.part {
        Part::Secrets => {
            let set = instance.container.env.iter().any(|e| e.name.starts_with("GF_SECURITY_SECRET_KEY"));
            Way::Secrets { key_set: set, replicas, row_missing: lacks_row(said) }
        }
        Part::LoginClient => Way::LoginClient { client: client(said).to_owned(), root_url },
        Part::LoginReach => Way::LoginReach { url: notify_error::origin(&said.error).unwrap_or_default() },
        Part::LoginState => Way::LoginState { root_url, replicas },
        Part::LoginUser => Way::LoginUser { client: client(said).to_owned() },
        Part::LoginMember => Way::LoginMember { client: client(said).to_owned() },
        Part::SignUp => Way::SignUp { client: client(said).to_owned() },
        Part::ProxyAddress => Way::ProxyAddress { address: said.what.clone() },
        Part::LdapGroups => Way::LdapGroups { no_groups: has_no_groups(said) },
        Part::AlertingPeers => {
            Way::AlertingPeers { address: named_or(&said.what, "<headless-service>:9094").to_owned() }
        }
        Part::PluginInstall => Way::PluginInstall {
            plugins: named_or(&said.what, "<plugin-id>").to_owned(),
            other_host: other_server(&said.error).map(|(_, host)| host).unwrap_or_default(),
            managed_by: managed_by(&instance.workload.metadata),
        },
        Part::PluginMissing => Way::PluginMissing {
            candidates: wanted(snap, instance).join(", "),
            managed_by: managed_by(&instance.workload.metadata),
        },
        Part::UserSync => {
            let last_admin = said.error.contains("last organization admin");
            Way::UserSync { client: client(said).to_owned(), last_admin }
        }
        Part::Origin => {
            let root = root_of(said);
            Way::Origin {
                origin: redact(&said.what),
                right_url: right_url(snap, instance, &said.what, &root),
                root_url: root,
                managed_by: managed_by(&instance.workload.metadata),
            }
        }
        Part::Forwarded => {
            let (proxy_map_namespace, proxy_map) = bare_proxy(snap, instance).unwrap_or_default();
            let (ingress_namespace, ingress) = renaming_ingress(snap, &said.what).unwrap_or_default();
            Way::Forwarded {
                host: host_of(&said.what).to_owned(),
                proxy_map,
                proxy_map_namespace,
                ingress,
                ingress_namespace,
                managed_by: managed_by(&instance.workload.metadata),
            }
        }
        Part::Ldap => Way::Ldap,
        Part::Sessions => Way::Sessions { managed_by: managed_by(&instance.workload.metadata) },
        Part::Database => {
            let host = instance.container.env("GF_DATABASE_HOST").unwrap_or("<database>").to_owned();
            Way::Database { host }
        }
        Part::GatewayTimeout => Way::GatewayTimeout { source: said.what.clone() },
        Part::OwnTimeout => Way::OwnTimeout {
            source: said.what.clone(),
            now: instance.container.env("GF_DATAPROXY_TIMEOUT").unwrap_or_default().to_owned(),
        },
        Part::QueryTimeout => {
            let service = asked(snap, instance, &said.what);
            let server = service.and_then(|s| prometheus_of(snap, s));
            Way::QueryTimeout {
                source: said.what.clone(),
                limit: service.and_then(|s| limit(snap, s)).unwrap_or_else(|| "2m, unless set".to_owned()),
                prometheus: server.map(|(_, name)| name.to_owned()),
                prometheus_namespace: server.map(|(namespace, _)| namespace.to_owned()).unwrap_or_default(),
            }
        }
        Part::Angular => Way::Angular {
            plugins: named_or(&said.what, "<plugin-id>").split(", ").map(str::to_owned).collect(),
            pattern: named_or(&said.what, "<plugin-id>").replace(", ", "|"),
            installed: instance
                .container
                .env("GF_INSTALL_PLUGINS")
                .or(instance.container.env("GF_PLUGINS_PREINSTALL"))
                .unwrap_or_default()
                .to_owned(),
        },
        Part::Rendering => {
            let named = in_cluster(snap, &host, instance.namespace());
            let exists =
                named.as_ref().and_then(|s| snap.services.find(&s.namespace, &s.service).ok().flatten()).is_some();
            let (service, service_namespace) = named.map(|s| (s.service, s.namespace)).unzip();
            let callback = callback(snap, instance, said);
            Way::Rendering { host, service, service_namespace, exists, unauthorized: is_unauthorized(said), callback }
        }
        Part::Signature => Way::Signature {
            plugin: said.what.clone(),
            unsigned: said.line.contains("has no signature") && !said.what.is_empty(),
            allowed: allowed(snap, instance, &said.what),
        },
    }
}

/// The origin with the path of the `root_url`: people may open Grafana below a path. An origin that only another site
/// names is none that Grafana should have.
fn right_url(snap: &Snapshot, instance: Instance<'_>, origin: &str, root: &str) -> String {
    let is_unset = Written::parse(root).is_some_and(|url| url.host == "localhost");
    if !is_unset && !Written::parse(origin).is_some_and(|url| leads_there(snap, instance, &url.host)) {
        return "<url>".to_owned();
    }
    let path = root.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    format!("{}/{path}", redact(origin).trim_end_matches('/'))
}

/// An Ingress leads from this host to Grafana.
fn leads_there(snap: &Snapshot, instance: Instance<'_>, host: &str) -> bool {
    let is_host = |named: &str| match named.strip_prefix('*') {
        Some(zone) => host.strip_suffix(zone).is_some_and(|label| !label.is_empty() && !label.contains('.')),
        None => named == host,
    };
    let pods = instance.pods(snap);
    let is_its = |namespace: &str, service: &str| {
        let service = snap.services.find(namespace, service).ok().flatten();
        service.is_some_and(|s| snap.pods_of_service(s).any(|p| pods.iter().any(|own| std::ptr::eq(*own, p))))
    };
    let leads = |ingress: &Ingress| {
        let mut rules = ingress.spec.rules.iter().filter(|r| r.host.as_deref().is_some_and(is_host));
        rules.any(|rule| {
            let mut services =
                rule.http.iter().flat_map(|http| &http.paths).filter_map(|path| path.backend.service.as_ref());
            services.any(|s| is_its(&ingress.metadata.namespace, &s.name))
        })
    };
    // It only decides whether the fix names the address or leaves it open.
    journal::aside(|| snap.ingresses.items().unwrap_or_default().iter().any(leads))
}

/// The resource of the operator that the pods behind a Service are made from: namespace and name.
pub(super) fn prometheus_of<'a>(snap: &'a Snapshot, service: &'a Service) -> Option<(&'a str, &'a str)> {
    let own = snap.owner_ref(snap.pods_of_service(service).next()?);
    let meta = &workload(snap, &own)?.metadata;
    operator_owner(meta).filter(|(kind, _)| *kind == "prometheus").map(|(_, name)| (meta.namespace.as_str(), name))
}

/// How long a query may take there, where it is the Prometheus that was asked for its flags.
fn limit(snap: &Snapshot, service: &Service) -> Option<String> {
    let known = snap.scope.prometheus.as_ref()?;
    if (&known.namespace, &known.service) != (&service.metadata.namespace, &service.metadata.name) {
        return None;
    }
    // It only says how long the limit is.
    journal::aside(|| snap.prometheus_flags.as_ref().ok()?.get("query.timeout").cloned())
}

/// The unsigned plugins that are allowed today, and one more: the environment takes the place of what grafana.ini says.
fn allowed(snap: &Snapshot, instance: Instance<'_>, plugin: &str) -> String {
    let of_environment = instance.container.env("GF_PLUGINS_ALLOW_LOADING_UNSIGNED_PLUGINS").map(str::to_owned);
    let today = of_environment.or_else(|| {
        let pod = instance.pods(snap).into_iter().next()?;
        let of_text = |text| ini::value(text, "plugins", "allow_loading_unsigned_plugins").map(str::to_owned);
        Mounts::of_pod(snap, pod, instance.container).files().iter().find_map(|f| of_text(f.text))
    });
    let today = today.unwrap_or_default();
    let mut all: Vec<&str> = today.split([',', ' ']).filter(|p| !p.is_empty()).collect();
    if !all.contains(&plugin) {
        all.push(plugin);
    }
    all.join(",")
}
