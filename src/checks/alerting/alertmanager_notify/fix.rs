//! Writes the finding of a group of failed notifications: message, what it depends on, and the fix with its values.

use crate::checks::support::{probes, services};
use crate::domain::alertmanager::config::{Config, Source, config_source, keeper, known_host, source_of};
use crate::domain::alertmanager::group::Group;
use crate::domain::alertmanager::notify_error::{self, Reason};
use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::aws::placement::Placement;
use crate::domain::kubernetes::host::{Place, is_public, place};
use crate::domain::kubernetes::network_policy::egress_policies;
use crate::domain::kubernetes::owner::{operator_resource, workload_name};
use crate::domain::kubernetes::proxy;
use crate::domain::text::redact::redact;
use crate::model::{CheckId, Evidence, Finding, Program, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod};

/// Everything about one group that its finding needs.
struct Case<'a> {
    snap: &'a Snapshot,
    group: &'a Group,
    pod: Option<&'a Pod>,
    container: Option<&'a Container>,
    config: Option<Config>,
    host: Option<String>,
    place: Option<Place>,
}

/// The finding of a group.
pub(super) fn finding(id: CheckId, snap: &Snapshot, at: &Placement<'_>, group: &Group) -> Finding {
    let case = Case::new(snap, group);
    let receiver = case.receiver();
    let severity = if group.lost > 0 { Severity::Error } else { Severity::Warning };
    let subject = ResourceRef::Receiver { name: receiver.clone() };
    let sample = &group.sample;
    let key = format!("{receiver}/{}/{:?}", sample.integration, group.reason);
    let template =
        "kubectl logs -n {{ namespace }} {{ pod }}{% if container %} -c {{ container }}{% endif %} --since=1h";
    let seen =
        Evidence::new(format!("log of pod {}/{}", sample.namespace, sample.pod), redact(&sample.cause), template)
            .with("namespace", &sample.namespace)
            .with("pod", &sample.pod)
            .with("container", case.container.map_or("", |c| c.name.as_str()));
    let mut finding = Finding::new(id, severity, subject, case.message(&receiver)).evidence(seen).key(key);
    if let Some(seen) = counters(snap, &sample.integration) {
        finding = finding.evidence(seen);
    }
    for probe in
        case.host.iter().flat_map(|host| crate::domain::kubernetes::probes::of_host(snap, Program::Alertmanager, host))
    {
        finding = finding.evidence(probes::evidence(probe));
    }
    let finding = case.depends_on(finding, at);
    case.params(finding).fix(case.variant())
}

impl<'a> Case<'a> {
    fn new(snap: &'a Snapshot, group: &'a Group) -> Self {
        let sample = &group.sample;
        let pods = snap.pods().unwrap_or_default();
        let pod = pods.iter().find(|p| p.metadata.name == sample.pod && p.metadata.namespace == sample.namespace);
        let container = pod.and_then(|p| p.spec.containers.iter().find(|c| c.program() == Some(Program::Alertmanager)));
        let config = Config::of(snap);
        let entry = config.as_ref().and_then(|c| c.integration(&sample.receiver, &sample.integration, sample.index));
        // A mail server's answer holds links that are not its own.
        let speaks = sample.integration != "email" || sample.cause.contains("lookup ");
        let host = notify_error::host(&sample.cause)
            .filter(|_| speaks)
            .or_else(|| config.as_ref()?.host(entry, &sample.integration))
            .or_else(|| {
                let file = Config::in_file(snap)?;
                let entry = file.integration(&sample.receiver, &sample.integration, sample.index)?;
                file.host(Some(entry), &sample.integration)
            })
            .or_else(|| known_host(&sample.integration));
        let dialled = notify_error::address(&sample.cause);
        let place = match (&host, dialled) {
            (Some(host), _) if place(snap, host, &sample.namespace) != Place::Public => {
                Some(place(snap, host, &sample.namespace))
            }
            // A public name that resolves to a private address does not need the internet.
            (_, Some(ip)) if !is_public(ip) => Some(place(snap, &ip.to_string(), &sample.namespace)),
            (Some(_), _) | (None, Some(_)) => Some(Place::Public),
            (None, None) => None,
        };
        Self { snap, group, pod, container, config, host, place }
    }

    fn entry(&self) -> Option<&serde_json::Value> {
        let sample = &self.group.sample;
        let config = self.config.as_ref()?;
        let named = config.integration(&sample.receiver, &sample.integration, sample.index);
        named.or_else(|| config.integration_to(self.host.as_deref().filter(|_| sample.receiver.is_empty())?))
    }

    /// The proxy that stands between Alertmanager and the receiver, where the connection itself fails.
    fn suspect(&self) -> Option<&str> {
        let fails = matches!(self.group.reason, Reason::Timeout | Reason::Refused | Reason::NoRoute | Reason::Redirect);
        let proxy = self.config.as_ref()?.proxy(self.entry(), self.container)?;
        (fails && !matches!(self.place, Some(Place::Cluster(_)))).then_some(proxy)
    }

    /// Host of the proxy.
    fn proxy_host(&self) -> Option<String> {
        let proxy = self.suspect()?;
        let url = if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") };
        url::Url::parse(&url).ok()?.host_str().map(str::to_owned)
    }

    fn setting(&self, name: &str, global: &str) -> Option<&str> {
        self.config.as_ref()?.setting(self.entry(), name, global)
    }

    /// `host:port` of the mail server.
    fn smarthost(&self) -> String {
        let named = self.setting("smarthost", "smtp_smarthost").map(str::to_owned);
        named.unwrap_or_else(|| format!("{}:587", self.host.as_deref().unwrap_or("<smtp-host>")))
    }

    fn receiver(&self) -> String {
        let sample = &self.group.sample;
        // Lines of old versions name no receiver.
        let by_host = || {
            let config = self.config.as_ref()?;
            config.receiver_to(self.host.as_deref()?).map(str::to_owned)
        };
        let named = Some(sample.receiver.clone()).filter(|n| !n.is_empty());
        let kind = || Some(sample.integration.clone()).filter(|n| !n.is_empty());
        named.or_else(by_host).or_else(kind).unwrap_or_else(|| "<receiver>".to_owned())
    }

    /// Slack was meant, but another host was asked.
    fn is_foreign(&self) -> bool {
        self.group.sample.integration == "slack" && self.host.as_deref().is_some_and(|h| !h.ends_with("slack.com"))
    }

    fn host_name(&self) -> &str {
        self.host.as_deref().unwrap_or("the receiver's host")
    }

    fn message(&self, receiver: &str) -> String {
        let group = self.group;
        let integration = match group.sample.integration.as_str() {
            "" => String::new(),
            name => format!(" ({name})"),
        };
        let count = match group.lost {
            0 => "attempts fail and are retried".to_owned(),
            1 => "1 notification was lost in the last hour".to_owned(),
            n => format!("{n} notifications were lost in the last hour"),
        };
        let last = group.last.map(|t| format!(", last at {t:.0}")).unwrap_or_default();
        format!("receiver {receiver}{integration}: {}; {count}{last}", self.why())
    }

    fn why(&self) -> String {
        let host = self.host_name();
        let detail = self.detail();
        match self.group.reason {
            _ if self.suspect().is_some() => {
                let how = match self.group.reason {
                    Reason::Timeout => "timeout",
                    Reason::Refused => "refused or closed",
                    Reason::Redirect => "redirected",
                    _ => "no route",
                };
                let proxy = redact(self.suspect().unwrap_or_default());
                format!("{host} cannot be reached through the proxy {proxy}, which its configuration names ({how})")
            }
            Reason::Timeout => format!("{host} cannot be reached (timeout)"),
            Reason::NoSuchHost if self.is_foreign() => {
                format!(
                    "the name {host}, which is not Slack's, does not resolve: a proxy redirects there, or the URL is wrong"
                )
            }
            Reason::NoSuchHost => format!("the name {host} does not resolve (no such host)"),
            Reason::Dns => format!("DNS fails to look up {host}"),
            Reason::NoRoute => format!("there is no route to {host}"),
            Reason::Refused => format!("{host} refuses or closes the connection"),
            Reason::Certificate => format!("the TLS certificate of {host} is not accepted"),
            Reason::PlainHttp => format!("{host} speaks plain HTTP where HTTPS is expected"),
            Reason::Proxy => "the egress proxy does not let it through".to_owned(),
            Reason::Redirect => format!("{host} sends the request elsewhere ({detail})"),
            Reason::Auth => format!("{host} answers, but does not accept the credential ({detail})"),
            Reason::Channel if self.group.sample.integration == "telegram" => {
                format!("Telegram does not let the bot write to the chat ({detail})")
            }
            Reason::Channel => format!("Slack does not accept the channel ({detail})"),
            Reason::Policy => {
                format!("Slack knows the app and the channel, and the workspace's rules do not let it post ({detail})")
            }
            Reason::Retired => format!(
                "{host} does not take messages any more ({detail}): Microsoft has retired the connectors of Teams"
            ),
            Reason::OldCard => format!(
                "{host} is a workflow of Teams, which does not take the cards of msteams_configs ({detail}): it wants those of msteamsv2_configs"
            ),
            Reason::Payload => format!("{host} refuses the message ({detail})"),
            Reason::NotFound => format!("{host} answers, but knows no such path ({detail})"),
            Reason::RateLimit => format!("{host} limits the rate ({detail})"),
            Reason::Server => format!("{host} answers with a server error ({detail})"),
            Reason::StartTls => format!("{host} offers no working STARTTLS"),
            Reason::AwsCredentials => format!("Alertmanager has no valid AWS credentials ({detail})"),
            Reason::AwsDenied => format!("its AWS role may not send it ({detail})"),
            Reason::Template => format!("its notification template does not work ({detail})"),
            Reason::File => format!("a file with its URL or key cannot be read ({detail})"),
            Reason::Other => format!("it fails ({detail})"),
        }
    }

    /// The essential part of the cause.
    fn detail(&self) -> String {
        let cause = redact(&self.group.sample.cause);
        let marks = ["unexpected status code ", "error response from Slack: ", "auth: ", "> "];
        // A hidden part of a link in a mail server's answer ends like a template's place.
        let marks = if self.group.sample.integration == "email" { &marks[..3] } else { &marks[..] };
        let from = marks.iter().find_map(|m| cause.rfind(m).map(|at| at + m.len())).unwrap_or(0);
        let mut detail = cause[from..].to_owned();
        if let Some((at, _)) = detail.char_indices().nth(100) {
            detail.truncate(at);
            detail.push('…');
        }
        detail
    }

    /// The way out of the subnets of all Alertmanager pods that say so, or the Service that is asked.
    fn depends_on(&self, finding: Finding, at: &Placement<'_>) -> Finding {
        if let Some(host) = self.proxy_host() {
            return match place(self.snap, &host, &self.group.sample.namespace) {
                Place::Cluster(s) => finding.depends_on(ResourceRef::service(&s.namespace, &s.service)),
                _ => finding,
            };
        }
        let finding = match self.pod.filter(|_| matches!(self.group.reason, Reason::Timeout | Reason::Dns)) {
            Some(pod) => egress_policies(self.snap, pod).into_iter().fold(finding, Finding::depends_on),
            None => finding,
        };
        let finding = match self.group.reason {
            Reason::Dns => finding.depends_on(ResourceRef::service("kube-system", "kube-dns")),
            _ => finding,
        };
        match &self.place {
            Some(Place::Cluster(service)) if self.group.reason.may_be_service() => {
                finding.depends_on(ResourceRef::service(&service.namespace, &service.service))
            }
            Some(Place::Public) | None if self.group.reason.may_be_egress() => {
                let pods = alertmanager_pods(self.snap).into_iter().map(|(pod, _)| pod);
                let said =
                    |p: &&Pod| self.group.pods.contains(&(p.metadata.namespace.clone(), p.metadata.name.clone()));
                let subnets = pods.filter(said).filter_map(|p| at.of_pod(p));
                subnets.fold(finding, |f, s| f.depends_on(ResourceRef::aws("ec2", "subnet", s)))
            }
            _ => finding,
        }
    }

    fn variant(&self) -> &'static str {
        let email = self.group.sample.integration == "email";
        match self.group.reason {
            _ if self.suspect().is_some() => "through-proxy",
            Reason::Timeout | Reason::NoRoute => match self.place {
                Some(Place::Cluster(_)) => "service",
                _ => "egress",
            },
            Reason::NoSuchHost | Reason::Dns => "dns",
            Reason::Refused | Reason::Server | Reason::NotFound if matches!(self.place, Some(Place::Cluster(_))) => {
                "service"
            }
            Reason::Refused => "refused",
            Reason::Certificate => "certificate",
            Reason::PlainHttp => "plain-http",
            Reason::Proxy | Reason::Redirect => "proxy",
            Reason::Auth if email => "smtp-auth",
            Reason::Auth => "credential",
            Reason::Channel => "channel",
            Reason::Policy => "policy",
            Reason::Retired | Reason::OldCard => "retired",
            Reason::AwsDenied => "aws-denied",
            Reason::Payload => "payload",
            Reason::Template => "template",
            Reason::NotFound => "not-found",
            Reason::RateLimit => "rate-limit",
            Reason::Server => "server",
            Reason::StartTls => "starttls",
            Reason::AwsCredentials => "aws-credentials",
            Reason::File => "file",
            Reason::Other => "other",
        }
    }

    /// The file that holds the integration's URL or key, and where it is mounted from.
    fn secret(&self) -> (Option<String>, Option<Source>) {
        let names: &[(&str, &str)] = match self.group.sample.integration.as_str() {
            "slack" => &[("api_url_file", "slack_api_url_file"), ("app_token_file", "slack_app_token_file")],
            "pagerduty" => &[("routing_key_file", ""), ("service_key_file", "")],
            "opsgenie" => &[("api_key_file", "opsgenie_api_key_file")],
            "victorops" => &[("api_key_file", "victorops_api_key_file")],
            "telegram" => &[("bot_token_file", "telegram_bot_token_file")],
            "email" => &[("auth_password_file", "smtp_auth_password_file")],
            "webhook" => &[("url_file", "")],
            _ => &[("webhook_url_file", ""), ("api_url_file", ""), ("token_file", "")],
        };
        let from_log = (self.group.reason == Reason::File).then(|| opened(&self.group.sample.cause)).flatten();
        let path =
            from_log.or_else(|| names.iter().find_map(|(own, global)| self.setting(own, global)).map(str::to_owned));
        let source = match (self.pod, self.container, &path) {
            (Some(pod), Some(container), Some(path)) => source_of(self.snap, pod, container, path),
            _ => None,
        };
        (path, source.filter(|s| s.kind == "secret"))
    }

    fn params(&self, finding: Finding) -> Finding {
        let sample = &self.group.sample;
        let (path, secret) = self.secret();
        let config = self.pod.zip(self.container).and_then(|(p, c)| config_source(self.snap, p, c));
        let workload = self.pod.and_then(|p| workload_name(self.snap, p)).unwrap_or_default();
        let managed = self.pod.map(|p| keeper(self.snap, p, config.as_ref())).unwrap_or_default();
        let (service, service_namespace) = match &self.place {
            Some(Place::Cluster(s)) => (s.service.clone(), s.namespace.clone()),
            _ => (String::new(), String::new()),
        };
        let host = self.host.clone().unwrap_or_else(|| "<host>".to_owned());
        let in_file = path.is_some();
        finding
            .param("namespace", &sample.namespace)
            .param("pod", &sample.pod)
            .param("container", self.container.map_or("alertmanager", |c| c.name.as_str()))
            .param("receiver", self.receiver())
            .param("integration", &sample.integration)
            .param("slack", sample.integration == "slack")
            .param("workflow", self.group.reason == Reason::OldCard)
            .param("telegram", sample.integration == "telegram")
            .param("mail", sample.integration == "email")
            .param("smtp", self.smarthost())
            .param("starttls", if self.smarthost().ends_with(":465") { Vec::new() } else { vec!["-starttls", "smtp"] })
            .param("advice", services::advice(&sample.integration, &sample.cause))
            .param("url", format!("https://{host}/"))
            .param("tls_host", if host.contains(':') { host.clone() } else { format!("{host}:443") })
            .param("proxy", self.suspect().map(str::to_owned).unwrap_or_default())
            .param("proxy_probe", self.suspect().map(probe_url).unwrap_or_default())
            .param("proxy_url", self.suspect().unwrap_or_default())
            .param("aws_role", aws_role(&sample.cause).unwrap_or_else(|| "<role-name>".to_owned()))
            .param("host", host)
            .param("foreign", self.is_foreign())
            .param("detail", self.detail())
            .param("channel", self.setting("channel", "").unwrap_or_default())
            .param("path", path.unwrap_or_else(|| "<path>".to_owned()))
            .param("in_file", in_file)
            .param("secret", secret.as_ref().map_or("<secret-name>", |s| s.name.as_str()))
            .param("secret_key", secret.as_ref().map_or("<key>", |s| s.key.as_str()))
            .param("secret_known", secret.is_some())
            .param("secret_fixed", secret.as_ref().is_some_and(|s| s.fixed))
            .param("workload", workload)
            .param("service_account", self.pod.map_or("default", |p| p.spec.account()))
            .param("config_kind", config.as_ref().map_or("", |s| s.kind))
            .param("config_name", config.as_ref().map_or("<config-name>", |s| s.name.as_str()))
            .param("config_key", config.as_ref().map_or("alertmanager.yml", |s| s.key.as_str()))
            .param("operator", self.pod.is_some_and(|p| operator_resource(self.snap, p).is_some()))
            .param("managed", managed)
            .param("service", service)
            .param("service_namespace", service_namespace)
    }
}

/// The URL of a proxy, as something that can be asked.
fn probe_url(proxy: &str) -> String {
    let url = if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") };
    format!("{}/", url.trim_end_matches('/'))
}

/// The role that was denied, in `User: arn:aws:sts::…:assumed-role/<role>/<session> is not authorized`.
fn aws_role(cause: &str) -> Option<String> {
    let (_, rest) = cause.split_once(":assumed-role/")?;
    rest.split('/').next().map(str::to_owned)
}

/// The path in `open /etc/x: no such file or directory`.
fn opened(cause: &str) -> Option<String> {
    let (_, rest) = cause.split_once("open ")?;
    let path = rest.split(": ").next()?;
    path.starts_with('/').then(|| path.to_owned())
}

/// Alertmanager's counters of an integration, as a second witness.
fn counters(snap: &Snapshot, integration: &str) -> Option<Evidence> {
    let of = |name: &str| -> f64 {
        let all = snap.alertmanager_metrics.iter().flatten();
        all.filter(|s| s.name == name && s.labels.get("integration").is_some_and(|i| i == integration))
            .map(|s| s.value)
            .sum()
    };
    let (all, failed) = (of("alertmanager_notifications_total"), of("alertmanager_notifications_failed_total"));
    let at = snap.scope.alertmanager.as_ref()?;
    let path = proxy::of_component(at, "/metrics");
    let value = format!("{integration}: {failed} of {all} since start");
    let seen = Evidence::new("alertmanager_notifications_failed_total", value, "kubectl get --raw {{ path }}");
    (failed > 0.0).then(|| seen.with("path", path))
}
