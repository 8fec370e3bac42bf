//! A part of a running Grafana does not work: logins, its own secrets, rendering, a plugin.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::behind::depends_on_service;
use crate::checks::support::grafana::{none_runs, of_pod, running};
use crate::checks::support::seen::log_evidence;
use crate::checks::{Check, check};
use crate::domain::alertmanager::notify_error;
use crate::domain::grafana::ini;
use crate::domain::grafana::part_log::{self, Part, Said};
use crate::domain::grafana::provisioned::Instance;
use crate::domain::grafana::url::{self, Written};
use crate::domain::grafana::{database, datasources};
use crate::domain::kubernetes::label_selector;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::mounts::{self, Mounts, Origin};
use crate::domain::kubernetes::owner::{operator_owner, workload};
use crate::domain::kubernetes::service_host::in_cluster;
use crate::domain::text::log_line::Line;
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, Severity};
use crate::snapshot::kubernetes::{Ingress, Service};
use crate::snapshot::{Snapshot, journal};
use crate::text::pattern::pattern;

check! {
    /// See the check's page.
    GrafanaPartFailing {
        id: "grafana-part-failing", suite: Grafana, severity: Error,
        title: "a part of Grafana does not work",
        requires: [ConfigMaps, Workloads, ComponentLogs],
        uses: [Pods, Services, Ingresses, GrafanaDatasources, PrometheusFlags],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    namespace: String,
    grafana: String,
    container: String,
    detail: String,
    /// What selects its pods.
    selector: String,
    #[serde(flatten)]
    way: Way,
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
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
        plugin: String,
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

/// Characters of an error that are shown in a message.
const WIDTH: usize = 200;
/// Apps that Grafana fetches at its start without being told to (`defaultPreinstallPlugins` in its setting_plugins.go).
const OWN_APPS: &[&str] = &[
    "grafana-lokiexplore-app",
    "grafana-metricsdrilldown-app",
    "grafana-exploretraces-app",
    "grafana-pyroscope-app",
    "grafana-advisor-app",
];

impl Check for GrafanaPartFailing {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let Some(instances) = running(snap)? else { return Ok(none_runs()) };
        let all = part_log::failing(snap)?;
        let mut findings: Vec<Finding> = Vec::new();
        for said in &all {
            let Some(instance) = of_pod(snap, &instances, &said.log.pod) else { continue };
            // One that does not start without them is told of as such.
            if said.part == Part::PluginInstall && instance.pods(snap).iter().any(|p| !p.is_ready()) {
                continue;
            }
            // One replica has no peers, and sends what it has to send.
            if said.part == Part::AlertingPeers && instance.pods(snap).len() < 2 {
                continue;
            }
            // An old cookie is no fault.
            if said.part == Part::Sessions && !keeps_sessions_apart(snap, instance) {
                continue;
            }
            let made = finding(snap, instance, said);
            // Replicas say the same.
            if !findings.iter().any(|f| f.message == made.message || f.key == made.key) {
                findings.push(made);
            }
        }
        Ok(Diagnosis::Findings(findings))
    }
}

/// The names that a certificate is for, and the host that was asked for: `certificate is valid for *.corp.example.net, not grafana.com`.
fn other_server(error: &str) -> Option<(String, String)> {
    let found = pattern!(r"certificate is valid for (\S.*?), not ([\w.-]+\w)").captures(error)?;
    Some((found[1].to_owned(), found[2].to_owned()))
}

fn finding(snap: &Snapshot, instance: Instance<'_>, said: &Said<'_>) -> Finding {
    let error = shorten(&redact(&said.error), WIDTH);
    let who = format!("Grafana ({})", instance.kubectl_name());
    // The renderer's address may stand beside the error.
    let beside = || (said.part == Part::Rendering).then(|| notify_error::host(&said.line)).flatten();
    let host = notify_error::host(&said.error).or_else(beside).unwrap_or_default();
    let message = match said.part {
        Part::Secrets if lacks_row(said) => format!(
            "{who} cannot decrypt what it keeps in its database (passwords of datasources and contact points): the data key with which it was encrypted is not in that database ({error})"
        ),
        Part::Secrets => format!(
            "{who} cannot decrypt what it keeps in its database (passwords of datasources and contact points): it was encrypted with another secret_key ({error})"
        ),
        Part::LoginClient => format!(
            "nobody can log in to {who} by {}: the identity provider does not accept Grafana itself ({error})",
            client(said)
        ),
        Part::LoginReach if error.contains("cannot fetch token: 50") => format!(
            "nobody can log in to {who} by {}: the identity provider {host} fails itself ({error})",
            client(said)
        ),
        Part::LoginReach => format!(
            "nobody can log in to {who} by {}: it does not reach the identity provider {host} ({error})",
            client(said)
        ),
        Part::LoginState => format!(
            "logins to {who} break off at their end: the cookie of their beginning is not there any more ({error})"
        ),
        Part::LoginUser => format!(
            "logins to {who} by {} fail: the identity provider does not say who the user is ({error})",
            client(said)
        ),
        Part::LoginMember => format!(
            "{who} refuses people who log in by {}: the provider says who they are, and they are in none of the organisations, groups or domains that its configuration wants ({error})",
            client(said)
        ),
        Part::SignUp => format!(
            "{who} refuses new people who log in by {}: it has no user for them, and may not make one ({error})",
            client(said)
        ),
        Part::ProxyAddress => format!(
            "logins to {who} by the proxy before it fail: it asks from {}, which is not in the whitelist of auth.proxy",
            if said.what.is_empty() { "an address" } else { &said.what }
        ),
        Part::UserSync => format!(
            "somebody who logs in to {who} by {} is refused: Grafana cannot join what the provider says with the users that it has ({error})",
            client(said)
        ),
        Part::Origin => format!(
            "{who} refuses live updates (403): it is opened at {}, and its root_url is {}",
            redact(&said.what),
            root_of(said)
        ),
        Part::Ldap => format!("{who} cannot ask the directory (LDAP) who logs in ({error})"),
        Part::LdapGroups => format!(
            "{who} refuses people whom the directory (LDAP) knows: it {}",
            if has_no_groups(said) {
                "gives Grafana none of their groups"
            } else {
                "names groups of theirs, none of which is in Grafana's group_mappings"
            }
        ),
        Part::AlertingPeers => format!(
            "replicas of {who} do not find each other for alerting ({}), so that each of them sends every alert ({error})",
            if said.what.is_empty() { "ha_peers" } else { &said.what }
        ),
        Part::Sessions => format!(
            "users of {who} are logged out again and again: each of its {} replicas knows only its own sessions, in a SQLite database of its own",
            instance.pods(snap).len()
        ),
        Part::Database => format!("the database of {who} takes no more connections ({error})"),
        Part::GatewayTimeout => format!(
            "queries of datasource {} in {who} are cut off (504): {} gives up before the answer is there",
            said.what,
            // Behind a Service may be a gateway, or the store itself.
            asked(snap, instance, &said.what).map_or_else(
                || "what stands between the two".to_owned(),
                |s| format!("what answers behind Service {}/{}", s.metadata.namespace, s.metadata.name)
            )
        ),
        Part::OwnTimeout => format!(
            "{who} gives up queries of datasource {} before they are answered: they take longer than it waits ({error})",
            said.what
        ),
        Part::QueryTimeout => format!(
            "queries of datasource {} in {who} are ended by Prometheus itself: they take longer than its query.timeout ({error})",
            said.what
        ),
        Part::Angular => format!(
            "{who} does not load plugin {}: it is made with Angular, which Grafana 11 turned off and 12 removed; its panels are empty",
            said.what
        ),
        Part::PluginInstall if other_server(&said.error).is_some() => {
            let (names, host) = other_server(&said.error).unwrap_or_default();
            format!(
                "{who} cannot fetch plugins that it is to install ({}): another server answers as {host}, with a certificate for {names}",
                named_or(&said.what, "plugins")
            )
        }
        Part::PluginInstall => {
            format!("{who} cannot fetch plugins that it is to install ({}): {error}", named_or(&said.what, "plugins"))
        }
        Part::PluginMissing => match wanted(snap, instance).as_slice() {
            [] => format!("queries in {who} fail: the plugin of their datasource is not installed ({error})"),
            wanted => format!(
                "queries in {who} fail: the plugin of their datasource is not installed; of those that it does not bring along its datasources want {} ({error})",
                wanted.join(", ")
            ),
        },
        Part::Rendering if is_unauthorized(said) => {
            format!("{who} makes no images: its renderer {host} does not accept its token ({error})")
        }
        Part::Rendering => match callback(snap, instance, said).as_str() {
            "" => format!("{who} makes no images: its renderer {host} fails ({error})"),
            callback => format!("{who} makes no images: {callback}"),
        },
        Part::Signature => format!("{who} does not load plugin {}: it is not signed ({error})", said.what),
    };
    let severity = match said.part {
        Part::Secrets | Part::LoginClient | Part::LoginReach | Part::Database => Severity::Error,
        // Nobody asked for them by name: without a way out of the cluster they never come.
        Part::PluginInstall if said.what.split(", ").all(|id| OWN_APPS.contains(&id)) => Severity::Info,
        _ => Severity::Warning,
    };
    let mut made = Finding::new(GrafanaPartFailing::META.id, severity, instance.reference(), message)
        .key(format!("{:?} {} {}", said.part, instance.reference().key(), said.what))
        .evidence(log_evidence(&said.log.namespace, &said.log.pod, &said.log.container, false, &said.line));
    // It runs, and the rest of it works.
    // Datasources with a password get none.
    made.breaks = Some(if said.part == Part::Secrets { vec![instance.reference()] } else { Vec::new() });
    let way = way(snap, instance, said, host);
    if let Way::Rendering { service: Some(service), service_namespace: Some(namespace), .. } = &way {
        made = depends_on_service(snap, made, namespace, service);
    }
    // The gateway itself may say that it gave up, and on whom.
    if said.part == Part::GatewayTimeout
        && let Some(service) = asked(snap, instance, &said.what)
    {
        made = depends_on_service(snap, made, &service.metadata.namespace, &service.metadata.name);
    }
    // Whoever does not answer in time may not run at all.
    if said.part == Part::OwnTimeout
        && let Some(named) = notify_error::host(&said.error).and_then(|h| in_cluster(snap, &h, instance.namespace()))
    {
        made = depends_on_service(snap, made, &named.namespace, &named.service);
    }
    made.fix(Fix {
        namespace: instance.namespace().to_owned(),
        grafana: instance.kubectl_name(),
        container: instance.container.name.clone(),
        detail: redact(&said.error),
        selector: instance.workload.spec.selector.as_ref().map(label_selector::words).unwrap_or_default(),
        way,
    })
}

/// The `root_url` that Grafana compared with.
fn root_of(said: &Said<'_>) -> String {
    let url = Line::parse(&said.line).get("appUrl").to_owned();
    if url.is_empty() { "<root_url>".to_owned() } else { redact(&url) }
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

/// The row of the data key is not there: the database is another one than that in which it was made.
fn lacks_row(said: &Said<'_>) -> bool {
    said.line.contains("data key not found")
}

fn named_or<'s>(text: &'s str, other: &'s str) -> &'s str {
    if text.is_empty() { other } else { text }
}

/// `groups=[]`: the search for groups found none.
fn has_no_groups(said: &Said<'_>) -> bool {
    Line::parse(&said.line).get("groups").trim() == "[]"
}

/// Types of datasources that Grafana does not bring along, as the known ones have them.
fn wanted(snap: &Snapshot, instance: Instance<'_>) -> Vec<String> {
    let mut all: Vec<String> = datasources::all(snap, &[instance]).into_iter().map(|d| d.kind).collect();
    all.retain(|kind| !kind.is_empty() && !datasources::is_built_in(kind));
    all.sort_unstable();
    all.dedup();
    all
}

/// The renderer is told to open Grafana at a Service that is not there, or that has no such port; empty where it is not so.
fn callback(snap: &Snapshot, instance: Instance<'_>, said: &Said<'_>) -> String {
    // The page that is to be drawn is a parameter of the request.
    let asked = said.line.split("url=http").nth(1).and_then(|rest| rest.split(['&', '"', ' ', '\\']).next());
    let asked = asked.map(|rest| format!("http{}", rest.replace("%3A", ":").replace("%2F", "/")));
    let of_setting = || instance.setting(snap, "rendering", "callback_url").ok().flatten().map(str::to_owned);
    let Some(url) = asked.or_else(of_setting).and_then(|u| ::url::Url::parse(&u).ok()) else { return String::new() };
    let Some(named) = url.host_str().and_then(|h| in_cluster(snap, h, instance.namespace())) else {
        return String::new();
    };
    let place = format!("its renderer is told to open Grafana at {}://{}", url.scheme(), authority(&url));
    match snap.services.find(&named.namespace, &named.service) {
        Ok(None) => format!("{place}, and there is no Service {}/{}", named.namespace, named.service),
        Ok(Some(service)) => {
            let port = url.port_or_known_default();
            // A headless Service hands out the pods' own addresses, with all their ports.
            let headless = service.spec.cluster_ip.as_deref() == Some("None");
            if headless || service.spec.ports.iter().any(|p| Some(p.port) == port) {
                return String::new();
            }
            let has: Vec<String> = service.spec.ports.iter().map(|p| p.port.to_string()).collect();
            let (namespace, name) = (&named.namespace, &named.service);
            format!("{place}, and Service {namespace}/{name} has no such port (it has {})", has.join(", "))
        }
        Err(_) => String::new(),
    }
}

/// `host:port`, as it is written.
fn authority(url: &::url::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn is_unauthorized(said: &Said<'_>) -> bool {
    ["401 Unauthorized", "Unauthorized request", "Unauthenticated"].iter().any(|w| said.error.contains(w))
}

fn client<'s>(said: &'s Said<'_>) -> &'s str {
    if said.what.is_empty() { "OAuth" } else { &said.what }
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
            plugin: said.what.clone(),
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

/// The Service that a datasource asks.
fn asked<'a>(snap: &'a Snapshot, instance: Instance<'a>, source: &str) -> Option<&'a Service> {
    let own = datasources::all(snap, &[instance]).into_iter().find(|d| d.name == source)?;
    url::service_behind(snap, instance.namespace(), &Written::parse(&own.url)?).ok().flatten()
}

/// The resource of the operator that the pods behind a Service are made from: namespace and name.
fn prometheus_of<'a>(snap: &'a Snapshot, service: &'a Service) -> Option<(&'a str, &'a str)> {
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

/// Several replicas, each with a SQLite file that no other has.
fn keeps_sessions_apart(snap: &Snapshot, instance: Instance<'_>) -> bool {
    let pods = instance.pods(snap);
    let [first, _, ..] = pods.as_slice() else { return false };
    let files = Mounts::of_pod(snap, first, instance.container).files();
    let path = database::folder(instance.container);
    let data = mounts::origin(snap, first, instance.container, path);
    // The claims of a StatefulSet are one for each pod.
    let of_all = matches!(data, Origin::Claim { .. }) && instance.workload.kind == "Deployment";
    // A file in a Secret could say anything.
    let reads_file =
        files.iter().any(|f| f.key == "grafana.ini") || instance.container.env("GF_PATHS_CONFIG").is_none();
    reads_file && !of_all && !database::may_be_on_server(snap, instance.workload, instance.container)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::grafana::{grafana, snapshot};
    use crate::model::Program;
    use crate::snapshot::monitoring::ContainerLog;
    use serde_json::json;

    fn with(line: &str) -> Snapshot {
        let mut snap = snapshot(json!({"workloads": [grafana(json!({"app": "grafana"}))]}));
        let at = snap.collected_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let text = format!("{}\n", line.replace("NOW", &at)).repeat(3);
        let log = ContainerLog {
            program: Some(Program::Grafana),
            namespace: "monitoring".into(),
            pod: "grafana-0".into(),
            container: "grafana".into(),
            text: text.into(),
            ..ContainerLog::default()
        };
        *snap.component_logs = Ok(vec![log]);
        snap
    }

    #[test]
    fn each_part_has_its_fix() {
        for (line, variant) in [
            (
                "logger=secrets t=NOW level=error msg=\"Failed to decrypt secret\" error=\"data key not found\"",
                "secrets",
            ),
            (
                "logger=authn.service t=NOW level=warn msg=\"Failed to authenticate request\" client=auth.client.azuread error=\"oauth2: invalid_client\"",
                "login-client",
            ),
            (
                "logger=rendering t=NOW level=error msg=\"Could not render\" error=\"Get \\\"http://r:8081/render\\\": EOF\"",
                "rendering",
            ),
            (
                "logger=plugins t=NOW level=error msg=\"Plugin validation failed\" pluginId=a-b error=\"plugin 'a-b' has no signature\"",
                "signature",
            ),
        ] {
            let found = findings(&GrafanaPartFailing, &with(line));
            assert_eq!(found.iter().map(|f| f.variant).collect::<Vec<_>>(), [variant], "{line}");
            assert!(!steps(&found[0]).is_empty());
        }
        assert!(findings(&GrafanaPartFailing, &with("logger=x t=NOW level=error msg=y")).is_empty());
        // That of a datasource is not Grafana's own.
        let of_source =
            "logger=tsdb.postgres t=NOW level=error msg=\"Query error\" error=\"pq: sorry, too many clients already\"";
        assert!(findings(&GrafanaPartFailing, &with(of_source)).is_empty());
    }

    #[test]
    fn a_data_key_that_is_not_there_is_no_matter_of_the_secret_key() {
        let told = |error: &str| {
            let line = format!("logger=secrets t=NOW level=error msg=\"Failed to decrypt secret\" error=\"{error}\"");
            let found = findings(&GrafanaPartFailing, &with(&line));
            format!("{} {}", found[0].message, steps(&found[0]))
        };
        let gone = told("data key not found");
        assert!(gone.contains("not in that database") && !gone.contains("rollout restart"), "{gone}");
        let other = told("cipher: message authentication failed");
        assert!(other.contains("another secret_key") && other.contains("rollout restart"), "{other}");
    }

    #[test]
    fn an_address_that_nothing_knows_is_not_offered() {
        let url = |root: &str| {
            let line = format!(
                "logger=live t=NOW level=warn msg=\"Request Origin is not authorized\" requestOrigin=https://graphs.corp appUrl={root}"
            );
            steps(&findings(&GrafanaPartFailing, &with(&line))[0])
        };
        let unset = url("http://localhost:3000/");
        assert!(unset.contains("root_url: \"https://graphs.corp/\""), "{unset}");
        let other = url("https://grafana.corp/");
        assert!(other.contains("root_url: \"<url>\""), "{other}");
    }

    #[test]
    fn a_database_that_was_not_seen_may_be_a_common_one() {
        let line = "logger=authn.service t=NOW level=warn msg=\"Failed to authenticate request\" client=auth.client.session error=\"user token not found\"";
        let of = |field: &str, value: serde_json::Value| {
            let mut deployment = grafana(json!({"app": "grafana"}));
            deployment["spec"]["template"]["spec"]["containers"][0][field] = value;
            let template = deployment["spec"]["template"]["spec"].clone();
            let pods = ["grafana-5d4f8c7b9-abcde", "grafana-5d4f8c7b9-fghij"].map(|name| {
                let owner = json!([{"kind": "ReplicaSet", "name": "grafana-5d4f8c7b9", "controller": true}]);
                let labels = json!({"app": "grafana", "pod-template-hash": "5d4f8c7b9"});
                json!({"metadata": {"namespace": "monitoring", "name": name, "labels": labels, "ownerReferences": owner},
                    "spec": template, "status": {"phase": "Running"}})
            });
            let mut snap = with(line);
            let objects = snapshot(json!({"workloads": [deployment], "pods": pods}));
            (snap.workloads, snap.pods) = (objects.workloads, objects.pods);
            findings(&GrafanaPartFailing, &snap).len()
        };
        assert_eq!(of("env", json!([])), 1);
        assert_eq!(of("env", json!([{"name": "GF_DATABASE_URL", "value": "mysql://u:p@db/grafana"}])), 0);
        assert_eq!(of("envFrom", json!([{"secretRef": {"name": "grafana-database"}}])), 0);
    }

    #[test]
    fn plugins_that_are_allowed_stay_so_and_a_changed_one_is_not_allowed() {
        let line = |why: &str| {
            format!(
                "logger=plugins t=NOW level=error msg=\"Plugin validation failed\" pluginId=a-b error=\"plugin 'a-b' {why}\""
            )
        };
        let mut deployment = grafana(json!({"app": "grafana"}));
        deployment["spec"]["template"]["spec"]["containers"][0]["env"] =
            json!([{"name": "GF_PLUGINS_ALLOW_LOADING_UNSIGNED_PLUGINS", "value": "c-d, e-f"}]);
        let steps_of = |why: &str| {
            let mut snap = with(&line(why));
            snap.workloads = snapshot(json!({"workloads": [deployment.clone()]})).workloads;
            steps(&findings(&GrafanaPartFailing, &snap)[0])
        };
        assert!(
            steps_of("has no signature").contains("UNSIGNED_PLUGINS=c-d,e-f,a-b"),
            "{}",
            steps_of("has no signature")
        );
        assert!(!steps_of("has modified signature").contains("set env"));
    }

    #[test]
    fn the_prometheus_that_is_asked_is_the_one_that_gets_more_time() {
        let owner = json!([{"kind": "ReplicaSet", "name": "second-5d4f8c7b9", "controller": true}]);
        let labels = json!({"app": "second", "pod-template-hash": "5d4f8c7b9"});
        let objects = |by: serde_json::Value| {
            snapshot(json!({
                "services": [{"metadata": {"namespace": "monitoring", "name": "second"}, "spec": {"selector": {"app": "second"}}}],
                "pods": [{"metadata": {"namespace": "monitoring", "name": "second-5d4f8c7b9-abcde", "labels": labels, "ownerReferences": owner},
                    "status": {"phase": "Running"}}],
                "workloads": [{"metadata": {"namespace": "monitoring", "name": "second", "ownerReferences": by}}]}))
        };
        let of = |by: serde_json::Value| {
            let snap = objects(by);
            let service = &snap.services.items().expect("they were read")[0];
            prometheus_of(&snap, service).map(|(namespace, name)| format!("{namespace}/{name}"))
        };
        let by = |kind: &str| json!([{"kind": kind, "name": "second", "controller": true}]);
        assert_eq!(of(by("Prometheus")).as_deref(), Some("monitoring/second"));
        assert_eq!(of(by("ThanosRuler")), None);
        assert_eq!(of(json!([])), None);
    }
}
